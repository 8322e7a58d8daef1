// Command benchsearch measures the search index on a corpus that is made from a seed:
// five million notes in the index alone, and one million beside SQLite's FTS5 and
// PostgreSQL's GIN, both with the same terms. The last line of stdout is the result;
// everything else goes to stderr.
//
// BENCH_SCALE (0.01 to 1) shrinks it, BENCH_SEED chooses the corpus.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"buttersc.one/oven/internal/lib/textindex"
	"buttersc.one/oven/test/benchline"
)

const (
	many = 5_000_000
	few  = 1_000_000
	live = 600_000 // notes that come one after the other
	page = 20
	// looks is how many texts are looked at before a search gives a cursor, as the server's.
	looks = 2000
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	b := &bench{Bench: benchline.New("search")}
	err := b.run(ctx)
	stop()
	if b.dir != "" {
		_ = os.RemoveAll(b.dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchsearch:", err)
		os.Exit(2)
	}
	b.Print()
}

type bench struct {
	*benchline.Bench
	dir     string
	corpus  *corpus
	classes []class
}

func (b *bench) run(ctx context.Context) (err error) {
	if b.dir, err = os.MkdirTemp("/tmp", "oven-benchsearch-"); err != nil { // PostgreSQL's user must reach it
		return err
	}
	if err := os.Chmod(b.dir, 0o755); err != nil { //nolint:gosec // as above
		return err
	}
	debug.SetGCPercent(50)
	b.corpus = newCorpus(uint64(b.Seed))
	b.classes = b.corpus.queries()
	small, large := int(few*b.Scale), int(many*b.Scale)
	if err := b.index(ctx, "1m", small); err != nil {
		return err
	}
	if err := b.sqlite(ctx, small); err != nil {
		return fmt.Errorf("fts5: %w", err)
	}
	if err := b.gin(ctx, small); err != nil {
		return fmt.Errorf("gin: %w", err)
	}
	if err := b.index(ctx, "5m", large); err != nil {
		return err
	}
	if err := b.feed(ctx); err != nil {
		return err
	}
	for _, c := range b.classes {
		if c.name == "bad" {
			b.AtMost("5m.bad.max_ms", 30)
			continue
		}
		b.AtMost("5m."+c.name+".p99_ms", 5)
	}
	b.AtMost("5m.index_per_text.ratio", 0.75)
	b.AtMost("live.written_per_note.bytes", 400)
	b.AtMost("5m.memory.mb", 100)
	b.AtMost("5m.build_10m.cpu_min", 10)
	b.Ratios["fts5.index.bytes"] = b.Peer["fts5.1m.index_per_text.ratio"] / b.Figures["1m.index_per_text.ratio"]
	b.Ratios["gin.index.bytes"] = b.Peer["gin.1m.index_per_text.ratio"] / b.Figures["1m.index_per_text.ratio"]
	b.Ratios["fts5.written.bytes"] = b.Peer["fts5.live.written_per_note.bytes"] / b.Figures["live.written_per_note.bytes"]
	b.Ratios["gin.written.bytes"] = b.Peer["gin.live.written_per_note.bytes"] / b.Figures["live.written_per_note.bytes"]
	return nil
}

// id is the id of a note, in the form of aidx: its time, the process, a counter.
func id(i int) string {
	return fmt.Sprintf("%s0000%04s", "a"+pad(strconv.FormatInt(int64(i)*13_000, 36), 7), pad(strconv.FormatInt(int64(i%1000), 36), 4))
}

func pad(s string, n int) string { return strings.Repeat("0", max(0, n-len(s))) + s }

// number is the note of an id.
func number(id string) int {
	n, _ := strconv.ParseInt(id[1:8], 36, 64)
	return int(n / 13_000)
}

func (b *bench) doc(i int) (textindex.Doc, int) {
	text, author := b.corpus.note(i)
	terms := append(textindex.Terms(text), textindex.Own+"p", textindex.Own+"i", textindex.Own+"h.", textindex.Own+"u"+strconv.Itoa(author))
	return textindex.Doc{ID: id(i), Terms: terms}, len(text)
}

// index fills an index from the newest note on, as a server does, and asks it.
func (b *bench) index(ctx context.Context, name string, n int) error {
	b.Say("%s: filling in %d notes", name, n)
	before := memory()
	dir := b.dir + "/" + name
	x, err := textindex.Open(dir, textindex.Options{})
	if err != nil {
		return err
	}
	defer func() { _ = x.Close(); _ = os.RemoveAll(dir) }()
	began, corpusCPU, bytes := cpu(), time.Duration(0), 0
	for at := n - 1; at >= 0 && ctx.Err() == nil; at -= 500 {
		from := cpu()
		texts := make([]string, 0, 500)
		by := make([]int, 0, 500)
		for i := at; i > at-500 && i >= 0; i-- {
			t, author := b.corpus.note(i)
			texts, by = append(texts, t), append(by, author)
			bytes += len(t)
		}
		corpusCPU += cpu() - from
		batch := textindex.Batch{}
		for k, t := range texts {
			terms := append(textindex.Terms(t), textindex.Own+"p", textindex.Own+"i", textindex.Own+"h.", textindex.Own+"u"+strconv.Itoa(by[k]))
			batch.Put = append(batch.Put, textindex.Doc{ID: id(at - k), Terms: terms})
		}
		if err := x.Apply(batch); err != nil {
			return err
		}
	}
	if err := x.Flush(); err != nil {
		return err
	}
	if err := x.Merge(ctx); err != nil {
		return err
	}
	used := cpu() - began - corpusCPU
	s := x.Stats()
	b.Figures[name+".build.cpu_s"] = used.Seconds()
	b.Figures[name+".build_10m.cpu_min"] = used.Minutes() * 10e6 / float64(n)
	b.Figures[name+".text.mb"] = float64(bytes) / 1e6
	b.Figures[name+".index_per_text.ratio"] = float64(s.Bytes) / float64(bytes)
	b.Figures[name+".written_per_text.ratio"] = float64(s.Written) / float64(bytes)
	b.Figures[name+".segments.n"] = float64(s.Segments)
	runtime.GC()
	debug.FreeOSMemory()
	read := reads()
	drop(dir)
	cold := b.ask(func(q query) int { return b.search(x, q) })
	b.Figures[name+".cold.read_mb"] = float64(reads()-read) / 1e6
	all := []time.Duration{}
	for _, c := range b.classes {
		all = append(all, cold[c.name]...)
	}
	slices.Sort(all)
	benchline.Percentiles(b.Figures, name+".cold", all)
	warm := b.ask(func(q query) int { return b.search(x, q) })
	b.tell(b.Figures, name, warm)
	runtime.GC()
	debug.FreeOSMemory()
	b.Figures[name+".memory.mb"] = float64(memory()-before) / 1e6
	return b.bulk(name, x)
}

// search is a search as the server does it, with texts from the corpus in the place of
// rows of the database: the newest page of notes, of which those are looked at that the
// index is not sure of.
func (b *bench) search(x *textindex.Index, q query) (found int) {
	exprs := []textindex.Expr{textindex.Or(textindex.Term(textindex.Own+"p"), textindex.Term(textindex.Own+"u7"), textindex.Term(textindex.Own+"r7"))}
	sure := true
	words := strings.Fields(q.words)
	for _, w := range words {
		e, exact := textindex.Word(w)
		exprs, sure = append(exprs, e), sure && exact
	}
	if q.author > 0 {
		exprs = append(exprs, textindex.Term(textindex.Own+"u"+strconv.Itoa(q.author)))
	}
	h := x.Search(textindex.Query{Expr: textindex.And(exprs...)})
	defer h.Close()
	for looked := 0; found < page && looked < looks; looked++ {
		got, ok := h.Next()
		if !ok {
			break
		}
		if !sure {
			text, _ := b.corpus.note(number(got))
			normal := textindex.Normal(text)
			if slices.ContainsFunc(words, func(w string) bool { return !textindex.Holds(normal, w) }) {
				continue
			}
		}
		found++
	}
	return found
}

// ask times every query, once.
func (b *bench) ask(search func(q query) int) took {
	out := took{}
	for _, c := range b.classes {
		for _, q := range c.list {
			began := time.Now()
			search(q)
			out[c.name] = append(out[c.name], time.Since(began))
		}
		slices.Sort(out[c.name])
	}
	return out
}

func (b *bench) tell(to map[string]float64, name string, t took) {
	for _, c := range b.classes {
		list := t[c.name]
		to[name+"."+c.name+".p50_ms"] = float64(list[len(list)/2].Microseconds()) / 1000
		to[name+"."+c.name+".p99_ms"] = float64(list[len(list)*99/100].Microseconds()) / 1000
		to[name+"."+c.name+".max_ms"] = float64(list[len(list)-1].Microseconds()) / 1000
	}
}

// bulk deletes what busy authors have written.
func (b *bench) bulk(name string, x *textindex.Index) error {
	before, began := x.Stats(), time.Now()
	gone := int64(0)
	for author := 0; gone < int64(50_000*b.Scale) && author < authors; author++ {
		if err := x.Apply(textindex.Batch{DeleteTerm: []string{textindex.Own + "u" + strconv.Itoa(author)}}); err != nil {
			return err
		}
		gone = before.Docs - x.Stats().Docs
	}
	if err := x.Flush(); err != nil {
		return err
	}
	b.Figures[name+".delete.n"], b.Figures[name+".delete.ms"] = float64(gone), float64(time.Since(began).Milliseconds())
	b.Figures[name+".delete.written_mb"] = float64(x.Stats().Written-before.Written) / 1e6
	return nil
}

// feed puts notes as they come, fifty at a time.
func (b *bench) feed(ctx context.Context) error {
	n := int(live * b.Scale)
	b.Say("live: %d notes", n)
	x, err := textindex.Open(b.dir+"/live", textindex.Options{})
	if err != nil {
		return err
	}
	defer func() { _ = x.Close() }()
	began, most := time.Now(), time.Duration(0)
	for at := 0; at < n && ctx.Err() == nil; at += 50 {
		var batch textindex.Batch
		for i := at; i < min(n, at+50); i++ {
			d, _ := b.doc(i)
			batch.Put = append(batch.Put, d)
		}
		from := time.Now()
		if err := x.Apply(batch); err != nil {
			return err
		}
		most = max(most, time.Since(from))
	}
	if err := x.Flush(); err != nil {
		return err
	}
	if err := x.Merge(ctx); err != nil {
		return err
	}
	s := x.Stats()
	b.Figures["live.written_per_note.bytes"] = float64(s.Written) / float64(n)
	b.Figures["live.notes_per_s"] = float64(n) / time.Since(began).Seconds()
	b.Figures["live.batch.max_ms"] = float64(most.Milliseconds())
	return nil
}
