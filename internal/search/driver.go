package search

import (
	"context"

	"buttersc.one/oven/internal/lib/textindex"
)

// Driver is an index, wherever it is. Its methods may be called at once; Apply comes one
// at a time.
type Driver interface {
	// Apply makes changes that searches see soon.
	Apply(ctx context.Context, b textindex.Batch) error
	// State is of the newest batch, Saved of the newest that is durable.
	State() []byte
	Saved() []byte
	Search(ctx context.Context, q textindex.Query) Hits
	Flush(ctx context.Context) error
	Stats(ctx context.Context) (Stats, error)
	// Verify reads all of it; Optimize makes it as small as it can be.
	Verify(ctx context.Context, progress func(done, total int64)) error
	Optimize(ctx context.Context, progress func(done, total int64)) error
	// Lost are ranges of ids that are to be put again, until Healed.
	Lost() []textindex.Range
	Healed(r textindex.Range) error
	Close() error
	// Drop closes and removes it.
	Drop(ctx context.Context) error
}

// Hits are ids, one after the other.
type Hits interface {
	Next() (id string, ok bool)
	Err() error
	Close()
}

// Place is where a process keeps its indexes.
type Place interface {
	Name() string   // of the process' index, the same after a restart
	Driver() string // textindex, …
	// Open opens what there is, oldest first.
	Open(ctx context.Context) ([]Driver, error)
	// Make makes another, empty one.
	Make(ctx context.Context) (Driver, error)
	// Lead waits until this process is the one that may change indexes. What Open gave
	// in another term than the one it returns is out of date; 0 is the one that begins
	// with the process.
	Lead(ctx context.Context) (term int64, err error)
	// Leads tells whether it is.
	Leads() bool
	// Release lets another process lead.
	Release()
}

// Stats is what an index consists of.
type Stats struct {
	Docs     int64 `json:"docs"`
	Deleted  int64 `json:"deleted"`
	Segments int   `json:"segments"`
	Bytes    int64 `json:"bytes"`   // on disk
	Memory   int64 `json:"memory"`  // bytes of what is not on disk yet
	Written  int64 `json:"written"` // bytes since the start
	Merging  bool  `json:"merging"`
	Lost     int   `json:"lost"` // ranges that were damaged and are being put again
}
