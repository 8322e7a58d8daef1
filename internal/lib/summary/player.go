package summary

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// clean gives a player as it may be shown: none but at an https address, with no
// permission beyond Features.
func (p Player) clean(base *url.URL) Player {
	none := Player{Allow: []string{}}
	if p.URL == nil {
		return none
	}
	at, ok := address(base, *p.URL)
	if !ok || !strings.HasPrefix(at, "https://") {
		return none
	}
	out := Player{URL: &at, Allow: []string{}}
	for _, f := range p.Allow {
		if slices.Contains(Features(), f) && !slices.Contains(out.Allow, f) {
			out.Allow = append(out.Allow, f)
		}
	}
	if p.Width != nil && *p.Width > 0 {
		n := min(*p.Width, maxWidth)
		out.Width = &n
	}
	if p.Height != nil && *p.Height > 0 {
		n := min(*p.Height, maxHeight)
		out.Height = &n
	}
	return out
}

// player is what the page's own cards name: Twitter's, then Open Graph's.
func (h *head) player(base *url.URL) Player {
	p := Player{Allow: []string{"autoplay", "encrypted-media", "fullscreen"}}
	var ref, width, height string
	switch {
	case h.meta["twitter:player"] != "" && h.meta["twitter:card"] != "summary_large_image":
		ref, width, height = h.meta["twitter:player"], h.meta["twitter:player:width"], h.meta["twitter:player:height"]
	case strings.Contains(h.meta["og:video:type"], "flash"):
		// nothing plays it any more
	default:
		ref = first(h.meta["og:video:secure_url"], h.meta["og:video:url"], h.meta["og:video"])
		width, height = h.meta["og:video:width"], h.meta["og:video:height"]
	}
	if ref != "" {
		p.URL, p.Width, p.Height = &ref, number(width, maxWidth), number(height, maxHeight)
	}
	return p.clean(base)
}

// WithPlayer puts in the player of an oEmbed answer (oembed.com, JSON), which
// knows more than a card does. It changes nothing where the answer is not a video or
// a rich one whose html is one frame and nothing else: scripts are not run.
func (s *Summary) WithPlayer(answer []byte, base *url.URL) {
	var a struct {
		Version any    `json:"version"` // "1.0", though some write a number
		Type    string `json:"type"`
		HTML    string `json:"html"`
		Width   any    `json:"width"` // of pixels, though some write "100%"
		Height  any    `json:"height"`
	}
	if json.Unmarshal(answer, &a) != nil || a.Type != "video" && a.Type != "rich" {
		return
	}
	frame := onlyFrame(a.HTML)
	if frame == nil {
		return
	}
	p := Player{Width: pixels(a.Width, frame["width"], maxWidth), Height: pixels(a.Height, frame["height"], maxHeight)}
	if src := frame["src"]; src != "" {
		p.URL = &src
	}
	for f := range strings.SplitSeq(frame["allow"], ";") {
		name, _, _ := strings.Cut(strings.TrimSpace(f), " ") // "autoplay *": whom it is given to is not the page's to say
		p.Allow = append(p.Allow, strings.ToLower(name))
	}
	if _, ok := frame["allowfullscreen"]; ok {
		p.Allow = append(p.Allow, "fullscreen")
	}
	if p = p.clean(base); p.URL != nil {
		s.Player = p
	}
}

// pixels is a length as oEmbed gives it, else as the frame has it.
func pixels(given any, attr string, max int) *int {
	if n, ok := given.(float64); ok && n >= 1 && n <= 1<<20 {
		v := min(int(n), max)
		return &v
	}
	if text, ok := given.(string); ok {
		attr = text
	}
	return number(attr, max)
}

// onlyFrame gives the attributes of an <iframe> that stands alone; nil where there
// is anything else.
func onlyFrame(text string) map[string]string {
	nodes, err := html.ParseFragment(strings.NewReader(text), &html.Node{Type: html.ElementNode, Data: "body", DataAtom: atom.Body})
	if err != nil {
		return nil
	}
	var frame *html.Node
	for _, n := range nodes {
		switch {
		case n.Type == html.CommentNode, n.Type == html.TextNode && strings.TrimSpace(n.Data) == "":
		case n.Type == html.ElementNode && n.DataAtom == atom.Iframe && frame == nil:
			frame = n
		default:
			return nil
		}
	}
	if frame == nil {
		return nil
	}
	out := map[string]string{}
	for _, a := range frame.Attr {
		out[a.Key] = a.Val
	}
	return out
}
