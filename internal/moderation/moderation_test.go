package moderation_test

import (
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

type m = testsrv.M

// What moderators do is in the log, by whom, and nothing private with it.
func TestLogAndSuspend(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root, plain, other := s.User(t, "root"), s.User(t, "plain"), s.User(t, "other")
	made := root.Post(t, "admin/roles/create", m{"name": "mods", "description": "", "color": nil, "iconUrl": nil, "target": "manual", "condFormula": m{},
		"isPublic": false, "isModerator": true, "isAdministrator": false, "asBadge": false, "canEditMembersByModerator": false, "displayOrder": 0, "policies": m{}})
	mod := s.User(t, "mori")
	root.Post(t, "admin/roles/assign", m{"roleId": testsrv.Dig(made, "id"), "userId": mod.ID})
	s.Settle(t)
	plain.Fails(t, "admin/suspend-user", m{"userId": other.ID}, 403, "ROLE_PERMISSION_DENIED")
	mod.Fails(t, "admin/show-moderation-logs", m{}, 403, "ROLE_PERMISSION_DENIED") // administrators read what moderators did
	mod.Fails(t, "admin/suspend-user", m{"userId": "nobody0000"}, 400, "NO_SUCH_USER")
	mod.Fails(t, "admin/suspend-user", m{"userId": root.ID}, 400, "CANNOT_SUSPEND_MODERATOR")
	sock := other.Stream(t, "main")
	mod.Post(t, "admin/suspend-user", m{"userId": other.ID})
	sock.Closed()
	other.Fails(t, "i", m{}, 403, "YOUR_ACCOUNT_SUSPENDED")
	mod.Post(t, "admin/suspend-user", m{"userId": other.ID}) // again: nothing is done, nothing logged
	mod.Post(t, "admin/unsuspend-user", m{"userId": other.ID})
	s.Settle(t)
	testsrv.Is(t, other.Post(t, "i", m{}), other.ID, "id")
	log := root.List(t, "admin/show-moderation-logs", m{"userId": mod.ID})
	if len(log) != 2 {
		t.Fatalf("log %v", log)
	}
	testsrv.Is(t, log[0], "unsuspend", "type")
	testsrv.Is(t, log[1], "suspend", "type")
	testsrv.Is(t, log[1], other.ID, "info", "userId")
	testsrv.Is(t, log[1], "mori", "user", "username")
	if l := root.List(t, "admin/show-moderation-logs", m{"type": "suspend", "search": "OTHER"}); len(l) != 1 {
		t.Errorf("found %v", l)
	}
	if l := root.List(t, "admin/show-moderation-logs", m{"search": "nothing like it"}); len(l) != 0 {
		t.Errorf("found %v", l)
	}
	if l := root.List(t, "admin/show-moderation-logs", m{"type": "assignRole"}); len(l) != 1 {
		t.Errorf("a role that was given: %v", l)
	}
}
