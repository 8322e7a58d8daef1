//go:build faults

package faults

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"buttersc.one/oven/test/fleet"
)

// traffic is what people do on both sides while something goes wrong: notes,
// edits, deletions and reactions here, and notes, mentions, deletions and likes
// from the other servers. Whatever was accepted is written down.
type traffic struct {
	*world
	wg   sync.WaitGroup
	stop context.CancelFunc

	mu       sync.Mutex
	created  map[string]bool   // ids of notes here that were answered with success
	deleted  map[string]bool   // those of them whose deletion was
	doubt    map[string]bool   // those whose deletion got no answer
	inbound  map[string]string // uri of accepted remote notes → id of who is mentioned, or ""
	buried   map[string]bool   // uri of remote notes whose Delete was accepted
	liked    map[string]bool   // actor + " " + id of the note here, accepted
	accepted int               // of both kinds, ever
}

func (w *world) traffic() *traffic {
	ctx, stop := context.WithCancel(w.t.Context())
	x := &traffic{world: w, stop: stop, created: map[string]bool{}, deleted: map[string]bool{}, doubt: map[string]bool{}, inbound: map[string]string{}, buried: map[string]bool{}, liked: map[string]bool{}}
	for _, u := range w.users {
		x.wg.Go(func() { x.write(ctx, u) })
	}
	for _, h := range w.fleet.Hosts {
		x.wg.Go(func() { x.send(ctx, h) })
	}
	return x
}

func (x *traffic) note(f func()) {
	x.mu.Lock()
	defer x.mu.Unlock()
	f()
	x.accepted++
}

func (x *traffic) done() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.accepted
}

// write is one account here.
func (x *traffic) write(ctx context.Context, u *local) {
	var mine []string
	for i := 0; ctx.Err() == nil; i++ {
		switch n := x.intN(10); {
		case n < 6 || len(mine) == 0:
			if out, ok := x.call(u, "notes/create", m{"text": fmt.Sprintf("%s writes %d", u.name, i)}); ok {
				id := out["createdNote"].(m)["id"].(string)
				mine = append(mine, id)
				x.note(func() { x.created[id] = true })
			}
		case n < 9:
			x.call(u, "notes/update", m{"noteId": mine[x.intN(len(mine))], "text": fmt.Sprintf("%s edits %d", u.name, i)})
		default:
			k := x.intN(len(mine))
			if _, ok := x.call(u, "notes/delete", m{"noteId": mine[k]}); ok {
				x.note(func() { x.deleted[mine[k]] = true })
			} else {
				x.note(func() { x.doubt[mine[k]] = true })
			}
			mine = append(mine[:k], mine[k+1:]...)
		}
		x.pause(ctx, 30)
	}
}

// send is one of the other servers. Like those it tries again until it is told
// that its activity was accepted.
func (x *traffic) send(ctx context.Context, h *fleet.Host) {
	// What is begun is ended, also when the traffic ends.
	tell := func(a m) bool { return x.fleet.Insist(x.t.Context(), x.any, host, h.Actor, a) == nil }
	var mine []string
	for ctx.Err() == nil {
		i := x.said.Add(1)
		switch n := x.intN(10); {
		case n < 6 || len(mine) == 0:
			doc := h.Note(fmt.Sprint("/notes/", i), fmt.Sprint("note ", i))
			uri, who := doc["id"].(string), ""
			if n < 3 {
				u := x.users[x.intN(len(x.users))]
				who = u.ID
				doc["to"] = []string{"https://www.w3.org/ns/activitystreams#Public", u.actor()}
				doc["tag"] = []m{{"type": "Mention", "href": u.actor(), "name": "@" + u.name + "@" + host}}
			}
			if tell(m{"type": "Create", "id": uri + "/create", "object": doc, "to": doc["to"]}) {
				mine = append(mine, uri)
				x.note(func() { x.inbound[uri] = who })
			}
		case n < 7:
			uri := mine[x.intN(len(mine))]
			if tell(m{"type": "Delete", "id": uri + "/delete", "object": m{"type": "Tombstone", "id": uri}}) {
				x.note(func() { x.buried[uri] = true })
			}
		default:
			if id := x.some(); id != "" && tell(m{"type": "Like", "id": h.URL("/likes/" + id), "object": "http://" + host + "/notes/" + id}) {
				x.note(func() { x.liked[h.Actor+" "+id] = true })
			}
		}
		x.pause(ctx, 60)
	}
}

// some is the id of a note here.
func (x *traffic) some() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	for id := range x.created {
		if !x.deleted[id] {
			return id
		}
	}
	return ""
}

func (x *traffic) pause(ctx context.Context, ms int) {
	select {
	case <-ctx.Done():
	case <-time.After(time.Duration(x.intN(2*ms)) * time.Millisecond):
	}
}

// end ends the traffic.
func (x *traffic) end() {
	x.stop()
	x.wg.Wait()
}

// check waits until all that was accepted has had its effect, on this server
// and on the others, and is red where something was lost, done twice or told in
// the wrong order.
func (x *traffic) check() {
	t := x.t
	t.Helper()
	x.end()
	t.Logf("%d notes and %d deletions here, %d remote notes, %d buried, %d likes", len(x.created), len(x.deleted), len(x.inbound), len(x.buried), len(x.liked))
	x.wait("all that came in is processed", func() bool { return x.count("SELECT count(*) FROM fed_inbox WHERE state < 3") == 0 })
	x.here()
	notes := x.pairs(`SELECT 'http://` + host + `/notes/' || id, text FROM note WHERE user_host IS NULL`)
	end := time.Now().Add(patience)
	for _, h := range x.fleet.Hosts {
		for {
			err := agree(h, notes)
			if err == nil {
				break
			}
			if time.Now().After(end) {
				t.Errorf("%s: %v", h.Name, err)
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		inOrder(t, h)
	}
}

// here compares what was accepted with what is in the database.
func (x *traffic) here() {
	t := x.t
	t.Helper()
	ours := x.pairs(`SELECT id, text FROM note WHERE user_host IS NULL`)
	for id := range x.created {
		if _, is := ours[id]; is == x.deleted[id] && !x.doubt[id] {
			t.Errorf("note %s: there %v, deleted %v", id, is, x.deleted[id])
		}
	}
	theirs := x.pairs(`SELECT uri, id FROM note WHERE user_host IS NOT NULL`)
	told := x.pairs(`SELECT n.uri, string_agg(t.notifiee_id, ' ') FROM notification t JOIN note n ON n.id = t.note_id WHERE t.type = 'mention' GROUP BY 1`)
	for uri, who := range x.inbound {
		switch _, is := theirs[uri]; {
		case is == x.buried[uri]:
			t.Errorf("%s: there %v, buried %v", uri, is, x.buried[uri])
		case is && told[uri] != who:
			t.Errorf("%s: told %q, mentions %q", uri, told[uri], who)
		}
	}
	likes := x.pairs(`SELECT u.uri || ' ' || r.note_id, r.reaction FROM note_reaction r JOIN "user" u ON u.id = r.user_id WHERE u.host IS NOT NULL`)
	for k := range x.liked {
		_, id, _ := strings.Cut(k, " ")
		if _, is := likes[k]; !is && ours[id] != "" {
			t.Errorf("like %s is lost", k)
		}
	}
	if n := x.count(`SELECT count(*) FROM note_stat s JOIN (SELECT note_id, count(*) n FROM note_reaction GROUP BY 1) r USING (note_id)
		WHERE (SELECT coalesce(sum(v::int), 0) FROM jsonb_each_text(s.reactions) e (k, v)) <> r.n`); n != 0 {
		t.Errorf("%d notes count their reactions wrongly", n)
	}
	if n := x.count(`SELECT count(*) FROM user_stat s WHERE notes_count <> (SELECT count(*) FROM note WHERE user_id = s.user_id)`); n != 0 {
		t.Errorf("%d accounts count their notes wrongly", n)
	}
}

// object is what an activity is about, and a Note's text.
func object(a m) (id, content string) {
	switch o := a["object"].(type) {
	case string:
		return o, ""
	case m:
		id, _ = o["id"].(string)
		content, _ = o["content"].(string)
	}
	return id, content
}

// agree tells whether a server that remembers what was deleted has, from what
// it took, the notes that are here and no other.
func agree(h *fleet.Host, notes map[string]string) error {
	has, gone := map[string]string{}, map[string]bool{}
	for _, a := range h.Got() {
		id, content := object(a)
		switch typ := a["type"]; {
		case typ == "Delete":
			delete(has, id)
			gone[id] = true
		case typ == "Create" || typ == "Update" && has[id] != "":
			if !gone[id] {
				has[id] = strings.NewReplacer("<p>", "", "</p>", "").Replace(content)
			}
		}
	}
	if reflect.DeepEqual(has, notes) {
		return nil
	}
	for id, text := range notes {
		if has[id] != text {
			return fmt.Errorf("%s is %q there, %q here", id, has[id], text)
		}
	}
	for id := range has {
		if _, is := notes[id]; !is {
			return fmt.Errorf("%s is there and not here", id)
		}
	}
	return nil
}

// inOrder is red where a server got an activity about a note for the first
// time after a later one about the same note.
func inOrder(t *testing.T, h *fleet.Host) {
	t.Helper()
	seen, over := map[string]bool{}, map[string]string{}
	for _, a := range h.Got() {
		activity, _ := a["id"].(string)
		id, _ := object(a)
		if seen[activity] {
			continue
		}
		seen[activity] = true
		if by := over[id]; by != "" {
			t.Errorf("%s: %s of %s came after %s", h.Name, activity, id, by)
		}
		if a["type"] == "Delete" {
			over[id] = activity
		}
	}
}
