package textindex

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/RoaringBitmap/roaring/v2"
)

const (
	defaultLive = 32 << 10
	defaultMax  = 512 << 10
	chunkDocs   = 512  // are looked at one by one
	foldAt      = 8    // segments in memory below foldDocs become one
	foldDocs    = 4096 // documents
)

// Index is an index in a directory. Its methods may be called by many goroutines at once; those that change it come one
// after the other.
type Index struct {
	dir  string
	o    Options
	lock *os.File

	m    sync.Mutex // held by who merges, before w
	w    sync.Mutex // held by who changes it
	next uint64     // number of the next file

	mu     sync.RWMutex // what a search sees
	segs   []*segment   // files
	mem    []*segment   // in memory
	live   chunk
	state  []byte
	saved  []byte
	lost   []Range
	closed bool

	written         atomic.Int64
	flushes, merges atomic.Int64
	merging         atomic.Bool
	wake            chan struct{}
	bad             chan *segment
	stop            context.CancelFunc
	done            chan struct{}
}

// Open opens the index in a directory, which is made if there is none. What is damaged is put aside, see Lost; an index
// whose manifest is damaged begins anew, without a state.
func Open(dir string, o Options) (*Index, error) {
	if o.LiveDocs == 0 {
		o.LiveDocs = defaultLive
	}
	if o.MaxDocs == 0 {
		o.MaxDocs = defaultMax
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	x := &Index{dir: dir, o: o, lock: lock, wake: make(chan struct{}, 1), bad: make(chan *segment, 64), done: make(chan struct{})}
	if err := x.load(); err != nil {
		for _, s := range x.segs {
			s.drop()
		}
		return nil, errors.Join(err, lock.Close())
	}
	ctx, stop := context.WithCancel(context.Background())
	x.stop = stop
	go x.behind(ctx)
	return x, nil
}

func (x *Index) load() error {
	m, err := readManifest(x.dir)
	torn := errors.Is(err, errDamage)
	if err != nil && !torn {
		return err
	}
	if m == nil {
		m = &manifest{Format: format, Next: 1}
	}
	if torn {
		x.o.Log.Warn("the manifest of the search index is damaged; it begins anew", "dir", x.dir)
		x.aside(manifestName)
	}
	x.next, x.state, x.saved, x.lost = m.Next, m.State, m.State, m.Lost
	whole := true
	for _, p := range m.Segments {
		s, err := open(filepath.Join(x.dir, p.Name), p.Name)
		if err == nil {
			if s.dead, err = x.readDead(p, s.docs); err != nil {
				s.drop()
			}
		}
		if err != nil {
			if !errors.Is(err, errDamage) && !errors.Is(err, os.ErrNotExist) {
				return err
			}
			x.o.Log.Warn("a part of the search index is damaged; it is put aside", "part", p.Name, "err", err)
			x.aside(p.Name)
			x.lost, whole = append(x.lost, p.Range), false
			continue
		}
		s.deadFile, s.deadSaved = p.Dead, s.dead
		x.segs = append(x.segs, s)
	}
	if err := x.sweep(m); err != nil {
		return err
	}
	if !whole {
		return x.save(x.state)
	}
	return nil
}

// save writes down what there is on disk, with a state. The caller has w.
func (x *Index) save(state []byte) error { return x.saveAs(x.segs, x.lost, state) }

func (x *Index) saveAs(segs []*segment, lost []Range, state []byte) error {
	m := &manifest{Format: format, State: state, Lost: lost}
	var old []string
	for _, s := range segs {
		part := manifestPart{Name: s.name, Range: Range{s.min, s.max}}
		if s.dead != nil {
			b, err := s.dead.ToBytes()
			if err != nil {
				return fmt.Errorf("textindex: %w", err)
			}
			part.DeadSum = crc32.Checksum(b, castagnoli())
			if s.dead != s.deadSaved {
				name := fmt.Sprintf("%s.%x.dead", s.name, x.number())
				if err := x.replace(name, b); err != nil {
					return err
				}
				if s.deadFile != "" {
					old = append(old, s.deadFile)
				}
				s.deadFile, s.deadSaved = name, s.dead
			}
			part.Dead = s.deadFile
		}
		m.Segments = append(m.Segments, part)
	}
	m.Next = x.next
	if err := x.writeManifest(m); err != nil {
		return err
	}
	for _, name := range old {
		_ = os.Remove(filepath.Join(x.dir, name))
	}
	x.mu.Lock()
	x.saved = state
	x.mu.Unlock()
	return nil
}

func (x *Index) number() uint64 {
	x.next++
	return x.next - 1
}

// State is the newest state that was applied.
func (x *Index) State() []byte {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return slices.Clone(x.state)
}

// Saved is the state of the last flush: the State after a crash.
func (x *Index) Saved() []byte {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return slices.Clone(x.saved)
}

// Has tells whether there is a document of this id.
func (x *Index) Has(id string) bool {
	h := x.Search(Query{Expr: All(), Before: id + "\x00"})
	defer h.Close()
	got, ok := h.Next()
	return ok && got == id
}

// liveDocs are the documents in memory, the dead ones too. The caller has w or mu.
func (x *Index) liveDocs() int {
	n := len(x.live.docs)
	for _, s := range x.mem {
		n += int(s.docs)
	}
	return n
}

// Stats tells what the index consists of.
func (x *Index) Stats() Stats {
	x.mu.RLock()
	defer x.mu.RUnlock()
	st := Stats{Segments: len(x.segs), Written: x.written.Load(), Flushes: x.flushes.Load(), Merges: x.merges.Load(), Merging: x.merging.Load(), Lost: len(x.lost)}
	for _, s := range x.segs {
		st.Docs += int64(s.alive())
		st.Deleted += int64(s.deadCount(s.dead))
		st.Bytes += s.size
	}
	for _, s := range x.mem {
		st.Live += int64(s.alive())
		st.Memory += s.size
	}
	for i, d := range x.live.docs {
		if !x.live.dead[i] {
			st.Live++
		}
		for _, t := range d.Terms {
			st.Memory += int64(len(t)) + 16
		}
	}
	st.Docs += st.Live
	return st
}

// Reset empties the index, for good.
func (x *Index) Reset() error {
	x.w.Lock()
	defer x.w.Unlock()
	if x.closed {
		return ErrClosed
	}
	if err := x.saveAs(nil, nil, nil); err != nil {
		return err
	}
	x.mu.Lock()
	old := slices.Concat(x.segs, x.mem)
	x.segs, x.mem, x.live, x.state, x.saved, x.lost = nil, nil, chunk{}, nil, nil, nil
	x.mu.Unlock()
	x.remove(old)
	return nil
}

// remove lets go of segments and removes their files. Readers keep what they have mapped.
func (x *Index) remove(list []*segment) {
	for _, s := range list {
		for _, name := range []string{s.name, s.deadFile} {
			if name != "" {
				_ = os.Remove(filepath.Join(x.dir, name))
			}
		}
		s.drop()
	}
}

// Close makes all that was applied durable and lets others open the directory. Searches that are open can go on.
func (x *Index) Close() error {
	x.w.Lock()
	if x.closed {
		x.w.Unlock()
		return nil
	}
	err := x.flush()
	x.closed = true
	x.w.Unlock()
	x.stop()
	<-x.done
	x.mu.Lock()
	for _, s := range slices.Concat(x.segs, x.mem) {
		s.drop()
	}
	x.segs, x.mem, x.live = nil, nil, chunk{}
	x.mu.Unlock()
	return errors.Join(err, x.lock.Close())
}

// deaths are the tombstones that a batch makes.
type deaths struct {
	x    *Index
	segs map[*segment]*roaring.Bitmap
	live []bool // nil: none
}

func (d *deaths) of(s *segment) *roaring.Bitmap {
	if d.segs[s] == nil {
		if s.dead != nil {
			d.segs[s] = s.dead.Clone()
		} else {
			d.segs[s] = roaring.New()
		}
	}
	return d.segs[s]
}

func (d *deaths) liveOne(i int) {
	if d.live == nil {
		d.live = slices.Clone(d.x.live.dead)
	}
	d.live[i] = true
}

// all of the segments, those in memory too.
func (x *Index) all() []*segment { return slices.Concat(x.segs, x.mem) }
