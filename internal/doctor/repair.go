package doctor

import (
	"context"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/search"
	"buttersc.one/oven/internal/socket/doctor"
)

// Plan says how a database would be repaired, and changes nothing. f asks other
// servers which of two accounts is alive; nil: nobody is asked.
func Plan(ctx context.Context, src doctor.Source, o Options, f Fetcher) (*doctor.Plan, error) {
	s, err := describe(o)
	if err != nil {
		return nil, err
	}
	in := doctor.PlanOptions{Host: o.Host, Progress: o.Progress}
	if f != nil {
		in.Alive = Living(f)
	}
	plan, _, err := doctor.MakePlan(ctx, src, s, in)
	return plan, err
}

// Fence keeps new duplicates out from now on, so that a plan stays true until it is
// applied, which takes the fence away.
func Fence(ctx context.Context, conn *pgx.Conn, o Options) error {
	s, err := describe(o)
	if err != nil {
		return err
	}
	return doctor.Fence(ctx, conn, s)
}

// Apply carries a plan out. See doctor.Apply.
func Apply(ctx context.Context, conn *pgx.Conn, o Options, plan *doctor.Plan, begun func(run string)) (*doctor.Applied, error) {
	s, err := describe(o)
	if err != nil {
		return nil, err
	}
	done, err := doctor.Apply(ctx, conn, s, plan, doctor.ApplyOptions{Progress: o.Progress, Begun: begun})
	if err == nil && !o.Misskey && done.Groups > 0 {
		// Rows were changed past the change log.
		if err := search.Want(ctx, conn, search.Reindex); err != nil {
			return done, err
		}
	}
	return done, err
}

// Verify looks at a repair with fresh eyes. See doctor.Verify.
func Verify(ctx context.Context, conn *pgx.Conn, o Options, run string) ([]doctor.Finding, error) {
	s, err := describe(o)
	if err != nil {
		return nil, err
	}
	return doctor.Verify(ctx, conn, s, run, o.Progress)
}

// Undo makes what a repair changed what it was. See doctor.Undo.
func Undo(ctx context.Context, conn *pgx.Conn, o Options, run string) (*doctor.Undone, error) {
	s, err := describe(o)
	if err != nil {
		return nil, err
	}
	return doctor.Undo(ctx, conn, s, run, o.Progress)
}
