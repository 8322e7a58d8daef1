// Package opensearch is in charge of keeping documents by their terms in an OpenSearch cluster, over its HTTP API: the
// same documents and questions as package textindex, for servers whose index has outgrown one machine. The terms are
// ready: the cluster splits and scores nothing. An index is sorted by id, newest first, so that a shard stops at the first
// page of hits.
//
// What is used of the API is what OpenSearch 1 to 3 and Elasticsearch 7 and 8 have in common.
package opensearch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Config says where the cluster is.
type Config struct {
	URL    string // http(s)://[user:password@]host[:port][/path]
	Prefix string // of the names of indices; "": oven
	Shards int    // of a new index; 0: 1
	Client *http.Client
}

// Client speaks to a cluster.
type Client struct {
	base   url.URL
	user   *url.Userinfo
	prefix string
	shards int
	http   *http.Client
}

// ErrNotFound says that there is no such index or document.
var ErrNotFound = errors.New("opensearch: not found")

const (
	timeout   = 30 * time.Second
	patience  = 10 * time.Minute // with what works through a whole index
	maxAnswer = 32 << 20
	tries     = 5
)

// New makes a client; the cluster is not asked.
func New(c Config) (*Client, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("opensearch: an address such as https://user:password@host:9200 is needed") // the address is a secret
	}
	cl := &Client{base: url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimSuffix(u.Path, "/")}, user: u.User, prefix: c.Prefix, shards: max(1, c.Shards), http: c.Client}
	if cl.prefix == "" {
		cl.prefix = "oven"
	}
	if cl.http == nil {
		cl.http = &http.Client{}
	}
	return cl, nil
}

// answerError is what the cluster said. It has no contents of documents: the reason may quote them, the type does not.
type answerError struct {
	status int
	kind   string
}

func (e *answerError) Error() string {
	if e.status == http.StatusUnauthorized || e.status == http.StatusForbidden {
		return fmt.Sprintf("opensearch: %d: the user or the password in search_url is not accepted, or may not do this", e.status)
	}
	return fmt.Sprintf("opensearch: %d %s", e.status, e.kind)
}

// call asks for a path and reads the answer into out, which may be nil. What is asked may be asked again: while the
// cluster is busy, it is.
func (c *Client) call(ctx context.Context, method, path, contentType string, body []byte, out any) error {
	for try := 1; ; try++ {
		wait, err := c.once(ctx, method, path, contentType, body, out)
		if err == nil || wait == 0 || try == tries {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(wait*time.Duration(try) + rand.N(wait)): //nolint:gosec // no secret
		}
	}
}

// once asks once. wait is how long to wait before it is asked again, 0: never.
func (c *Client) once(ctx context.Context, method, path, contentType string, body []byte, out any) (wait time.Duration, err error) {
	limit := timeout
	if strings.Contains(path, "/_delete_by_query") || strings.Contains(path, "/_forcemerge") {
		limit = patience
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	base := c.base
	req, err := http.NewRequestWithContext(ctx, method, base.String()+path, bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("opensearch: %w", err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if c.user != nil {
		password, _ := c.user.Password()
		req.SetBasicAuth(c.user.Username(), password)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return 200 * time.Millisecond, fmt.Errorf("opensearch: %w", err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return 200 * time.Millisecond, fmt.Errorf("opensearch: %w", err)
	}
	switch {
	case len(b) > maxAnswer:
		return 0, errors.New("opensearch: the answer is too large")
	case res.StatusCode == http.StatusNotFound:
		return 0, ErrNotFound
	case res.StatusCode >= 300:
		var said struct {
			Error json.RawMessage `json:"error"`
		}
		var reason struct {
			Type string `json:"type"`
		}
		_ = json.Unmarshal(b, &said)
		_ = json.Unmarshal(said.Error, &reason)
		e := &answerError{res.StatusCode, reason.Type}
		if res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusServiceUnavailable {
			wait = 200 * time.Millisecond
			if s, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && s > 0 {
				wait = min(time.Duration(s)*time.Second, 10*time.Second)
			}
		}
		return wait, e
	case out == nil:
		return 0, nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return 0, errors.New("opensearch: the answer is not what its API promises")
	}
	return 0, nil
}

func (c *Client) json(ctx context.Context, method, path string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return fmt.Errorf("opensearch: %w", err)
		}
	}
	return c.call(ctx, method, path, "application/json", body, out)
}

type object = map[string]any

// Numbers are the indices that there are, ascending.
func (c *Client) Numbers(ctx context.Context) ([]int, error) {
	var list map[string]json.RawMessage
	err := c.json(ctx, http.MethodGet, "/"+c.prefix+"-*/_alias", nil, &list)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	var out []int
	for name := range list {
		if n, err := strconv.Atoi(strings.TrimPrefix(name, c.prefix+"-")); err == nil && n > 0 {
			out = append(out, n)
		}
	}
	return out, nil
}

func (c *Client) name(n int) string { return "/" + c.prefix + "-" + strconv.Itoa(n) }

// states is the index of what the others say of themselves.
func (c *Client) states() string { return "/" + c.prefix + "-states" }

// Make makes an index.
func (c *Client) Make(ctx context.Context, n int) error {
	err := c.json(ctx, http.MethodPut, c.name(n), object{
		"settings": object{"index": object{"number_of_shards": c.shards, "sort.field": "id", "sort.order": "desc"}},
		"mappings": object{"dynamic": "strict", "properties": object{
			"id": object{"type": "keyword"}, "t": object{"type": "keyword", "doc_values": false},
		}},
	}, nil)
	var e *answerError
	if errors.As(err, &e) && e.kind == "resource_already_exists_exception" {
		return nil
	}
	return err
}

// Drop removes an index and what it says of itself.
func (c *Client) Drop(ctx context.Context, n int) error {
	for _, path := range []string{c.name(n), c.states() + "/_doc/" + strconv.Itoa(n)} {
		if err := c.json(ctx, http.MethodDelete, path, nil, nil); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return nil
}

// State is what an index says of itself, nil if nothing.
func (c *Client) State(ctx context.Context, n int) ([]byte, error) {
	var doc struct {
		Source struct {
			State []byte `json:"state"`
		} `json:"_source"`
	}
	err := c.json(ctx, http.MethodGet, c.states()+"/_doc/"+strconv.Itoa(n), nil, &doc)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return doc.Source.State, err
}

func (c *Client) setState(ctx context.Context, n int, state []byte) error {
	return c.json(ctx, http.MethodPut, c.states()+"/_doc/"+strconv.Itoa(n), object{"state": state}, nil)
}

// Ready makes the index of states where there is none.
func (c *Client) Ready(ctx context.Context) error {
	err := c.json(ctx, http.MethodPut, c.states(), object{
		"settings": object{"index": object{"number_of_shards": 1}},
		"mappings": object{"dynamic": "strict", "properties": object{"state": object{"type": "binary"}}},
	}, nil)
	var e *answerError
	if errors.As(err, &e) && e.kind == "resource_already_exists_exception" {
		return nil
	}
	return err
}
