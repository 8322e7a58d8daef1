package moderation_test

import (
	"strings"
	"testing"

	"buttersc.one/oven/internal/app"
	"buttersc.one/oven/internal/lib/secret"
	"buttersc.one/oven/internal/testsrv"
)

// Settings are changed all or none, those that do something here; the log says
// what was changed, and no password.
func TestSettings(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root, a, g := s.User(t, "chief"), s.User(t, "alice"), s.Guest()
	mod := moderator(t, root, "mori")
	for _, name := range []string{"admin/meta", "admin/update-meta"} {
		mod.Fails(t, name, m{}, 403, "ROLE_PERMISSION_DENIED")
		g.Fails(t, name, m{}, 401, "CREDENTIAL_REQUIRED")
	}
	was := root.Post(t, "admin/meta", m{}).(m)
	root.Post(t, "admin/update-meta", was) // as a client that sends all that it was told: nothing changes
	root.Post(t, "admin/update-meta", m{"name": "빵집", "description": "", "themeColor": "#8a4b14", "blockedHosts": []string{" Bad.Example ", "", "bad.example"},
		"preservedUsernames": []string{"Boss"}, "sensitiveWords": []string{"spam eggs", "/bre+d/i"}, "disableRegistration": nil, "pinnedUsers": nil,
		"clientOptions": m{"entrancePageStyle": "simple"}, "smtpHost": "mail.example", "smtpPort": 465, "smtpPass": "hush hush", "serverRules": []string{"Be kind"},
		"maintainerEmail": "keeper@example.com", "approvalRequiredForSignup": true, "deeplAuthKey": "", "enableHcaptcha": false, "unheardOf": 1})
	now := root.Post(t, "admin/meta", m{})
	for key, want := range map[string]any{"name": "빵집", "description": nil, "smtpPort": 465, "smtpPass": "********", "disableRegistration": false,
		"approvalRequiredForSignup": true, "themeColor": "#8a4b14"} {
		testsrv.Is(t, now, want, key)
	}
	testsrv.Is(t, now, "bad.example", "blockedHosts", 0)
	testsrv.Is(t, now, nil, "blockedHosts", 1)
	testsrv.Is(t, now, "boss", "preservedUsernames", 0)
	testsrv.Is(t, now, "simple", "clientOptions", "entrancePageStyle")
	testsrv.Is(t, now, true, "clientOptions", "showTimelineForVisitor")
	testsrv.Is(t, g.Post(t, "meta", m{}), "빵집", "name")
	if pass := s.App.Meta.Get().SMTPPass; pass == nil || *pass != "hush hush" {
		t.Error("the password is not kept as it was given")
	}
	root.Post(t, "admin/update-meta", m{"smtpPass": "********", "smtpUser": "oven"}) // given back as it was shown
	if pass := s.App.Meta.Get().SMTPPass; pass == nil || *pass != "hush hush" {
		t.Error("what stands for the password became the password")
	}

	for key, bad := range map[string]any{"themeColor": "brown", "smtpPort": 0, "federation": "some", "blockedHosts": []string{"no host"}, "maintainerEmail": "keeper",
		"prohibitedWords": []string{"/(/"}, "name": 1, "clientOptions": m{"entrancePageStyle": "odd"}, "serverRules": nil, "langs": []int{1}} {
		root.Fails(t, "admin/update-meta", m{"shortName": "bad", key: bad}, 400, "INVALID_PARAM")
	}
	for key, off := range map[string]any{"useObjectStorage": true, "enableIpLogging": true,
		"cacheRemoteFiles": true, "perUserHomeTimelineCacheMax": 1, "signToActivityPubGet": false, "swPublicKey": "x", "notesPerOneAd": 3,
		"manifestJsonOverride": "{\"a\":1}", "proxyAccountId": a.ID} {
		root.Fails(t, "admin/update-meta", m{"shortName": "bad", key: off}, 400, "SETTING_HAS_NO_EFFECT")
	}
	_, out := root.Call(t, "admin/update-meta", m{"singleUserMode": true, "useObjectStorage": true})
	testsrv.Is(t, out, "singleUserMode", "error", "info", "settings", 0)
	testsrv.Is(t, out, "useObjectStorage", "error", "info", "settings", 1)
	testsrv.Is(t, root.Post(t, "admin/meta", m{}), nil, "shortName") // nothing of what was refused is in force

	l := root.List(t, "admin/show-moderation-logs", m{"type": "updateServerSettings"})
	if len(l) != 2 {
		t.Fatalf("log %v", l)
	}
	testsrv.Is(t, l[1], "빵집", "info", "after", "name")
	testsrv.Is(t, l[1], nil, "info", "before", "name")
	testsrv.Is(t, l[1], "********", "info", "after", "smtpPass")
	testsrv.Is(t, l[1], nil, "info", "after", "enableHcaptcha")
	if n := s.Count(t, "SELECT count(*) FROM moderation_log WHERE info::text LIKE '%hush%'") + s.Count(t, "SELECT count(*) FROM meta WHERE settings::text LIKE '%hush%'"); n != 0 {
		t.Error("the password can be read in the database")
	}
	if n := len(l[1]["info"].(m)["after"].(m)); n != 12 {
		t.Errorf("%d settings changed: %v", n, l[1]["info"])
	}
	// They do what they say.
	status, body := g.Call(t, "signup", m{"username": "boss", "password": "password", "reason": "x"})
	if status == 200 || !strings.Contains(flagText(body), "USED_USERNAME") {
		t.Errorf("a name that is kept: %d %v", status, body)
	}
}

// What links and translations need is stored and checked; keys are told to nobody.
func TestOutsideSettings(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root := s.User(t, "chief")
	was := root.Post(t, "admin/meta", m{})
	for key, want := range map[string]any{"urlPreviewEnabled": true, "urlPreviewAllowRedirect": true, "urlPreviewTimeout": 10000, "urlPreviewMaximumContentLength": 10485760,
		"urlPreviewRequireContentLength": false, "urlPreviewUserAgent": nil, "urlPreviewSummaryProxyUrl": nil, "summalyProxy": nil, "translatorAvailable": false, "deeplAuthKey": nil,
		"deeplIsPro": false, "libreTranslateURL": nil} {
		testsrv.Is(t, was, want, key)
	}
	testsrv.Is(t, s.Guest().Post(t, "meta", m{}), true, "enableUrlPreview")
	change := m{"urlPreviewEnabled": false, "urlPreviewAllowRedirect": false, "urlPreviewTimeout": 3000, "urlPreviewMaximumContentLength": 100000, "urlPreviewRequireContentLength": true,
		"urlPreviewUserAgent": "Baker/1", "urlPreviewSummaryProxyUrl": "http://127.0.0.1:3030/", "deeplAuthKey": "deep secret", "deeplIsPro": true, "libreTranslateURL": "http://localhost:5000",
		"libreTranslateKey": "free secret", "deeplFreeMode": false, "deeplFreeInstance": "https://deeplx.example/translate"}
	root.Post(t, "admin/update-meta", change)
	now := root.Post(t, "admin/meta", m{}).(m)
	change["deeplAuthKey"], change["libreTranslateKey"], change["summalyProxy"], change["translatorAvailable"] = "********", "********", "http://127.0.0.1:3030/", true
	for key, want := range change {
		testsrv.Is(t, now, want, key)
	}
	root.Post(t, "admin/update-meta", now) // given back as it was shown
	set := s.App.Meta.Get()
	if set.DeeplAuthKey == nil || *set.DeeplAuthKey != "deep secret" || set.LibreTranslateKey == nil || *set.LibreTranslateKey != "free secret" {
		t.Error("a key is not kept as it was given")
	}
	if n := s.Count(t, "SELECT count(*) FROM meta WHERE settings::text LIKE '%secret%'") + s.Count(t, "SELECT count(*) FROM moderation_log WHERE info::text LIKE '%secret%'"); n != 0 {
		t.Error("a key can be read in the database")
	}
	guest := s.Guest().Post(t, "meta", m{}).(m)
	testsrv.Is(t, guest, false, "enableUrlPreview")
	testsrv.Is(t, guest, true, "translatorAvailable")
	for key := range guest {
		if strings.Contains(strings.ToLower(key), "deepl") || strings.Contains(strings.ToLower(key), "libre") {
			t.Errorf("everybody is told %s", key)
		}
	}
	root.Post(t, "admin/update-meta", m{"summalyProxy": ""}) // by its older name
	testsrv.Is(t, root.Post(t, "admin/meta", m{}), nil, "urlPreviewSummaryProxyUrl")
	root.Post(t, "admin/update-meta", m{"deeplAuthKey": "", "libreTranslateURL": nil})
	testsrv.Is(t, s.Guest().Post(t, "meta", m{}), false, "translatorAvailable")
	root.Post(t, "admin/update-meta", m{"deeplFreeMode": true})
	testsrv.Is(t, s.Guest().Post(t, "meta", m{}), true, "translatorAvailable")
	for key, bad := range map[string]any{"urlPreviewTimeout": 0, "urlPreviewMaximumContentLength": -1, "urlPreviewSummaryProxyUrl": "javascript:x", "libreTranslateURL": "localhost:5000",
		"deeplFreeInstance": "https://", "urlPreviewUserAgent": "a\r\nX: b", "deeplAuthKey": "a\nb", "urlPreviewEnabled": "yes", "summalyProxy": "x"} {
		root.Fails(t, "admin/update-meta", m{key: bad}, 400, "INVALID_PARAM")
	}
}

// What is changed at one process is in force at the others.
func TestSettingsOfAllProcesses(t *testing.T) {
	t.Parallel()
	box, err := secret.LoadOrCreate(t.TempDir() + "/secret.key")
	if err != nil {
		t.Fatal(err)
	}
	one := testsrv.New(t, func(o *app.Options) { o.Box = box })
	root := one.User(t, "chief")
	two := testsrv.New(t, func(o *app.Options) { o.Box, o.DB, o.Origin, o.Host = box, one.DB, one.Origin, one.Host })
	root.Post(t, "admin/update-meta", m{"name": "bakery", "smtpPass": "hush"})
	two.Settle(t)
	set := two.App.Meta.Get()
	if set.Name == nil || *set.Name != "bakery" || set.SMTPPass == nil || *set.SMTPPass != "hush" {
		t.Errorf("the other process has %v", set.Name)
	}
}
