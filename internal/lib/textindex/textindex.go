// Package textindex is in charge of finding documents by words, newest first: an index of which terms are in which
// documents, in immutable segments on disk and a few in memory, that reads and writes little. It keeps no texts, and is
// no place of record: what was not flushed is given to it again by its user, from where its state says.
//
// Documents sort by their ids, and a segment numbers them from the newest on. So the newest that have a common word are
// found in the newest segment alone, and those that have several words by one AND of bitmaps; nothing is scored and
// nothing sorted. A change of a document is a tombstone where it was and a new place. Korean, Japanese and Chinese are
// split into pairs of characters, other languages into words: see Terms.
package textindex

import (
	"errors"
	"log/slog"
)

// Limits of what is put in.
const (
	MaxID    = 64   // bytes of an id
	MaxTerm  = 255  // bytes of a term
	MaxState = 4096 // bytes of a state
)

// Errors of the package.
var (
	ErrLocked = errors.New("textindex: the directory is in use")
	ErrFormat = errors.New("textindex: made by a newer version")
	ErrClosed = errors.New("textindex: closed")
	ErrInput  = errors.New("textindex: not a document")
	errDamage = errors.New("textindex: damaged")
)

// Doc is a document. A greater id is a newer document; ids compare as bytes.
type Doc struct {
	ID    string
	Terms []string // in any order; the same twice counts once
}

// Batch is what changes together: first DeleteTerm, then Delete, then Put.
type Batch struct {
	Put        []Doc    // takes the place of a document that has the id
	Delete     []string // ids; unknown ones are ignored
	DeleteTerm []string // every document that has one of these terms
	State      []byte   // the caller's own, at most MaxState; nil: as it was
}

// Options of an index.
type Options struct {
	LiveDocs int          // documents in memory, above which they are flushed; 0: 32,768
	MaxDocs  int          // of a segment that is merged no further; 0: 524,288
	NoMerge  bool         // segments are merged by Merge and Optimize only
	Log      *slog.Logger // nil: silent
}

// Range is a span of ids, both ends included.
type Range struct {
	Min string `json:"min"`
	Max string `json:"max"`
}

// Stats is what an index consists of.
type Stats struct {
	Docs     int64 `json:"docs"`    // that can be found
	Deleted  int64 `json:"deleted"` // that still take room
	Live     int64 `json:"live"`    // of Docs, in memory
	Segments int   `json:"segments"`
	Bytes    int64 `json:"bytes"`   // on disk
	Memory   int64 `json:"memory"`  // bytes of what is live, about
	Written  int64 `json:"written"` // bytes since Open
	Flushes  int64 `json:"flushes"` // since Open
	Merges   int64 `json:"merges"`  // since Open
	Merging  bool  `json:"merging"`
	Lost     int   `json:"lost"` // ranges that were damaged and are not healed
}
