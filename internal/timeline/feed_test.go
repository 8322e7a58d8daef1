package timeline_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/testsrv"
)

// Whatever happens, in whatever order: a page from memory is the page that one
// plain statement over all notes gives (pitfalls 2, rule g). The feeds are so
// small that most pages cross their tails.
func TestMemoryIsTheDatabase(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	s.App.Timelines.Shrink(8, 24, 5, 4)
	rnd := rand.New(rand.NewPCG(20261124, 1))
	one := func(list []string) string { return list[rnd.IntN(len(list))] }
	var people []*testsrv.User
	var userIDs []string
	for i := range 5 {
		u := s.User(t, fmt.Sprintf("user%d", i))
		people, userIDs = append(people, u), append(userIDs, u.ID)
	}
	actor := far.Actor("far")
	reader := people[0]
	reader.Post(t, "following/create", m{"userId": people[1].ID})
	farID := actor.On(t, reader).ID
	userIDs = append(userIDs, farID)
	reader.Post(t, "following/create", m{"userId": farID})
	actor.Tell(t, s, m{"type": "Accept", "object": far.Got(t, "Follow")})
	listID := testsrv.Dig(reader.Post(t, "users/lists/create", m{"name": "l"}), "id").(string)
	reader.Post(t, "users/lists/push", m{"listId": listID, "userId": people[2].ID})
	notes := []string{people[1].Note(t, m{"text": "first"})}
	late := 0
	// What is refused (following twice, replying to what one may not see) is as
	// good a step as any.
	try := func(u *testsrv.User, name string, p m) any {
		status, out := u.Call(t, name, p)
		if status >= 500 {
			t.Fatalf("%s %v: %d %v", name, p, status, out)
		}
		return out
	}
	step := func() {
		u := people[rnd.IntN(len(people))]
		switch n := rnd.IntN(24); {
		case n < 9:
			p := m{"text": "x", "visibility": one([]string{"public", "public", "home", "followers", "specified"})}
			if p["visibility"] == "specified" {
				p["visibleUserIds"] = []string{one(userIDs[:5])}
			}
			switch rnd.IntN(4) {
			case 0:
				p["replyId"] = one(notes)
			case 1:
				p["renoteId"] = one(notes)
				if rnd.IntN(2) == 0 {
					delete(p, "text")
				}
			}
			if id, ok := testsrv.Dig(try(u, "notes/create", p), "createdNote", "id").(string); ok {
				notes = append(notes, id)
			}
		case n == 9:
			i := rnd.IntN(len(notes))
			for _, u := range people {
				try(u, "notes/delete", m{"noteId": notes[i]})
			}
		case n == 10:
			// Written yesterday, or in this minute, and heard of now.
			late++
			at := time.Now().Add(-time.Duration(rnd.IntN(60)) * time.Second)
			if rnd.IntN(2) == 0 {
				at = at.AddDate(0, 0, -1)
			}
			doc := actor.Note(fmt.Sprintf("/notes/%d", late), m{"published": at.UTC().Format(time.RFC3339Nano)})
			actor.Tell(t, s, m{"type": "Create", "object": doc})
		case n < 13:
			try(reader, "following/create", m{"userId": one(userIDs), "withReplies": rnd.IntN(2) == 0})
		case n == 13:
			try(reader, "following/delete", m{"userId": one(userIDs)})
		case n == 14:
			try(reader, "following/update", m{"userId": one(userIDs), "withReplies": rnd.IntN(2) == 0})
		case n == 15:
			try(reader, one([]string{"mute/create", "mute/delete", "mute/delete"}), m{"userId": one(userIDs)})
		case n == 16:
			try(reader, one([]string{"renote-mute/create", "renote-mute/delete"}), m{"userId": one(userIDs)})
		case n == 17:
			try(u, one([]string{"blocking/create", "blocking/delete", "blocking/delete"}), m{"userId": one(userIDs)})
		case n == 18:
			try(reader, "i/update", m{"mutedInstances": [][]string{{}, {far.Host}}[rnd.IntN(2)]})
		case n < 21:
			try(reader, "users/lists/push", m{"listId": listID, "userId": one(userIDs)})
		case n == 21:
			try(reader, "users/lists/pull", m{"listId": listID, "userId": one(userIDs)})
		case n == 22:
			try(reader, "users/lists/update-membership", m{"listId": listID, "userId": one(userIDs), "withReplies": rnd.IntN(2) == 0})
		default:
			s.App.Timelines.Drop()
		}
	}
	check := func(i int) {
		t.Helper()
		kind := one([]string{"notes/timeline", "notes/timeline", "notes/hybrid-timeline", "notes/user-list-timeline"})
		p := m{"limit": 1 + rnd.IntN(12)}
		var page api.Page
		if rnd.IntN(3) == 0 {
			page.SinceID = one(notes)
			p["sinceId"] = page.SinceID
		}
		if rnd.IntN(2) == 0 {
			page.UntilID = one(notes)
			p["untilId"] = page.UntilID
		}
		if kind == "notes/user-list-timeline" {
			p["listId"] = listID
		}
		want, err := s.App.Timelines.Oracle(t.Context(), reader.ID, kind, listID, page, p["limit"].(int))
		if err != nil {
			t.Fatal(err)
		}
		if got := ids(reader.List(t, kind, p)); !slices.Equal(got, want) {
			t.Fatalf("step %d: %s %v gave\n%v, the database\n%v", i, kind, p, got, want)
		}
	}
	for i := range 350 {
		step()
		check(i)
		check(i)
	}
	if s.App.Timelines.Warm() == 0 {
		t.Error("nothing was answered from memory")
	}
}
