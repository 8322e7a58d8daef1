package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// What a repair needs to be gone on with, proved and undone lies in a schema of the
// database that is repaired, so that no copy of anybody's rows leaves it.

// keptFor is how long a repair can be undone.
const keptFor = 30 * 24 * time.Hour

// ArchiveSchema makes the schema of the archive. It is run by everything that writes to it.
const ArchiveSchema = `
CREATE SCHEMA IF NOT EXISTS doctor_archive;
REVOKE ALL ON SCHEMA doctor_archive FROM PUBLIC;
CREATE TABLE IF NOT EXISTS doctor_archive.run (id text PRIMARY KEY, plan_hash text NOT NULL, plan jsonb NOT NULL, state text NOT NULL DEFAULT 'applying',
	began_at timestamptz NOT NULL DEFAULT now(), ended_at timestamptz, expires_at timestamptz NOT NULL, by_role text NOT NULL DEFAULT current_user);
CREATE TABLE IF NOT EXISTS doctor_archive.step (run text NOT NULL, what text NOT NULL, detail text NOT NULL DEFAULT '', at timestamptz NOT NULL DEFAULT clock_timestamp(), PRIMARY KEY (run, what));
CREATE TABLE IF NOT EXISTS doctor_archive.image (n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, run text NOT NULL, tbl text NOT NULL, op text NOT NULL, key jsonb NOT NULL, col text, old text, new text);
CREATE INDEX IF NOT EXISTS image_run ON doctor_archive.image (run, n);
CREATE TABLE IF NOT EXISTS doctor_archive.merged (tbl text NOT NULL, loser text NOT NULL, survivor text NOT NULL, run text NOT NULL, merged_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (tbl, loser));
CREATE TABLE IF NOT EXISTS doctor_archive.decision (grp text PRIMARY KEY, survivor text NOT NULL, at timestamptz NOT NULL DEFAULT now(), by_role text NOT NULL DEFAULT current_user);
CREATE TABLE IF NOT EXISTS doctor_archive.audit (n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, run text NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp(), by_role text NOT NULL DEFAULT current_user, what text NOT NULL, hash text NOT NULL)`

const (
	sqlHasArchive = `SELECT to_regclass('doctor_archive.run') IS NOT NULL`
	sqlDecisions  = `SELECT grp, survivor FROM doctor_archive.decision`
	sqlDecide     = `INSERT INTO doctor_archive.decision (grp, survivor) VALUES ($1, $2) ON CONFLICT (grp) DO UPDATE SET survivor = excluded.survivor, at = now(), by_role = current_user`
	sqlSweep      = `DELETE FROM doctor_archive.image i USING doctor_archive.run r WHERE r.id = i.run AND r.expires_at < now() AND r.state <> 'applying'`
	// Every line vouches for the one before.
	sqlAudit = `
INSERT INTO doctor_archive.audit (run, what, hash)
SELECT $1, $2, encode(sha256(convert_to(coalesce((SELECT hash FROM doctor_archive.audit ORDER BY n DESC LIMIT 1), '') || $1 || $2, 'UTF8')), 'hex')`
	sqlChain = `
SELECT count(*), coalesce(bool_and(hash = encode(sha256(convert_to(coalesce(before, '') || run || what, 'UTF8')), 'hex')), true)
FROM (SELECT run, what, hash, lag(hash) OVER (ORDER BY n) AS before FROM doctor_archive.audit) a`
	sqlReadRun  = `SELECT id, plan_hash, plan, state, began_at, ended_at, expires_at, by_role FROM doctor_archive.run WHERE id = $1`
	sqlOpenRun  = `SELECT id FROM doctor_archive.run WHERE plan_hash = $1 AND state = 'applying'`
	sqlNewRun   = `INSERT INTO doctor_archive.run (id, plan_hash, plan, expires_at) VALUES ($1, $2, $3, now() + $4::interval)`
	sqlEndRun   = `UPDATE doctor_archive.run SET state = $2, ended_at = now() WHERE id = $1`
	sqlStepDone = `INSERT INTO doctor_archive.step (run, what, detail) VALUES ($1, $2, $3) ON CONFLICT (run, what) DO NOTHING`
	sqlSteps    = `SELECT what, detail FROM doctor_archive.step WHERE run = $1`
	sqlRunLock  = `SELECT pg_try_advisory_lock($1, 0)`
)

// ErrNoRun says that there is no such repair in the database.
var ErrNoRun = errors.New("there is no such run in this database")

// errMoved says that rows are not where they were a moment ago: it is tried again.
var errMoved = errors.New("rows have changed meanwhile")

// Run is a repair as it was begun.
type Run struct {
	ID        string     `json:"id"`
	PlanHash  string     `json:"planHash"`
	State     string     `json:"state"` // applying, done, undone
	BeganAt   time.Time  `json:"beganAt"`
	EndedAt   *time.Time `json:"endedAt"`
	ExpiresAt time.Time  `json:"expiresAt"` // of what undoes it
	By        string     `json:"by"`        // role of the database

	plan *Plan
}

func hasArchive(ctx context.Context, q pgx.Tx) (yes bool, err error) {
	return yes, q.QueryRow(ctx, sqlHasArchive).Scan(&yes)
}

func readRun(ctx context.Context, conn *pgx.Conn, id string) (*Run, error) {
	var there bool
	if err := conn.QueryRow(ctx, sqlHasArchive).Scan(&there); err != nil || !there {
		return nil, errors.Join(ErrNoRun, Plain(err))
	}
	r := &Run{}
	var plan []byte
	err := conn.QueryRow(ctx, sqlReadRun, id).Scan(&r.ID, &r.PlanHash, &plan, &r.State, &r.BeganAt, &r.EndedAt, &r.ExpiresAt, &r.By)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrNoRun
	}
	if err != nil {
		return nil, Plain(err)
	}
	r.plan = &Plan{}
	return r, json.Unmarshal(plan, r.plan)
}

// Decide writes down which row of a group a person wants to stay. The next plan
// heeds it.
func Decide(ctx context.Context, conn *pgx.Conn, group, survivor string) error {
	if _, err := conn.Exec(ctx, ArchiveSchema); err != nil {
		return fmt.Errorf("doctor_archive: %w", Plain(err))
	}
	_, err := conn.Exec(ctx, sqlDecide, group, survivor)
	return Plain(err)
}

func audit(ctx context.Context, conn *pgx.Conn, run, what string) error {
	_, err := conn.Exec(ctx, sqlAudit, run, what)
	return Plain(err)
}
