package chart

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
)

// Sums are what is to be added to charts, folded together. They are not for use
// by several at once.
type Sums struct {
	e       *Engine
	counts  map[cell]int64
	members map[seen]struct{}
}

// cell is a column of an hour.
type cell struct {
	series
	at  int64 // the hour, in Unix seconds
	col int
}

// series is a chart, or one of its groups.
type series struct{ name, grp string }

// seen is a member of a column in an hour.
type seen struct {
	series
	at          int64
	col, member string
}

// Sums makes empty ones.
func (e *Engine) Sums() *Sums {
	return &Sums{e: e, counts: map[cell]int64{}, members: map[seen]struct{}{}}
}

// Add adds n to a column that counts, or that is a total.
func (s *Sums) Add(at time.Time, name, grp, col string, n int64) {
	s.counts[cell{series{name, grp}, Hour.Bucket(at).Unix(), s.e.def(name).place(col, Count, Total)}] += n
}

// Seen counts a member in a column, once a bucket.
func (s *Sums) Seen(at time.Time, name, grp, col, member string) {
	s.e.def(name).place(col, Unique)
	s.members[seen{series{name, grp}, Hour.Bucket(at).Unix(), col, member}] = struct{}{}
}

func (s *Sums) size() int { return len(s.counts) + len(s.members) }

func (s *Sums) merge(other *Sums) {
	for k, n := range other.counts {
		s.counts[k] += n
	}
	for m := range other.members {
		s.members[m] = struct{}{}
	}
}

// bucket is a row of table chart.
type bucket struct {
	series
	span Span
	at   time.Time
}

// rows are what is to be added to rows of table chart.
type rows struct {
	e *Engine
	m map[bucket][]int64
}

func (r rows) add(b bucket, col int, n int64) {
	if n == 0 {
		return
	}
	if r.m[b] == nil {
		r.m[b] = make([]int64, len(r.e.def(b.name).Columns))
	}
	r.m[b][col] += n
}

// One transaction at a time adds: who counts a member must see whom another has
// counted, and nobody waits for rows in another order.
const sqlLock = `SELECT pg_advisory_xact_lock($1, 0)`

// Write adds the sums in tx. It may be done again after tx was rolled back.
func (e *Engine) Write(ctx context.Context, tx *pg.Tx, s *Sums) error {
	if s.size() == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, sqlLock, pg.LockChart); err != nil {
		return fmt.Errorf("charts: %w", err)
	}
	out := rows{e, map[bucket][]int64{}}
	for c, n := range s.counts {
		at := time.Unix(c.at, 0)
		out.add(bucket{c.series, Hour, Hour.Bucket(at)}, c.col, n)
		out.add(bucket{c.series, Day, Day.Bucket(at)}, c.col, n)
		if e.def(c.name).Columns[c.col].Kind == Total {
			out.add(bucket{c.series, all, epoch}, c.col, n)
		}
	}
	if err := e.countMembers(ctx, tx, s, out); err != nil {
		return err
	}
	return e.addRows(ctx, tx, out)
}

// Of a new member it is told in which columns it was before.
const sqlMembers = `
WITH new AS (
	INSERT INTO chart_member (at, span, name, grp, member, col)
	SELECT at, span, name, grp, member, col FROM unnest($1::timestamptz[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[]) c (at, span, name, grp, member, col)
	ON CONFLICT (at, span, name, grp, member, col) DO NOTHING RETURNING at, span, name, grp, member, col
)
SELECT at, span, name, grp, member, col, ARRAY(SELECT o.col FROM chart_member o
	WHERE o.at = new.at AND o.span = new.span AND o.name = new.name AND o.grp = new.grp AND o.member = new.member) FROM new`

// countMembers writes down members and counts those that are new.
func (e *Engine) countMembers(ctx context.Context, tx *pg.Tx, s *Sums, out rows) error {
	if len(s.members) == 0 {
		return nil
	}
	var ats []time.Time
	var spans, names, grps, members, cols []string
	for m := range s.members {
		for _, span := range []Span{Hour, Day} {
			ats, spans = append(ats, span.Bucket(time.Unix(m.at, 0))), append(spans, string(span))
			names, grps, members, cols = append(names, m.name), append(grps, m.grp), append(members, m.member), append(cols, m.col)
		}
	}
	found, err := tx.Query(ctx, sqlMembers, ats, spans, names, grps, members, cols)
	if err != nil {
		return fmt.Errorf("members of charts: %w", err)
	}
	type who struct {
		bucket
		member string
	}
	before, after := map[who][]string{}, map[who][]string{}
	var w who
	var col string
	var had []string
	_, err = pgx.ForEachRow(found, []any{&w.at, &w.span, &w.name, &w.grp, &w.member, &col, &had}, func() error {
		w.at = w.at.UTC()
		out.add(w.bucket, e.def(w.name).place(col, Unique), 1)
		before[w] = had
		after[w] = append(after[w], col)
		had = nil
		return nil
	})
	if err != nil {
		return fmt.Errorf("members of charts: %w", err)
	}
	for w, now := range after {
		now = append(now, before[w]...)
		for i, c := range e.def(w.name).Columns {
			if c.Kind == Both && has(now, c.Of) && !has(before[w], c.Of) {
				out.add(w.bucket, i, 1)
			}
		}
	}
	return nil
}

func has(list []string, of [2]string) bool {
	return slices.Contains(list, of[0]) && slices.Contains(list, of[1])
}

// A chart may have got more columns than a row has.
const sqlAdd = `
INSERT INTO chart (name, grp, span, at, v)
SELECT name, grp, span, at, v::bigint[] FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[]) c (name, grp, span, at, v)
ON CONFLICT (name, grp, span, at) DO UPDATE SET v = (
	SELECT array_agg(coalesce(s.have, 0) + coalesce(s.more, 0) ORDER BY s.i) FROM unnest(chart.v, excluded.v) WITH ORDINALITY s (have, more, i))`

func (e *Engine) addRows(ctx context.Context, tx *pg.Tx, out rows) error {
	if len(out.m) == 0 {
		return nil
	}
	var names, grps, spans, values []string
	var ats []time.Time
	for b, v := range out.m {
		names, grps, spans, ats = append(names, b.name), append(grps, b.grp), append(spans, string(b.span)), append(ats, b.at)
		values = append(values, literal(v))
	}
	if _, err := tx.Exec(ctx, sqlAdd, names, grps, spans, ats, values); err != nil {
		return fmt.Errorf("charts: %w", err)
	}
	return nil
}

// literal is an array as PostgreSQL reads it: lists of lists would all have to
// be of one length. Zeros at the end say nothing.
func literal(v []int64) string {
	for len(v) > 1 && v[len(v)-1] == 0 {
		v = v[:len(v)-1]
	}
	var b strings.Builder
	b.WriteByte('{')
	for i, n := range v {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatInt(n, 10))
	}
	b.WriteByte('}')
	return b.String()
}

const sqlEver = `SELECT v FROM chart WHERE name = $1 AND grp = $2 AND span = 'all' AND at = 'epoch'`

// Set makes totals what was counted elsewhere, in tx: what they differ by is
// added now.
func (e *Engine) Set(ctx context.Context, tx *pg.Tx, name, grp string, totals map[string]int64) error {
	if _, err := tx.Exec(ctx, sqlLock, pg.LockChart); err != nil {
		return fmt.Errorf("charts: %w", err)
	}
	var have []int64
	if err := tx.QueryRow(ctx, sqlEver, name, grp).Scan(&have); err != nil && !pg.NoRows(err) {
		return fmt.Errorf("charts: %w", err)
	}
	s := e.Sums()
	for col, n := range totals {
		s.Add(e.now(), name, grp, col, n-value(have, e.def(name).place(col, Total)))
	}
	return e.Write(ctx, tx, s)
}

// value of a column in a row, which may be older than the column.
func value(v []int64, col int) int64 {
	if col >= len(v) {
		return 0
	}
	return v[col]
}
