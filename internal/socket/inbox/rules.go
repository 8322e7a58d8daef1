package inbox

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"buttersc.one/oven/internal/lib/ap"
)

// ErrRefused says that an activity is not taken: it is not its sender's to
// send, or it is none.
var ErrRefused = errors.New("activity refused")

// refusal is an answer other than 202.
type refusal struct {
	status int
	reason string        // short and plain; goes to the sender
	retry  time.Duration // when it may come again; 0: not said
}

func (r *refusal) Error() string { return fmt.Sprintf("refused (%d): %s", r.status, r.reason) }

func (r *refusal) Unwrap() error { return ErrRefused }

func refuse(status int, reason string) error { return &refusal{status: status, reason: reason} }

func later(status int, reason string, retry time.Duration) error {
	return &refusal{status: status, reason: reason, retry: retry}
}

// OwnObject checks that the object of an activity is of the actor's host
// (FEP-fe34): one object, whose id has the authority of the actor. An Undo may
// leave out the id of what it undoes, but not undo what another did. Create,
// Update, Delete and Undo do not reach a handler otherwise.
func OwnObject(a *Activity) error {
	refs, parts := a.Object.Refs("object"), a.Object.Objects("object")
	switch {
	case len(refs) > 1 || len(parts) > 1:
		// Readers that take the first id and the first document would see two
		// different things.
		return refuse(http.StatusBadRequest, "more than one object")
	case a.Type == "Undo" && len(parts) == 1 && len(refs) == 0:
	case len(refs) == 0 || len(parts) == 1 && parts[0].ID() != refs[0]:
		return refuse(http.StatusBadRequest, "the object has no id")
	case !ofHost(refs[0], a.Host):
		return refuse(http.StatusUnauthorized, "the object is of another host")
	}
	if a.Type == "Undo" && len(parts) == 1 && parts[0].Has("actor") && !slices.Equal(parts[0].Refs("actor"), []string{a.Actor}) {
		return refuse(http.StatusUnauthorized, "undoes what another did")
	}
	return nil
}

func ofHost(uri, host string) bool {
	h, err := ap.Host(uri)
	return err == nil && h == host
}

// maxID bounds ids, in bytes.
const maxID = 2048

// plainID tells whether a text can be an id here: not endless, and nothing that
// PostgreSQL or a log would choke on.
func plainID(id string) bool {
	return id != "" && len(id) <= maxID && utf8.ValidString(id) && !strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r == 0x7f })
}

// read makes the Activity of a document and checks what must hold for each,
// whoever signed it.
func read(o *ap.Object, body []byte) (*Activity, error) {
	a := &Activity{ID: o.ID(), Type: o.Type(), Object: o}
	actors := o.Refs("actor")
	if a.Type == "" || len(actors) != 1 || !plainID(actors[0]) {
		return nil, refuse(http.StatusBadRequest, "no type or no actor")
	}
	a.Actor = actors[0]
	var err error
	if a.Host, err = ap.Host(a.Actor); err != nil {
		return nil, refuse(http.StatusBadRequest, "the actor's id is no address")
	}
	if !o.Has("id") {
		// AP §3 allows activities without an id. The same bytes are the same one.
		sum := sha256.Sum256(body)
		a.ID = a.Actor + "#" + hex.EncodeToString(sum[:])
	} else if !plainID(a.ID) {
		return nil, refuse(http.StatusBadRequest, "the id is no address")
	}
	if !ofHost(a.ID, a.Host) {
		return nil, refuse(http.StatusUnauthorized, "the activity's id is of another host")
	}
	return a, nil
}

// allowed checks what depends on the type.
func allowed(a *Activity) error {
	switch a.Type {
	case "Create", "Update", "Delete", "Undo":
		return OwnObject(a)
	}
	return nil
}

// repeats tells whether an activity may be said again in the same words and
// with the same id, and must have its effect each time: Misskey's Follow of an
// account always has one id, also after an Undo; Mastodon's Add and Remove have
// none. Their handlers set a state and can be repeated, so they are not
// remembered as seen.
func repeats(o *ap.Object) bool {
	ties := []string{"Follow", "Block", "Accept", "Reject"}
	switch t := o.Type(); t {
	case "Add", "Remove":
		return true
	case "Undo":
		return o.Object("object").Is(ties...)
	default:
		return slices.Contains(ties, t)
	}
}

// selfDirected tells whether the activity is about its actor's account.
func selfDirected(a *Activity) bool {
	return (a.Type == "Delete" || a.Type == "Update") && a.Object.Ref("object") == a.Actor
}

// Lanes, the smaller first.
const (
	laneDirect   int16 = 0 // somebody here is addressed or meant
	laneFollowed int16 = 1 // by somebody whom people here follow
	laneOther    int16 = 2
	laneRelay    int16 = 3 // what others said, told by one whom nobody here follows
	laneAccount  int16 = 4 // accounts that change or go: many at once, and none is urgent
	lanes              = 5
)

// lane is how urgent an activity is. followed: somebody here follows its actor.
func lane(a *Activity, followed bool, origin string) int16 {
	if selfDirected(a) {
		return laneAccount
	}
	ours := func(uri string) bool { return strings.HasPrefix(uri, origin+"/") }
	for _, o := range []*ap.Object{a.Object, a.Object.Object("object")} {
		if slices.ContainsFunc(o.Addressees(), ours) || slices.ContainsFunc(o.Refs("object"), ours) || ours(o.Ref("inReplyTo")) {
			return laneDirect
		}
	}
	switch {
	case followed:
		return laneFollowed
	case a.Type == "Announce":
		return laneRelay
	}
	return laneOther
}

// keySize is the length of an object key, in bytes.
const keySize = 16

type objectKey [keySize]byte

// keyOf is the key by which activities wait for each other: equal for those
// that make, change and remove the same thing.
func keyOf(a *Activity) objectKey {
	what := subject(a.Object, 4)
	if what == "" {
		what = a.ID
	}
	sum := sha256.Sum256([]byte(what))
	return objectKey(sum[:keySize])
}

// subject names what an activity is about: the object that it makes or removes,
// or for Like, Follow and the like the pair of who and what, since a second
// Like has another id than the first.
func subject(o *ap.Object, depth int) string {
	inner := o.Object("object")
	switch o.Type() {
	case "Create", "Update", "Delete":
		return o.Ref("object")
	case "Undo", "Accept", "Reject", "TentativeAccept", "TentativeReject":
		if inner == nil || depth == 0 {
			return o.Ref("object")
		}
		return subject(inner, depth-1)
	}
	return o.Ref("actor") + " " + o.Ref("object")
}
