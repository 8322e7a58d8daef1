package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"buttersc.one/oven/internal/app"
	"buttersc.one/oven/internal/search"
)

// searchCmd is the search index's commands. A running server carries them out in
// every process that has an index; where none runs, the command does it itself.
type searchCmd struct {
	Status   searchStatusCmd   `cmd:"" help:"How far every index is, how large, and what is wrong with it."`
	Reindex  searchReindexCmd  `cmd:"" help:"Build the index anew; the old one is searched meanwhile."`
	Verify   searchVerifyCmd   `cmd:"" help:"Read all of the index, compare it with the database, and mend what differs."`
	Optimize searchOptimizeCmd `cmd:"" help:"Make the index as small as it can be."`
}

type searchStatusCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Run implements oven search status.
func (s searchStatusCmd) Run(ctx context.Context, c *cli) error {
	o, err := c.attach(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	nodes, err := search.Nodes(ctx, o.db)
	if err != nil {
		return err
	}
	if s.JSON {
		return printJSON(map[string]any{"nodes": nodes})
	}
	return printNodes(nodes)
}

func printNodes(nodes []search.Node) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "INDEX\tDRIVER\tSTATE\tDONE\tNOTES\tGONE\tPARTS\tKB\tCHANGE\tLAST TOLD\tERROR")
	for _, n := range nodes {
		state, done, wrong := n.State, "all", n.Error
		if !n.Running {
			state = "not running"
		}
		if n.State != "ready" {
			done = fmt.Sprintf("%d of %d", n.Done, n.Total)
		}
		if wrong == "" {
			wrong = "-"
		}
		var st search.Stats
		_ = json.Unmarshal(n.Stats, &st) // what is not told is 0
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%s\t%s\n", n.Name, n.Driver, state, done, st.Docs, st.Deleted, st.Segments, (st.Bytes+1023)/1024, n.Seq,
			n.UpdatedAt.UTC().Format(time.RFC3339), printable(wrong, 300))
	}
	return w.Flush()
}

// searchTask is a task with its progress.
type searchTask struct {
	JSON bool `name:"json" help:"Print JSON."`
}

type (
	searchReindexCmd  struct{ searchTask }
	searchVerifyCmd   struct{ searchTask }
	searchOptimizeCmd struct{ searchTask }
)

// Run implements oven search reindex.
func (s searchReindexCmd) Run(ctx context.Context, c *cli) error {
	return s.run(ctx, c, search.Reindex)
}

// Run implements oven search verify.
func (s searchVerifyCmd) Run(ctx context.Context, c *cli) error { return s.run(ctx, c, search.Verify) }

// Run implements oven search optimize.
func (s searchOptimizeCmd) Run(ctx context.Context, c *cli) error {
	return s.run(ctx, c, search.Optimize)
}

func (s searchTask) run(ctx context.Context, c *cli, task string) error {
	o, a, err := c.prepared(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	nodes, err := search.Nodes(ctx, o.db)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if n.Running {
			return s.ask(ctx, o, task)
		}
	}
	return s.alone(ctx, a, task)
}

// alone does the task here, since no server runs.
func (s searchTask) alone(ctx context.Context, a *app.App, task string) error {
	bar := progress()
	got, err := a.Search.Once(ctx, task, func(done, total int64) { bar(int(done), int(max(total, 1)), task) })
	if err != nil {
		return err
	}
	return s.print(task, got)
}

func (s searchTask) print(task string, got *search.Compared) error {
	switch {
	case s.JSON:
		if err := printJSON(map[string]any{"task": task, "verified": got}); err != nil {
			return err
		}
	case got != nil:
		fmt.Printf("%d notes were missing, %d were too many, %d parts were damaged; mended\n", got.Missing, got.Extra, got.Damaged)
	default:
		fmt.Println("done")
	}
	if got != nil && *got != (search.Compared{}) {
		return errFound
	}
	return nil
}

// ask has every running server do the task, and waits until all have.
func (s searchTask) ask(ctx context.Context, o *opened, task string) error {
	if err := search.Want(ctx, o.db, task); err != nil {
		return err
	}
	bar := progress()
	for {
		select {
		case <-ctx.Done():
			return errors.New("not waited for; the servers go on with it")
		case <-time.After(500 * time.Millisecond):
		}
		nodes, err := search.Nodes(ctx, o.db)
		if err != nil {
			return err
		}
		sum := &search.Compared{}
		var done, total int64
		busy, failed := false, ""
		for _, n := range nodes {
			if !n.Running {
				continue
			}
			busy = busy || n.Wanted != ""
			if n.State != "ready" {
				done, total = done+n.Done, total+n.Total
			}
			if n.Error != "" {
				failed = n.Error
			}
			n.Verified(sum)
		}
		if busy {
			bar(int(min(done, total)), int(max(total, 1)), task)
			continue
		}
		if failed != "" {
			return errors.New(printable(failed, 2000))
		}
		if task != search.Verify {
			sum = nil
		}
		return s.print(task, sum)
	}
}
