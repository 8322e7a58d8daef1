// Package doctor is in charge of what should hold in whole databases, Oven's own
// and those of Misskey and its forks: it describes them to the mechanism of
// socket/doctor, says what may have gone wrong where something does not hold, and has
// it repaired by rules that are part of the description.
package doctor

import (
	"context"
	_ "embed"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/socket/doctor"
)

//go:embed oven.schema
var ovenText string

//go:embed misskey.schema
var misskeyText string

// Oven describes Oven's own database.
func Oven() (*doctor.Schema, error) { return doctor.ParseSchema(ovenText) }

// Misskey describes the database of Misskey and its forks.
func Misskey() (*doctor.Schema, error) { return doctor.ParseSchema(misskeyText) }

// Options of a check.
type Options struct {
	Misskey  bool                               // the database is Misskey's or a fork's
	Newest   int64                              // number of the newest migration of this program; for Oven's own
	Host     string                             // the server's own; "" = as the database tells
	Progress func(done, total int, what string) // nil: silent
	Files    doctor.Files                       // the store of its files; nil: not compared
	Replicas []doctor.Replica                   // compared with it
}

// Check compares a database with what should hold in it. See doctor.Check.
func Check(ctx context.Context, src doctor.Source, o Options) (*doctor.Report, error) {
	s, err := describe(o)
	if err != nil {
		return nil, err
	}
	in := doctor.Options{Host: o.Host, Progress: o.Progress, Files: o.Files, Replicas: o.Replicas}
	if !o.Misskey && o.Newest > 0 {
		in.More = func(ctx context.Context, tx pgx.Tx) ([]doctor.Finding, error) {
			out, err := pending(ctx, tx, o.Newest)
			if err != nil || len(out) > 0 {
				return out, err // another version's schema is not this one's
			}
			return rest(ctx, tx)
		}
	}
	return doctor.Check(ctx, src, s, in)
}

func describe(o Options) (*doctor.Schema, error) {
	if o.Misskey {
		return Misskey()
	}
	s, err := Oven()
	if err == nil {
		s.Newest = o.Newest
	}
	return s, err
}

// rest is what the whole schema's comparison finds beyond what the description
// asks for: columns.
func rest(ctx context.Context, tx pgx.Tx) ([]doctor.Finding, error) {
	all, err := doctor.CheckSchema(ctx, tx)
	var out []doctor.Finding
	for _, f := range all {
		if strings.HasPrefix(f.Code, "column-") && !strings.HasSuffix(f.Code, "-extra") {
			f.Count = max(f.Count, 1)
			out = append(out, f)
		}
	}
	return out, err
}

const sqlNewest = `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`

// pending compares how far the database has been brought with how far this
// program would bring it.
func pending(ctx context.Context, tx pgx.Tx, newest int64) ([]doctor.Finding, error) {
	var at int64
	if err := tx.QueryRow(ctx, sqlNewest).Scan(&at); err != nil {
		return nil, err
	}
	f := doctor.Finding{Where: "goose_db_version.version_id", Detail: fmt.Sprintf("the database stands at %d, this program knows %d", at, newest)}
	switch {
	case at < newest:
		f.Code, f.Count, f.Repair = "migration-pending", newest-at, "oven db migrate"
	case at > newest:
		f.Code, f.Count = "migration-unknown", at-newest
	default:
		return nil, nil
	}
	return []doctor.Finding{f}, nil
}
