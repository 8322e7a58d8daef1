package note_test

import (
	"strings"
	"testing"
	"time"

	"buttersc.one/oven/internal/testsrv"
)

const public = "https://www.w3.org/ns/activitystreams#Public"

// get is the note with the address on the wire, nil when there is none.
func get(t *testing.T, u *testsrv.User, uri any) any {
	t.Helper()
	var id string
	if err := u.S.DB.QueryRow(t.Context(), "SELECT coalesce((SELECT id FROM note WHERE uri = $1), '')", uri).Scan(&id); err != nil {
		t.Fatal(err)
	}
	if id == "" {
		return nil
	}
	return u.Post(t, "notes/show", m{"noteId": id})
}

// What other servers' notes become here.
func TestIncomingNotes(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	a, stranger, bob := s.User(t, "alice"), s.User(t, "stranger"), far.Actor("bob")
	create := func(path string, more m) any {
		t.Helper()
		doc := bob.Note(path, more)
		bob.Tell(t, s, m{"type": "Create", "id": doc["id"].(string) + "/activity", "object": doc})
		return get(t, a, doc["id"])
	}
	mention := []m{{"type": "Mention", "href": a.URI(), "name": "@alice@" + s.Host}, {"type": "Hashtag", "name": "#빵", "href": far.Origin + "/tags/빵"},
		{"type": "Emoji", "name": ":bread:", "icon": m{"type": "Image", "url": far.Origin + "/bread.png"}}}
	n := create("/notes/1", m{"content": `<p>안녕 <b>빵</b> :bread:<br>둘째 <script>alert(1)</script></p>`, "summary": "주의", "tag": mention, "sensitive": true,
		"published": "2020-02-03T04:05:06Z",
		"attachment": []m{{"type": "Document", "mediaType": "image/png", "url": far.Origin + "/1.png", "name": "그림", "width": 10, "height": 20, "blurhash": "LEHV6nWB2yk8pyo0adR*.7kCMdnj"},
			{"type": "Document", "url": "javascript:alert(1)"}}})
	testsrv.Is(t, n, "안녕 **빵** :bread:\n둘째", "text")
	testsrv.Is(t, n, "주의", "cw")
	testsrv.Is(t, n, "public", "visibility")
	testsrv.Is(t, n, "2020-02-03T04:05:06.000Z", "createdAt")
	testsrv.Is(t, n, []any{a.ID}, "mentions")
	testsrv.Is(t, n, []any{"빵"}, "tags")
	testsrv.Is(t, n, far.Origin+"/bread.png", "emojis", "bread")
	testsrv.Is(t, n, far.Host, "user", "host")
	if files, _ := testsrv.Dig(n, "files").([]any); len(files) != 1 {
		t.Errorf("files %v", files)
	}
	testsrv.Is(t, n, "그림", "files", 0, "comment")
	testsrv.Is(t, n, true, "files", 0, "isSensitive")
	testsrv.Is(t, n, m{"width": 10.0, "height": 20.0}, "files", 0, "properties")
	if l := a.List(t, "i/notifications", m{"includeTypes": []string{"mention"}}); len(l) != 1 {
		t.Errorf("told of the mention: %v", l)
	}
	create("/notes/1", m{"content": "again"})
	testsrv.Is(t, a.Post(t, "users/show", m{"username": "bob", "host": far.Host}), 1, "notesCount")

	for visibility, to := range map[string]m{
		"home": {"to": []string{bob.ID + "/followers"}, "cc": []string{public}}, "followers": {"to": []string{bob.ID + "/followers"}, "cc": []string{}},
		"specified": {"to": []string{a.URI()}, "cc": []string{}}, "public": {"to": "as:Public", "cc": nil},
	} {
		to["tag"] = mention[:1]
		n := create("/notes/"+visibility, to)
		testsrv.Is(t, n, visibility, "visibility")
		hidden := visibility == "followers" || visibility == "specified"
		if seen := testsrv.Dig(get(t, stranger, far.Origin+"/notes/"+visibility), "isHidden"); (seen == true) != hidden {
			t.Errorf("%s: hidden from strangers: %v", visibility, seen)
		}
		testsrv.Is(t, n, nil, "isHidden")
	}
	// A followers-only answer to one's own note is seen although nothing mentions.
	mine := a.Note(t, m{"text": "?"})
	n = create("/notes/answer", m{"inReplyTo": s.Origin + "/notes/" + mine, "to": []string{bob.ID + "/followers"}, "cc": []string{}})
	testsrv.Is(t, n, mine, "replyId")
	testsrv.Is(t, n, nil, "isHidden")
	testsrv.Is(t, a.Post(t, "notes/show", m{"noteId": mine}), 1, "repliesCount")
	// What it answers and quotes is fetched from its own server.
	parent := bob.Note("/notes/parent", m{"content": "parent"})["id"]
	quoted := bob.Note("/notes/quoted", m{"content": "quoted"})["id"]
	n = create("/notes/child", m{"inReplyTo": parent, "quoteUrl": quoted})
	testsrv.Is(t, n, "parent", "reply", "text")
	testsrv.Is(t, n, "quoted", "renote", "text")
	n = create("/notes/orphan", m{"inReplyTo": far.Origin + "/notes/gone", "content": "orphan"})
	testsrv.Is(t, n, "orphan", "text")
	testsrv.Is(t, n, nil, "replyId")
	n = create("/notes/article", m{"type": "Article", "name": "제목", "content": "<p>글</p>", "url": far.Origin + "/a"})
	testsrv.Is(t, n, "【제목】\n글\n"+far.Origin+"/a", "text")
	n = create("/notes/source", m{"content": "<p>x</p>", "source": m{"content": "$[tada 빵]", "mediaType": "text/x.misskeymarkdown"}})
	testsrv.Is(t, n, "$[tada 빵]", "text")
	// Named only, it is fetched.
	named := bob.Note("/notes/named", m{"content": "named"})["id"]
	bob.Tell(t, s, m{"type": "Create", "object": named})
	testsrv.Is(t, get(t, a, named), "named", "text")
	// What is not the sender's is not taken.
	eve := far.Actor("eve")
	before := count(t, s)
	for what, doc := range map[string]m{
		"of another":        bob.Note("/notes/x1", nil),
		"without a type":    {"id": far.Origin + "/notes/x2", "attributedTo": eve.ID},
		"of another host":   {"type": "Note", "id": "https://far.example/notes/x3", "attributedTo": eve.ID, "content": "x"},
		"of nobody":         {"type": "Note", "id": far.Origin + "/notes/x4", "content": "x"},
		"of this server":    {"type": "Note", "id": s.Origin + "/notes/x5", "attributedTo": eve.ID, "content": "x"},
		"with nothing said": {"type": "Note", "id": far.Origin + "/notes/x6", "attributedTo": eve.ID, "to": public},
	} {
		eve.Send(t, s, m{"type": "Create", "object": doc})
		s.Settle(t)
		if after := count(t, s); after != before {
			t.Fatalf("a note %s was taken", what)
		}
	}
}

func TestIncomingRenotesAndDeletions(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	a, bob, eve := s.User(t, "alice"), far.Actor("bob"), far.Actor("eve")
	mine := a.Note(t, m{"text": "mine"})
	secret := a.Note(t, m{"text": "secret", "visibility": "followers"})
	announce := m{"type": "Announce", "id": bob.ID + "/announces/1", "object": s.Origin + "/notes/" + mine, "to": []string{public}}
	bob.Tell(t, s, announce)
	bob.Tell(t, s, announce)
	n := get(t, a, announce["id"])
	testsrv.Is(t, n, mine, "renoteId")
	testsrv.Is(t, n, nil, "text")
	testsrv.Is(t, a.Post(t, "notes/show", m{"noteId": mine}), 1, "renoteCount")
	theirs := bob.Note("/notes/1", m{"content": "theirs"})["id"]
	bob.Tell(t, s, m{"type": "Announce", "id": bob.ID + "/announces/2", "object": theirs, "to": []string{public}})
	testsrv.Is(t, get(t, a, bob.ID+"/announces/2"), "theirs", "renote", "text")
	before := count(t, s)
	for what, object := range map[string]any{"what it may not see": s.Origin + "/notes/" + secret, "a renote": announce["id"],
		"an activity": m{"type": "Create", "id": far.Origin + "/c/1", "actor": bob.ID, "object": theirs}, "nothing": far.Origin + "/notes/gone"} {
		bob.Tell(t, s, m{"type": "Announce", "object": object, "to": []string{public}})
		if after := count(t, s); after != before {
			t.Fatalf("announced %s", what)
		}
	}
	// Only their author takes them back; an unknown one is remembered.
	eve.Tell(t, s, m{"type": "Undo", "object": announce})
	eve.Tell(t, s, m{"type": "Delete", "object": theirs})
	eve.Send(t, s, m{"type": "Delete", "object": s.Origin + "/notes/" + mine})
	s.Settle(t)
	if after := count(t, s); after != before {
		t.Fatalf("somebody else deleted %d notes", before-after)
	}
	bob.Tell(t, s, m{"type": "Undo", "object": announce})
	testsrv.Is(t, a.Post(t, "notes/show", m{"noteId": mine}), 0, "renoteCount")
	if get(t, a, announce["id"]) != nil {
		t.Error("the renote is still there")
	}
	bob.Tell(t, s, m{"type": "Delete", "object": m{"type": "Tombstone", "id": theirs}})
	if get(t, a, theirs) != nil {
		t.Error("the note is still there")
	}
	late := bob.Note("/notes/late", nil)
	bob.Tell(t, s, m{"type": "Delete", "object": m{"type": "Tombstone", "id": late["id"]}})
	bob.Tell(t, s, m{"type": "Create", "object": late})
	if get(t, a, late["id"]) != nil {
		t.Error("a note came after its deletion")
	}
	// The whole account goes, with all it wrote.
	for _, p := range []string{"/notes/7", "/notes/8"} {
		doc := bob.Note(p, m{"inReplyTo": s.Origin + "/notes/" + mine})
		bob.Tell(t, s, m{"type": "Create", "object": doc})
	}
	testsrv.Is(t, a.Post(t, "notes/show", m{"noteId": mine}), 2, "repliesCount")
	far.Remove("/users/bob")
	bob.Tell(t, s, m{"type": "Delete", "object": bob.ID})
	if n := s.Count(t, `SELECT count(*) FROM note WHERE user_host IS NOT NULL`); n != 0 {
		t.Errorf("%d notes of a deleted account", n)
	}
	testsrv.Is(t, a.Post(t, "notes/show", m{"noteId": mine}), 0, "repliesCount")
}

// A local note goes to followers and mentioned, its deletion to the same.
func TestOutgoingNotes(t *testing.T) {
	t.Parallel()
	far, other := testsrv.NewRemote(t), testsrv.NewRemote(t)
	s := testsrv.New(t)
	a, bob, eve := s.User(t, "alice"), far.Actor("bob"), other.Actor("eve")
	bob.Tell(t, s, m{"type": "Follow", "object": a.URI()})
	far.Got(t, "Accept")
	e := eve.On(t, a)
	uri := func(id string) string { return s.Origin + "/notes/" + id }
	id := a.Note(t, m{"text": "안녕 #오븐", "visibility": "followers"})
	got := far.Got(t, "Create")
	testsrv.Is(t, got, uri(id), "object", "id")
	testsrv.Is(t, got, []any{a.URI() + "/followers"}, "object", "to")
	a.Post(t, "notes/delete", m{"noteId": id})
	testsrv.Is(t, far.Got(t, "Delete"), uri(id), "object", "id")
	direct := a.Note(t, m{"text": "비밀", "visibility": "specified", "visibleUserIds": []string{e.ID}})
	got = other.Got(t, "Create")
	testsrv.Is(t, got, uri(direct), "object", "id")
	testsrv.Is(t, got, []any{eve.ID}, "to")
	a.Post(t, "notes/delete", m{"noteId": direct})
	other.Got(t, "Delete")
	local := a.Note(t, m{"text": "여기만", "localOnly": true})
	a.Post(t, "notes/delete", m{"noteId": local})
	theirs := testsrv.Dig(a.Post(t, "ap/show", m{"uri": eve.Note("/notes/1", nil)["id"]}), "object", "id")
	pure := a.Note(t, m{"renoteId": theirs})
	for _, r := range []*testsrv.Remote{far, other} {
		testsrv.Is(t, r.Got(t, "Announce"), other.Origin+"/notes/1", "object")
	}
	a.Post(t, "notes/delete", m{"noteId": pure})
	for _, r := range []*testsrv.Remote{far, other} {
		testsrv.Is(t, r.Got(t, "Undo"), "Announce", "object", "type")
	}
	// A public note that somebody else announced is deleted there too.
	shared := a.Note(t, m{"text": "x"})
	eve.Tell(t, s, m{"type": "Announce", "object": uri(shared), "to": []string{public}})
	a.Post(t, "notes/delete", m{"noteId": shared})
	testsrv.Is(t, other.Got(t, "Delete"), uri(shared), "object", "id")
	far.Got(t, "Create")
	far.Got(t, "Delete")
	s.Settle(t)
	for _, r := range []*testsrv.Remote{far, other} {
		if left := r.Left(); len(left) > 0 {
			t.Errorf("%s also got %v", r.Host, left)
		}
	}
}

func TestRemotePolls(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	a, bob, eve := s.User(t, "alice"), far.Actor("bob"), far.Actor("eve")
	option := func(name string, votes int) m {
		return m{"type": "Note", "name": name, "replies": m{"type": "Collection", "totalItems": votes}}
	}
	question := m{"type": "Question", "content": "?", "oneOf": []m{option("x", 3), option("y", 0)}, "endTime": time.Now().Add(time.Hour).UTC().Format(time.RFC3339)}
	doc := bob.Note("/notes/poll", question)
	bob.Tell(t, s, m{"type": "Create", "object": doc})
	n := get(t, a, doc["id"])
	testsrv.Is(t, n, 3, "poll", "choices", 0, "votes")
	testsrv.Is(t, n, false, "poll", "multiple")
	a.Post(t, "notes/polls/vote", m{"noteId": testsrv.Dig(n, "id"), "choice": 1})
	vote := far.Got(t, "Create")
	testsrv.Is(t, vote, "y", "object", "name")
	testsrv.Is(t, vote, doc["id"], "object", "inReplyTo")
	testsrv.Is(t, vote, []any{bob.ID}, "to")
	question["oneOf"] = []m{option("x", 5), option("y", 1)}
	doc = bob.Note("/notes/poll", question)
	eve.Tell(t, s, m{"type": "Update", "object": doc}) // not hers
	testsrv.Is(t, get(t, a, doc["id"]), 3, "poll", "choices", 0, "votes")
	bob.Tell(t, s, m{"type": "Update", "object": doc})
	testsrv.Is(t, get(t, a, doc["id"]), 5, "poll", "choices", 0, "votes")
	testsrv.Is(t, get(t, a, doc["id"]), true, "poll", "choices", 1, "isVoted")
	question["oneOf"] = []m{option("x", 9), option("z", 9)}
	bob.Tell(t, s, m{"type": "Update", "object": bob.Note("/notes/poll", question)})
	testsrv.Is(t, get(t, a, doc["id"]), 5, "poll", "choices", 0, "votes")

	// Votes come in for a poll of ours: once, and only from those who see it.
	b := bob.On(t, a)
	poll := func(p m) string {
		p["text"], p["poll"] = "?", m{"choices": []string{"하나", "둘"}}
		return a.Note(t, p)
	}
	open := poll(m{})
	closed := poll(m{"visibility": "specified", "visibleUserIds": []string{b.ID}})
	for far.Got(t, "Create")["object"].(m)["id"] != s.Origin+"/notes/"+closed {
	}
	cast := func(by *testsrv.Actor, id, choice string) {
		t.Helper()
		by.Tell(t, s, m{"type": "Create", "object": m{"type": "Note", "id": by.ID + "/votes/" + id + choice, "attributedTo": by.ID, "name": choice, "inReplyTo": s.Origin + "/notes/" + id, "to": a.URI()}})
	}
	votes := func(id string) string {
		var out []string
		for i := range 2 {
			v, _ := testsrv.Dig(a.Post(t, "notes/show", m{"noteId": id}), "poll", "choices", i, "votes").(float64)
			out = append(out, string(rune('0'+int(v))))
		}
		return strings.Join(out, " ")
	}
	cast(bob, open, "둘")
	cast(bob, open, "하나")
	cast(bob, open, "셋")
	cast(bob, closed, "하나")
	cast(eve, closed, "하나")
	if got := votes(open) + ", " + votes(closed); got != "0 1, 1 0" {
		t.Errorf("votes %s", got)
	}
	a.Post(t, "blocking/create", m{"userId": eve.On(t, a).ID})
	cast(eve, open, "둘")
	if got := votes(open); got != "0 1" {
		t.Errorf("a blocked account voted: %s", got)
	}
}

// Somebody is a bot, shares a note, is none, and takes it back.
func TestCountsStayAboveZero(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b := s.User(t, "alice"), s.User(t, "bora")
	id := a.Note(t, m{"text": "x"})
	b.Post(t, "i/update", m{"isBot": true})
	b.Note(t, m{"renoteId": id})
	testsrv.Is(t, a.Post(t, "notes/show", m{"noteId": id}), 0, "renoteCount")
	b.Post(t, "i/update", m{"isBot": false})
	b.Post(t, "notes/unrenote", m{"noteId": id})
	testsrv.Is(t, a.Post(t, "notes/show", m{"noteId": id}), 0, "renoteCount")
}
