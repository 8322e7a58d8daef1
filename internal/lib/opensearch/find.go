package opensearch

import (
	"context"
	"errors"
	"net/http"

	"buttersc.one/oven/internal/lib/textindex"
)

const pageSize = 100

// Hits are ids, page after page. They are one goroutine's.
type Hits struct {
	ctx   context.Context //nolint:containedctx // Next has no room for it
	c     *Client
	path  string
	q     textindex.Query
	page  []string
	after string
	ended bool
	err   error
}

// Search begins a search. What changes meanwhile may be seen or not.
func (c *Client) Search(ctx context.Context, n int, q textindex.Query) *Hits {
	return &Hits{ctx: ctx, c: c, path: c.name(n) + "/_search", q: q}
}

// Next is the next document; ok is false when there are no more, or when Err says why.
func (h *Hits) Next() (id string, ok bool) {
	if len(h.page) == 0 && !h.ended {
		h.fetch()
	}
	if len(h.page) == 0 {
		return "", false
	}
	id, h.page = h.page[0], h.page[1:]
	return id, true
}

// Err is why hits ended early.
func (h *Hits) Err() error { return h.err }

// Close ends the search.
func (h *Hits) Close() {}

func (h *Hits) fetch() {
	order := "desc"
	if h.q.Ascending {
		order = "asc"
	}
	body := object{"size": pageSize, "_source": false, "track_total_hits": false, "sort": []any{object{"id": order}}, "query": object{"bool": object{"filter": h.filter()}}}
	if h.after != "" {
		body["search_after"] = []string{h.after}
	}
	var answer struct {
		TimedOut bool                 `json:"timed_out"` //nolint:tagliatelle // OpenSearch's name
		Shards   struct{ Failed int } `json:"_shards"`
		Hits     struct {
			Hits []struct {
				ID string `json:"_id"`
			} `json:"hits"`
		} `json:"hits"`
	}
	if err := h.c.json(h.ctx, http.MethodPost, h.path, body, &answer); err != nil {
		h.err, h.ended = err, true
		return
	}
	if answer.TimedOut || answer.Shards.Failed > 0 {
		h.err = errors.New("opensearch: a part of the index did not answer")
	}
	for _, hit := range answer.Hits.Hits {
		h.page = append(h.page, hit.ID)
	}
	if len(h.page) < pageSize {
		h.ended = true
	} else {
		h.after = h.page[len(h.page)-1]
	}
}

func (h *Hits) filter() []any {
	list := []any{translate(h.q.Expr)}
	span := object{}
	if h.q.Before != "" {
		span["lt"] = h.q.Before
	}
	if h.q.After != "" {
		span["gt"] = h.q.After
	}
	if len(span) > 0 {
		list = append(list, object{"range": object{"id": span}})
	}
	return list
}

// translate writes a condition in the language of queries.
func translate(e textindex.Expr) object {
	list := make([]any, len(e.Args))
	for i, a := range e.Args {
		list[i] = translate(a)
	}
	switch e.Op {
	case textindex.OpAll:
		return object{"match_all": object{}}
	case textindex.OpTerm:
		return object{"term": object{"t": e.Text}}
	case textindex.OpPrefix:
		return object{"prefix": object{"t": e.Text}}
	case textindex.OpAnd:
		return object{"bool": object{"filter": list}}
	case textindex.OpOr:
		return object{"bool": object{"should": list, "minimum_should_match": 1}}
	case textindex.OpNot:
		return object{"bool": object{"must_not": list}}
	}
	return object{"match_none": object{}}
}
