package meta

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
)

// ErrSecretKey says that the key file is not the one this database was made
// with: what is sealed in it could not be opened.
var ErrSecretKey = errors.New("the secret key file does not belong to this database")

// ErrOrigin says that the database belongs to a server at another address.
var ErrOrigin = errors.New("the database belongs to a server at another address")

const (
	sqlServerInsert = `INSERT INTO server (one, id_method, secret_fingerprint, origin) VALUES (true, $1, $2, $3) ON CONFLICT (one) DO NOTHING`
	sqlServer       = `SELECT id_method, secret_fingerprint, origin FROM server`
)

// Settle decides at the first start what can never change, and checks it at
// every other: the id method, the secret key, the address.
func Settle(ctx context.Context, db *pg.DB, origin, fingerprint string) (id.Method, error) {
	if _, err := db.Exec(ctx, sqlServerInsert, string(id.AIDX), fingerprint, origin); err != nil {
		return "", fmt.Errorf("settle server: %w", err)
	}
	var method, print, at string
	if err := db.QueryRow(ctx, sqlServer).Scan(&method, &print, &at); err != nil {
		return "", fmt.Errorf("settle server: %w", err)
	}
	if print != fingerprint {
		return "", ErrSecretKey
	}
	if at != origin {
		return "", fmt.Errorf("%w: it was made for %s, the configuration says %s", ErrOrigin, at, origin)
	}
	return id.ParseMethod(method)
}

const sqlOrigin = `SELECT origin FROM server`

// Origin is the address that the database was made for, "" before the first
// start.
func Origin(ctx context.Context, q pg.Q) (string, error) {
	var at string
	if err := q.QueryRow(ctx, sqlOrigin).Scan(&at); err != nil && !pg.NoRows(err) {
		return "", fmt.Errorf("address of the server: %w", err)
	}
	return at, nil
}

const (
	nodeLease = 60 * time.Second

	sqlNodeTake = `
INSERT INTO node (slot, boot, lease_until) VALUES ($1, $2, now() + make_interval(secs => $3))
ON CONFLICT (slot) DO UPDATE SET boot = excluded.boot, lease_until = excluded.lease_until
WHERE node.lease_until < now() - interval '5 seconds'
RETURNING slot`
	sqlNodeRenew   = `UPDATE node SET lease_until = now() + make_interval(secs => $3) WHERE slot = $1 AND boot = $2`
	sqlNodeRelease = `DELETE FROM node WHERE slot = $1 AND boot = $2`
)

// Node is a leased slot: the node part of ids made by this process.
type Node struct {
	Slot int
	boot [16]byte
	db   *pg.DB
}

// TakeNode leases the lowest free slot. Times are the database's: processes
// may disagree about the clock.
func TakeNode(ctx context.Context, db *pg.DB) (*Node, error) {
	n := &Node{db: db}
	if _, err := rand.Read(n.boot[:]); err != nil {
		return nil, err
	}
	for slot := range 1000 {
		err := db.QueryRow(ctx, sqlNodeTake, slot, n.boot, nodeLease.Seconds()).Scan(&n.Slot)
		if err == nil {
			return n, nil
		}
		if !pg.NoRows(err) {
			return nil, fmt.Errorf("lease node: %w", err)
		}
	}
	return nil, errors.New("lease node: a thousand nodes are running")
}

// Keep renews the lease until ctx ends, then gives the slot back. lost is
// called when another process has taken it: ids could collide, so this one
// must end.
func (n *Node) Keep(ctx context.Context, lost func()) {
	for {
		select {
		case <-ctx.Done():
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			_, _ = n.db.Exec(ctx, sqlNodeRelease, n.Slot, n.boot)
			return
		case <-time.After(nodeLease / 4):
		}
		tag, err := n.db.Exec(ctx, sqlNodeRenew, n.Slot, n.boot, nodeLease.Seconds())
		if err == nil && tag.RowsAffected() == 0 {
			lost()
			return
		}
	}
}

const sqlAnyAccount = `SELECT NOT EXISTS (SELECT FROM "user" WHERE host IS NULL AND NOT is_system)`

// RequiresSetup tells whether nobody has an account here yet: the first one
// made becomes root. Accounts' rows stay, so one look at a taken server is
// enough.
func (s *Service) RequiresSetup(ctx context.Context, q pg.Q) (bool, error) {
	if s.taken.Load() {
		return false, nil
	}
	var empty bool
	if err := q.QueryRow(ctx, sqlAnyAccount).Scan(&empty); err != nil {
		return false, fmt.Errorf("look for accounts: %w", err)
	}
	s.taken.Store(!empty)
	return empty, nil
}
