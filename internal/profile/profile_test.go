package profile_test

import (
	"strings"
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

type m = testsrv.M

func TestUpdate(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b := s.User(t, "alice"), s.User(t, "bora")
	main := a.Stream(t, "main")
	me := a.Post(t, "i/update", m{"name": "앨리스", "description": "빵 #오븐", "location": "서울", "birthday": "1999-12-31", "isCat": true,
		"fields": []m{{"name": "빵", "value": "식빵"}, {"name": " ", "value": "x"}}, "mutedWords": [][]string{{"a", "b"}}, "followedMessage": "고마워요"})
	testsrv.Is(t, me, "앨리스", "name")
	testsrv.Is(t, me, []any{m{"name": "빵", "value": "식빵"}}, "fields")
	testsrv.Is(t, me, "고마워요", "followedMessage")
	main.Next("meUpdated", func(e m) bool { return testsrv.Dig(e, "body", "type") == "meUpdated" })
	seen := b.Post(t, "users/show", m{"userId": a.ID})
	testsrv.Is(t, seen, "서울", "location")
	testsrv.Is(t, seen, true, "isCat")
	if testsrv.Dig(seen, "followedMessage") != nil || testsrv.Dig(seen, "mutedWords") != nil {
		t.Error("others see what is not theirs")
	}
	b.Post(t, "following/create", m{"userId": a.ID})
	testsrv.Is(t, b.Post(t, "users/show", m{"userId": a.ID}), "고마워요", "followedMessage")
	// What is absent stays; null takes away.
	me = a.Post(t, "i/update", m{"location": nil, "isCat": false})
	testsrv.Is(t, me, nil, "location")
	testsrv.Is(t, me, "빵 #오븐", "description")
	for _, bad := range []m{{"name": strings.Repeat("가", 51)}, {"description": strings.Repeat("가", 1501)}, {"birthday": "yesterday"},
		{"followersVisibility": "nobody"}, {"isLocked": "yes"}, {"mutedWords": "x"}} {
		a.Fails(t, "i/update", bad, 400, "INVALID_PARAM")
	}
	a.Fails(t, "i/update", m{"mutedWords": []string{"/(/"}}, 400, "INVALID_REGEXP")
	a.Fails(t, "i/update", m{"mutedWords": [][]string{{strings.Repeat("a", 300)}}}, 400, "TOO_MANY_MUTED_WORDS")
	a.Fails(t, "i/update", m{"avatarId": "nothing0"}, 400, "NO_SUCH_AVATAR")
	a.Fails(t, "i/update", m{"bannerId": "nothing0"}, 400, "NO_SUCH_BANNER")
	testsrv.Is(t, a.Post(t, "i", m{}), "앨리스", "name")
}

func TestShow(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b := s.User(t, "alice"), s.User(t, "Bora")
	g := s.Guest()
	testsrv.Is(t, g.Post(t, "users/show", m{"username": "ALICE"}), a.ID, "id")
	testsrv.Is(t, g.Post(t, "users/show", m{"username": "bora", "host": nil}), "Bora", "username")
	testsrv.Is(t, g.Post(t, "users/show", m{"username": "bora", "host": s.Host}), b.ID, "id")
	list := g.List(t, "users/show", m{"userIds": []string{b.ID, "nobody0", a.ID}})
	if len(list) != 2 || list[0]["id"] != b.ID || list[1]["id"] != a.ID {
		t.Errorf("list %v", list)
	}
	g.Fails(t, "users/show", m{"userId": "nobody0"}, 404, "NO_SUCH_USER")
	g.Fails(t, "users/show", m{"username": "nobody"}, 404, "NO_SUCH_USER")
	g.Fails(t, "users/show", m{}, 400, "INVALID_PARAM")
	a.Fails(t, "users/show", m{"username": "x", "host": "127.0.0.1:1"}, 500, "FAILED_TO_RESOLVE_REMOTE_USER")
	if testsrv.Dig(a.Post(t, "users/show", m{"userId": a.ID}), "policies") == nil || testsrv.Dig(b.Post(t, "users/show", m{"userId": a.ID}), "policies") != nil {
		t.Error("one's own account is MeDetailed, others' are not")
	}
	a.Post(t, "following/create", m{"userId": b.ID})
	for _, c := range []struct {
		p    m
		want int
	}{{m{"username": "bo"}, 1}, {m{"username": "a"}, 1}, {m{"username": "b_"}, 0}, {m{"username": "bo", "host": "."}, 1}, {m{"host": "far"}, 0}, {m{"username": ""}, 2}} {
		if l := a.List(t, "users/search-by-username-and-host", c.p); len(l) != c.want {
			t.Errorf("%v finds %d", c.p, len(l))
		}
	}
	if l := a.List(t, "users/search-by-username-and-host", m{"username": "", "detail": false}); l[0]["id"] != b.ID || l[0]["notesCount"] != nil {
		t.Errorf("the followed come first, without detail: %v", l)
	}
}

// Secrets are for the native token alone.
func TestMe(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a := s.User(t, "alice")
	me := a.Post(t, "i", m{}).(m)
	if _, there := me["email"]; !there || me["loggedInDays"] != 1.0 || me["isAdmin"] != true {
		t.Errorf("own account: %v", me)
	}
	a.Post(t, "i", m{})
	testsrv.Is(t, a.Post(t, "i", m{}), 1, "loggedInDays")
}
