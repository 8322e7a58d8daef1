// Package doctor is in charge of looking after the database's health. At start,
// the keys that guard identity must be there, be unique and be valid, or nothing
// from other servers is taken in (CheckIdentity). On demand, a whole database is
// compared with the description of what should hold in it (Check), Oven's or any
// other. It knows no table by name but those of identity.
package doctor

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
)

// Finding is something that is wrong.
type Finding struct {
	Code   string   `json:"code"`             // stable, such as "index-missing"
	Where  string   `json:"where"`            // table and index, or table.column
	Detail string   `json:"detail,omitempty"` // words and numbers, nothing that people wrote
	Repair string   `json:"repair,omitempty"` // the statement that would repair it, once duplicates are gone
	Count  int64    `json:"count"`            // rows, groups of rows or objects it is about
	IDs    []string `json:"ids,omitempty"`    // of the first rows
}

// identity are the keys on which it rests that one actor is one row, one
// object one row. By table and index name, with the definition's tail.
func identity() []key {
	return []key{
		{"user", "user_username_lower_host_key", "(username_lower, host) NULLS NOT DISTINCT"},
		{"user", "user_uri_key", "(uri)"},
		{"user_publickey", "user_publickey_pkey", "(key_id)"},
		{"note", "note_uri_key", "(uri)"},
		{"emoji", "emoji_name_host_key", "(name, host) NULLS NOT DISTINCT"},
		{"following", "following_pair_key", "(follower_id, followee_id)"},
		{"follow_request", "follow_request_pair_key", "(follower_id, followee_id)"},
		{"blocking", "blocking_pair_key", "(blocker_id, blockee_id)"},
		{"note_reaction", "note_reaction_key", "(user_id, note_id)"},
		{"poll_vote", "poll_vote_key", "(user_id, note_id, choice)"},
		{"account", "account_token_key", "(token_hash)"},
		{"access_token", "access_token_token_key", "(token_hash)"},
		{"instance", "instance_host_key", "(host)"},
	}
}

type key struct{ table, index, columns string }

const sqlIndexes = `
SELECT t.relname, i.relname, x.indisunique, x.indisvalid AND x.indisready AND x.indislive, pg_get_indexdef(x.indexrelid)
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
WHERE t.relnamespace = 'public'::regnamespace`

// CheckIdentity compares the keys that guard identity with what the database
// has. No finding: nothing can enter twice.
func CheckIdentity(ctx context.Context, db *pg.DB) ([]Finding, error) {
	rows, err := db.Query(ctx, sqlIndexes)
	if err != nil {
		return nil, fmt.Errorf("read indexes: %w", err)
	}
	type index struct {
		unique, valid bool
		def           string
	}
	have := map[string]index{}
	var table, name string
	var x index
	_, err = pgx.ForEachRow(rows, []any{&table, &name, &x.unique, &x.valid, &x.def}, func() error {
		have[table+"."+name] = x
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read indexes: %w", err)
	}
	var out []Finding
	for _, k := range identity() {
		where := k.table + "." + k.index
		repair := fmt.Sprintf(`CREATE UNIQUE INDEX CONCURRENTLY %s ON %q %s`, k.index, k.table, k.columns)
		got, ok := have[where]
		want := "CREATE UNIQUE INDEX " + k.index + " ON public." + quoted(k.table) + " USING btree " + k.columns
		switch {
		case !ok:
			out = append(out, Finding{Code: "index-missing", Where: where, Detail: "the key is not there", Repair: repair})
		case !got.valid:
			out = append(out, Finding{Code: "index-invalid", Where: where, Detail: "the key was never finished and guards nothing", Repair: "DROP INDEX " + k.index + "; " + repair})
		case !got.unique || got.def != want:
			out = append(out, Finding{Code: "index-differs", Where: where, Detail: got.def, Repair: "DROP INDEX " + k.index + "; " + repair})
		}
	}
	return out, nil
}

// quoted is a table's name as pg_get_indexdef writes it.
func quoted(table string) string {
	if table == "user" {
		return `"user"`
	}
	return table
}
