// Package opensearchtest is a cluster for tests: the part of OpenSearch's HTTP API that is used, as it is documented,
// in memory. It is strict: what it does not know it refuses, as the real one does, and a search sees what was refreshed.
package opensearchtest

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Fake is a cluster.
type Fake struct {
	URL string

	t        testing.TB
	mu       sync.Mutex
	indices  map[string]*index
	refuse   func(r *http.Request) int // a status that is answered instead; 0: none
	requests int
}

type doc struct {
	id     string
	terms  []string
	source map[string]any
}

type index struct {
	known   map[string]bool // fields
	now     map[string]doc  // that were written
	visible map[string]doc  // that are searched
}

// New runs a cluster until the test ends.
func New(t testing.TB) *Fake {
	t.Helper()
	f := &Fake{t: t, indices: map[string]*index{}}
	srv := httptest.NewServer(f)
	t.Cleanup(srv.Close)
	f.URL = srv.URL
	return f
}

// Refuse has requests answered with a status, until it is called with nil.
func (f *Fake) Refuse(when func(r *http.Request) int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refuse = when
}

// Names are the indices that there are.
func (f *Fake) Names() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.indices))
}

// Refresh lets searches see everything.
func (f *Fake) Refresh() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, x := range f.indices {
		x.visible = maps.Clone(x.now)
	}
}

// failure is an answer that is none.
type failure struct {
	status int
	kind   string
	reason string
}

func bad(format string, args ...any) failure {
	return failure{400, "parsing_exception", fmt.Sprintf(format, args...)}
}

type object = map[string]any

// ServeHTTP answers as a cluster.
func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests++
	if f.refuse != nil {
		if status := f.refuse(r); status != 0 {
			w.Header().Set("Retry-After", "1")
			f.answer(w, status, object{"error": object{"type": "refused", "reason": "for the test"}, "status": status})
			return
		}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	defer func() {
		switch e := recover().(type) {
		case nil:
		case failure:
			if e.status == 400 && e.kind == "parsing_exception" {
				f.t.Errorf("the cluster was asked for what it does not know: %s %s: %s", r.Method, r.URL, e.reason)
			}
			f.answer(w, e.status, object{"error": object{"type": e.kind, "reason": e.reason}, "status": e.status})
		default:
			panic(e)
		}
	}()
	f.answer(w, 200, f.route(r, body))
}

func (f *Fake) answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func (f *Fake) route(r *http.Request, body []byte) any {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	name, rest := parts[0], strings.Join(parts[1:], "/")
	call := r.Method + " " + rest
	if len(body) > 0 && call != "POST _bulk" && r.Header.Get("Content-Type") != "application/json" {
		panic(failure{406, "content_type", "Content-Type header is not supported"})
	}
	switch {
	case call == "GET _alias" && strings.HasSuffix(name, "*"):
		out := object{}
		for n := range f.indices {
			if ok, _ := path.Match(name, n); ok {
				out[n] = object{"aliases": object{}}
			}
		}
		return out
	case call == "PUT ":
		return f.create(name, parse(body))
	case call == "DELETE ":
		f.index(name)
		delete(f.indices, name)
		return object{"acknowledged": true}
	case call == "POST _bulk":
		if r.Header.Get("Content-Type") != "application/x-ndjson" {
			panic(failure{406, "content_type", "Content-Type header is not supported"})
		}
		return f.bulk(name, body)
	case call == "POST _refresh":
		x := f.index(name)
		x.visible = maps.Clone(x.now)
		return object{"_shards": shards()}
	case call == "POST _search":
		return f.search(f.index(name), parse(body))
	case call == "POST _delete_by_query":
		only(query(r), "conflicts", "refresh", "wait_for_completion")
		x := f.index(name)
		in := parse(body)
		only(in, "query")
		n := 0
		for id, d := range x.visible {
			if matches(in["query"], d) {
				delete(x.now, id)
				n++
			}
		}
		x.visible = maps.Clone(x.now)
		return object{"deleted": n, "failures": []any{}}
	case call == "POST _forcemerge":
		only(query(r), "only_expunge_deletes")
		f.index(name)
		return object{"_shards": shards()}
	case call == "GET _stats/docs,store,segments":
		x := f.index(name)
		return object{"_shards": shards(), "_all": object{"primaries": object{"docs": object{"count": len(x.visible), "deleted": 0},
			"store": object{"size_in_bytes": 100 * len(x.now)}, "segments": object{"count": 1}}}}
	case len(parts) == 3 && parts[1] == "_doc":
		return f.document(r.Method, name, parts[2], body)
	}
	panic(bad("no handler found for uri [%s] and method [%s]", r.URL.Path, r.Method))
}

func query(r *http.Request) object {
	out := object{}
	for k := range r.URL.Query() {
		out[k] = true
	}
	return out
}

func shards() object { return object{"total": 1, "successful": 1, "failed": 0} }

func parse(b []byte) object {
	out := object{}
	if len(b) == 0 {
		return out
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(&out); err != nil {
		panic(bad("%v", err))
	}
	return out
}

// only refuses keys that are not among those.
func only(o object, keys ...string) {
	for k := range o {
		if !slices.Contains(keys, k) {
			panic(bad("unknown key [%s]", k))
		}
	}
}

func (f *Fake) index(name string) *index {
	x := f.indices[name]
	if x == nil {
		panic(failure{404, "index_not_found_exception", "no such index [" + name + "]"})
	}
	return x
}

func (f *Fake) create(name string, in object) object {
	if f.indices[name] != nil {
		panic(failure{400, "resource_already_exists_exception", "index [" + name + "] already exists"})
	}
	if name != strings.ToLower(name) || strings.ContainsAny(name, ` "*\<>|,/?#:`) || strings.HasPrefix(name, "_") || strings.HasPrefix(name, "-") {
		panic(failure{400, "invalid_index_name_exception", name})
	}
	only(in, "settings", "mappings", "aliases")
	settings, _ := in["settings"].(object)
	only(settings, "index")
	set, _ := settings["index"].(object)
	only(set, "number_of_shards", "number_of_replicas", "sort.field", "sort.order", "refresh_interval")
	mappings, _ := in["mappings"].(object)
	only(mappings, "dynamic", "properties")
	x := &index{known: map[string]bool{}, now: map[string]doc{}, visible: map[string]doc{}}
	for field, raw := range mappings["properties"].(object) {
		p := raw.(object)
		only(p, "type", "doc_values", "norms", "ignore_above", "index")
		if !slices.Contains([]string{"keyword", "binary"}, p["type"].(string)) {
			panic(failure{400, "mapper_parsing_exception", "no handler for type"})
		}
		x.known[field] = true
	}
	if s, ok := set["sort.field"].(string); ok && !x.known[s] {
		panic(failure{400, "illegal_argument_exception", "unknown index sort field"})
	}
	f.indices[name] = x
	return object{"acknowledged": true, "index": name}
}

// put writes a document, which has no fields but those of the mapping.
func (x *index) put(id string, source object) *failure {
	if id == "" || len(id) > 512 {
		return &failure{400, "illegal_argument_exception", "id"}
	}
	d := doc{id: id, source: source}
	for k, v := range source {
		if !x.known[k] {
			return &failure{400, "strict_dynamic_mapping_exception", "mapping set to strict"}
		}
		if k == "t" {
			list, ok := v.([]any)
			if !ok {
				list = []any{v}
			}
			for _, t := range list {
				d.terms = append(d.terms, t.(string))
			}
		}
		if k == "state" {
			if _, err := base64.StdEncoding.DecodeString(v.(string)); err != nil {
				return &failure{400, "mapper_parsing_exception", "binary"}
			}
		}
	}
	x.now[id] = d
	return nil
}

func (f *Fake) bulk(name string, body []byte) object {
	x := f.index(name)
	if len(body) == 0 || body[len(body)-1] != '\n' {
		panic(failure{400, "illegal_argument_exception", "The bulk request must be terminated by a newline [\\n]"})
	}
	items, failed := []any{}, false
	lines := bufio.NewScanner(bytes.NewReader(body))
	lines.Buffer(nil, 10<<20)
	for lines.Scan() {
		action := parse(lines.Bytes())
		only(action, "index", "delete")
		for kind, raw := range action {
			meta := raw.(object)
			only(meta, "_id")
			id, _ := meta["_id"].(string)
			item := object{"_id": id, "status": 200}
			if kind == "delete" {
				if _, ok := x.now[id]; !ok {
					item["status"], item["result"] = 404, "not_found"
				}
				delete(x.now, id)
			} else {
				if !lines.Scan() {
					panic(bad("a source is missing"))
				}
				if e := x.put(id, parse(lines.Bytes())); e != nil {
					failed, item["status"], item["error"] = true, e.status, object{"type": e.kind, "reason": e.reason}
				}
			}
			items = append(items, object{kind: item})
		}
	}
	return object{"took": 1, "errors": failed, "items": items}
}

func (f *Fake) document(method, name, id string, body []byte) object {
	if method == http.MethodPut {
		x := f.index(name)
		if e := x.put(id, parse(body)); e != nil {
			panic(*e)
		}
		return object{"_id": id, "result": "updated"}
	}
	x := f.index(name)
	d, ok := x.now[id]
	if !ok {
		panic(failure{404, "", "not found"})
	}
	if method == http.MethodDelete {
		delete(x.now, id)
		return object{"_id": id, "result": "deleted"}
	}
	return object{"_id": id, "found": true, "_source": d.source}
}

func (f *Fake) search(x *index, in object) object {
	only(in, "size", "_source", "track_total_hits", "sort", "query", "search_after")
	order := in["sort"].([]any)[0].(object)
	only(order, "id")
	desc := order["id"] == "desc"
	ids := []string{}
	after := ""
	if a, ok := in["search_after"].([]any); ok {
		after = a[0].(string)
	}
	for id, d := range x.visible {
		if matches(in["query"], d) && (after == "" || (id < after) == desc && id != after) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	if desc {
		slices.Reverse(ids)
	}
	size := int(in["size"].(float64))
	if size > 10_000 {
		panic(failure{400, "illegal_argument_exception", "Result window is too large"})
	}
	hits := []any{}
	for _, id := range ids[:min(size, len(ids))] {
		hits = append(hits, object{"_index": "x", "_id": id, "sort": []string{id}})
	}
	return object{"took": 1, "timed_out": false, "_shards": shards(), "hits": object{"hits": hits}}
}

// matches evaluates a query.
func matches(raw any, d doc) bool {
	q, ok := raw.(object)
	if !ok || len(q) != 1 {
		panic(bad("a query has one kind: %v", raw))
	}
	for kind, v := range q {
		o := v.(object)
		switch kind {
		case "match_all", "match_none":
			only(o)
			return kind == "match_all"
		case "term", "prefix":
			only(o, "t")
			want := o["t"].(string)
			return slices.ContainsFunc(d.terms, func(t string) bool { return t == want || kind == "prefix" && strings.HasPrefix(t, want) })
		case "range":
			only(o, "id")
			span := o["id"].(object)
			only(span, "lt", "gt")
			lt, has := span["lt"].(string)
			gt, also := span["gt"].(string)
			return (!has || d.id < lt) && (!also || d.id > gt)
		case "bool":
			only(o, "filter", "should", "must_not", "minimum_should_match")
			return boolean(o, d)
		}
		panic(bad("unknown query [%s]", kind))
	}
	return false
}

func boolean(o object, d doc) bool {
	list := func(k string) []any { l, _ := o[k].([]any); return l }
	for _, q := range list("filter") {
		if !matches(q, d) {
			return false
		}
	}
	for _, q := range list("must_not") {
		if matches(q, d) {
			return false
		}
	}
	should := list("should")
	return len(should) == 0 || slices.ContainsFunc(should, func(q any) bool { return matches(q, d) })
}
