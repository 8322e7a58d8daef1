package channel_test

import (
	"slices"
	"strings"
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

// What is of a muted channel, and what renotes it, does not come by the way: not
// through antennas, searches, hashtags, featured notes and accounts' pages. In the
// channel itself it is, and what one wrote oneself is everywhere.
func TestMutedElsewhere(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root, alice, bob, carol := s.User(t, "root"), s.User(t, "alice"), s.User(t, "bob"), s.User(t, "carol")
	root.Post(t, "admin/roles/update-default-policies", m{"policies": m{"canSearchNotes": true}})
	bread := testsrv.Dig(alice.Post(t, "channels/create", m{"name": "bread"}), "id")
	cake := testsrv.Dig(alice.Post(t, "channels/create", m{"name": "cake"}), "id")
	antenna := testsrv.Dig(bob.Post(t, "antennas/create", m{"name": "x", "src": "all", "keywords": [][]string{{"rye"}}, "excludeKeywords": [][]string{}, "users": []string{}, "caseSensitive": false,
		"withReplies": true, "withFile": false}), "id")
	bob.Post(t, "channels/mute/create", m{"channelId": bread})
	names := map[any]string{}
	write := func(name string, params m) string {
		id := alice.Note(t, params)
		names[id] = name
		return id
	}
	outside := write("outside", m{"text": "rye #rye"})
	inCake := write("in cake", m{"text": "rye #rye", "channelId": cake})
	inBread := write("in bread", m{"text": "rye #rye", "channelId": bread})
	quote := write("quote", m{"text": "look at this rye #rye", "renoteId": inBread})
	write("renote", m{"renoteId": inBread})
	for _, id := range []string{outside, inCake, inBread, quote} {
		carol.Post(t, "notes/reactions/create", m{"noteId": id, "reaction": "👍"})
	}
	s.Settle(t)
	is := func(u *testsrv.User, name string, params m, want string) {
		t.Helper()
		var got []string
		for _, n := range u.List(t, name, params) {
			got = append(got, names[n["id"]])
		}
		slices.Sort(got)
		if strings.Join(got, ", ") != want {
			t.Errorf("%s %v by %s: %q, want %q", name, params, u.Name, strings.Join(got, ", "), want)
		}
	}
	lists := []struct {
		name             string
		params           m
		muted, otherwise string
	}{
		{"notes/search", m{"query": "rye"}, "in cake, outside", "in bread, in cake, outside, quote"},
		{"notes/search", m{"query": "rye", "channelId": bread}, "in bread", "in bread"},
		{"notes/search-by-tag", m{"tag": "rye"}, "in cake, outside", "in bread, in cake, outside, quote"},
		{"users/notes", m{"userId": alice.ID, "withChannelNotes": true}, "in cake, outside", "in bread, in cake, outside, quote, renote"},
		{"users/notes", m{"userId": alice.ID}, "outside", "outside, quote, renote"},
		{"users/featured-notes", m{"userId": alice.ID}, "in cake, outside", "in bread, in cake, outside, quote"},
		{"notes/featured", m{}, "outside", "outside, quote"},
		{"notes/featured", m{"channelId": bread}, "in bread", "in bread"},
		{"channels/timeline", m{"channelId": bread}, "in bread", "in bread"},
	}
	for _, l := range lists {
		is(bob, l.name, l.params, l.muted)
		is(carol, l.name, l.params, l.otherwise)
	}
	is(bob, "antennas/notes", m{"antennaId": antenna}, "in cake, outside")
	alice.Post(t, "channels/mute/create", m{"channelId": bread})
	for _, l := range lists {
		is(alice, l.name, l.params, l.otherwise)
	}
	bob.Post(t, "channels/mute/delete", m{"channelId": bread})
	for _, l := range lists {
		is(bob, l.name, l.params, l.otherwise)
	}
	is(bob, "antennas/notes", m{"antennaId": antenna}, "in bread, in cake, outside, quote")
}
