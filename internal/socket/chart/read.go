package chart

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Query asks for a part of a chart.
type Query struct {
	Name  string
	Group string
	Span  Span
	Limit int       // buckets
	Until time.Time // in the newest bucket; zero: now
}

// Series are the values of each column by name, the newest first, one for each
// bucket that was asked for.
type Series map[string][]int64

// What came behind the range is taken off the totals: the hours up to the day's
// end, then days.
const sqlRange = `
SELECT 'range', at, v FROM chart WHERE name = $1 AND grp = $2 AND span = $3 AND at >= $4 AND at < $5
UNION ALL SELECT 'ever', at, v FROM chart WHERE $7::bool AND name = $1 AND grp = $2 AND span = 'all' AND at = 'epoch'
UNION ALL SELECT 'later', at, v FROM chart WHERE $7 AND name = $1 AND grp = $2 AND span = 'hour' AND at >= $5 AND at < $6
UNION ALL SELECT 'later', at, v FROM chart WHERE $7 AND name = $1 AND grp = $2 AND span = 'day' AND at >= $6`

// Read gives a part of a chart, in one statement.
func (e *Engine) Read(ctx context.Context, q Query) (Series, error) {
	d := e.def(q.Name)
	from, to := e.bounds(q)
	days := Day.Bucket(to.Add(Day.length() - 1))
	found, err := e.db.Query(ctx, sqlRange, q.Name, q.Group, q.Span, from, to, days, d.totals())
	if err != nil {
		return nil, fmt.Errorf("chart %s: %w", q.Name, err)
	}
	in := make([][]int64, q.Limit)       // by bucket, the newest first
	now := make([]int64, len(d.Columns)) // totals at the end of the range
	add := func(v []int64, sign int64) {
		for i := range now {
			now[i] += sign * value(v, i)
		}
	}
	var part string
	var at time.Time
	var v []int64
	_, err = pgx.ForEachRow(found, []any{&part, &at, &v}, func() error {
		switch part {
		case "range":
			in[int(to.Sub(at)/q.Span.length())-1] = v
		case "ever":
			add(v, 1)
		case "later":
			add(v, -1)
		}
		v = nil
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("chart %s: %w", q.Name, err)
	}
	out := Series{}
	for i, c := range d.Columns {
		line := make([]int64, q.Limit)
		for n := range line {
			if c.Kind == Total {
				line[n] = now[i]
				now[i] -= value(in[n], i)
			} else {
				line[n] = value(in[n], i)
			}
			line[n] = c.shown(line[n])
		}
		out[c.Name] = line
	}
	return out, nil
}

// bounds are the range of time that a query is about.
func (e *Engine) bounds(q Query) (from, to time.Time) {
	until := q.Until
	if until.IsZero() {
		until = e.now()
	}
	to = q.Span.Bucket(until).Add(q.Span.length())
	return to.Add(-time.Duration(q.Limit) * q.Span.length()), to
}

// shown is a value in the column's unit.
func (c *Column) shown(n int64) int64 {
	if c.Unit <= 1 {
		return n
	}
	if n < 0 {
		return -((-n + c.Unit/2) / c.Unit)
	}
	return (n + c.Unit/2) / c.Unit
}

const sqlHours = `SELECT at FROM chart_hour WHERE at >= $1 AND at < $2`

// Hours tells of each bucket, the newest first, in how many of its hours the
// server was there to count. Where it was not, 0 in a chart means nothing.
func (e *Engine) Hours(ctx context.Context, q Query) ([]int, error) {
	from, to := e.bounds(q)
	found, err := e.db.Query(ctx, sqlHours, from, to)
	if err != nil {
		return nil, fmt.Errorf("hours of charts: %w", err)
	}
	out := make([]int, q.Limit)
	var at time.Time
	_, err = pgx.ForEachRow(found, []any{&at}, func() error {
		out[int((to.Sub(at)-1)/q.Span.length())]++
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("hours of charts: %w", err)
	}
	return out, nil
}

const sqlSince = `SELECT min(at) FROM chart_hour`

// Since is the first hour in which the server was there to count; nil before it ends.
func (e *Engine) Since(ctx context.Context) (*time.Time, error) {
	var at *time.Time
	if err := e.db.QueryRow(ctx, sqlSince).Scan(&at); err != nil {
		return nil, fmt.Errorf("first hour of charts: %w", err)
	}
	return at, nil
}

const sqlDayMembers = `SELECT member FROM chart_member WHERE at = $1 AND span = 'day' AND name = $2 AND grp = '' AND col = $3`

// Members are those that a column counted on a day, of the last 40 days.
func (e *Engine) Members(ctx context.Context, name, col string, day time.Time) ([]string, error) {
	found, err := e.db.Query(ctx, sqlDayMembers, Day.Bucket(day), name, col)
	if err != nil {
		return nil, fmt.Errorf("members of charts: %w", err)
	}
	list, err := pgx.CollectRows(found, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("members of charts: %w", err)
	}
	return list, nil
}
