package doctor

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/doctor"
)

// Explanation says how something that was found may have come about.
type Explanation struct {
	Where      string   `json:"where"`
	Mechanism  string   `json:"mechanism"`
	Confidence string   `json:"confidence"` // certain, high, medium, low
	Evidence   []string `json:"evidence"`
	Instead    []string `json:"instead,omitempty"` // other mechanisms that fit less well
	Settle     string   `json:"settle,omitempty"`  // what would make it certain
	Count      int      `json:"count"`             // indexes, or groups of rows
	IDs        []string `json:"ids,omitempty"`
}

// evidence is what a database tells of its own history.
type evidence struct {
	tables, late int       // tables, and those made after the first index
	created      time.Time // of the database; zero where that may not be read
	oldest       time.Time // of the first account
	keys, refs   int       // that there should be
	noKey, noRef int       // that are missing
	collation    bool
	noFirst      bool
	lost         map[string]string // place of a key → code of what is wrong with its index
}

// restored: a restore makes all tables before the first index, migrations make both
// in turn. Tables of migrations that ran since are the few made later.
func (e *evidence) restored() bool { return e.tables >= 10 && e.late*5 < e.tables }

const (
	sqlMakingOrder = `
SELECT count(*), count(*) FILTER (WHERE c.oid > x.first) FROM pg_class c,
	(SELECT min(i.oid) AS first FROM pg_class i WHERE i.relnamespace = 'public'::regnamespace AND i.relkind = 'i') x
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND NOT c.relispartition`
	// The file is written when a database is made.
	sqlCreated = `SELECT modification FROM pg_stat_file('base/' || (SELECT oid FROM pg_database WHERE datname = current_database()) || '/PG_VERSION')`
	sqlOldest  = `SELECT min(id COLLATE "C") FROM "user"`
	sqlPeople  = `SELECT u.id, coalesce(u.host, ''), coalesce(u.uri, ''), coalesce(%s, '') FROM "user" u %s WHERE u.id = ANY($1::text[])`
)

// Explain checks a database's keys and says of each that is not guarded, and of each
// group of rows that share one, what has probably happened, from what the database
// itself tells: ids carry the time at which they were made, tables and indexes the
// order.
func Explain(ctx context.Context, src doctor.Source, o Options) ([]Explanation, error) {
	s, err := describe(o)
	if err != nil {
		return nil, err
	}
	report, err := doctor.Check(ctx, src, s, doctor.Options{Host: o.Host, Progress: o.Progress,
		Skip: map[string]bool{"tables": true, "rows": true, "counters": true, "rules": true}})
	if err != nil {
		return nil, err
	}
	out := []Explanation{}
	if len(report.Findings) == 0 {
		return out, nil
	}
	tx, err := doctor.Begin(ctx, src)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	e, err := gather(ctx, tx, s, report)
	if err != nil {
		return nil, fmt.Errorf("gather evidence: %w", doctor.Plain(err))
	}
	x := explainer{s: s, e: e, tx: tx, misskey: o.Misskey}
	before := map[string]bool{} // keys with groups that are older than the database
	for _, f := range report.Findings {
		if f.Code != "duplicate" {
			continue
		}
		groups, err := x.groups(ctx, f)
		if err != nil {
			return nil, fmt.Errorf("explain %s: %w", f.Where, err)
		}
		for _, g := range groups {
			if !e.created.IsZero() && !g.last.IsZero() && g.last.Before(e.created) {
				before[f.Where] = true
			}
		}
		out = append(out, x.tell(f, groups)...)
	}
	indexes := x.indexes(report, before)
	return append(indexes, out...), nil
}

func gather(ctx context.Context, tx pgx.Tx, s *doctor.Schema, r *doctor.Report) (*evidence, error) {
	e := &evidence{lost: map[string]string{}}
	if err := tx.QueryRow(ctx, sqlMakingOrder).Scan(&e.tables, &e.late); err != nil {
		return nil, err
	}
	// Who may not read the server's files, or a table, is told less.
	var oldest *string
	for sql, into := range map[string]any{sqlOldest: &oldest, sqlCreated: &e.created} {
		sp, err := tx.Begin(ctx)
		if err != nil {
			return nil, err
		}
		err = sp.QueryRow(ctx, sql).Scan(into)
		if err != nil && pg.Code(err) == "" {
			return nil, err
		}
		if err := sp.Rollback(ctx); err != nil {
			return nil, err
		}
	}
	if oldest != nil {
		e.oldest = made(*oldest)
	}
	for _, t := range s.Tables {
		for _, k := range t.Keys {
			if !k.Wanted {
				e.keys++
			}
		}
		for _, ref := range t.Refs {
			if ref.Kind == doctor.Constraint {
				e.refs++
			}
		}
	}
	for _, f := range r.Findings {
		switch f.Code {
		case "index-missing":
			e.noKey++
			e.lost[f.Where] = f.Code
		case "index-invalid", "index-differs":
			e.lost[f.Where] = f.Code
		case "reference-missing":
			e.noRef++
		case "collation-changed":
			e.collation = true
		case "migration-missing":
			e.noFirst = true
		}
	}
	return e, nil
}

// made is when an id was made, whichever form it has; zero when it has none.
func made(s string) time.Time {
	for _, m := range []id.Method{id.AIDX, id.AID, id.ULID, id.MEIDG, id.ObjectID, id.MEID} {
		at, err := m.Time(s)
		if err == nil && at.Year() >= 2007 && at.Before(time.Now().Add(48*time.Hour)) {
			return at
		}
	}
	return time.Time{}
}

type explainer struct {
	s       *doctor.Schema
	e       *evidence
	tx      pgx.Tx
	misskey bool
}

// firstMigration is when Misskey's schema began to be made by migrations.
var firstMigration = time.Date(2019, 7, 9, 0, 0, 0, 0, time.UTC)

// indexes explains what is wrong with indexes and foreign keys.
func (x *explainer) indexes(r *doctor.Report, before map[string]bool) []Explanation {
	e := x.e
	var out []Explanation
	if e.keys > 0 && e.noKey*5 > e.keys*4 && e.noRef*5 > e.refs*4 {
		return []Explanation{{Where: "*", Mechanism: "restore-cut", Confidence: "high", Count: e.noKey + e.noRef,
			Evidence: []string{fmt.Sprintf("%d of %d keys and %d of %d foreign keys are missing: a restore makes them last", e.noKey, e.keys, e.noRef, e.refs)},
			Settle:   "the restore's own output, or the time at which it ended"}}
	}
	for _, f := range r.Findings {
		a := Explanation{Where: f.Where, Count: 1}
		switch f.Code {
		case "index-invalid", "index-leftover":
			a.Mechanism, a.Confidence = "build-failed", "certain"
			a.Evidence = []string{"PostgreSQL keeps what a CREATE or REINDEX … CONCURRENTLY that failed has left, marked as such"}
		case "index-differs":
			a = x.differs(a)
		case "index-missing":
			a = x.missing(a, before[f.Where])
		case "index-corrupt":
			a.Mechanism, a.Confidence, a.Settle = "index-lied", "certain", "nothing more: rebuild it"
			a.Evidence = []string{"amcheck found that it does not hold what its table holds"}
			if !e.collation {
				a.Instead = []string{"collation-changed"}
			}
		case "collation-changed":
			a.Mechanism, a.Confidence = "collation-changed", "certain"
			a.Evidence = []string{f.Detail}
			a.Settle = "amcheck says which indexes are wrong by now"
		case "reference-missing", "reference-unproved":
			a.Mechanism, a.Confidence = "dropped", "low"
			a.Instead = []string{"restore-went-on"}
			a.Evidence = []string{"a foreign key is lost by itself when rows stand in its way at a restore, or when somebody drops it"}
			a.Settle = "whether there are orphans (oven doctor check)"
		default:
			continue
		}
		out = append(out, a)
	}
	return out
}

func (x *explainer) differs(a Explanation) Explanation {
	a.Mechanism, a.Confidence = "made-otherwise", "medium"
	a.Evidence = []string{"an index over these columns is there, but not the one that the migrations make"}
	a.Settle = "who made it, and when: the database's log"
	if x.e.noFirst {
		a.Mechanism, a.Confidence = "before-migrations", "high"
		a.Evidence = append(a.Evidence, "the first migration never ran")
	}
	return a
}

// missing explains an index that is not there although the others are.
func (x *explainer) missing(a Explanation, before bool) Explanation {
	e := x.e
	a.Evidence = []string{fmt.Sprintf("%d of %d keys are missing", e.noKey, e.keys)}
	if e.restored() {
		a.Evidence = append(a.Evidence, fmt.Sprintf("all but %d of %d tables are older than the first index: the database is a restored dump", e.late, e.tables))
	} else {
		a.Evidence = append(a.Evidence, fmt.Sprintf("%d of %d tables are younger than the first index: migrations made them, no restore", e.late, e.tables))
	}
	switch {
	case e.restored() && before:
		a.Mechanism, a.Confidence, a.Instead = "restore-went-on", "medium", []string{"index-left-out"}
		a.Evidence = append(a.Evidence, "there are rows that share the key and are older than this database: they came with the dump, and the index could not be made")
		a.Settle = "the restore's output (\"errors ignored on restore\"); or the dump: pg_restore --list shows whether it had the index. Without it the index was left out, since it was invalid where the dump was made"
	case e.restored():
		a.Mechanism, a.Confidence, a.Instead = "index-left-out", "low", []string{"restore-went-on", "dropped"}
		a.Evidence = append(a.Evidence, "no rows that share the key are known to be older than this database")
		a.Settle = "the dump: pg_restore --list shows whether it had the index"
	case e.noFirst || x.misskey && !e.oldest.IsZero() && e.oldest.Before(firstMigration):
		a.Mechanism, a.Confidence, a.Instead = "before-migrations", "medium", []string{"dropped"}
		a.Evidence = append(a.Evidence, "the database, or its first account, is older than the migrations")
		a.Settle = "an old dump of the schema"
	default:
		a.Mechanism, a.Confidence, a.Instead = "dropped", "medium", []string{"migration-failed"}
		a.Settle = "DROP INDEX in the database's log"
	}
	return a
}

// group is rows that share a key, and what is known of them.
type group struct {
	doctor.Group
	first, last time.Time // zero: ids tell no time
	people      []person
}

type person struct{ id, host, uri, url string }

func (x *explainer) groups(ctx context.Context, f doctor.Finding) ([]group, error) {
	name, cols, _ := strings.Cut(f.Where, ".")
	t := x.s.Table(name)
	rowID := ""
	for _, c := range []string{"id", "noteId", "userId", "note_id", "user_id"} {
		if slices.Contains(t.Columns, c) {
			rowID = c
			break
		}
	}
	if rowID == "" {
		return nil, nil
	}
	for _, k := range t.Keys {
		if strings.Join(k.Columns, ",") != cols {
			continue
		}
		list, err := doctor.Groups(ctx, x.tx, name, k, rowID)
		if err != nil {
			return nil, err
		}
		out := make([]group, len(list))
		for i, g := range list {
			out[i].Group = g
			for _, s := range g.IDs {
				at := made(s)
				if at.IsZero() {
					out[i].first, out[i].last = at, at
					break
				}
				if out[i].first.IsZero() || at.Before(out[i].first) {
					out[i].first = at
				}
				if at.After(out[i].last) {
					out[i].last = at
				}
			}
		}
		if name == "user" {
			err = x.people(ctx, out)
		}
		return out, err
	}
	return nil, nil
}

// people reads what is public of accounts; it is compared, and not told.
func (x *explainer) people(ctx context.Context, groups []group) error {
	var ids []string
	for _, g := range groups {
		ids = append(ids, g.IDs...)
	}
	sql := fmt.Sprintf(sqlPeople, "u.url", "")
	if x.misskey {
		sql = fmt.Sprintf(sqlPeople, "p.url", `LEFT JOIN user_profile p ON p."userId" = u.id`)
	}
	rows, err := x.tx.Query(ctx, sql, ids)
	if err != nil {
		return doctor.Plain(err)
	}
	by := map[string]person{}
	var p person
	if _, err = pgx.ForEachRow(rows, []any{&p.id, &p.host, &p.uri, &p.url}, func() error { by[p.id] = p; return nil }); err != nil {
		return doctor.Plain(err)
	}
	for i, g := range groups {
		for _, s := range g.IDs {
			if p, ok := by[s]; ok {
				groups[i].people = append(groups[i].people, p)
			}
		}
	}
	return nil
}

// race is how far apart rows are made that several workers write at the same time.
const race = 10 * time.Second

// tell explains the groups of one key, those of one mechanism together.
func (x *explainer) tell(f doctor.Finding, groups []group) []Explanation {
	by := map[string]*Explanation{}
	var order []string
	for _, g := range groups {
		a := x.one(f, g)
		at := a.Mechanism + a.Confidence
		if by[at] == nil {
			a.Where = f.Where
			by[at] = &a
			order = append(order, at)
		}
		b := by[at]
		b.Count++
		for _, s := range g.IDs {
			if len(b.IDs) < 100 {
				b.IDs = append(b.IDs, s)
			}
		}
	}
	if len(groups) == 0 {
		return []Explanation{{Where: f.Where, Mechanism: "unknown", Confidence: "low", Count: int(f.Count), Evidence: []string{"its rows have no ids that tell a time"}}}
	}
	out := make([]Explanation, 0, len(order))
	for _, at := range order {
		out = append(out, *by[at])
	}
	return out
}

func (x *explainer) one(f doctor.Finding, g group) Explanation {
	name, cols, _ := strings.Cut(f.Where, ".")
	wanted := false
	for _, k := range x.s.Table(name).Keys {
		wanted = wanted || k.Wanted && strings.Join(k.Columns, ",") == cols
	}
	lost := x.e.lost[f.Where]
	apart := "the times at which they were made are not known"
	if !g.first.IsZero() {
		apart = fmt.Sprintf("made %s apart (%s to %s)", g.last.Sub(g.first).Round(time.Millisecond), g.first.Format(time.DateTime), g.last.Format(time.DateTime))
	}
	together := !g.first.IsZero() && g.last.Sub(g.first) <= race
	same := len(slices.Compact(slices.Sorted(slices.Values(g.IDs)))) == 1
	switch {
	case same:
		return Explanation{Mechanism: "loaded-twice", Confidence: "high", Evidence: []string{"the rows have the same id: nobody makes an id twice, a load of the data does"}, Settle: "whether the data was restored twice, or into a database that had some"}
	case g.Null && (x.misskey || lost == "index-differs"):
		return Explanation{Mechanism: "null-host", Confidence: "certain", Evidence: []string{"one of the columns is NULL, and the index lets NULL in more than once", apart}}
	case lost == "" && !wanted:
		a := Explanation{Mechanism: "index-lied", Confidence: "medium", Evidence: []string{"the index is there and is marked as whole, and the rows are there", apart}, Instead: []string{"collation-changed"}, Settle: "amcheck (CREATE EXTENSION amcheck, then oven doctor check), or REINDEX, which fails"}
		if x.e.collation {
			a.Mechanism, a.Confidence, a.Instead = "collation-changed", "high", []string{"index-lied"}
			a.Evidence = append(a.Evidence, "texts are sorted otherwise than when the indexes were built")
		}
		return a
	case together && (name != "user" || oneURI(g)):
		return Explanation{Mechanism: "race", Confidence: cmp.Or(map[bool]string{true: "high"}[lost != ""], "medium"), Evidence: []string{apart, "several workers looked, found nothing, and wrote"}, Settle: "the log of the jobs at that time"}
	case name == "user" && len(g.people) > 1:
		return x.accounts(g, apart)
	case strings.HasSuffix(cols, "uri"):
		return Explanation{Mechanism: "fetched-again", Confidence: "medium", Evidence: []string{apart, "it was fetched again, and nothing refused the second row"}, Settle: "the log of what came in"}
	}
	return Explanation{Mechanism: "done-again", Confidence: "medium", Evidence: []string{apart, "nothing refused the second row"}, Settle: "the index, once it is back"}
}

func oneURI(g group) bool {
	return !slices.ContainsFunc(g.people, func(p person) bool { return p.uri != g.people[0].uri })
}

// accounts explains accounts of one name that were made at different times.
func (x *explainer) accounts(g group, apart string) Explanation {
	uris, accts, split := map[string]bool{}, map[string]bool{}, false
	for _, p := range g.people {
		uris[p.uri] = true
		accts[p.host] = true
		for _, s := range []string{p.uri, p.url} {
			if u, err := url.Parse(s); err == nil && u.Host != "" && p.host != "" && !strings.EqualFold(u.Host, p.host) {
				split = true
			}
		}
	}
	switch {
	case len(uris) > 1:
		return Explanation{Mechanism: "rebirth", Confidence: "medium", Evidence: []string{apart, "the rows have different uris: the name was given to another account, or the server began anew"},
			Instead: []string{"alias"}, Settle: "WebFinger of the name and a fetch of each uri: the one that is named, and answers with the known key, is the account"}
	case len(accts) > 1:
		return Explanation{Mechanism: "moved-host", Confidence: "medium", Evidence: []string{apart, "one uri is kept under several hosts"}, Instead: []string{"split-domain", "uri-stamped"}, Settle: "WebFinger of each name"}
	case split:
		return Explanation{Mechanism: "split-domain", Confidence: "high", Evidence: []string{apart, "one uri, and pages on another host than the account's: every look at the handle makes the account again"},
			Settle: "WebFinger of the name on both hosts"}
	}
	return Explanation{Mechanism: "looked-up-again", Confidence: "medium", Evidence: []string{apart, "one uri: each was made by a look-up that did not find the row, by an alias of the uri or a handle of another domain"},
		Instead: []string{"split-domain", "alias"}, Settle: "WebFinger of the name: whether its host is another than the uri's"}
}
