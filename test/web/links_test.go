package web_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"buttersc.one/oven/internal/testsrv"
	"buttersc.one/oven/test/npm"
)

// Somebody reads notes with links, and notes in another language.
func TestLinks(t *testing.T) {
	build(t)
	npm.Install(t)
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page := func(head string) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = w.Write([]byte("<!doctype html><head>" + head))
		}
		picture := `<meta property="og:image" content="/bread.png"><meta property="og:site_name" content="동네 빵집">`
		switch r.URL.Path {
		case "/bread":
			page(`<title>갓 구운 식빵, 매일 아침 일곱 시</title><meta name="description" content="천연 발효종으로 스무 시간 숙성한 식빵을 굽습니다. 예약하시면 따뜻할 때 받으실 수 있어요.">` + picture)
		case "/night":
			page(`<title>심야 빵집</title><meta name="rating" content="adult">` + picture)
		case "/film":
			page(`<title>빵 굽는 영상</title><meta name="twitter:card" content="player"><meta name="twitter:player" content="https://player.example/1">` + picture)
		case "/bread.png":
			_, _ = testsrv.Picture(t, "bread").WriteTo(w)
		case "/v2/translate":
			var ask struct{ Text []string }
			_ = json.NewDecoder(r.Body).Decode(&ask)
			if strings.Contains(ask.Text[0], "busy") {
				w.WriteHeader(http.StatusTooManyRequests)
				return
			}
			_, _ = fmt.Fprintf(w, `{"translations":[{"detected_source_language":"EN","text":"오늘의 신선한 빵"}]}`)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(far.Close)
	srv := testsrv.New(t)
	alice, bora := srv.User(t, "alice"), srv.User(t, "bora")
	srv.Set(t, testsrv.M{"name": "갓 구운 서버", "langs": []string{"ko"}, "deeplFreeMode": true, "deeplFreeInstance": far.URL, "deeplAuthKey": "key"})
	npm.Run(t, "node", "links.mjs", srv.Origin, alice.Token, bora.Token, far.URL)
}
