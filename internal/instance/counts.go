package instance

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/log"
)

// Consumers fold the change log into what is counted of each server. The cursor
// moves in the same transaction, so each change counts once, and one reader
// writes for all: a server whose notes come by the hundred has its row written
// once a batch.
func (s *Service) Consumers() []log.Consumer {
	return []log.Consumer{{
		Name: "instance.counts", Durable: true, Handle: s.onChanges,
		Kinds: []string{"note.created", "note.deleted", "user.created", "user.deleted", "user.movedAside", "user.returned", "user.rehomed", "user.untied",
			"relation.followed", "relation.unfollowed"},
	}}
}

// counts are what changed of one server.
type counts struct{ users, notes, following, followers int }

func (c *counts) add(users, notes, following, followers int) {
	c.users += users
	c.notes += notes
	c.following += following
	c.followers += followers
}

const sqlCount = `
INSERT INTO instance_stat (host, users_count, notes_count, following_count, followers_count)
SELECT * FROM unnest($1::text[], $2::int[], $3::int[], $4::int[], $5::int[])
ON CONFLICT (host) DO UPDATE SET users_count = instance_stat.users_count + excluded.users_count, notes_count = instance_stat.notes_count + excluded.notes_count,
	following_count = instance_stat.following_count + excluded.following_count, followers_count = instance_stat.followers_count + excluded.followers_count`

func (s *Service) onChanges(ctx context.Context, tx *pg.Tx, batch []log.Change) error {
	sum := map[string]*counts{}
	of := func(host string) *counts {
		if sum[host] == nil {
			sum[host] = &counts{}
		}
		return sum[host]
	}
	for _, c := range batch {
		var d struct {
			Server     string `json:"server"` // the account's, or the author's
			FromServer string `json:"fromServer"`
			ToServer   string `json:"toServer"`
			Users      int    `json:"users"`
			Notes      int    `json:"notes"`
			Follows    int    `json:"follows"`
			Followed   int    `json:"followed"`
		}
		if err := c.Into(&d); err != nil {
			return err
		}
		switch c.Kind {
		case "note.created":
			of(d.Server).notes++
		case "note.deleted":
			of(d.Server).notes--
		case "user.created", "user.returned":
			of(d.Server).users++
		case "user.deleted", "user.movedAside":
			of(d.Server).users--
		case "user.rehomed":
			of(d.FromServer).add(-d.Users, -d.Notes, -d.Follows, -d.Followed)
			of(d.ToServer).add(d.Users, d.Notes, d.Follows, d.Followed)
		case "user.untied":
			of(c.ObjectID).followers -= d.Follows
			of(c.ObjectID).following -= d.Followed
		case "relation.followed":
			of(d.FromServer).following++
			of(d.ToServer).followers++
		case "relation.unfollowed":
			of(d.FromServer).following--
			of(d.ToServer).followers--
		}
	}
	delete(sum, "") // this server's own
	maps.DeleteFunc(sum, func(_ string, c *counts) bool { return *c == counts{} })
	if len(sum) == 0 {
		return nil
	}
	hosts := slices.Sorted(maps.Keys(sum))
	var users, notes, following, followers []int
	for _, h := range hosts {
		c := sum[h]
		users, notes = append(users, c.users), append(notes, c.notes)
		following, followers = append(following, c.following), append(followers, c.followers)
	}
	if _, err := tx.Exec(ctx, sqlCount, hosts, users, notes, following, followers); err != nil {
		return fmt.Errorf("count of servers: %w", err)
	}
	return nil
}
