package preview

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/lib/summary"
	"buttersc.one/oven/internal/meta"
)

// How long what was found is kept; each time is lengthened by chance.
const (
	keptGood  = 6 * 24 * time.Hour
	moreGood  = 2 * 24 * time.Hour
	keptBad   = time.Hour
	moreBad   = time.Hour
	keptLater = 5 * time.Minute
	moreLater = 5 * time.Minute
)

const (
	headMost   = 3 << 20   // bytes of a page that are read: some have a great deal of script before what matters
	oembedMost = 256 << 10 // bytes
)

// wanted is a page that is to be summarised.
type wanted struct {
	url  *url.URL
	host string // in binding form
	lang string // of the reader, "" for any
}

var langTag = regexp.MustCompile(`^([a-zA-Z]{2,3})(?:-[a-zA-Z0-9]{1,8})*$`)

// read reads the query of a request; false when it makes no sense.
func read(q url.Values) (w wanted, ok bool) {
	if len(q["url"]) != 1 || len(q["lang"]) > 1 {
		return w, false
	}
	if w.url, w.host, ok = target(q.Get("url")); !ok {
		return w, false
	}
	// Variants of a language do not become pages of their own, but where they are
	// written otherwise.
	if m := langTag.FindStringSubmatch(q.Get("lang")); m != nil {
		w.lang = strings.ToLower(m[1])
		if low := strings.ToLower(m[0]); w.lang == "zh" && (strings.Contains(low, "tw") || strings.Contains(low, "hant") || strings.Contains(low, "hk")) {
			w.lang = "zh-TW"
		}
	}
	return w, true
}

func (w wanted) key() []byte {
	sum := sha256.Sum256([]byte(w.lang + "\x00" + w.url.String()))
	return sum[:20]
}

// found is a summary, and until when it is good.
type found struct {
	summary *summary.Summary // nil: there is none
	until   time.Time
}

// get gives what is known of a page, or looks at it. errNothing, with until when it
// is not looked at again; errBusy when the one who asks has asked for too much.
func (s *Service) get(ctx context.Context, w wanted, ip netip.Addr) (found, error) {
	if w.host == s.Meta.Host {
		return s.own(ctx, w.url)
	}
	if err := s.Policy.Allowed(ctx, w.host); err != nil {
		return found{until: s.Now().Add(keptLater)}, fmt.Errorf("%w: %w", errNothing, err)
	}
	f, err := s.kept(ctx, w)
	if errors.Is(err, errUnknown) {
		if err = s.askBudget(ip); err != nil {
			return f, err
		}
		f, err = once(ctx, s, "page "+string(w.key()), func(ctx context.Context) (found, error) { return s.look(ctx, w) })
	}
	if err == nil && f.summary == nil {
		err = errNothing
	}
	return f, err
}

// look fetches a page and keeps what it says.
func (s *Service) look(ctx context.Context, w wanted) (found, error) {
	if f, err := s.kept(ctx, w); !errors.Is(err, errUnknown) {
		return f, err // it came in between
	}
	if err := s.hostBudget(w.host); err != nil {
		return found{}, err
	}
	set := &s.Meta.Get().PreviewSettings
	inTime, cancel := context.WithTimeout(ctx, time.Duration(set.URLPreviewTimeout)*time.Millisecond)
	defer cancel()
	var sum *summary.Summary
	var err error
	if set.URLPreviewSummaryProxyURL != nil && *set.URLPreviewSummaryProxyURL != "" {
		sum, err = s.delegated(inTime, set, w)
	} else {
		sum, err = s.summarise(inTime, set, w)
	}
	f := found{summary: sum}
	switch {
	case err == nil:
		f.until = s.Now().Add(keptGood + rand.N(moreGood))
	case errors.Is(err, errLater):
		f.until = s.Now().Add(keptLater + rand.N(moreLater))
	case errors.Is(err, errNothing):
		f.until = s.Now().Add(keptBad + rand.N(moreBad))
	default:
		return f, err
	}
	if err != nil {
		s.Slog.Debug("preview", "host", w.host, "err", err)
	}
	return f, s.keep(ctx, w, f)
}

// agent is how pages are asked: as a program that makes previews, which some sites
// want to know.
func (s *Service) agent(set *meta.PreviewSettings) string {
	if set.URLPreviewUserAgent != nil && *set.URLPreviewUserAgent != "" {
		return *set.URLPreviewUserAgent
	}
	return "OvenBot/" + s.Meta.Oven + " (link preview; +" + s.Meta.Origin + ")"
}

// summarise reads the page itself, and what it offers by oEmbed.
func (s *Service) summarise(ctx context.Context, set *meta.PreviewSettings, w wanted) (*summary.Summary, error) {
	a := ask{url: w.url.String(), accept: "text/html, application/xhtml+xml, */*;q=0.1", lang: w.lang, userAgent: s.agent(set),
		max: set.URLPreviewMaximum, read: headMost, still: !set.URLPreviewAllowRedirect, length: set.URLPreviewRequireLength}
	page, err := s.fetch(ctx, a)
	if err != nil {
		return nil, err
	}
	sum, oembed, err := summary.Page(summary.Input{Body: page.body, ContentType: page.header.Get("Content-Type"), Rating: page.header.Get("Rating"), At: page.at})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNothing, err)
	}
	if _, host, ok := target(oembed); ok && s.hostBudget(host) == nil {
		a.url, a.accept, a.max, a.read = oembed, "application/json", min(a.max, oembedMost), 0
		if more, err := s.fetch(ctx, a); err == nil {
			sum.WithPlayer(more.body, more.at)
		}
	}
	s.withoutOwnPlayer(sum)
	return sum, nil
}

// withoutOwnPlayer takes away a player on this server itself: frames may do as
// their origin does, and this one's has the readers' tokens.
func (s *Service) withoutOwnPlayer(sum *summary.Summary) {
	if sum.Player.URL == nil {
		return
	}
	if host, err := ap.Host(*sum.Player.URL); err != nil || host == s.Meta.Host {
		sum.Player = summary.Player{Allow: []string{}}
	}
}

// delegated asks the summariser that the operator has named. It speaks as Summaly
// does, and is trusted no more than a page.
func (s *Service) delegated(ctx context.Context, set *meta.PreviewSettings, w wanted) (*summary.Summary, error) {
	at, err := url.Parse(*set.URLPreviewSummaryProxyURL)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errLater, err)
	}
	q := at.Query()
	for key, value := range map[string]string{"url": w.url.String(), "followRedirects": strconv.FormatBool(set.URLPreviewAllowRedirect), "userAgent": s.agent(set),
		"operationTimeout": strconv.Itoa(set.URLPreviewTimeout), "contentLengthLimit": strconv.FormatInt(set.URLPreviewMaximum, 10),
		"contentLengthRequired": strconv.FormatBool(set.URLPreviewRequireLength)} {
		q.Set(key, value)
	}
	if w.lang != "" {
		q.Set("lang", w.lang)
	}
	at.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errLater, err)
	}
	req.Header.Set("Accept", "application/json")
	res, err := (&http.Client{Transport: s.Own}).Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: the summariser: %w", errLater, err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: the summariser answers %d", errLater, res.StatusCode)
	}
	sum := &summary.Summary{}
	if err := json.NewDecoder(io.LimitReader(res.Body, oembedMost)).Decode(sum); err != nil {
		return nil, fmt.Errorf("%w: the summariser: %w", errLater, err)
	}
	if !sum.Clean() {
		return nil, fmt.Errorf("%w: the summariser knows nothing of it", errNothing)
	}
	s.withoutOwnPlayer(sum)
	return sum, nil
}

var errUnknown = errors.New("not looked at yet")

const (
	sqlKept = `SELECT summary, until FROM link_preview WHERE key = $1 AND until > $2`
	sqlKeep = `INSERT INTO link_preview (key, summary, until) VALUES ($1, $2, $3)
ON CONFLICT (key) DO UPDATE SET summary = excluded.summary, until = excluded.until`
)

// kept is what is known of a page; errUnknown when nothing is.
func (s *Service) kept(ctx context.Context, w wanted) (f found, err error) {
	var raw []byte
	err = s.DB.QueryRow(ctx, sqlKept, w.key(), s.Now()).Scan(&raw, &f.until)
	switch {
	case pg.NoRows(err):
		return f, errUnknown
	case err != nil:
		return f, fmt.Errorf("preview: %w", err)
	case raw == nil:
		return f, nil
	}
	f.summary = &summary.Summary{}
	if err := json.Unmarshal(raw, f.summary); err != nil {
		return f, fmt.Errorf("preview: %w", err)
	}
	return f, nil
}

func (s *Service) keep(ctx context.Context, w wanted, f found) error {
	var raw []byte
	if f.summary != nil {
		var err error
		if raw, err = json.Marshal(f.summary); err != nil {
			return fmt.Errorf("preview: %w", err)
		}
	}
	if _, err := s.DB.Exec(ctx, sqlKeep, w.key(), raw, f.until); err != nil {
		return fmt.Errorf("preview: %w", err)
	}
	return nil
}
