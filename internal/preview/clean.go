package preview

import (
	"context"
	"fmt"
)

// cleanArgs asks to forget previews that are over.
type cleanArgs struct{}

// Kind implements job.Args.
func (cleanArgs) Kind() string { return "preview.clean" }

const (
	maxKept   = 200_000 // rows: whoever asks for pages without end fills no disk
	cleanSome = 5_000   // rows a statement

	sqlClean = `DELETE FROM link_preview WHERE key IN (SELECT key FROM link_preview WHERE until <= $1 ORDER BY until LIMIT $2)`
	// Those that would be over soonest go first.
	sqlTrim = `DELETE FROM link_preview WHERE key IN (
	SELECT key FROM link_preview ORDER BY until LIMIT least($2, (SELECT greatest(count(*) - $1, 0) FROM link_preview)))`
)

// Clean forgets previews that are over, and those beyond what is kept.
func (s *Service) Clean(ctx context.Context) error { return s.clean(ctx, maxKept) }

func (s *Service) clean(ctx context.Context, most int) error {
	for _, step := range []struct {
		sql string
		arg any
	}{{sqlClean, s.Now()}, {sqlTrim, most}} {
		for {
			tag, err := s.DB.Exec(ctx, step.sql, step.arg, cleanSome)
			if err != nil {
				return fmt.Errorf("clean previews: %w", err)
			}
			if tag.RowsAffected() < cleanSome {
				break
			}
		}
	}
	return nil
}
