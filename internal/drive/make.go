package drive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	_ "image/jpeg" // what the engine makes
	_ "image/png"  // .
	"os"
	"strings"

	_ "golang.org/x/image/webp" // .

	"buttersc.one/oven/internal/lib/media"
)

// Shapes of what is made of an upload (behaviour 3.17).
var (
	thumbnailShape = media.Shape{Width: 498, Height: 422, Quality: 77}
	animatedShape  = media.Shape{Width: 374, Height: 317, Quality: 77, Animated: true}
	publicShape    = media.Shape{Width: 2048, Height: 2048, Quality: 77}
	hashShape      = media.Shape{Width: 64, Height: 64, Quality: 90}
)

// make stores an upload and what everybody is shown of it, and fills in what f
// still lacks. A picture that no decoder can read is kept without a preview; one
// that is not built like a picture is kept as a download.
func (s *Service) make(ctx context.Context, f *File, path string) ([]stored, error) {
	info, clean, err := s.strip(path, f)
	if err != nil {
		return nil, err
	}
	if clean != path {
		defer func() { _ = os.Remove(clean) }()
	}
	var parts []stored
	whole, err := s.keepFile(ctx, clean, f)
	if err != nil {
		return nil, err
	}
	parts, f.URL = append(parts, whole), s.urlOf(whole)
	keep := func(kind string, m *media.Made) (string, error) {
		p, err := s.put(ctx, kind, m.Type, bytes.NewReader(m.Data), 0)
		parts = append(parts, p)
		return s.urlOf(p), err
	}
	if wantsPublic(info) {
		switch m, err := s.Engine.Render(ctx, clean, info, publicShape); {
		case err == nil:
			if f.URL, err = keep(public, m); err != nil {
				return nil, err
			}
			f.PublicType = &m.Type
			if info.Width == 0 { // a drawing has the size it was drawn in
				info.Width, info.Height = m.Width, m.Height
				f.Properties = sizes(info)
			}
		case !undecoded(err):
			return nil, err
		case info.Type == "image/avif" || info.Type == "image/heic": // it cannot be stripped, so nobody is given it
			return nil, fmt.Errorf("%w: %w", ErrType, err)
		}
	}
	small, err := s.small(ctx, f, clean, info)
	if undecoded(err) {
		return parts, nil
	}
	if err != nil {
		return nil, err
	}
	if err := s.hash(ctx, f, clean, info, small); err != nil {
		return nil, err
	}
	url, err := keep(thumbnail, small)
	f.ThumbnailURL = &url
	return parts, err
}

// undecoded tells of a file that no program could make sense of.
func undecoded(err error) bool {
	return errors.Is(err, media.ErrUnable) || errors.Is(err, media.ErrFailed)
}

// strip takes out what the file tells of its maker. What is not built as its
// type says becomes a download.
func (s *Service) strip(path string, f *File) (media.Info, string, error) {
	info, err := lookAt(path)
	if err != nil {
		return info, "", err
	}
	clean, err := media.Strip(path, s.Dir, info)
	if errors.Is(err, media.ErrBroken) {
		f.Type, f.Properties = media.Unknown, json.RawMessage(`{}`)
		return media.Info{Type: media.Unknown}, path, nil
	}
	return info, clean, err
}

func (s *Service) keepFile(ctx context.Context, path string, f *File) (stored, error) {
	in, err := os.Open(path)
	if err != nil {
		return stored{}, fmt.Errorf("upload: %w", err)
	}
	defer func() { _ = in.Close() }()
	b, err := s.put(ctx, original, f.Type, in, 0)
	f.Size = b.Size
	return b, err
}

// wantsPublic tells whether everybody is shown another picture than the
// original: of one that is very large, that browsers may not know, or that
// tells of its maker still. What moves is shown as it is.
func wantsPublic(i media.Info) bool {
	switch i.Type {
	case "image/avif", "image/heic", "image/tiff", "image/bmp", "image/svg+xml", "image/jxl":
		return true
	case "image/jpeg", "image/png", "image/webp":
		return !i.Animated && max(i.Width, i.Height) > publicShape.Width
	}
	return false
}

// small makes the picture by which the file is shown in lists.
func (s *Service) small(ctx context.Context, f *File, path string, info media.Info) (*media.Made, error) {
	if info.Film() && !strings.HasPrefix(f.Type, "audio/") {
		film, err := s.Engine.Watch(ctx, path, info)
		if err != nil {
			return nil, err
		}
		f.Properties = sizes(media.Info{Width: film.Width, Height: film.Height})
		return s.Engine.Frame(ctx, path, info, *film, thumbnailShape)
	}
	if info.Animated {
		return s.Engine.Render(ctx, path, info, animatedShape)
	}
	return s.Engine.Render(ctx, path, info, thumbnailShape)
}

// hash fills in the blurhash, from the small picture where that does not move.
func (s *Service) hash(ctx context.Context, f *File, path string, info media.Info, small *media.Made) error {
	if info.Animated {
		var err error
		if small, err = s.Engine.Render(ctx, path, info, hashShape); undecoded(err) {
			return nil
		} else if err != nil {
			return err
		}
	}
	m, _, err := image.Decode(bytes.NewReader(small.Data))
	if err != nil {
		return nil //nolint:nilerr // what cannot be read here has no hash
	}
	f.Blurhash = ptr(media.Blurhash(media.Shrink(m, 64, 64), 5, 5))
	return nil
}
