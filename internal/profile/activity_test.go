package profile_test

import (
	"net/url"
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

// A changed profile goes to the servers of followers; theirs comes here, from
// themselves only.
func TestProfilesTravel(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	a, bob, eve := s.User(t, "alice"), far.Actor("bob"), far.Actor("eve")
	bob.Tell(t, s, m{"type": "Follow", "object": a.URI()})
	far.Got(t, "Accept")
	a.Post(t, "i/update", m{"name": "앨리스", "description": "빵 #오븐", "isLocked": true, "fields": []m{{"name": "빵", "value": "식빵"}}})
	up := far.Got(t, "Update")
	testsrv.Is(t, up, a.URI(), "object", "id")
	testsrv.Is(t, up, "앨리스", "object", "name")
	testsrv.Is(t, up, true, "object", "manuallyApprovesFollowers")
	testsrv.Is(t, up, "빵", "object", "attachment", 0, "name")
	show := func() any { return a.Post(t, "users/show", m{"username": "bob", "host": far.Host}) }
	testsrv.Is(t, show(), nil, "name")
	changed := m{"type": "Person", "id": bob.ID, "preferredUsername": "bob", "inbox": bob.ID + "/inbox", "name": "밥 :bread:", "summary": "<p>안녕 <b>빵</b></p>",
		"icon":       m{"type": "Image", "url": far.Origin + "/me.png"},
		"attachment": []m{{"type": "PropertyValue", "name": "집", "value": "<a href=\"https://x.example\">x</a>"}},
		"tag":        []m{{"type": "Emoji", "name": ":bread:", "icon": m{"type": "Image", "url": far.Origin + "/bread.png"}}},
		"publicKey":  bob.Key()}
	eve.Tell(t, s, m{"type": "Update", "object": changed})
	testsrv.Is(t, show(), nil, "name")
	bob.Tell(t, s, m{"type": "Update", "object": changed})
	testsrv.Is(t, show(), "밥 :bread:", "name")
	testsrv.Is(t, show(), "안녕 **빵**", "description")
	testsrv.Is(t, show(), s.Origin+"/proxy/avatar.webp?url="+url.QueryEscape(far.Origin+"/me.png")+"&avatar=1", "avatarUrl")
	testsrv.Is(t, show(), far.Origin+"/bread.png", "emojis", "bread")
	testsrv.Is(t, show(), "집", "fields", 0, "name")
	// Another name or inbox elsewhere is not believed.
	changed["preferredUsername"], changed["name"] = "root", "mallory"
	bob.Send(t, s, m{"type": "Update", "object": changed})
	s.Settle(t)
	changed["preferredUsername"], changed["inbox"] = "bob", "https://far.example/inbox"
	bob.Send(t, s, m{"type": "Update", "object": changed})
	s.Settle(t)
	if n := s.Count(t, `SELECT count(*) FROM "user" WHERE username = 'root' OR inbox LIKE 'https://far.example%'`); n != 0 {
		t.Error("an actor changed its name or sent its inbox away")
	}
}

// Pinned notes are shown to whoever may see them.
func TestPinned(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b := s.User(t, "alice"), s.User(t, "bora")
	open, secret := a.Note(t, m{"text": "open"}), a.Note(t, m{"text": "secret", "visibility": "followers"})
	for i, id := range []string{open, secret} {
		if _, err := s.DB.Exec(t.Context(), "INSERT INTO user_note_pining (id, user_id, note_id) VALUES ($1, $2, $3)", "pin"+string(rune('0'+i)), a.ID, id); err != nil {
			t.Fatal(err)
		}
	}
	testsrv.Is(t, b.Post(t, "users/show", m{"userId": a.ID}), []any{open}, "pinnedNoteIds")
	testsrv.Is(t, b.Post(t, "users/show", m{"userId": a.ID}), "open", "pinnedNotes", 0, "text")
	testsrv.Is(t, a.Post(t, "i", m{}), []any{secret, open}, "pinnedNoteIds")
	a.Post(t, "notes/delete", m{"noteId": open})
	testsrv.Is(t, b.Post(t, "users/show", m{"userId": a.ID}), []any{}, "pinnedNoteIds")
}
