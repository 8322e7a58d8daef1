package app_test

import (
	"maps"
	"net/http"
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

// Statements that are put together from parts run with every part there is:
// the others are checked against the schema as they stand.
func TestEveryFilter(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b := s.User(t, "alice"), s.User(t, "bora")
	first := a.Note(t, m{"text": "x"})
	n := a.Note(t, m{"text": "x"})
	last := a.Note(t, m{"text": "x"})
	a.Post(t, "following/create", m{"userId": b.ID})
	page := m{"sinceId": first, "untilId": last, "limit": 100}
	dates := m{"sinceDate": 1, "untilDate": 4_000_000_000_000, "limit": 1}
	up := m{"sinceId": first, "limit": 5}
	chosen := m{"withFiles": true, "withRenotes": false, "withReplies": false, "includeMyRenotes": false, "includeRenotedMyNotes": false, "includeLocalRenotes": false}
	for name, params := range map[string][]m{
		"notes/timeline": {chosen, {}}, "notes/local-timeline": {chosen, {"withReplies": true}}, "notes/hybrid-timeline": {chosen, {"withReplies": true}},
		"notes/global-timeline": {chosen, {}},
		"users/notes":           {{"userId": a.ID, "withFiles": true, "withRenotes": false, "withChannelNotes": true}, {"userId": a.ID, "withReplies": true}},
		"notes/replies":         {{"noteId": n}}, "notes/children": {{"noteId": n}}, "notes/renotes": {{"noteId": n}}, "notes/reactions": {{"noteId": n, "type": ":x@.:"}},
		"users/followers": {{"userId": b.ID}, {"username": "bora", "host": nil}}, "users/following": {{"userId": a.ID}, {"username": "alice"}},
		"blocking/list": {{}}, "mute/list": {{}}, "renote-mute/list": {{}}, "following/requests/list": {{}}, "following/requests/sent": {{}},
		"i/notifications":                   {{"includeTypes": []string{"follow", "login"}, "excludeTypes": []string{"login"}, "markAsRead": true}, {"markAsRead": false}},
		"users/search-by-username-and-host": {{"username": "a", "host": "far", "detail": true}, {"username": "a_%", "host": nil, "detail": false}},
	} {
		for _, p := range params {
			for _, bounds := range []m{{}, page, dates, up} {
				with := maps.Clone(p)
				if name != "users/search-by-username-and-host" {
					maps.Copy(with, bounds)
				}
				a.Post(t, name, with)
				if !needsLogin(s, name) {
					s.Guest().Post(t, name, with)
				}
			}
		}
	}
	for _, path := range []string{"/users/" + a.ID + "/outbox?page=true&since_id=" + first + "&until_id=" + last, "/users/" + a.ID + "/outbox?page=true&until_id=" + last,
		"/users/" + a.ID + "/following?page=true&cursor=" + last, "/users/" + b.ID + "/followers?page=true&cursor=" + first} {
		req, err := http.NewRequest(http.MethodGet, s.Origin+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", "application/activity+json")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
	// Every setting of a profile is written.
	a.Post(t, "i/update", m{"name": "n", "description": "d", "location": "l", "birthday": "2000-01-01", "lang": "ko", "fields": []m{}, "followedMessage": "f",
		"isLocked": true, "isBot": true, "isCat": true, "isExplorable": false, "hideOnlineStatus": true, "publicReactions": false, "carefulBot": true,
		"autoAcceptFollowed": false, "noCrawle": true, "preventAiLearning": true, "injectFeaturedNote": false, "receiveAnnouncementEmail": false,
		"alwaysMarkNsfw": true, "autoSensitive": true, "followingVisibility": "private", "followersVisibility": "private", "mutedWords": []any{},
		"hardMutedWords": []any{}, "mutedInstances": []string{"far.example"}, "notificationRecieveConfig": m{"follow": m{"type": "never"}},
		"emailNotificationTypes": []string{}, "alsoKnownAs": []string{}, "avatarId": nil, "bannerId": nil})
}

func needsLogin(s *testsrv.Server, name string) bool {
	for _, e := range s.App.API.Endpoints() {
		if e.Name == name {
			return e.Meta.Credential
		}
	}
	return false
}
