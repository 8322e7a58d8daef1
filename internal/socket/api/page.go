package api

import (
	"time"

	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
)

// Page is a window over a list that is ordered by id; embed it in parameters.
type Page struct {
	SinceID   string `json:"sinceId" api:"id"`
	UntilID   string `json:"untilId" api:"id"`
	SinceDate *int64 `json:"sinceDate" api:"optional"` // ms since 1970
	UntilDate *int64 `json:"untilDate" api:"optional"`
}

// Bounds are exclusive ids, "" for none. Only a lower bound means ascending
// order (behaviour 2.5). Dates become ids that nothing has.
func (p Page) Bounds(m id.Method) (since, until string, asc bool) {
	since, until = p.SinceID, p.UntilID
	if since == "" && p.SinceDate != nil {
		since = m.After(time.UnixMilli(*p.SinceDate))
	}
	if until == "" && p.UntilDate != nil {
		until = m.Before(time.UnixMilli(*p.UntilDate))
	}
	return since, until, since != "" && until == ""
}

// Apply adds the bounds on the column id of the alias t and gives the ORDER BY
// and LIMIT that go with them.
func (p Page) Apply(w *pg.Where, m id.Method, limit int) string {
	since, until, asc := p.Bounds(m)
	if since != "" {
		w.And("t.id > ?", since)
	}
	if until != "" {
		w.And("t.id < ?", until)
	}
	if asc {
		return " ORDER BY t.id ASC LIMIT " + w.Arg(limit)
	}
	return " ORDER BY t.id DESC LIMIT " + w.Arg(limit)
}
