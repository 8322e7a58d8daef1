package stats

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
)

// serversEvery other servers are counted by how they are tied to this one.
const serversEvery = time.Hour

type serversArgs struct{}

// Kind implements job.Args.
func (serversArgs) Kind() string { return "stats.servers" }

// Active is who is delivered to and has not been silent for a week.
const sqlServers = `
SELECT s.host, s.followers_count > 0, s.following_count > 0,
	NOT coalesce(h.paused OR h.gone_since IS NOT NULL OR h.refusing_since IS NOT NULL OR h.fail_since < now() - interval '7 days', false)
FROM instance_stat s LEFT JOIN fed_host h ON h.host = s.host WHERE s.followers_count > 0 OR s.following_count > 0`

// workServers counts the servers that have accounts followed from here (sub) or
// that follow (pub), both, and how many of them this one deals with now.
func (s *Service) workServers(ctx context.Context) error {
	rows, err := s.DB.Query(ctx, sqlServers)
	if err != nil {
		return fmt.Errorf("count servers: %w", err)
	}
	n := map[string]int64{"sub": 0, "pub": 0, "pubsub": 0, "subActive": 0, "pubActive": 0}
	var host string
	var sub, pub, active bool
	_, err = pgx.ForEachRow(rows, []any{&host, &sub, &pub, &active}, func() error {
		active = active && s.Instances.Allowed(ctx, host) == nil
		for name, is := range map[string]bool{"sub": sub, "pub": pub, "pubsub": sub && pub, "subActive": sub && active, "pubActive": pub && active} {
			if is {
				n[name]++
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("count servers: %w", err)
	}
	return s.DB.Tx(ctx, func(tx *pg.Tx) error { return s.Engine.Set(ctx, tx, "federation", "", n) })
}
