package drive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"buttersc.one/oven/internal/lib/blob"
	"buttersc.one/oven/internal/lib/media"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/meta"
)

// Bounds of the media proxy.
const (
	proxyMax     = 64 << 20         // bytes of a picture that is fetched
	proxyWorkers = 8                // pictures in the making at a time
	proxyWait    = 10 * time.Second // for one of them to be finished
	proxyKept    = 7 * 24 * time.Hour
	proxyFailed  = 5 * time.Minute // a failure is believed
	maxFailures  = 10_000
)

var (
	errNoPicture = errors.New("no picture that can be shown")
	errBusy      = errors.New("too many pictures at once")
)

// proxy shows pictures of other servers.
type proxy struct {
	s     *Service
	slots chan struct{}
	one   singleflight.Group

	mu     sync.Mutex
	failed map[string]failure  // by name
	looked map[string]struct{} // names, until that is written down
}

type failure struct {
	err  error
	till time.Time
}

func newProxy(s *Service) *proxy {
	return &proxy{s: s, slots: make(chan struct{}, proxyWorkers), failed: map[string]failure{}, looked: map[string]struct{}{}}
}

// wanted is what a request asks for.
type wanted struct {
	url     string
	variant meta.Variant
	still   bool
}

// read reads the query of a request, as Misskey's clients write it.
func read(q url.Values) (w wanted, ok bool) {
	w.url = q.Get("url")
	u, err := url.Parse(w.url)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || len(w.url) > 2048 {
		return w, false
	}
	u.Fragment = ""
	w.url = u.String()
	w.still = q.Has("static")
	for _, v := range []meta.Variant{meta.ProxyEmoji, meta.ProxyAvatar, meta.ProxyStatic, meta.ProxyPreview, meta.ProxyBadge} {
		if q.Has(string(v)) {
			w.variant = v
			break
		}
	}
	return w, true
}

// key names what is kept of a picture, for a while, which is part of the name.
func (w wanted) key(now time.Time) (key string, until time.Time) {
	sum := sha256.Sum256([]byte(string(w.variant) + strconv.FormatBool(w.still) + "\x00" + w.url))
	shift := time.Duration(sum[0])*time.Hour/2 + time.Duration(sum[1])*time.Second // not all end at once
	n := now.Add(shift).UnixNano() / int64(proxyKept)
	until = time.Unix(0, (n+1)*int64(proxyKept)).Add(-shift)
	return "c" + hex.EncodeToString(sum[:20]) + "-" + strconv.FormatInt(n, 36), until
}

// shape is how the picture is to be made.
func (w wanted) shape() media.Shape {
	switch w.variant {
	case meta.ProxyEmoji:
		return media.Shape{Height: 128, Animated: !w.still, Quality: 77}
	case meta.ProxyAvatar:
		return media.Shape{Height: 320, Animated: !w.still, Quality: 77}
	case meta.ProxyStatic:
		return media.Shape{Width: 498, Height: 422, Quality: 77}
	case meta.ProxyPreview:
		return media.Shape{Width: 200, Height: 200, Quality: 77}
	case meta.ProxyBadge:
		return media.Shape{Width: 96, Height: 96, PNG: true}
	}
	return publicShape
}

func (s *Service) serveProxy(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	want, ok := read(q)
	if !ok {
		http.Error(w, "url is needed", http.StatusBadRequest)
		return
	}
	if strings.HasPrefix(r.UserAgent(), "Oven/") || strings.HasPrefix(r.UserAgent(), "Misskey/") {
		http.Error(w, "not for servers", http.StatusForbidden) // two proxies could ask each other for ever
		return
	}
	typ, f, err := s.proxy.get(r.Context(), want)
	if err != nil {
		s.proxy.fail(w, err, q.Has("fallback"))
		return
	}
	defer func() { _ = f.Close() }()
	w.Header().Set("Cache-Control", "public, max-age=604800, immutable")
	serve(w, r, typ, f, f.Info().Modified)
}

// fail answers that there is no picture; with fallback by one of nothing.
func (p *proxy) fail(w http.ResponseWriter, err error, fallback bool) {
	w.Header().Set("Cache-Control", "public, max-age=300")
	w.Header().Set("Access-Control-Allow-Origin", "*")
	switch {
	case !theirs(err):
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Retry-After", "5")
		http.Error(w, "too busy", http.StatusServiceUnavailable)
	case fallback:
		w.Header().Set("Content-Type", "image/gif")
		_, _ = w.Write([]byte("GIF89a\x01\x00\x01\x00\x80\x00\x00\xcc\xcc\xcc\x00\x00\x00\x21\xf9\x04\x01\x00\x00\x01\x00\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00\x3b"))
	case errors.Is(err, errNoPicture):
		http.Error(w, "no picture", http.StatusForbidden)
	default:
		http.Error(w, "nothing there", http.StatusNotFound)
	}
}

// get gives a picture: what is kept, or a new one, which is made once however
// many ask.
func (p *proxy) get(ctx context.Context, w wanted) (typ string, f blob.File, err error) {
	name, until := w.key(p.s.Now())
	if typ, f, err := p.kept(ctx, name); err == nil {
		return typ, f, nil
	}
	if err := p.known(name); err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, proxyWait)
	defer cancel()
	done := p.one.DoChan(name, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTime+30*time.Second)
		defer cancel()
		err := p.make(ctx, w, func(typ string, r io.Reader) error { return p.keep(ctx, name, until, typ, r) })
		p.learn(name, err)
		return nil, err
	})
	select {
	case res := <-done:
		if res.Err != nil {
			return "", nil, res.Err
		}
		return p.kept(ctx, name)
	case <-ctx.Done():
		return "", nil, context.Cause(ctx)
	}
}

// known gives the failure that the last attempt ended with.
func (p *proxy) known(key string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f, ok := p.failed[key]; ok && p.s.Now().Before(f.till) {
		return f.err
	}
	return nil
}

// theirs tells of a failure that is the other server's, or the picture's. Others
// are this one's own: too much to do, or a store that does not answer.
func theirs(err error) bool {
	return errors.Is(err, errFetched) || errors.Is(err, errUnreached) || errors.Is(err, errNoPicture)
}

func (p *proxy) learn(key string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !theirs(err):
		delete(p.failed, key)
	default:
		if len(p.failed) >= maxFailures {
			clear(p.failed)
		}
		p.failed[key] = failure{err: err, till: p.s.Now().Add(proxyFailed)}
	}
}

// make fetches a picture, makes of it what is wanted, and keeps that.
func (p *proxy) make(ctx context.Context, w wanted, keep func(typ string, r io.Reader) error) error {
	select {
	case p.slots <- struct{}{}:
	case <-time.After(proxyWait):
		return errBusy
	}
	defer func() { <-p.slots }()
	got, err := p.fetch(ctx, w.url)
	if err != nil {
		return err
	}
	defer got.remove()
	info, err := lookAt(got.path)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(info.Type, "image/") {
		return errNoPicture
	}
	if w.variant == meta.ProxyWhole && !wantsPublic(info) && media.Safe(info.Type) {
		return p.whole(got.path, info, keep)
	}
	m, err := p.s.Engine.Render(ctx, got.path, info, w.shape())
	if undecoded(err) {
		return fmt.Errorf("%w: %w", errNoPicture, err)
	}
	if err == nil && w.variant == meta.ProxyBadge {
		m.Data, err = badge(m.Data)
	}
	if err != nil {
		return err
	}
	return keep(m.Type, bytes.NewReader(m.Data))
}

func lookAt(path string) (media.Info, error) {
	f, err := os.Open(path)
	if err != nil {
		return media.Info{}, fmt.Errorf("look at a file: %w", err)
	}
	info, err := media.Look(f)
	return info, errors.Join(err, f.Close())
}

// whole keeps a picture as it is, but for what it tells of its maker.
func (p *proxy) whole(path string, info media.Info, keep func(string, io.Reader) error) error {
	clean, err := media.Strip(path, p.s.Dir, info)
	if errors.Is(err, media.ErrBroken) {
		return errNoPicture
	}
	if err != nil {
		return err
	}
	if clean != path {
		defer func() { _ = os.Remove(clean) }()
	}
	f, err := os.Open(clean)
	if err != nil {
		return fmt.Errorf("proxy: %w", err)
	}
	defer func() { _ = f.Close() }()
	return keep(info.Type, f)
}

// fetch brings a picture to the disk: this server's own from the store.
func (p *proxy) fetch(ctx context.Context, address string) (download, error) {
	key, own := strings.CutPrefix(address, p.s.Meta.Origin+"/files/")
	if !own {
		return p.s.download(ctx, address, proxyMax)
	}
	var typ, name string
	if err := p.s.DB.QueryRow(ctx, sqlServed, key).Scan(&typ, &name); err != nil {
		if pg.NoRows(err) {
			err = fmt.Errorf("%w: %w", errFetched, err)
		}
		return download{}, err
	}
	in, err := p.s.Files.Open(ctx, key)
	if errors.Is(err, blob.ErrNotFound) {
		return download{}, fmt.Errorf("%w: %w", errFetched, err)
	}
	if err != nil {
		return download{}, err
	}
	defer func() { _ = in.Close() }()
	f, err := os.CreateTemp(p.s.Dir, "fetched-*")
	if err != nil {
		return download{}, fmt.Errorf("proxy: %w", err)
	}
	d := download{path: f.Name(), name: name}
	_, err = io.Copy(f, in)
	if err = errors.Join(err, f.Close()); err != nil {
		d.remove()
	}
	return d, err
}
