package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"buttersc.one/oven/internal/app"
	"buttersc.one/oven/internal/socket/delivery"
)

// deliveryCmd is the deliveries' commands. They work on the tables, so it does
// not matter whether the server runs; one that does follows within a second.
type deliveryCmd struct {
	Status deliveryStatusCmd `cmd:"" help:"Operations, and the hosts with something waiting or wrong."`
	Hosts  deliveryHostsCmd  `cmd:"" help:"Every host that anything was ever sent to."`
	Pause  deliveryPauseCmd  `cmd:"" help:"Send nothing to a host, or nothing of an operation, until resumed."`
	Resume deliveryGoCmd     `cmd:"" help:"End a pause."`
	Cancel deliveryCancelCmd `cmd:"" help:"Deliver nothing more of an operation."`
}

type deliveryStatusCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Run implements oven delivery status.
func (d deliveryStatusCmd) Run(ctx context.Context, c *cli) error {
	o, a, err := c.prepared(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	st, err := a.Delivery.Status(ctx)
	if err != nil {
		return err
	}
	ops, err := a.Delivery.Operations(ctx, nil)
	if err != nil {
		return err
	}
	if d.JSON {
		return printJSON(struct {
			delivery.Status
			Operations []delivery.Operation `json:"operations"`
		}{st, append([]delivery.Operation{}, ops...)})
	}
	fmt.Printf("%d activities not numbered yet, %d hosts with something waiting or wrong\n", st.Staged, len(st.Hosts))
	if err := printHosts(os.Stdout, st.Hosts); err != nil {
		return err
	}
	if len(ops) == 0 {
		return nil
	}
	fmt.Println()
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "STREAM\tKIND\tOWNER\tSTATE\tACTIVITIES\tENDPOINTS\tWAITING\tSINCE")
	for _, op := range ops {
		owner := "-"
		if op.OwnerID != nil {
			owner = *op.OwnerID
		}
		_, _ = fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%d\t%d\t%d\t%s\n", op.ID, op.Kind, owner, op.State, op.Total, op.Endpoints, op.Waiting, op.CreatedAt.UTC().Format(time.RFC3339))
	}
	return w.Flush()
}

func printHosts(out io.Writer, hosts []delivery.HostStatus) error {
	if len(hosts) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "HOST\tSTATE\tWAITING\tALONE\tGIVEN UP\tNEXT TRY\tLAST ERROR")
	for _, h := range hosts {
		next, said := "-", "-"
		if h.NextTry != nil && h.State != "up" {
			next = h.NextTry.UTC().Format(time.RFC3339)
		}
		if h.LastError != "" && h.State != "up" {
			said = printable(h.LastError, 80)
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%s\t%s\n", h.Host, h.State, h.Backlog, h.Singles, h.Refused, next, said)
	}
	return w.Flush()
}

// printable keeps what other servers said from writing over the terminal.
func printable(s string, most int) string {
	q := strings.Trim(strconv.QuoteToGraphic(s), `"`)
	if r := []rune(q); len(r) > most {
		return string(r[:most]) + "…"
	}
	return q
}

type deliveryHostsCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Run implements oven delivery hosts.
func (d deliveryHostsCmd) Run(ctx context.Context, c *cli) error {
	o, a, err := c.prepared(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	hosts, err := a.Delivery.Hosts(ctx)
	if err != nil {
		return err
	}
	if d.JSON {
		return printJSON(hosts)
	}
	return printHosts(os.Stdout, hosts)
}

// target is a host or the number of an operation's stream.
type target struct {
	Target string `arg:"" name:"host-or-stream" help:"A host's name, or the number of an operation's stream."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

func (t target) rule(ctx context.Context, c *cli, did string, host func(*app.App, string) error, stream func(*app.App, int64) error) error {
	o, a, err := c.prepared(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	if id, bad := strconv.ParseInt(t.Target, 10, 64); bad == nil {
		err = stream(a, id)
	} else {
		t.Target = strings.ToLower(t.Target)
		err = host(a, t.Target)
	}
	if err != nil {
		return err
	}
	return say(t.JSON, t.Target, did)
}

func say(asJSON bool, target, did string) error {
	if asJSON {
		return printJSON(map[string]string{"target": target, "state": did})
	}
	fmt.Println(target, did)
	return nil
}

type deliveryPauseCmd struct{ target }

// Run implements oven delivery pause.
func (p deliveryPauseCmd) Run(ctx context.Context, c *cli) error {
	return p.rule(ctx, c, "paused", func(a *app.App, h string) error { return a.Delivery.Pause(ctx, h) },
		func(a *app.App, id int64) error { return a.Delivery.PauseStream(ctx, id) })
}

type deliveryGoCmd struct{ target }

// Run implements oven delivery resume.
func (p deliveryGoCmd) Run(ctx context.Context, c *cli) error {
	return p.rule(ctx, c, "resumed", func(a *app.App, h string) error { return a.Delivery.Resume(ctx, h) },
		func(a *app.App, id int64) error { return a.Delivery.ResumeStream(ctx, id) })
}

type deliveryCancelCmd struct {
	Stream int64 `arg:"" help:"The number of the operation's stream."`
	JSON   bool  `name:"json" help:"Print JSON."`
}

// Run implements oven delivery cancel.
func (d deliveryCancelCmd) Run(ctx context.Context, c *cli) error {
	o, a, err := c.prepared(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	if err := a.Delivery.CancelStream(ctx, d.Stream); err != nil {
		return err
	}
	return say(d.JSON, strconv.FormatInt(d.Stream, 10), "cancelled")
}
