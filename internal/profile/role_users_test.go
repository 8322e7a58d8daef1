package profile_test

import (
	"testing"
	"time"

	"buttersc.one/oven/internal/testsrv"
)

// Who has a role is told to everybody where the role says so, and to moderators always.
func TestUsersOfARole(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root, alice, bob, eve := s.User(t, "root"), s.User(t, "alice"), s.User(t, "bob"), s.User(t, "eve")
	role := func(params m) any {
		t.Helper()
		all := m{"name": "baker", "description": "", "color": nil, "iconUrl": nil, "target": "manual", "condFormula": m{}, "isPublic": true, "isModerator": false,
			"isAdministrator": false, "isExplorable": true, "asBadge": false, "canEditMembersByModerator": false, "displayOrder": 0, "policies": m{}}
		for k, v := range params {
			all[k] = v
		}
		return testsrv.Dig(root.Post(t, "admin/roles/create", all), "id")
	}
	open, closed := role(nil), role(m{"isExplorable": false})
	for _, u := range []*testsrv.User{alice, bob, eve} {
		root.Post(t, "admin/roles/assign", m{"roleId": open, "userId": u.ID, "expiresAt": time.Now().Add(time.Hour).UnixMilli()})
	}
	root.Post(t, "admin/roles/assign", m{"roleId": closed, "userId": alice.ID})
	root.Post(t, "admin/suspend-user", m{"userId": eve.ID})
	list := s.Guest().List(t, "roles/users", m{"roleId": open})
	if len(list) != 2 || testsrv.Dig(list[0], "user", "username") != "bob" || testsrv.Dig(list[1], "user", "username") != "alice" {
		t.Errorf("who has it: %v", list)
	}
	if next := s.Guest().List(t, "roles/users", m{"roleId": open, "limit": 1, "untilId": list[0]["id"]}); len(next) != 1 || next[0]["id"] != list[1]["id"] {
		t.Errorf("the next page: %v", next)
	}
	s.Guest().Fails(t, "roles/users", m{"roleId": closed}, 400, "NO_SUCH_ROLE")
	s.Guest().Fails(t, "roles/users", m{"roleId": alice.ID}, 400, "NO_SUCH_ROLE")
	if all := root.List(t, "admin/roles/users", m{"roleId": open}); len(all) != 3 || all[0]["expiresAt"] == nil || all[0]["createdAt"] == nil || testsrv.Dig(all[0], "user", "username") != "eve" {
		t.Errorf("for moderators: %v", all)
	}
	if all := root.List(t, "admin/roles/users", m{"roleId": closed}); len(all) != 1 || all[0]["expiresAt"] != nil {
		t.Errorf("for moderators: %v", all)
	}
	root.Fails(t, "admin/roles/users", m{"roleId": alice.ID}, 400, "NO_SUCH_ROLE")
	bob.Fails(t, "admin/roles/users", m{"roleId": open}, 403, "ROLE_PERMISSION_DENIED")
	// What has run out is over, whatever the clean-up has done.
	s.Guest().Post(t, "oven/clock", m{"offsetMs": 2 * 3600 * 1000})
	if list := s.Guest().List(t, "roles/users", m{"roleId": open}); len(list) != 0 {
		t.Errorf("after it has run out: %v", list)
	}
}
