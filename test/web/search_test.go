package web_test

import (
	"testing"

	"buttersc.one/oven/internal/testsrv"
	"buttersc.one/oven/test/npm"
)

// Somebody searches notes.
func TestSearchPage(t *testing.T) {
	build(t)
	npm.Install(t)
	srv := testsrv.New(t)
	alice := srv.User(t, "alice")
	srv.Set(t, testsrv.M{"name": "갓 구운 서버", "langs": []string{"ko"}})
	for _, n := range []testsrv.M{
		{"text": "버터롤이 다 구워졌어요"}, {"text": "버터를 녹여 바른 Toast"}, {"text": "호밀빵은 내일", "poll": testsrv.M{"choices": []string{"좋아", "싫어"}}},
		{"text": "비밀 반죽", "visibility": "specified"},
	} {
		alice.Post(t, "notes/create", n)
	}
	srv.Settle(t)
	npm.Run(t, "node", "search.mjs", srv.Origin, alice.Token)
}
