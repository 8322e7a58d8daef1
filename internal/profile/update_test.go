package profile_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/testsrv"
)

// before is the least id from a time on.
func before(method string, seconds int64) string {
	return id.Method(method).Before(time.Unix(seconds, 0))
}

func TestUpdateEverything(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b := s.User(t, "alice"), s.User(t, "bora")
	me := a.Post(t, "i", m{})
	testsrv.Is(t, me, "mutual", "chatScope")
	testsrv.Is(t, me, nil, "makeNotesHiddenBefore")
	testsrv.Is(t, me, []any{}, "avatarDecorations")
	for field, values := range map[string][]any{
		"chatScope": {"everyone", "followers", "following", "mutual", "none"}, "lang": {"ko-KR", nil, "en@pirate"}, "requireSigninToViewContents": {true, false},
		"publicReactions": {false, true}, "alwaysMarkNsfw": {true, false}, "autoSensitive": {true, false}, "preventAiLearning": {false, true},
		"receiveAnnouncementEmail": {false, true}, "injectFeaturedNote": {false, true}, "followedMessage": {"welcome", nil},
		"emailNotificationTypes": {[]any{"follow"}, []any{}}, "hardMutedWords": {[]any{[]any{"a", "b"}, []any{"c"}}, []any{}}, "pinnedPageId": {nil},
		"mutedInstances": {[]any{"far.example"}, []any{}},
	} {
		for _, v := range values {
			res := a.Post(t, "i/update", m{field: v})
			testsrv.Is(t, res, v, field)
			testsrv.Is(t, a.Post(t, "i", m{}), v, field)
		}
	}
	res := a.Post(t, "i/update", m{"mutedInstances": []string{" FAR.example", "far.example", "", "한글.example", "no host"}})
	testsrv.Is(t, res, []any{"far.example", "xn--bj0bj06e.example", "no host"}, "mutedInstances")
	for field, bad := range map[string]any{"chatScope": "all", "lang": "klingon", "requireSigninToViewContents": "yes", "makeNotesFollowersOnlyBefore": "yesterday",
		"avatarDecorations": []m{{"id": "x", "angle": 1}}, "pinnedPageId": "a b"} {
		a.Fails(t, "i/update", m{field: bad}, 400, "INVALID_PARAM")
	}
	a.Fails(t, "i/update", m{"pinnedPageId": "nothing0"}, 400, "NO_SUCH_PAGE")
	testsrv.Is(t, b.Post(t, "users/show", m{"userId": a.ID}), "none", "chatScope")
	testsrv.Is(t, b.Post(t, "users/show", m{"userId": a.ID}), false, "canChat")
}

func TestDecorations(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root, b := s.User(t, "alice"), s.User(t, "bora")
	b.Fails(t, "admin/avatar-decorations/create", m{"name": "x", "description": "", "url": "https://a.example/x.png"}, 403, "ROLE_PERMISSION_DENIED")
	for _, bad := range []string{"javascript:alert(1)", "x.png", "https://"} {
		root.Fails(t, "admin/avatar-decorations/create", m{"name": "x", "description": "", "url": bad}, 400, "INVALID_PARAM")
	}
	hat := root.Post(t, "admin/avatar-decorations/create", m{"name": "hat", "description": "d", "url": "https://a.example/hat.png", "category": "hats"})
	testsrv.Is(t, hat, "hats", "category")
	testsrv.Is(t, hat, nil, "updatedAt")
	hatID := testsrv.Dig(hat, "id").(string)
	vip := testsrv.Dig(root.Post(t, "admin/avatar-decorations/create", m{"name": "vip", "description": "", "url": "https://a.example/vip.png", "roleIdsThatCanBeUsedThisDecoration": []string{"role0"}}), "id").(string)
	if l := s.Guest().List(t, "get-avatar-decorations", m{}); len(l) != 2 || l[0]["id"] != hatID || l[1]["category"] != nil {
		t.Errorf("catalogue %v", l)
	}
	b.Fails(t, "i/update", m{"avatarDecorations": []m{{"id": hatID}, {"id": hatID}}}, 400, "RESTRICTED_BY_ROLE")
	s.Set(t, m{"policies": m{"avatarDecorationLimit": 3}})
	res := b.Post(t, "i/update", m{"avatarDecorations": []m{{"id": hatID, "angle": 0.25, "flipH": true, "offsetX": -0.1}, {"id": vip}, {"id": "nothing0"}}})
	testsrv.Is(t, res, []any{m{"id": hatID, "angle": 0.25, "flipH": true, "offsetX": -0.1, "url": "https://a.example/hat.png"}}, "avatarDecorations")
	n := root.Post(t, "notes/show", m{"noteId": b.Note(t, m{"text": "x"})})
	testsrv.Is(t, n, "https://a.example/hat.png", "user", "avatarDecorations", 0, "url")
	if l := root.List(t, "admin/avatar-decorations/list", m{"userId": b.ID}); len(l) != 1 || l[0]["id"] != hatID {
		t.Errorf("worn %v", l)
	}
	if l := root.List(t, "admin/avatar-decorations/list", m{"limit": 1, "untilId": vip}); len(l) != 1 || l[0]["id"] != hatID {
		t.Errorf("page %v", l)
	}
	root.Post(t, "admin/avatar-decorations/update", m{"id": hatID, "url": "https://a.example/cap.png", "category": nil})
	testsrv.Is(t, b.Post(t, "i", m{}), "https://a.example/cap.png", "avatarDecorations", 0, "url")
	if l := root.List(t, "admin/avatar-decorations/list", m{"userId": b.ID}); l[0]["name"] != "hat" || l[0]["category"] != nil || l[0]["updatedAt"] == nil {
		t.Errorf("updated %v", l)
	}
	root.Fails(t, "admin/avatar-decorations/update", m{"id": "nothing0"}, 400, "INVALID_PARAM")
	root.Fails(t, "admin/avatar-decorations/delete", m{"id": "nothing0"}, 400, "INVALID_PARAM")
	root.Post(t, "admin/avatar-decorations/delete", m{"id": hatID})
	testsrv.Is(t, b.Post(t, "i", m{}), []any{}, "avatarDecorations")
	// Who holds the role may wear what is for it.
	r := testsrv.Dig(root.Post(t, "admin/roles/create", m{"name": "bakers", "description": "", "color": nil, "iconUrl": nil, "target": "manual", "condFormula": m{},
		"isPublic": false, "isModerator": false, "isAdministrator": false, "asBadge": false, "canEditMembersByModerator": false, "displayOrder": 0, "policies": m{}}), "id")
	apron := testsrv.Dig(root.Post(t, "admin/avatar-decorations/create", m{"name": "apron", "description": "", "url": "https://a.example/a.png",
		"roleIdsThatCanBeUsedThisDecoration": []any{r}}), "id")
	testsrv.Is(t, b.Post(t, "i/update", m{"avatarDecorations": []m{{"id": apron}}}), []any{}, "avatarDecorations")
	root.Post(t, "admin/roles/assign", m{"roleId": r, "userId": b.ID})
	s.Settle(t)
	testsrv.Is(t, b.Post(t, "i/update", m{"avatarDecorations": []m{{"id": apron}}}), "https://a.example/a.png", "avatarDecorations", 0, "url")
}

// A link is verified when its page says that it is the account's own.
func TestVerifiedLinks(t *testing.T) {
	t.Parallel()
	var back atomic.Value
	back.Store("")
	mux := http.NewServeMux()
	pages := httptest.NewServer(mux)
	t.Cleanup(pages.Close)
	s := testsrv.New(t)
	a := s.User(t, "Alice")
	self, actor := s.Origin+"/@Alice", s.Origin+"/users/"+a.ID
	for path, html := range map[string]string{
		"/good": `<p><a rel="nofollow me" href="` + self + `">me</a>`, "/head": `<link rel="me" href="` + actor + `">`,
		"/plain": `<a href="` + self + `">a fan</a>`, "/other": `<a rel="me" href="` + s.Origin + `/@bora">`, "/comment": `<!-- <a rel="me" href="` + self + `"> -->`,
		"/huge": strings.Repeat("x", 2<<20) + `<a rel="me" href="` + self + `">`,
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, html) })
	}
	elsewhere := httptest.NewServer(http.RedirectHandler(pages.URL+"/good", http.StatusFound))
	t.Cleanup(elsewhere.Close)
	fields := []m{}
	for _, link := range []string{pages.URL + "/good", pages.URL + "/head", pages.URL + "/plain", pages.URL + "/other", pages.URL + "/comment", pages.URL + "/huge",
		pages.URL + "/gone", elsewhere.URL, "no link", self} {
		fields = append(fields, m{"name": "link", "value": link})
	}
	a.Post(t, "i/update", m{"fields": fields})
	s.Settle(t)
	testsrv.Is(t, s.Guest().Post(t, "users/show", m{"userId": a.ID}), []any{pages.URL + "/good", pages.URL + "/head"}, "verifiedLinks")
	// A line that is gone is verified no more, whatever else changes; what stays, stays.
	res := a.Post(t, "i/update", m{"fields": fields[1:]})
	testsrv.Is(t, res, []any{pages.URL + "/head"}, "verifiedLinks")
	s.Settle(t)
	testsrv.Is(t, a.Post(t, "i", m{}), []any{pages.URL + "/head"}, "verifiedLinks")
}

// What an author asks of other servers goes out with his actor, and comes in
// with theirs.
func TestWithdrawingFederates(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	a, bob := s.User(t, "alice"), far.Actor("bob")
	bob.Tell(t, s, m{"type": "Follow", "object": a.URI()})
	far.Got(t, "Accept")
	a.Post(t, "i/update", m{"requireSigninToViewContents": true, "makeNotesFollowersOnlyBefore": -60, "makeNotesHiddenBefore": 1000})
	up := far.Got(t, "Update")
	testsrv.Is(t, up, true, "object", "_misskey_requireSigninToViewContents")
	testsrv.Is(t, up, -60, "object", "_misskey_makeNotesFollowersOnlyBefore")
	testsrv.Is(t, up, 1000, "object", "_misskey_makeNotesHiddenBefore")
	a.Post(t, "i/update", m{"requireSigninToViewContents": false, "makeNotesFollowersOnlyBefore": nil, "makeNotesHiddenBefore": nil})
	up = far.Got(t, "Update")
	testsrv.Is(t, up, nil, "object", "_misskey_makeNotesHiddenBefore")
	// Theirs.
	bob.Tell(t, s, m{"type": "Create", "to": []string{"https://www.w3.org/ns/activitystreams#Public"}, "object": bob.Note("/notes/1", m{"content": "far bread"})})
	var id string
	if err := s.DB.QueryRow(t.Context(), `SELECT id FROM note WHERE uri = $1`, far.Origin+"/notes/1").Scan(&id); err != nil {
		t.Fatal(err)
	}
	profile := func(more m) {
		t.Helper()
		doc := m{"type": "Person", "id": bob.ID, "preferredUsername": "bob", "inbox": bob.ID + "/inbox", "publicKey": bob.Key()}
		for k, v := range more {
			doc[k] = v
		}
		bob.Tell(t, s, m{"type": "Update", "object": doc})
	}
	seen := func(u *testsrv.User) bool {
		t.Helper()
		return testsrv.Dig(u.Post(t, "notes/show", m{"noteId": id}), "text") != nil
	}
	for _, c := range []struct {
		profile     m
		guest, user bool
	}{
		{m{}, true, true},
		{m{"_misskey_requireSigninToViewContents": true}, false, true},
		{m{"_misskey_requireSigninToViewContents": "yes", "_misskey_makeNotesHiddenBefore": "0", "_misskey_makeNotesFollowersOnlyBefore": 0.5}, true, true},
		{m{"_misskey_makeNotesFollowersOnlyBefore": 0}, false, false},
		{m{"_misskey_makeNotesHiddenBefore": time.Now().Unix() + 60}, false, false},
		{m{"_misskey_makeNotesHiddenBefore": nil}, true, true},
	} {
		profile(c.profile)
		if guest, user := seen(s.Guest()), seen(a); guest != c.guest || user != c.user {
			t.Errorf("%v: a guest %v, a user %v", c.profile, guest, user)
		}
	}
}
