package remote

import (
	"bytes"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// alternateLink finds <link rel="alternate" type="application/activity+json">
// in the head of a page; "" when there is none.
func alternateLink(page []byte, base *url.URL) string {
	z := html.NewTokenizer(bytes.NewReader(page))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return ""
		case html.StartTagToken, html.SelfClosingTagToken:
			t := z.Token()
			switch t.Data {
			case "body":
				return "" // what follows may be written by users
			case "link":
			default:
				continue
			}
			attr := map[string]string{}
			for _, a := range t.Attr {
				attr[a.Key] = a.Val
			}
			if !slices.Contains(strings.Fields(strings.ToLower(attr["rel"])), "alternate") || attr["type"] != "application/activity+json" {
				continue
			}
			if u, err := base.Parse(attr["href"]); err == nil && attr["href"] != "" {
				return u.String()
			}
		}
	}
}
