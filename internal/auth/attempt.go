package auth

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
)

// Attempts that fail are limited twice: for the address they come from, in
// memory, and for the account they are made on, in the database. The second
// holds on every node and whatever addresses are used or pretended. So that
// nobody can lock an account's owner out with it, an address from which the
// owner has signed in before is counted by itself.
const (
	addressTries = 10
	accountTries = 30
	triesWithin  = time.Hour
	knownFor     = 90 * 24 * time.Hour

	lookups       = 100 // of names, by one address
	lookupsWithin = time.Hour
)

// try is one attempt to sign in. It counts as failed from the moment it is
// made, so that many at once, or a crash, spend the budget all the same.
type try struct {
	id     string
	userID string
	ip     netip.Addr
}

const (
	sqlAccountLock = `SELECT user_id FROM account WHERE user_id = $1 FOR UPDATE`
	sqlFailures    = `
SELECT count(*) FROM signin s, (
	SELECT EXISTS (SELECT FROM signin k WHERE k.user_id = $1 AND k.success AND k.network = $2 AND k.id > $4) AS yes
) known
WHERE s.user_id = $1 AND NOT s.success AND s.id > $3 AND (NOT known.yes OR s.network = $2)`
	sqlTry = `INSERT INTO signin (id, user_id, ip, network, success) VALUES ($1, $2, $3, $4, false)`
)

func addressKey(ip netip.Addr) string { return "signin\x00" + api.IPKey(ip) }

func network(ip netip.Addr) string { return strings.TrimPrefix(api.IPKey(ip), "ip:") }

// attempt records that somebody tries to sign in to the account; errTooOften
// when the address or the account has failed too often.
func (s *Service) attempt(ctx context.Context, ip netip.Addr, userID string) (*try, error) {
	limited := !s.meta.Test()
	if limited {
		if _, ok := s.limits().Take(addressKey(ip), addressTries, triesWithin, 0); !ok {
			return nil, errTooOften
		}
	}
	t := &try{id: s.ids.Now(), userID: userID, ip: ip}
	err := s.db.Tx(ctx, func(tx *pg.Tx) error {
		if limited {
			if err := s.withinBudget(ctx, tx, t); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, sqlTry, t.id, userID, ip.WithZone("").String(), network(ip))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("record attempt: %w", err)
	}
	return t, nil
}

func (s *Service) withinBudget(ctx context.Context, tx *pg.Tx, t *try) error {
	// One at a time: those who come at once see each other.
	if _, err := tx.Exec(ctx, sqlAccountLock, t.userID); err != nil {
		return err
	}
	m, now := s.ids.Method(), s.now()
	var failed int
	err := tx.QueryRow(ctx, sqlFailures, t.userID, network(t.ip), m.Before(now.Add(-triesWithin)), m.Before(now.Add(-knownFor))).Scan(&failed)
	if err != nil {
		return err
	}
	if failed >= accountTries {
		return errTooOften
	}
	return nil
}

const sqlForget = `DELETE FROM signin WHERE id = $1`

// undecided takes an attempt back: all that was given so far is right, and the
// next step is asked for.
func (s *Service) undecided(ctx context.Context, t *try) error {
	s.limits().Return(addressKey(t.ip))
	if _, err := s.db.Exec(ctx, sqlForget, t.id); err != nil {
		return fmt.Errorf("undecided attempt: %w", err)
	}
	return nil
}

const sqlSucceed = `UPDATE signin SET success = true WHERE id = $1`

// good turns an attempt into a sign-in and gives the native token.
func (s *Service) good(ctx context.Context, t *try) (string, error) {
	s.limits().Return(addressKey(t.ip))
	err := s.db.Tx(ctx, func(tx *pg.Tx) error {
		if _, err := tx.Exec(ctx, sqlSucceed, t.id); err != nil {
			return err
		}
		return s.signedIn(ctx, tx, t)
	})
	if err != nil {
		return "", fmt.Errorf("record sign-in: %w", err)
	}
	return s.Token(ctx, t.userID)
}

// signedIn tells the account that somebody has signed in: by a notification, on
// its main stream, by mail.
func (s *Service) signedIn(ctx context.Context, tx *pg.Tx, t *try) error {
	if err := s.log.Append(ctx, tx, "auth.signedIn", t.id, t.userID, nil); err != nil {
		return err
	}
	if err := s.tell(ctx, tx, t.userID, letterSignedIn, "", time.Time{}); err != nil {
		return err
	}
	return s.bus.Emit(ctx, tx, SignedIn{UserID: t.userID, At: s.now()})
}
