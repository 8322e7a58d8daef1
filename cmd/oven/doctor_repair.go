package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"

	"buttersc.one/oven/internal/doctor"
	mechanism "buttersc.one/oven/internal/socket/doctor"
	"buttersc.one/oven/internal/socket/remote"
)

type doctorPlanCmd struct {
	patient
	Out     string `required:"" help:"Where to write the plan." placeholder:"FILE"`
	Offline bool   `help:"Ask no other server which of two accounts is alive."`
	Fence   bool   `xor:"fence" help:"Keep new duplicates out from now on, until the plan is applied. This writes to the database."`
	Unfence bool   `xor:"fence" help:"Take away first what --fence has put up for a plan that is not going to be applied."`
}

// Run implements oven doctor plan.
func (d doctorPlanCmd) Run(ctx context.Context, c *cli) error {
	conn, done, err := d.open(ctx, c)
	if err != nil {
		return err
	}
	defer done()
	var f doctor.Fetcher
	if !d.Offline {
		cfg := remote.Config{UserAgent: "Oven/" + version + " doctor"}
		if loaded, err := c.load(); err == nil {
			cfg.AllowedPrivateNetworks, cfg.AllowLoopback, cfg.TestHosts = loaded.AllowedPrivateNetworks, loaded.Mode != "production", loaded.TestHosts
			cfg.AllowPlainHTTP = cfg.AllowLoopback
		} else {
			cfg.AllowedPrivateNetworks = []netip.Prefix{}
		}
		client := remote.New(cfg, nil, nil)
		defer client.Close()
		f = client
	}
	if d.Unfence {
		if err := mechanism.Unfence(ctx, conn); err != nil {
			return err
		}
	}
	if d.Fence {
		if err := doctor.Fence(ctx, conn, d.options()); err != nil {
			return err
		}
	}
	plan, err := doctor.Plan(ctx, conn, d.options(), f)
	if err != nil {
		return err
	}
	b, err := json.MarshalIndent(plan, "", "\t")
	if err != nil {
		return err
	}
	if err := os.WriteFile(d.Out, append(b, '\n'), 0o600); err != nil {
		return err
	}
	if d.JSON {
		err = printJSON(map[string]any{"hash": plan.Hash, "groups": len(plan.Groups), "undecided": plan.Undecided(), "work": len(plan.Work), "left": plan.Left,
			"rows": plan.Rows, "seconds": plan.Seconds, "walBytes": plan.WALBytes, "diskBytes": plan.DiskBytes})
	} else {
		tellPlan(plan)
	}
	if err == nil && plan.Undecided() > 0 {
		return errFound
	}
	return err
}

// tellPlan prints a line for each key, and for each group that waits for a person.
func tellPlan(p *mechanism.Plan) {
	type sum struct{ groups, rows, undecided int }
	sums := map[string]*sum{}
	var order []string
	for _, g := range p.Groups {
		key := g.Table + "." + strings.Join(g.Keys, " ")
		if sums[key] == nil {
			sums[key] = &sum{}
			order = append(order, key)
		}
		sums[key].groups++
		sums[key].rows += len(g.IDs)
		if g.Undecided != "" {
			sums[key].undecided++
		}
	}
	for _, key := range order {
		fmt.Printf("merge %s %d groups of %d rows, %d undecided\n", printable(key, 200), sums[key].groups, sums[key].rows, sums[key].undecided)
	}
	for _, g := range p.Groups {
		if g.Undecided != "" {
			fmt.Printf("undecided %s %s: %s\n", g.ID, printable(g.Undecided, 300), strings.Join(g.IDs, " "))
		}
	}
	for _, w := range p.Work {
		fmt.Printf("%s %s locks: %s\n", w.Kind, printable(w.Where, 200), w.Locks)
	}
	for _, l := range p.Left {
		fmt.Printf("left %s %s %d: %s\n", l.Code, printable(l.Where, 200), l.Count, printable(l.Why, 300))
	}
	fmt.Printf("about %d rows, %d s, %d MB of WAL, %d MB of disk; hash %s\n", p.Rows, p.Seconds, p.WALBytes>>20, p.DiskBytes>>20, p.Hash)
}

type doctorApplyCmd struct {
	patient
	File string `arg:"" help:"The plan."`
}

// Run implements oven doctor apply.
func (d doctorApplyCmd) Run(ctx context.Context, c *cli) error {
	b, err := os.ReadFile(d.File)
	if err != nil {
		return err
	}
	plan, err := mechanism.ReadPlan(b)
	if err != nil {
		return fmt.Errorf("%s: %w", d.File, err)
	}
	conn, done, err := d.open(ctx, c)
	if err != nil {
		return err
	}
	defer done()
	applied, err := doctor.Apply(ctx, conn, d.options(), plan, func(run string) { fmt.Fprintln(os.Stderr, "run", run) })
	if err != nil {
		return err
	}
	if d.JSON {
		err = printJSON(applied)
	} else {
		for _, f := range applied.Failed {
			fmt.Println("failed", printable(f.What, 200), printable(f.Why, 300))
		}
		fmt.Printf("%d groups merged, %d left for a decision\n", applied.Groups, applied.Left)
		fmt.Println(applied.Run)
	}
	if err == nil && len(applied.Failed)+applied.Left > 0 {
		return errFound
	}
	return err
}

type doctorRunCmd struct {
	patient
	ID string `arg:"" name:"run" help:"The repair, as apply has named it."`
}

type doctorVerifyCmd struct{ doctorRunCmd }

// Run implements oven doctor verify.
func (d doctorVerifyCmd) Run(ctx context.Context, c *cli) error {
	conn, done, err := d.open(ctx, c)
	if err != nil {
		return err
	}
	defer done()
	found, err := doctor.Verify(ctx, conn, d.options(), d.ID)
	if err != nil {
		return err
	}
	if d.JSON {
		err = printJSON(map[string]any{"run": d.ID, "findings": found})
	} else {
		for _, f := range found {
			fmt.Println(f.Code, f.Where, printable(f.Detail+" "+strings.Join(f.IDs, " "), 4000), f.Count)
		}
	}
	if err == nil && len(found) > 0 {
		return errFound
	}
	return err
}

type doctorUndoCmd struct{ doctorRunCmd }

// Run implements oven doctor undo.
func (d doctorUndoCmd) Run(ctx context.Context, c *cli) error {
	conn, done, err := d.open(ctx, c)
	if err != nil {
		return err
	}
	defer done()
	undone, err := doctor.Undo(ctx, conn, d.options(), d.ID)
	if err != nil {
		return err
	}
	if d.JSON {
		err = printJSON(undone)
	} else {
		fmt.Printf("%d rows restored, %d kept as they have become since\n", undone.Restored, undone.Kept)
	}
	if err == nil && undone.Kept > 0 {
		return errFound
	}
	return err
}

type doctorReportCmd struct{ doctorRunCmd }

// Run implements oven doctor report.
func (d doctorReportCmd) Run(ctx context.Context, c *cli) error {
	conn, done, err := d.open(ctx, c)
	if err != nil {
		return err
	}
	defer done()
	a, err := mechanism.Tell(ctx, conn, d.ID)
	if err != nil {
		return err
	}
	if d.JSON {
		return printJSON(a)
	}
	fmt.Println("run", a.ID, a.State, "plan", a.PlanHash, "by", printable(a.By, 100))
	fmt.Println("began", a.BeganAt.UTC().Format("2006-01-02T15:04:05Z"), "undo until", a.ExpiresAt.UTC().Format("2006-01-02T15:04:05Z"))
	if a.EndedAt != nil {
		fmt.Println("ended", a.EndedAt.UTC().Format("2006-01-02T15:04:05Z"))
	}
	fmt.Println("groups", a.Groups, "undecided", a.Undecided, "failed", len(a.Failed))
	for _, f := range a.Failed {
		fmt.Println("failed", printable(f.What, 200), printable(f.Why, 300))
	}
	for _, what := range sortedNames(a.Rows) {
		fmt.Println("rows", printable(what, 200), a.Rows[what])
	}
	if !a.Chained {
		fmt.Println("the audit has been changed")
		return errFound
	}
	return nil
}

type doctorDecideCmd struct {
	patient
	Group    string `arg:"" help:"The group, as plan has named it."`
	Survivor string `required:"" help:"The row of it that stays." placeholder:"ID"`
}

// Run implements oven doctor decide.
func (d doctorDecideCmd) Run(ctx context.Context, c *cli) error {
	conn, done, err := d.open(ctx, c)
	if err != nil {
		return err
	}
	defer done()
	plan, err := doctor.Plan(ctx, conn, d.options(), nil)
	if err != nil {
		return err
	}
	for _, g := range plan.Groups {
		if g.ID != d.Group {
			continue
		}
		for _, id := range g.IDs {
			if id == d.Survivor && !g.Same && len(g.IDs) > 1 {
				return mechanism.Decide(ctx, conn, d.Group, d.Survivor)
			}
		}
		return fmt.Errorf("%s is not a row of group %s that others can become part of", printable(d.Survivor, 64), d.Group)
	}
	return errors.New("there is no such group in this database")
}

func sortedNames(m map[string]int64) []string { return slices.Sorted(maps.Keys(m)) }
