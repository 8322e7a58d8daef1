package feed_test

import (
	"encoding/json"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/encoding/korean"

	"buttersc.one/oven/internal/lib/feed"
)

var at = &url.URL{Scheme: "https", Host: "site.example", Path: "/feed"}

func is(t *testing.T, doc, want string) {
	t.Helper()
	f, err := feed.Parse([]byte(doc), at)
	if err != nil {
		t.Fatalf("%v\n%s", err, doc)
	}
	b, _ := json.Marshal(f)
	var got, wanted any
	_ = json.Unmarshal(b, &got)
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, wanted) {
		t.Errorf("got  %s\nwant %s", b, want)
	}
}

func TestRSS(t *testing.T) {
	is(t, `<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/passwd">]>
<rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom" xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:dc="http://purl.org/dc/elements/1.1/"><channel>
<title>Bakery</title><link>https://site.example/</link><description>Fresh</description><atom:link rel="self" href="/feed"/><atom:link rel="next" href="/feed?p=2"/>
<image><url>/logo.png</url><title>L</title></image>
<item><title>Bread &amp;amp; butter</title><link>/1</link><guid>g1</guid><pubDate>Tue, 27 Jan 2026 10:00:00 +0900</pubDate><dc:creator>Kim</dc:creator><category>a</category><category> b </category>
<description>short</description><content:encoded><![CDATA[<p>Hello <b>you</b></p><script>alert(1)</script>]]></content:encoded><enclosure url="/a.mp3" length="12" type="audio/mpeg"/></item>
<item><title>No&nbsp;date</title><link>javascript:alert(1)</link><pubDate>someday</pubDate><description>x &x; y</description></item>
</channel></rss>`, `{"title":"Bakery","link":"https://site.example/","description":"Fresh","feedUrl":"https://site.example/feed","image":{"url":"https://site.example/logo.png","title":"L"},
"paginationLinks":{"self":"https://site.example/feed","next":"https://site.example/feed?p=2"},"items":[
{"title":"Bread & butter","link":"https://site.example/1","guid":"g1","pubDate":"Tue, 27 Jan 2026 10:00:00 +0900","isoDate":"2026-01-27T01:00:00.000Z","creator":"Kim","categories":["a","b"],
"summary":"short","content":"<p>Hello <b>you</b></p><script>alert(1)</script>","contentSnippet":"Hello you","enclosure":{"url":"https://site.example/a.mp3","length":12,"type":"audio/mpeg"}},
{"title":"No date","pubDate":"someday","content":"x &x; y","contentSnippet":"x &x; y"}]}`)
}

func TestAtom(t *testing.T) {
	is(t, `<feed xmlns="http://www.w3.org/2005/Atom"><title type="html">A &lt;b&gt;bold&lt;/b&gt; feed</title><link href="https://site.example/"/><link rel="self" href="https://site.example/atom"/>
<entry><id>urn:1</id><title>One</title><link rel="enclosure" href="/e.png" type="image/png"/><link href="/one"/><updated>2026-01-27T10:00:00Z</updated><author><name>Kim</name></author>
<category term="t" label="T"/><content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">Hi <b>there</b></div></content></entry></feed>`,
		`{"title":"A <b>bold</b> feed","link":"https://site.example/","feedUrl":"https://site.example/atom","paginationLinks":{"self":"https://site.example/atom"},"items":[
{"guid":"urn:1","title":"One","link":"https://site.example/one","pubDate":"2026-01-27T10:00:00Z","isoDate":"2026-01-27T10:00:00.000Z","creator":"Kim","categories":["T"],"content":"Hi there","contentSnippet":"Hi there",
"enclosure":{"url":"https://site.example/e.png","type":"image/png"}}]}`)
}

func TestRDF(t *testing.T) {
	is(t, `<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"><channel><title>R</title><link>https://site.example/</link></channel>
<item><title>I</title><link>https://site.example/i</link><dc:date xmlns:dc="x">2026-01-27T10:00:00+09:00</dc:date></item></rdf:RDF>`,
		`{"title":"R","link":"https://site.example/","items":[{"title":"I","link":"https://site.example/i","pubDate":"2026-01-27T10:00:00+09:00","isoDate":"2026-01-27T01:00:00.000Z"}]}`)
}

func TestEncoding(t *testing.T) {
	b, err := korean.EUCKR.NewEncoder().String(`<?xml version="1.0" encoding="euc-kr"?><rss><channel><title>빵집</title></channel></rss>`)
	if err != nil {
		t.Fatal(err)
	}
	is(t, b, `{"title":"빵집","items":[]}`)
}

func TestNoFeed(t *testing.T) {
	for _, doc := range []string{"", "{}", "<html><body>x</body></html>", "<rss></rss>", "<rss><channel>", "<a/><b/>", "<rss>" + strings.Repeat("<a>", 100) + "</rss>", `<?xml version="1.0" encoding="klingon"?><rss><channel/></rss>`} {
		if f, err := feed.Parse([]byte(doc), at); err == nil && doc != "<rss><channel>" {
			t.Errorf("%.40s: %+v", doc, f)
		}
	}
}

func TestBounds(t *testing.T) {
	item := "<item><title>" + strings.Repeat("x", 5000) + "</title><description>" + strings.Repeat("y", 60000) + "</description>" + strings.Repeat("<category>c</category>", 50) + "</item>"
	f, err := feed.Parse([]byte("<rss><channel>"+strings.Repeat(item, 150)+"</channel></rss>"), at)
	if err != nil {
		t.Fatal(err)
	}
	i := f.Items[0]
	if len(f.Items) != 100 || utf8.RuneCountInString(i.Title) != 1000 || utf8.RuneCountInString(i.Content) != 50000 || utf8.RuneCountInString(i.Snippet) != 2000 || len(i.Categories) != 20 {
		t.Errorf("%d items, %d, %d, %d, %d", len(f.Items), len(i.Title), len(i.Content), len(i.Snippet), len(i.Categories))
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"<rss><channel><item><title>a</title><link>x</link></item></channel></rss>", "<feed><entry><link href='/a'/><content type='xhtml'><b>x</b></content></entry></feed>", "<rdf:RDF><channel/></rdf:RDF>", "<?xml version='1.0' encoding='utf-16'?><rss>"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		out, err := feed.Parse(doc, at)
		if err != nil {
			return
		}
		if _, err := json.Marshal(out); err != nil || out.Items == nil {
			t.Error(err)
		}
		for _, i := range out.Items {
			if i.Link != "" && !strings.HasPrefix(i.Link, "http") || !utf8.ValidString(i.Title+i.Content+i.Snippet) {
				t.Errorf("%+v", i)
			}
		}
	})
}
