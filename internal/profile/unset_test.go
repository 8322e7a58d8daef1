package profile_test

import (
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

// picture puts an image into an account's drive and gives its id.
func picture(t *testing.T, u *testsrv.User, name string) string {
	t.Helper()
	id := u.ID[:10] + "f" + name
	if _, err := u.S.DB.Exec(t.Context(), "INSERT INTO drive_file (id, user_id, name, type, url) VALUES ($1, $2, $3, 'image/png', $4)",
		id, u.ID, name, u.S.Origin+"/files/"+id); err != nil {
		t.Fatal(err)
	}
	return id
}

// Moderators take pictures from profiles; followers' servers hear of it. An
// administrator's are not theirs to take.
func TestUnsetPictures(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	root, a, mod := s.User(t, "chief"), s.User(t, "alice"), s.User(t, "mori")
	made := root.Post(t, "admin/roles/create", m{"name": "mods", "description": "", "color": nil, "iconUrl": nil, "target": "manual", "condFormula": m{},
		"isPublic": false, "isModerator": true, "isAdministrator": false, "asBadge": false, "canEditMembersByModerator": false, "displayOrder": 0, "policies": m{}})
	root.Post(t, "admin/roles/assign", m{"roleId": testsrv.Dig(made, "id"), "userId": mod.ID})
	far.Actor("fan").Tell(t, s, m{"type": "Follow", "object": a.URI()})
	for i, kind := range []string{"avatar", "banner"} {
		name := map[string]string{"avatar": "admin/unset-user-avatar", "banner": "admin/unset-user-banner"}[kind]
		for _, u := range []*testsrv.User{root, a} {
			id := picture(t, u, kind)
			u.Post(t, "i/update", m{kind + "Id": id})
		}
		far.Got(t, "Update")
		a.Fails(t, name, m{"userId": a.ID}, 403, "ROLE_PERMISSION_DENIED")
		mod.Fails(t, name, m{"userId": "nobody0000"}, 400, "NO_SUCH_USER")
		mod.Fails(t, name, m{"userId": root.ID}, 400, "ACCESS_DENIED")
		fileID := testsrv.Dig(a.Post(t, "i", m{}), kind+"Id")
		mod.Post(t, name, m{"userId": a.ID})
		mod.Post(t, name, m{"userId": a.ID}) // there is none any more
		far.Got(t, "Update")
		testsrv.Is(t, a.Post(t, "i", m{}), nil, kind+"Id")
		root.Post(t, name, m{"userId": root.ID})
		l := root.List(t, "admin/show-moderation-logs", m{"userId": mod.ID})
		if len(l) != i+1 {
			t.Fatalf("log %v", l)
		}
		testsrv.Is(t, l[0], map[string]string{"avatar": "unsetUserAvatar", "banner": "unsetUserBanner"}[kind], "type")
		testsrv.Is(t, l[0], fileID, "info", "fileId")
	}
}
