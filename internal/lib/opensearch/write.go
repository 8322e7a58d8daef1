package opensearch

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"buttersc.one/oven/internal/lib/textindex"
)

const (
	bulkActions = 1000
	bulkBytes   = 5 << 20
)

// Apply changes an index: first DeleteTerm, then Delete, then Put, then the state. When it fails it may be done in part;
// done again it comes to the same.
func (c *Client) Apply(ctx context.Context, n int, b textindex.Batch) error {
	for _, term := range b.DeleteTerm {
		if err := c.deleteTerm(ctx, n, term); err != nil {
			return err
		}
	}
	put := make(map[string]int, len(b.Put))
	for i, d := range b.Put {
		put[d.ID] = i // the last of those with one id
	}
	w := bulk{c: c, path: c.name(n) + "/_bulk"}
	for _, id := range b.Delete {
		if _, again := put[id]; again {
			continue
		}
		if err := w.add(ctx, object{"delete": object{"_id": id}}, nil); err != nil {
			return err
		}
	}
	for i, d := range b.Put {
		if put[d.ID] != i {
			continue
		}
		if err := w.add(ctx, object{"index": object{"_id": d.ID}}, object{"id": d.ID, "t": d.Terms}); err != nil {
			return err
		}
	}
	if err := w.send(ctx); err != nil {
		return err
	}
	if b.State == nil {
		return nil
	}
	return c.setState(ctx, n, b.State)
}

// deleteTerm removes every document that has a term. What is searched is what was refreshed, so that comes first.
func (c *Client) deleteTerm(ctx context.Context, n int, term string) error {
	if err := c.Refresh(ctx, n); err != nil {
		return err
	}
	return c.json(ctx, http.MethodPost, c.name(n)+"/_delete_by_query?conflicts=proceed&refresh=true&wait_for_completion=true",
		object{"query": object{"term": object{"t": term}}}, nil)
}

// bulk collects actions up to a size.
type bulk struct {
	c    *Client
	path string
	buf  bytes.Buffer
	n    int
}

func (w *bulk) add(ctx context.Context, action, source any) error {
	for _, line := range []any{action, source} {
		if line == nil {
			continue
		}
		b, err := json.Marshal(line)
		if err != nil {
			return fmt.Errorf("opensearch: %w", err)
		}
		w.buf.Write(b)
		w.buf.WriteByte('\n')
	}
	if w.n++; w.n >= bulkActions || w.buf.Len() >= bulkBytes {
		return w.send(ctx)
	}
	return nil
}

func (w *bulk) send(ctx context.Context) error {
	if w.n == 0 {
		return nil
	}
	var answer struct {
		Errors bool `json:"errors"`
		Items  []map[string]struct {
			Status int `json:"status"`
			Error  *struct {
				Type string `json:"type"`
			} `json:"error"`
		} `json:"items"`
	}
	err := w.c.call(ctx, http.MethodPost, w.path, "application/x-ndjson", w.buf.Bytes(), &answer)
	if err != nil {
		return err
	}
	if len(answer.Items) != w.n {
		return fmt.Errorf("opensearch: %d answers to %d actions", len(answer.Items), w.n)
	}
	w.buf.Reset()
	w.n = 0
	for _, item := range answer.Items {
		for _, it := range item {
			// A document that is not there to be deleted is no error.
			if it.Error != nil && it.Status != http.StatusNotFound {
				return &answerError{it.Status, it.Error.Type}
			}
		}
	}
	return nil
}

// Refresh lets searches see what was written.
func (c *Client) Refresh(ctx context.Context, n int) error {
	return c.json(ctx, http.MethodPost, c.name(n)+"/_refresh", nil, nil)
}

// Expunge removes what is deleted from the disk.
func (c *Client) Expunge(ctx context.Context, n int) error {
	return c.json(ctx, http.MethodPost, c.name(n)+"/_forcemerge?only_expunge_deletes=true", nil, nil)
}

// Stats is what an index consists of.
type Stats struct {
	Docs, Deleted, Bytes int64
	Segments             int
}

// Stats tells what an index consists of.
func (c *Client) Stats(ctx context.Context, n int) (Stats, error) {
	var answer struct {
		All struct {
			Primaries struct {
				Docs  struct{ Count, Deleted int64 }
				Store struct {
					SizeInBytes int64 `json:"size_in_bytes"`
				} //nolint:tagliatelle // OpenSearch's name
				Segments struct{ Count int }
			}
		} `json:"_all"`
	}
	err := c.json(ctx, http.MethodGet, c.name(n)+"/_stats/docs,store,segments", nil, &answer)
	p := answer.All.Primaries
	return Stats{p.Docs.Count, p.Docs.Deleted, p.Store.SizeInBytes, p.Segments.Count}, err
}
