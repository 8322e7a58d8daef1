package summary_test

import (
	"encoding/json"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	uni "golang.org/x/text/encoding/unicode"

	"buttersc.one/oven/internal/lib/summary"
)

func at(t testing.TB, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func page(t testing.TB, head string) (*summary.Summary, string) {
	t.Helper()
	s, oembed, err := summary.Page(summary.Input{Body: []byte("<!doctype html><html><head>" + head), ContentType: "text/html; charset=utf-8", At: at(t, "https://Site.example/a/b?q=1")})
	if err != nil {
		t.Fatalf("%s: %v", head, err)
	}
	return s, oembed
}

// is compares with what a summary is in JSON.
func is(t testing.TB, s *summary.Summary, want string) {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var got, wanted any
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatal(err)
	}
	_ = json.Unmarshal(b, &got)
	if !reflect.DeepEqual(got, wanted) {
		t.Errorf("got  %s\nwant %s", b, want)
	}
}

func TestWholePage(t *testing.T) {
	s, oembed := page(t, `<base href="/dir/"><title>Other</title>
		<meta property="og:title" content="Fresh &amp; warm - The Bakery"><meta name="og:site_name" content="The Bakery">
		<meta property="og:description" content="  Bread,
			every   morning ">
		<meta property="og:image" content="bread.jpg"><link rel="shortcut icon" href="/i.png"><link rel="canonical" href="https://Site.example/bread">
		<link rel="alternate" type="application/activity+json" href="https://site.example/ap/1"><meta name="fediverse:creator" content="@baker@site.example">
		<link rel="alternate" type="application/json+oembed" href="oembed?x=1"><meta name="twitter:card" content="player">
		<meta name="twitter:player" content="https://player.example/1"><meta name="twitter:player:width" content="640"><meta name="twitter:player:height" content="9999">
		</head><body><meta property="og:title" content="by a user">`)
	is(t, s, `{"title":"Fresh & warm","icon":"https://Site.example/i.png","description":"Bread, every morning","thumbnail":"https://Site.example/dir/bread.jpg",
		"player":{"url":"https://player.example/1","width":640,"height":1024,"allow":["autoplay","encrypted-media","fullscreen"]},
		"sitename":"The Bakery","sensitive":false,"activityPub":"https://site.example/ap/1","fediverseCreator":"@baker@site.example","url":"https://Site.example/bread"}`)
	if oembed != "https://Site.example/dir/oembed?x=1" {
		t.Error(oembed)
	}
}

func TestPlainPage(t *testing.T) {
	s, oembed := page(t, `<title>Bread</title><meta name=description content=Bread></head><body><link rel=canonical href=/other><title>No</title>`)
	is(t, s, `{"title":"Bread","icon":"https://Site.example/favicon.ico","description":null,"thumbnail":null,"player":{"url":null,"width":null,"height":null,"allow":[]},
		"sitename":"Site.example","sensitive":false,"activityPub":null,"fediverseCreator":null,"url":"https://Site.example/a/b?q=1"}`)
	if oembed != "" {
		t.Error(oembed)
	}
}

func TestNoPage(t *testing.T) {
	for typ, body := range map[string]string{"text/html": "<p>no title", "text/html; x": "<title> \u202e \n</title>", "image/png": "<title>x</title>", "": "<title>x</title>", "application/json": "{}"} {
		if _, _, err := summary.Page(summary.Input{Body: []byte(body), ContentType: typ, At: at(t, "https://a.example/")}); err == nil {
			t.Errorf("%s %s is summarised", typ, body)
		}
	}
}

// Only http addresses leave, whatever a page says; players only https ones.
func TestAddresses(t *testing.T) {
	for _, bad := range []string{"javascript:alert(1)", "data:text/html,x", "//u:p@x.example/a", "https://", "file:///etc/passwd", "https:///x", "\x01javascript:x", "https://x.example/" + strings.Repeat("a", 2100), "http://[::1", "mailto:a@b.example"} {
		s, oembed := page(t, `<title>x</title><meta property="og:image" content="`+bad+`"><link rel=alternate type="application/activity+json" href="`+bad+`">
			<link rel=alternate type="application/json+oembed" href="`+bad+`"><meta property="og:video" content="`+bad+`"><link rel=canonical href="`+bad+`">`)
		if s.Thumbnail != nil || s.ActivityPub != nil || s.Player.URL != nil || oembed != "" || s.URL != "https://Site.example/a/b?q=1" {
			t.Errorf("%.60q: %+v %s", bad, s, oembed)
		}
	}
	for _, plain := range []string{"http://player.example/", "//player.example/"} {
		s, _, err := summary.Page(summary.Input{Body: []byte(`<title>x</title><meta property="og:video:url" content="` + plain + `">`), ContentType: "text/html", At: at(t, "http://a.example/")})
		if err != nil || s.Player.URL != nil {
			t.Errorf("%s plays by http: %v", plain, err)
		}
	}
	s, _ := page(t, `<title>x</title><link rel=canonical href="https://bank.example/">`)
	if s.URL != "https://Site.example/a/b?q=1" {
		t.Errorf("a page lends itself another's name: %s", s.URL)
	}
}

func TestTexts(t *testing.T) {
	long := strings.Repeat("빵 ", 400)
	s, _ := page(t, `<meta property="og:title" content="a`+"\u202egnp.\u2066exe\u200b\x07"+` `+long+`"><meta name=description content="`+long+`">`)
	if strings.ContainsAny(*s.Title, "\u202e\u2066\u200b\x07") || !strings.HasPrefix(*s.Title, "agnp.exe 빵") || utf8.RuneCountInString(*s.Title) > 100 || !strings.HasSuffix(*s.Title, "…") {
		t.Errorf("%q", *s.Title)
	}
	if n := utf8.RuneCountInString(*s.Description); n > 300 || n < 290 || !utf8.ValidString(*s.Description) {
		t.Errorf("%d characters", n)
	}
	exact := strings.Repeat("가", 100)
	if s, _ = page(t, "<title>"+exact+"</title>"); *s.Title != exact {
		t.Errorf("cut: %q", *s.Title)
	}
	if s, _ = page(t, "<title>👩‍🍳 빵</title>"); *s.Title != "👩‍🍳 빵" {
		t.Errorf("%q", *s.Title)
	}
}

// Pages in the encodings of Korea and Japan are read, however they say it.
func TestEncodings(t *testing.T) {
	enc := func(e encoding.Encoding, s string) []byte {
		b, err := e.NewEncoder().Bytes([]byte(s))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, tc := range map[string]struct {
		body []byte
		typ  string
		want string
	}{
		"euc-kr header":     {enc(korean.EUCKR, "<title>갓 구운 빵</title>"), "text/html; charset=EUC-KR", "갓 구운 빵"},
		"euc-kr meta":       {enc(korean.EUCKR, "<meta charset=euc-kr><title>갓 구운 빵</title>"), "text/html", "갓 구운 빵"},
		"ks_c_5601 meta":    {enc(korean.EUCKR, `<meta http-equiv="Content-Type" content="text/html; charset=ks_c_5601-1987"><title>빵</title>`), "text/html", "빵"},
		"shift_jis meta":    {enc(japanese.ShiftJIS, "<meta charset=Shift_JIS><title>焼きたてのパン</title>"), "text/html", "焼きたてのパン"},
		"euc-jp header":     {enc(japanese.EUCJP, "<title>パン</title>"), "text/html; charset=euc-jp", "パン"},
		"bom":               {[]byte("\xef\xbb\xbf<title>빵</title>"), "text/html; charset=euc-kr", "빵"},
		"utf-16":            {enc(uni.UTF16(uni.LittleEndian, uni.UseBOM), "<title>빵</title>"), "text/html", "빵"},
		"nothing said":      {[]byte("<title>빵</title>"), "text/html", "빵"},
		"far from the top":  {[]byte("<!--" + strings.Repeat("x", 3000) + "--><title>빵</title>" + "빵"[:2]), "text/html", "빵"},
		"western, not said": {[]byte("<title>caf\xe9</title>"), "text/html", "café"},
		"unheard of":        {[]byte("<title>빵</title>"), "text/html; charset=klingon", "빵"},
	} {
		s, _, err := summary.Page(summary.Input{Body: tc.body, ContentType: tc.typ, At: at(t, "https://a.example/")})
		if err != nil || *s.Title != tc.want {
			t.Errorf("%s: %v %v", name, s, err)
		}
	}
}

func TestSensitive(t *testing.T) {
	for head, want := range map[string]bool{
		"": false, `<meta name=rating content=general>`: false, `<meta name=rating content=ADULT>`: true, `<meta name="Rating" content="RTA-5042-1996-1400-1577-RTA">`: true,
		`<meta property="mixi:content-rating" content="1">`: true, `<meta property="mixi:content-rating" content="0">`: false,
		`<meta property="mixi-check-robots" content="nodescription"><meta property="mixi-check-robots" content="noimage">`: true,
	} {
		if s, _ := page(t, "<title>x</title>"+head); s.Sensitive != want {
			t.Errorf("%s: %v", head, s.Sensitive)
		}
	}
	s, _, err := summary.Page(summary.Input{Body: []byte("<title>x"), ContentType: "text/html", Rating: "adult", At: at(t, "https://a.example/")})
	if err != nil || !s.Sensitive {
		t.Error("the header is not heard", err)
	}
}

func TestCards(t *testing.T) {
	for head, want := range map[string]string{
		`<meta name=twitter:player content=https://p.example/><meta name=twitter:card content=summary_large_image>`:                             "",
		`<meta property=og:video content=https://p.example/a.swf><meta property=og:video:type content="application/x-shockwave-flash">`:         "",
		`<meta property=og:video content=http://p.example/><meta property=og:video:secure_url content=https://p.example/s>`:                     "https://p.example/s",
		`<meta name=twitter:card content=player><meta name=twitter:player content=/embed/1><meta property=og:video content=https://o.example/>`: "https://Site.example/embed/1",
	} {
		s, _ := page(t, "<title>x</title>"+head)
		if got := s.Player.URL; (got == nil) != (want == "") || got != nil && *got != want {
			t.Errorf("%s: %v", head, got)
		}
	}
}

func TestOEmbed(t *testing.T) {
	base := at(t, "https://site.example/oembed")
	frame := func(attrs string) string {
		b, _ := json.Marshal(`<iframe src="https://p.example/1" ` + attrs + `></iframe>`)
		return `{"version":"1.0","type":"video","width":640,"height":360,"html":` + string(b) + `}`
	}
	for answer, want := range map[string]string{
		frame(`allow="autoplay; fullscreen *; camera; geolocation 'self'; autoplay" allowfullscreen`):                                              `{"url":"https://p.example/1","width":640,"height":360,"allow":["autoplay","fullscreen"]}`,
		frame(`srcdoc="<script>alert(1)</script>" onload="alert(1)"`):                                                                              `{"url":"https://p.example/1","width":640,"height":360,"allow":[]}`,
		`{"version":1,"type":"rich","html":"<!-- x --> <iframe src='//p.example/2' width=100% height=152></iframe>","width":"100%","height":null}`: `{"url":"https://p.example/2","width":null,"height":152,"allow":[]}`,
		`{"type":"video","html":"<iframe src='https://p.example/3'></iframe>","width":1e300,"height":-1}`:                                          `{"url":"https://p.example/3","width":null,"height":null,"allow":[]}`,
	} {
		s, _ := page(t, "<title>x</title>")
		s.WithPlayer([]byte(answer), base)
		b, _ := json.Marshal(s.Player)
		if string(b) != want {
			t.Errorf("%s:\n%s\n%s", answer, b, want)
		}
	}
	for _, no := range []string{"", "[]", `{"type":"photo","html":"<iframe src=https://p.example/></iframe>"}`, `{"type":"video","html":"<iframe src=https://p.example/></iframe><script src=https://p.example/></script>"}`,
		`{"type":"rich","html":"<blockquote>x</blockquote><script></script>"}`, `{"type":"video","html":"<div><iframe src=https://p.example/></iframe></div>"}`, `{"type":"video","html":"<iframe src=http://p.example/></iframe>"}`,
		`{"type":"video","html":"<iframe src=javascript:alert(1)></iframe>"}`, `{"type":"video","html":"<iframe srcdoc=x></iframe>"}`, `{"type":"video","html":"<iframe src=https://a.example></iframe><iframe src=https://b.example></iframe>"}`,
		`{"type":"video","html":"x<iframe src=https://p.example/></iframe>"}`, `{"type":"video"}`} {
		s, _ := page(t, `<title>x</title><meta property=og:video content=https://card.example/>`)
		s.WithPlayer([]byte(no), base)
		if s.Player.URL == nil || *s.Player.URL != "https://card.example/" {
			t.Errorf("%s: %v", no, s.Player.URL)
		}
	}
}

// What another summariser says is trusted no more than a page.
func TestClean(t *testing.T) {
	read := func(text string) (*summary.Summary, bool) {
		s := &summary.Summary{}
		if err := json.Unmarshal([]byte(text), s); err != nil {
			t.Fatal(err)
		}
		return s, s.Clean()
	}
	s, ok := read(`{"title":"a\u202eb","icon":"javascript:x","description":" ","thumbnail":"https://a.example/t.png","url":"https://a.example/","sitename":"A",
		"player":{"url":"https://p.example/","width":-1,"height":99999,"allow":["autoplay","camera"]},"activityPub":"data:x","fediverseCreator":"@a@b.example"}`)
	if !ok {
		t.Fatal("refused")
	}
	is(t, s, `{"title":"ab","icon":null,"description":null,"thumbnail":"https://a.example/t.png","player":{"url":"https://p.example/","width":null,"height":1024,"allow":["autoplay"]},
		"sitename":"A","sensitive":false,"activityPub":null,"fediverseCreator":"@a@b.example","url":"https://a.example/"}`)
	for _, no := range []string{`{}`, `{"title":"x","url":"javascript:x"}`, `{"url":"https://a.example/"}`, `{"title":"x","url":"a/b"}`} {
		if _, ok := read(no); ok {
			t.Errorf("%s is shown", no)
		}
	}
}

// Whatever a page is made of, what comes out is what this package promises, and
// soon.
func FuzzPage(f *testing.F) {
	for _, s := range []string{"<title>x</title>", `<meta property="og:title" content="a"><base href="//b"><link rel=alternate type=application/json+oembed href=x>`,
		"<title>\xe9\x80", "\xff\xfe<\x00t\x00", `<meta property=og:video content=https://a/>`, "<" + strings.Repeat("a ", 50), "<title>a</title><meta name=rating content=adult>"} {
		f.Add([]byte(s), "text/html", `{"type":"video","html":"<iframe src=https://a/ allow=autoplay>"}`)
		f.Add([]byte(s), "text/html; charset=euc-kr", `{"type":"rich","width":1,"html":"<iframe>"}`)
	}
	base := at(f, "https://a.example/x")
	f.Fuzz(func(t *testing.T, body []byte, typ, oembed string) {
		begin := time.Now()
		s, discovered, err := summary.Page(summary.Input{Body: body, ContentType: typ, At: base})
		if err != nil {
			return
		}
		s.WithPlayer([]byte(oembed), base)
		if d := time.Since(begin); d > 5*time.Second {
			t.Errorf("took %v for %d bytes", d, len(body))
		}
		for _, text := range []*string{s.Title, s.Description, s.Sitename, s.FediverseCreator} {
			if text != nil && (!utf8.ValidString(*text) || utf8.RuneCountInString(*text) > 300 || strings.ContainsFunc(*text, func(r rune) bool { return unicode.IsControl(r) || r >= '\u202a' && r <= '\u202e' })) {
				t.Errorf("%q", *text)
			}
		}
		for _, a := range []*string{s.Icon, s.Thumbnail, s.ActivityPub, s.Player.URL, &s.URL, &discovered} {
			if a == nil || *a == "" {
				continue
			}
			u, err := url.Parse(*a)
			if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || len(*a) > 2048 {
				t.Errorf("%q", *a)
			}
		}
		if s.Player.URL != nil && !strings.HasPrefix(*s.Player.URL, "https://") {
			t.Errorf("player %q", *s.Player.URL)
		}
		again := *s
		if !again.Clean() || !reflect.DeepEqual(again.Title, s.Title) || !reflect.DeepEqual(again.Player, s.Player) {
			t.Errorf("not clean: %+v\n%+v", s, again)
		}
	})
}
