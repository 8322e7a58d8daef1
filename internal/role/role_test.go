package role_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"buttersc.one/oven/internal/testsrv"
)

type m = testsrv.M

// formula is a condition as clients write it.
func formula(f m) m {
	f["id"] = "x"
	return f
}

// role makes one; what is not said is as quiet as can be.
func role(t *testing.T, admin *testsrv.User, more m) string {
	t.Helper()
	params := m{"name": "role", "description": "", "color": nil, "iconUrl": nil, "target": "manual", "condFormula": formula(m{"type": "isRemote"}),
		"isPublic": false, "isModerator": false, "isAdministrator": false, "asBadge": false, "canEditMembersByModerator": false, "displayOrder": 0, "policies": m{}}
	for k, v := range more {
		params[k] = v
	}
	return testsrv.Dig(admin.Post(t, "admin/roles/create", params), "id").(string)
}

// roleThat makes one and has it say policies afterwards: Misskey's type of the
// answer to a role's making knows yes, no and numbers only.
func roleThat(t *testing.T, admin *testsrv.User, policies m) string {
	t.Helper()
	id := role(t, admin, nil)
	admin.Post(t, "admin/roles/update", m{"roleId": id, "policies": policies})
	return id
}

func assign(t *testing.T, by, to *testsrv.User, roleID string) {
	t.Helper()
	by.Post(t, "admin/roles/assign", m{"roleId": roleID, "userId": to.ID})
}

func says(value any, priority int) m {
	return m{"value": value, "priority": priority, "useDefault": false}
}

// What roles together allow: the highest priority counts, then the most.
func TestMerge(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root, u := s.User(t, "root"), s.User(t, "alice")
	policy := func(name string) any { return testsrv.Dig(u.Post(t, "i", m{}), "policies", name) }
	for i, c := range []struct {
		policies []m
		name     string
		want     any
	}{
		{[]m{{"pinLimit": says(3, 0)}}, "pinLimit", 3.0},
		{[]m{{"pinLimit": says(3, 0)}, {"pinLimit": says(9, 0)}}, "pinLimit", 9.0},
		{[]m{{"pinLimit": says(3, 0)}, {}}, "pinLimit", 5.0}, // a role that says nothing says the default
		{[]m{{"pinLimit": says(3, 1)}, {"pinLimit": says(9, 0)}, {}}, "pinLimit", 3.0},
		{[]m{{"pinLimit": says(3, 1)}, {"pinLimit": says(2, 2)}, {"pinLimit": says(1, 2)}}, "pinLimit", 2.0},
		{[]m{{"pinLimit": m{"priority": 2, "useDefault": true, "value": 1}}, {"pinLimit": says(9, 1)}}, "pinLimit", 5.0},
		{[]m{{"canPublicNote": says(false, 0)}}, "canPublicNote", false},
		{[]m{{"canPublicNote": says(false, 0)}, {}}, "canPublicNote", true},
		{[]m{{"canPublicNote": says(false, 2)}, {"canPublicNote": says(true, 1)}}, "canPublicNote", false},
		{[]m{{"canInvite": says(true, 0)}, {"canInvite": says(false, 0)}}, "canInvite", true},
		{[]m{{"rateLimitFactor": says(0.5, 0)}}, "rateLimitFactor", 0.5},
		{[]m{{"rateLimitFactor": says(0.5, 0)}, {"rateLimitFactor": says(2, 0)}}, "rateLimitFactor", 2.0},
		{[]m{{"chatAvailability": says("readonly", 0)}, {}}, "chatAvailability", "readonly"},
	} {
		var made []string
		for _, p := range c.policies {
			id := roleThat(t, root, p)
			assign(t, root, u, id)
			made = append(made, id)
		}
		if got := policy(c.name); got != c.want {
			t.Errorf("%d: %s is %v, want %v", i, c.name, got, c.want)
		}
		for _, id := range made {
			root.Post(t, "admin/roles/delete", m{"roleId": id})
		}
	}
	// The types of files are those of all roles.
	assign(t, root, u, roleThat(t, root, m{"uploadableFileTypes": says([]string{"application/pdf"}, 0)}))
	assign(t, root, u, roleThat(t, root, m{"uploadableFileTypes": says([]string{"font/woff2"}, 0)}))
	if got := fmt.Sprint(policy("uploadableFileTypes")); got != "[application/pdf font/woff2]" {
		t.Error(got)
	}
	// The base is what the settings say, and roles that use it follow.
	root.Post(t, "admin/roles/update-default-policies", m{"policies": m{"pinLimit": 7, "gtlAvailable": false}})
	if got := policy("pinLimit"); got != 7.0 {
		t.Errorf("after the defaults changed: %v", got)
	}
	testsrv.Is(t, s.Guest().Post(t, "meta", m{}), false, "policies", "gtlAvailable")
	for _, bad := range []m{{"pinLimit": "7"}, {"pinLimit": -1}, {"nothing": true}, {"canInvite": nil}, {"chatAvailability": "perhaps"}} {
		root.Fails(t, "admin/roles/update-default-policies", m{"policies": bad}, 400, "INVALID_PARAM")
	}
	testsrv.Is(t, s.Guest().Post(t, "meta", m{}), 7, "policies", "pinLimit")
}

// Each condition, on accounts for which it holds and others.
func TestConditions(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	root, a, b := s.User(t, "root"), s.User(t, "alice"), s.User(t, "bora")
	bob := far.Actor("bob").On(t, root)
	a.Post(t, "i/update", m{"isLocked": true, "isBot": true, "isCat": true, "isExplorable": false})
	for range 3 {
		a.Note(t, m{"text": "x"})
	}
	b.Post(t, "following/create", m{"userId": root.ID})
	given := role(t, root, m{})
	assign(t, root, a, given)
	if _, err := s.DB.Exec(t.Context(), `UPDATE "user" SET is_suspended = true WHERE id = $1`, bob.ID); err != nil {
		t.Fatal(err)
	}
	s.Settle(t)
	s.App.Roles.Forget()
	all := map[string]string{root.ID: "root ", a.ID: "alice ", b.ID: "bora ", bob.ID: "bob "}
	not := func(f m) m { return formula(m{"type": "not", "value": formula(f)}) }
	for i, c := range []struct {
		f    m
		want string
	}{
		{m{"type": "isLocal"}, "root alice bora "}, {m{"type": "isRemote"}, "bob "}, {m{"type": "isSuspended"}, "bob "},
		{m{"type": "isLocked"}, "alice "}, {m{"type": "isBot"}, "alice "}, {m{"type": "isCat"}, "alice "}, {m{"type": "isExplorable"}, "root bora "},
		{m{"type": "roleAssignedTo", "roleId": given}, "alice "},
		{m{"type": "createdLessThan", "sec": 3600}, "root alice bora bob "}, {m{"type": "createdMoreThan", "sec": 3600}, ""}, {m{"type": "createdMoreThan", "sec": 0}, "root alice bora bob "},
		{m{"type": "followersMoreThanOrEq", "value": 1}, "root "}, {m{"type": "followersLessThanOrEq", "value": 0}, "alice bora bob "},
		{m{"type": "followingMoreThanOrEq", "value": 1}, "bora "}, {m{"type": "followingLessThanOrEq", "value": 0}, "root alice bob "},
		{m{"type": "notesMoreThanOrEq", "value": 3}, "alice "}, {m{"type": "notesLessThanOrEq", "value": 2}, "root bora bob "},
		{m{"type": "and", "values": []m{formula(m{"type": "isLocal"}), not(m{"type": "isBot"})}}, "root bora "},
		{m{"type": "or", "values": []m{formula(m{"type": "isRemote"}), formula(m{"type": "isBot"})}}, "alice bob "},
		{m{"type": "and", "values": []m{}}, "root alice bora bob "}, {m{"type": "or", "values": []m{}}, ""},
	} {
		id := role(t, root, m{"target": "conditional", "condFormula": formula(c.f)})
		got := ""
		roles, err := s.App.Roles.RolesOf(t.Context(), []string{root.ID, a.ID, b.ID, bob.ID})
		if err != nil {
			t.Fatal(err)
		}
		for _, who := range []string{root.ID, a.ID, b.ID, bob.ID} {
			for _, r := range roles[who] {
				if r.ID == id {
					got += all[who]
				}
			}
		}
		if got != c.want {
			t.Errorf("%d %v: %q, want %q", i, c.f, got, c.want)
		}
	}
	deep := formula(m{"type": "isLocal"})
	for range 40 {
		deep = not(deep)
	}
	for _, bad := range []m{{}, {"type": "isNice"}, {"type": "not"}, {"type": "not", "value": nil}, {"type": "followersMoreThanOrEq", "value": "3"},
		{"type": "notesLessThanOrEq", "value": nil}, {"type": "roleAssignedTo"}, {"type": "createdLessThan"}, {"type": "and", "values": []m{{"type": "no"}}}, deep} {
		root.Fails(t, "admin/roles/create", m{"name": "x", "description": "", "color": nil, "iconUrl": nil, "target": "conditional", "condFormula": bad, "isPublic": true,
			"isModerator": false, "isAdministrator": false, "asBadge": false, "canEditMembersByModerator": false, "displayOrder": 0, "policies": m{}}, 400, "INVALID_PARAM")
	}
	// A manual role may have none; made conditional, it is nobody's.
	id := role(t, root, m{"condFormula": m{}, "isPublic": true})
	root.Post(t, "admin/roles/update", m{"roleId": id, "target": "conditional"})
	testsrv.Is(t, s.Guest().Post(t, "users/show", m{"userId": b.ID}), []any{}, "roles")
}

// Making, changing, giving and taking, and who is shown what.
func TestRoles(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root, a, mod, g := s.User(t, "root"), s.User(t, "alice"), s.User(t, "moder"), s.Guest()
	assign(t, root, mod, role(t, root, m{"name": "moderators", "isModerator": true}))
	s.Settle(t)
	main := a.Stream(t, "main")
	id := role(t, root, m{"name": "bakers", "isPublic": true, "isExplorable": true, "asBadge": true, "displayOrder": 3, "canEditMembersByModerator": true, "iconUrl": "https://x.example/i.png"})
	secret := role(t, root, m{"name": "secret", "asBadge": true, "displayOrder": 5})
	admins := role(t, root, m{"name": "admins", "isAdministrator": true, "canEditMembersByModerator": true})
	assign(t, mod, a, id)
	mod.Fails(t, "admin/roles/assign", m{"roleId": secret, "userId": a.ID}, 400, "ACCESS_DENIED")
	mod.Fails(t, "admin/roles/assign", m{"roleId": admins, "userId": mod.ID}, 400, "ACCESS_DENIED")
	mod.Fails(t, "admin/roles/unassign", m{"roleId": secret, "userId": a.ID}, 400, "ACCESS_DENIED")
	for _, name := range []string{"admin/roles/assign", "admin/roles/unassign"} {
		root.Fails(t, name, m{"roleId": "none", "userId": a.ID}, 400, "NO_SUCH_ROLE")
		root.Fails(t, name, m{"roleId": id, "userId": "nobody"}, 400, "NO_SUCH_USER")
	}
	root.Fails(t, "admin/roles/unassign", m{"roleId": secret, "userId": a.ID}, 400, "NOT_ASSIGNED")
	assign(t, root, a, secret)
	heard := main.Next("roleAssigned", func(e m) bool { return testsrv.Dig(e, "body", "type") == "notification" })
	testsrv.Is(t, heard, "bakers", "body", "body", "role", "name")
	list := a.List(t, "i/notifications", m{"includeTypes": []string{"roleAssigned"}})
	if len(list) != 1 {
		t.Errorf("%d notifications: a role that nobody sees is not told", len(list))
	}
	u := g.Post(t, "users/show", m{"userId": a.ID})
	testsrv.Is(t, u, "bakers", "roles", 0, "name")
	testsrv.Is(t, u, nil, "roles", 1)
	testsrv.Is(t, u, "secret", "badgeRoles", 0, "name") // a badge is seen although the role is not
	testsrv.Is(t, u, "bakers", "badgeRoles", 1, "name")
	n := g.Post(t, "notes/show", m{"noteId": a.Note(t, m{"text": "x"})})
	testsrv.Is(t, n, "https://x.example/i.png", "user", "badgeRoles", 1, "iconUrl")

	if l := a.List(t, "roles/list", m{}); len(l) != 1 || l[0]["id"] != id || l[0]["usersCount"] != 1.0 {
		t.Error(l)
	}
	testsrv.Is(t, g.Post(t, "roles/show", m{"roleId": id}), "bakers", "name")
	g.Fails(t, "roles/show", m{"roleId": secret}, 400, "NO_SUCH_ROLE")
	testsrv.Is(t, mod.Post(t, "admin/roles/show", m{"roleId": secret}), "secret", "name")
	mod.Fails(t, "admin/roles/show", m{"roleId": "none"}, 400, "NO_SUCH_ROLE")
	if l := mod.List(t, "admin/roles/list", m{}); len(l) != 4 || l[0]["name"] != "secret" {
		t.Error(l)
	}
	root.Post(t, "admin/roles/update", m{"roleId": id, "name": "pastry", "color": "#ff0000", "policies": m{"pinLimit": says(1, 0)}})
	testsrv.Is(t, g.Post(t, "roles/show", m{"roleId": id}), "pastry", "name")
	testsrv.Is(t, a.Post(t, "i", m{}), 5, "policies", "pinLimit") // of the other role
	root.Post(t, "admin/roles/unassign", m{"roleId": secret, "userId": a.ID})
	testsrv.Is(t, a.Post(t, "i", m{}), 1, "policies", "pinLimit")
	for _, bad := range []m{{"policies": m{"nothing": says(1, 0)}}, {"policies": m{"pinLimit": says("x", 0)}}, {"policies": m{"pinLimit": says(1, 3)}},
		{"policies": m{"pinLimit": m{"useDefault": false}}}, {"iconUrl": "javascript:alert(1)"}, {"target": "sometimes"}, {"condFormula": m{"type": "x"}}} {
		bad["roleId"] = id
		root.Fails(t, "admin/roles/update", bad, 400, "INVALID_PARAM")
	}
	testsrv.Is(t, g.Post(t, "roles/show", m{"roleId": id}), 1, "policies", "pinLimit", "value")
	root.Fails(t, "admin/roles/update", m{"roleId": "none", "name": "x"}, 400, "NO_SUCH_ROLE")
	root.Fails(t, "admin/roles/delete", m{"roleId": "none"}, 400, "NO_SUCH_ROLE")
	root.Post(t, "admin/roles/delete", m{"roleId": id})
	testsrv.Is(t, a.Post(t, "i", m{}), 5, "policies", "pinLimit")
	if list := a.List(t, "i/notifications", m{"includeTypes": []string{"roleAssigned"}}); len(list) != 0 {
		t.Error("a role that is gone is still told of")
	}
}

// A role that was given for a time ends by itself, and what it allowed with it.
func TestExpiry(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root, a := s.User(t, "root"), s.User(t, "alice")
	id := role(t, root, m{"isModerator": true, "isPublic": true, "policies": m{"pinLimit": says(9, 0)}})
	root.Post(t, "admin/roles/assign", m{"roleId": id, "userId": a.ID, "expiresAt": time.Now().Add(-time.Hour).UnixMilli()})
	testsrv.Is(t, a.Post(t, "i", m{}), 5, "policies", "pinLimit")
	root.Post(t, "admin/roles/assign", m{"roleId": id, "userId": a.ID, "expiresAt": time.Now().Add(time.Hour).UnixMilli()})
	testsrv.Is(t, a.Post(t, "i", m{}), 9, "policies", "pinLimit")
	if l := root.List(t, "admin/roles/list", m{}); l[0]["usersCount"] != 1.0 {
		t.Error(l)
	}
	s.Guest().Post(t, "oven/clock", m{"offsetMs": 2 * 3600 * 1000})
	s.Settle(t)
	me := a.Post(t, "i", m{})
	testsrv.Is(t, me, 5, "policies", "pinLimit")
	testsrv.Is(t, me, false, "isModerator")
	testsrv.Is(t, me, []any{}, "roles")
	if err := s.App.Roles.DropExpired(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := s.Count(t, "SELECT count(*) FROM role_assignment"); n != 0 {
		t.Errorf("%d are left", n)
	}
}

// Roles of whoever moves go along where they say so.
func TestMoves(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root, a, b := s.User(t, "root"), s.User(t, "old"), s.User(t, "new")
	kept, left := role(t, root, m{"name": "kept", "isPublic": true, "preserveAssignmentOnMoveAccount": true}), role(t, root, m{"name": "left", "isPublic": true})
	assign(t, root, a, kept)
	assign(t, root, a, left)
	b.Post(t, "i/update", m{"alsoKnownAs": []string{"@old@" + s.Host}})
	a.Post(t, "i/move", m{"moveToAccount": "@new@" + s.Host})
	s.Settle(t)
	u := s.Guest().Post(t, "users/show", m{"userId": b.ID})
	testsrv.Is(t, u, "kept", "roles", 0, "name")
	testsrv.Is(t, u, nil, "roles", 1)
}

// Every policy is enforced where its thing exists.
func TestPolicies(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	root := s.User(t, "root")
	other := s.User(t, "other")
	notes := []string{other.Note(t, m{"text": "1"}), other.Note(t, m{"text": "2"})}
	n := 0
	// with gives a new account with that one policy.
	with := func(policy string, value any) *testsrv.User {
		t.Helper()
		n++
		u := s.User(t, fmt.Sprintf("u%d", n))
		assign(t, root, u, role(t, root, m{"policies": m{policy: says(value, 0)}}))
		return u
	}
	with("ltlAvailable", false).Fails(t, "notes/local-timeline", m{}, 400, "LTL_DISABLED")
	with("ltlAvailable", false).Fails(t, "notes/hybrid-timeline", m{}, 400, "STL_DISABLED")
	with("gtlAvailable", false).Fails(t, "notes/global-timeline", m{}, 400, "GTL_DISABLED")
	with("canSearchUsers", false).Fails(t, "users/search", m{"query": "root"}, 403, "ROLE_PERMISSION_DENIED")

	u := with("canPublicNote", false)
	testsrv.Is(t, u.Post(t, "notes/show", m{"noteId": u.Note(t, m{"text": "x"})}), "home", "visibility")
	testsrv.Is(t, s.Guest().Post(t, "users/show", m{"userId": u.ID}), true, "isSilenced")

	u = with("canEditNote", false)
	u.Fails(t, "notes/update", m{"noteId": u.Note(t, m{"text": "x"}), "text": "y"}, 403, "ROLE_PERMISSION_DENIED")

	u = with("mentionLimit", 1)
	u.Note(t, m{"text": "@root"})
	u.Fails(t, "notes/create", m{"text": "@root @other"}, 400, "CONTAINS_TOO_MANY_MENTIONS")

	u = with("pinLimit", 1)
	u.Post(t, "i/pin", m{"noteId": u.Note(t, m{"text": "x"})})
	u.Fails(t, "i/pin", m{"noteId": u.Note(t, m{"text": "y"})}, 400, "PIN_LIMIT_EXCEEDED")

	u = with("clipLimit", 1)
	u.Post(t, "clips/create", m{"name": "x"})
	u.Fails(t, "clips/create", m{"name": "y"}, 400, "TOO_MANY_CLIPS")

	u = with("noteEachClipsLimit", 1)
	clip := testsrv.Dig(u.Post(t, "clips/create", m{"name": "x"}), "id")
	u.Post(t, "clips/add-note", m{"clipId": clip, "noteId": notes[0]})
	u.Fails(t, "clips/add-note", m{"clipId": clip, "noteId": notes[1]}, 400, "TOO_MANY_CLIP_NOTES")

	u = with("userListLimit", 1)
	u.Post(t, "users/lists/create", m{"name": "x"})
	u.Fails(t, "users/lists/create", m{"name": "y"}, 400, "TOO_MANY_USERLISTS")

	u = with("userEachUserListsLimit", 1)
	list := testsrv.Dig(u.Post(t, "users/lists/create", m{"name": "x"}), "id")
	u.Post(t, "users/lists/push", m{"listId": list, "userId": root.ID})
	u.Fails(t, "users/lists/push", m{"listId": list, "userId": other.ID}, 400, "TOO_MANY_USERS")

	u = with("wordMuteLimit", 10)
	u.Post(t, "i/update", m{"mutedWords": [][]string{{"ab"}}})
	u.Fails(t, "i/update", m{"mutedWords": [][]string{{"abcdefghij"}}}, 400, "TOO_MANY_MUTED_WORDS")

	with("canUpdateBioMedia", false).Fails(t, "i/update", m{"avatarId": "none"}, 400, "RESTRICTED_BY_ROLE")

	// Of accounts elsewhere.
	bob := far.Actor("bob", m{"icon": m{"type": "Image", "url": far.Origin + "/1.png"}})
	here := bob.On(t, root)
	assign(t, root, here, role(t, root, m{"policies": m{"canUpdateBioMedia": says(false, 0), "alwaysMarkNsfw": says(true, 0), "ignoreServerSilence": says(true, 0)}}))
	doc := m{"id": bob.ID, "type": "Person", "preferredUsername": "bob", "inbox": bob.ID + "/inbox", "publicKey": bob.Key(), "name": "Bob",
		"icon": m{"type": "Image", "url": far.Origin + "/2.png"}}
	bob.Tell(t, s, m{"type": "Update", "object": doc})
	shown := root.Post(t, "users/show", m{"userId": here.ID})
	testsrv.Is(t, shown, "Bob", "name")
	if url, _ := testsrv.Dig(shown, "avatarUrl").(string); !strings.Contains(url, "1.png") {
		t.Errorf("the picture changed to %s", url)
	}
	if _, err := s.DB.Exec(t.Context(), "UPDATE instance SET is_silenced = true WHERE host = $1", far.Host); err != nil {
		t.Fatal(err)
	}
	note := bob.Note("/notes/1", m{"attachment": []m{{"type": "Image", "mediaType": "image/png", "url": far.Origin + "/f.png"}}})
	bob.Tell(t, s, m{"type": "Create", "object": note})
	got := testsrv.Dig(root.Post(t, "ap/show", m{"uri": far.Origin + "/notes/1"}), "object")
	testsrv.Is(t, got, "public", "visibility")
	testsrv.Is(t, got, true, "files", 0, "isSensitive")
}

// rateLimitFactor stretches the windows of limits, which test mode does not
// have.
func TestRateFactor(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t, testsrv.Mode("development"))
	root, u := s.User(t, "root"), s.User(t, "alice")
	id := role(t, root, m{"policies": m{"rateLimitFactor": says(4, 0)}})
	assign(t, root, u, id)
	call := func() int {
		status, _ := u.Call(t, "notifications/test-notification", m{})
		return status
	}
	passed := 0
	for range 6 {
		if call() == 204 {
			passed++
		}
	}
	if passed != 3 { // ten a minute, by four, rounded
		t.Errorf("%d calls passed", passed)
	}
	root.Post(t, "admin/roles/update", m{"roleId": id, "policies": m{"rateLimitFactor": says(0, 0)}})
	for range 20 {
		if got := call(); got != 204 {
			t.Fatalf("without limits: %d", got)
		}
	}
}

// Badges of a page of notes cost the same however many authors there are.
func TestBatches(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root := s.User(t, "root")
	id := role(t, root, m{"asBadge": true, "isPublic": true, "isExplorable": true})
	cond := role(t, root, m{"target": "conditional", "condFormula": formula(m{"type": "notesMoreThanOrEq", "value": 2}), "isPublic": true, "isExplorable": true})
	hidden := role(t, root, m{"isExplorable": true})
	shy := role(t, root, m{"isPublic": true})
	var ids, want []string
	for i := range 6 {
		u := s.User(t, fmt.Sprintf("p%d", i))
		ids = append(ids, u.ID)
		if i%2 == 0 {
			assign(t, root, u, id)
			u.Note(t, m{"text": "secret", "visibility": "followers"})
			want = append(want, u.Note(t, m{"text": "x"}))
		} else {
			u.Note(t, m{"text": "x"})
		}
	}
	s.App.Roles.Forget()
	roles, err := s.App.Roles.BadgesOf(t.Context(), ids)
	if err != nil || len(roles) != 3 {
		t.Fatal(roles, err)
	}
	for _, roleID := range []string{id, cond} {
		got := root.List(t, "roles/notes", m{"roleId": roleID})
		if len(got) != 3 || got[0]["id"] != want[2] || got[2]["id"] != want[0] {
			t.Errorf("notes of %s: %v", roleID, got)
		}
		up := root.List(t, "roles/notes", m{"roleId": roleID, "sinceId": want[0], "limit": 1})
		if len(up) != 1 || up[0]["id"] != want[1] {
			t.Errorf("notes of %s after the first: %v", roleID, up)
		}
		if got := root.List(t, "roles/notes", m{"roleId": roleID, "untilId": want[2], "limit": 1}); len(got) != 1 || got[0]["id"] != want[1] {
			t.Errorf("notes of %s before the last: %v", roleID, got)
		}
	}
	root.Fails(t, "roles/notes", m{"roleId": hidden}, 400, "NO_SUCH_ROLE")
	if l := root.List(t, "roles/notes", m{"roleId": shy}); len(l) != 0 {
		t.Error(l)
	}
}
