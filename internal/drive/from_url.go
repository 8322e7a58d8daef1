package drive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"time"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/job"
	"buttersc.one/oven/internal/socket/remote"
)

// Bounds of what is fetched from other servers.
const (
	fetchTime    = 60 * time.Second
	maxRedirects = 5
)

// fewRedirects follows few; each is checked by the door.
func fewRedirects(_ *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return errors.New("too many redirects")
	}
	return nil
}

// fromURLArgs asks to put what is at an address into somebody's drive.
type fromURLArgs struct {
	UserID    string  `json:"userId"`
	URL       string  `json:"url"`
	FolderID  *string `json:"folderId"`
	Comment   *string `json:"comment"`
	Marker    string  `json:"marker"`
	Sensitive bool    `json:"sensitive"`
	Force     bool    `json:"force"`
}

// Kind implements job.Args.
func (fromURLArgs) Kind() string { return "drive.fromUrl" }

// fromURLTries of a fetch, which may have met a server that is down.
const fromURLTries = 3

type fromURLReq struct {
	URL         string  `json:"url" api:"required,max=2048"`
	FolderID    *string `json:"folderId" api:"nullable,id"`
	IsSensitive bool    `json:"isSensitive" api:"default=false"`
	Comment     *string `json:"comment" api:"nullable,max=512"`
	Marker      *string `json:"marker" api:"nullable,max=512"`
	Force       bool    `json:"force" api:"default=false"`
}

// apiFromURL fetches later; the client is told by urlUploadFinished.
func (s *Service) apiFromURL(ctx context.Context, c *api.Call, req fromURLReq) (api.None, error) {
	if u, err := url.Parse(req.URL); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return api.None{}, api.InvalidParam("#/properties/url", "must be an http address")
	}
	a := fromURLArgs{UserID: c.UserID, URL: req.URL, FolderID: req.FolderID, Comment: req.Comment, Sensitive: req.IsSensitive, Force: req.Force}
	if req.Marker != nil {
		a.Marker = *req.Marker
	}
	return api.None{}, s.DB.Tx(ctx, func(tx *pg.Tx) error { return s.Queue.Insert(ctx, tx, a, time.Time{}) })
}

func (s *Service) workFromURL(ctx context.Context, a fromURLArgs) error {
	policies, err := s.Roles.Of(ctx, a.UserID)
	if err != nil {
		return err
	}
	got, err := s.download(ctx, a.URL, int64(policies.MaxFileSizeMb)<<20)
	if err != nil {
		if errors.Is(err, errFetched) {
			return job.Cancel(err)
		}
		return err
	}
	defer got.remove()
	_, err = s.Add(ctx, Upload{UserID: a.UserID, Path: got.path, Name: got.name, Comment: a.Comment, FolderID: a.FolderID, Sensitive: a.Sensitive, Force: a.Force, URI: a.URL, Marker: a.Marker})
	var refused *api.Error
	if errors.As(err, &refused) {
		return job.Cancel(err)
	}
	return err
}

var (
	// errFetched says that it makes no sense to fetch it again.
	errFetched = errors.New("nothing to be had there")
	// errUnreached says that it may be had later.
	errUnreached = errors.New("not to be reached")
)

// download is a file that was fetched.
type download struct{ path, name string }

func (d download) remove() { _ = os.Remove(d.path) }

// download fetches what is at an address, through the guarded door, into a file
// of up to max bytes.
func (s *Service) download(ctx context.Context, address string, max int64) (download, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return download{}, fmt.Errorf("%w: %w", errFetched, err)
	}
	req.Header.Set("Accept", "*/*")
	res, err := s.fetch.Do(req)
	if err != nil {
		var no *remote.Error
		if errors.As(err, &no) && !no.Temporary {
			return download{}, fmt.Errorf("%w: %w", errFetched, err)
		}
		return download{}, fmt.Errorf("%w: %w", errUnreached, err)
	}
	defer func() { _ = res.Body.Close() }()
	switch {
	case res.StatusCode >= 500 || res.StatusCode == http.StatusTooManyRequests:
		return download{}, fmt.Errorf("%w: it answers %d", errUnreached, res.StatusCode)
	case res.StatusCode != http.StatusOK:
		return download{}, fmt.Errorf("%w: it answers %d", errFetched, res.StatusCode)
	case res.ContentLength > max:
		return download{}, fmt.Errorf("%w: larger than %d bytes", errFetched, max)
	}
	f, err := os.CreateTemp(s.Dir, "fetched-*")
	if err != nil {
		return download{}, fmt.Errorf("fetch: %w", err)
	}
	d := download{path: f.Name(), name: servedName(res)}
	n, err := io.Copy(f, io.LimitReader(res.Body, max+1))
	if err = errors.Join(err, f.Close()); err == nil && n > max {
		err = fmt.Errorf("%w: larger than %d bytes", errFetched, max)
	}
	if err != nil {
		d.remove()
		return download{}, fmt.Errorf("%w: %w", errUnreached, err)
	}
	return d, nil
}

// servedName is what a file is called there (RFC 6266), or by its address.
func servedName(res *http.Response) string {
	name := ""
	if _, p, err := mime.ParseMediaType(res.Header.Get("Content-Disposition")); err == nil {
		name = p["filename"]
	}
	if name = path.Base(strings.ReplaceAll(name, `\`, "/")); name == "." || name == "/" {
		if name = path.Base(res.Request.URL.Path); name == "." || name == "/" {
			name = "untitled"
		}
	}
	if name, ok := CheckName(cut(name, maxName)); ok {
		return name
	}
	return "untitled"
}
