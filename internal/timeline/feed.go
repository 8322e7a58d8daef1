package timeline

import (
	"container/list"
	"slices"
	"sync"
	"time"
)

const (
	feedIdle   = 10 * time.Minute // a feed that nobody has read for so long goes
	feedBudget = 64 << 20         // bytes that all feeds together may take, about
)

// feedLimits are the sizes of feeds and of what they are built from.
type feedLimits struct {
	size   int // ids a feed holds at most
	window int // how many of the newest notes a feed is filled from
	enough int // where those have fewer, each author is asked for his newest
	each   int // how many of those
}

// FeedMax is how many notes a timeline in memory has at most.
const FeedMax = 400

func usualLimits() feedLimits { return feedLimits{size: FeedMax, window: 6000, enough: 100, each: 60} }

// feedKey names a feed.
type feedKey struct {
	kind feedKind
	id   string // of the account or the list
}

type feedKind uint8

const (
	homeFeed  feedKind = iota // by account
	listFeed                  // by list
	localFeed                 // the one of local public notes
)

// arrival is what feeds look at when a note is new.
type arrival struct {
	id, author string
	reply      bool
	replyTo    string // author of what it replies to, "" when none or unknown
	channel    bool
	local      bool // written here, public
}

// feed is ids of notes that may belong into a timeline, newest first. Above
// its tail nothing is missing; whoever reads it asks the database whether a
// note is still there, may be seen and is wanted (pitfalls 2). All fields
// belong to feeds' lock.
type feed struct {
	key     feedKey
	owner   string          // who reads it
	authors map[string]bool // whose notes come in → with replies to others
	ids     []string
	low     string // the tail; "" when nothing at all lies below
	dropped bool
	ready   bool
	used    time.Time
	place   *list.Element
}

// takes tells whether a new note may belong into the feed.
func (f *feed) takes(a arrival) bool {
	if a.channel {
		return false
	}
	if f.key.kind == localFeed {
		return a.local
	}
	replies, ok := f.authors[a.author]
	return ok && (!a.reply || replies || a.author == f.owner || a.replyTo == a.author || a.replyTo == f.owner)
}

// insert puts an id in its place; twice is once. Late ones below the tail are
// the database's.
func (f *feed) insert(id string, size int) {
	if f.ready && id <= f.low {
		return
	}
	i, found := slices.BinarySearchFunc(f.ids, id, func(a, b string) int { return -compare(a, b) })
	if found {
		return
	}
	f.ids = slices.Insert(f.ids, i, id)
	if f.ready {
		f.trim(size)
	}
}

func (f *feed) trim(size int) {
	if len(f.ids) > size {
		f.ids = f.ids[:size:size]
		f.low = f.ids[size-1]
	}
}

func (f *feed) bytes() int { return 256 + len(f.ids)*40 + len(f.authors)*100 }

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// feeds are the feeds of this process. Only those that somebody reads exist.
type feeds struct {
	now    func() time.Time
	limits feedLimits

	mu       sync.Mutex
	m        map[feedKey]*feed
	byAuthor map[string]map[*feed]struct{}
	recent   list.List // of *feed, the last read first
	bytes    int
}

func newFeeds(now func() time.Time) *feeds {
	return &feeds{now: now, limits: usualLimits(), m: map[feedKey]*feed{}, byAuthor: map[string]map[*feed]struct{}{}}
}

// get gives a feed that can be read, or nil. mine is true when there was none
// and the caller shall build it: it got an empty one, which already hears what
// happens, and must call fill or drop.
func (fs *feeds) get(key feedKey, owner string) (f *feed, mine bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f = fs.m[key]; f == nil {
		f = &feed{key: key, owner: owner, used: fs.now()}
		f.place = fs.recent.PushFront(f)
		fs.m[key] = f
		return f, true
	}
	if !f.ready {
		return nil, false // another request builds it
	}
	f.used = fs.now()
	fs.recent.MoveToFront(f.place)
	return f, false
}

// hear has the feed take notes of the authors from now on.
func (fs *feeds) hear(f *feed, authors map[string]bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f.dropped {
		return
	}
	f.authors = authors
	for a := range authors {
		if fs.byAuthor[a] == nil {
			fs.byAuthor[a] = map[*feed]struct{}{}
		}
		fs.byAuthor[a][f] = struct{}{}
	}
}

// fill makes the feed readable with what was found; what has come meanwhile
// stays. low is the tail. It tells whether the feed was dropped meanwhile.
func (fs *feeds) fill(f *feed, ids []string, low string) bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f.dropped {
		return false
	}
	for _, id := range ids {
		f.insert(id, fs.limits.size)
	}
	f.low, f.ready = low, true
	f.ids = slices.DeleteFunc(f.ids, func(id string) bool { return id < low })
	f.trim(fs.limits.size)
	fs.bytes += f.bytes()
	fs.shrink()
	return true
}

// shrink lets feeds go that nobody reads, or that are too many.
func (fs *feeds) shrink() {
	for e := fs.recent.Back(); e != nil; e = fs.recent.Back() {
		f, _ := e.Value.(*feed)
		if !f.ready || fs.bytes <= feedBudget && fs.now().Sub(f.used) < feedIdle || fs.recent.Len() == 1 {
			return
		}
		fs.remove(f)
	}
}

func (fs *feeds) remove(f *feed) {
	if f.dropped {
		return
	}
	f.dropped = true
	delete(fs.m, f.key)
	fs.recent.Remove(f.place)
	if f.ready {
		fs.bytes -= f.bytes()
	}
	for a := range f.authors {
		if delete(fs.byAuthor[a], f); len(fs.byAuthor[a]) == 0 {
			delete(fs.byAuthor, a)
		}
	}
}

// drop forgets the feeds with the keys: they are built anew when read.
func (fs *feeds) drop(keys ...feedKey) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, k := range keys {
		if f := fs.m[k]; f != nil {
			fs.remove(f)
		}
	}
}

func (fs *feeds) dropAll() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, f := range fs.m {
		fs.remove(f)
	}
}

// add hands a new note to the feeds that take it.
func (fs *feeds) add(a arrival) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	put := func(f *feed) {
		if f != nil && f.takes(a) {
			before := f.bytes()
			f.insert(a.id, fs.limits.size)
			if f.ready {
				fs.bytes += f.bytes() - before
			}
		}
	}
	for f := range fs.byAuthor[a.author] {
		put(f)
	}
	put(fs.m[feedKey{kind: localFeed}])
	fs.shrink()
}

// span is a part of a timeline between exclusive ids, "" for none.
type span struct {
	since, until string
	asc          bool
}

// read gives up to n ids of the span in its order. Below low nothing is known;
// "" when all of the span is. ok is false when the span begins below the tail.
func (fs *feeds) read(f *feed, sp span, n int) (ids []string, low string, ok bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if sp.until != "" && sp.until <= f.low || sp.asc && sp.since < f.low {
		return nil, "", false
	}
	before := func(a, b string) int { return -compare(a, b) }
	from, to := 0, len(f.ids)
	if sp.until != "" {
		i, found := slices.BinarySearchFunc(f.ids, sp.until, before)
		if from = i; found {
			from++
		}
	}
	if sp.since != "" {
		to, _ = slices.BinarySearchFunc(f.ids, sp.since, before)
	}
	to = max(from, to)
	if sp.asc {
		ids = slices.Clone(f.ids[max(from, to-n):to])
		slices.Reverse(ids)
		return ids, "", true
	}
	ids = slices.Clone(f.ids[from:min(to, from+n)])
	if sp.since < f.low {
		low = f.low
	}
	return ids, low, true
}
