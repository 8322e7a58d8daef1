package search

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"buttersc.one/oven/internal/lib/textindex"
)

// termsVersion says how notes are turned into terms. Whoever changes that raises it:
// indexes are then built anew beside the old ones.
const termsVersion = 1

// maxAuthors to be read again are written down one by one; more are everybody.
const maxAuthors = 60

// state is what an index says of itself.
type state struct {
	DB      string   `json:"db"`      // which database it is of
	Terms   int      `json:"terms"`   // how it was made
	Local   bool     `json:"local"`   // of notes of this server only
	Seq     int64    `json:"seq"`     // change up to which it is
	Begun   bool     `json:"begun"`   // it is being filled, or has been
	Back    *string  `json:"back"`    // notes below this id are still to come; nil: none
	Done    int64    `json:"done"`    // notes that were filled in
	Total   int64    `json:"total"`   // there were about, when it began
	Authors []string `json:"authors"` // whose notes are to be read again
	At      string   `json:"at"`      // in the notes of the first of them: the next is below this
}

// whole tells whether everything is in it.
func (st state) whole() bool { return st.Begun && st.Back == nil }

// shelf is an index with what it says of itself.
type shelf struct {
	mu  sync.Mutex // held by who changes it, from reading rows to applying them
	drv Driver

	sm sync.Mutex
	st state
}

func newShelf(d Driver) *shelf {
	sh := &shelf{drv: d}
	if b := d.State(); b != nil {
		if json.Unmarshal(b, &sh.st) != nil {
			sh.st = state{}
		}
	}
	return sh
}

func (sh *shelf) state() state {
	sh.sm.Lock()
	defer sh.sm.Unlock()
	st := sh.st
	st.Authors = slices.Clone(st.Authors)
	return st
}

// apply changes the index and what it says of itself together. The caller has mu.
func (sh *shelf) apply(ctx context.Context, b textindex.Batch, st state) error {
	raw, err := json.Marshal(st)
	if err != nil {
		return fmt.Errorf("search: %w", err)
	}
	b.State = raw
	if err := sh.drv.Apply(ctx, b); err != nil {
		return fmt.Errorf("search index: %w", err)
	}
	sh.sm.Lock()
	sh.st = st
	sh.sm.Unlock()
	return nil
}

// saved is the change up to which it is for good.
func (sh *shelf) saved() (seq int64, ok bool) {
	var st state
	if b := sh.drv.Saved(); b == nil || json.Unmarshal(b, &st) != nil {
		return 0, false
	}
	return st.Seq, true
}

// again notes an author whose notes are to be read again.
func (st *state) again(author string) {
	switch {
	case slices.Contains(st.Authors, author) && (st.At == "" || st.Authors[0] != author):
	case len(st.Authors) >= maxAuthors:
		st.Authors, st.At = nil, ""
		st.begin(st.Total)
	default:
		st.Authors = append(st.Authors, author)
	}
}

// begin has everything filled in, from the newest note on.
func (st *state) begin(total int64) {
	top := topID
	st.Begun, st.Back, st.Done, st.Total = true, &top, 0, total
}

// topID is above every id.
const topID = "~"
