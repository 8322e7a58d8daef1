// Package media knows what is in files that strangers sent, takes out what they
// tell of their maker, and makes small pictures of large ones.
//
// What is read here, in the server's own process, are headers of a known
// length. Whatever decodes does so in a confined process (lib/confine): libvips
// and ffmpeg where they are installed, this program's own decoders otherwise.
package media

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/gabriel-vasile/mimetype"
)

// ErrBroken says that a file is not what its first bytes say.
var ErrBroken = errors.New("media: broken file")

// Unknown is the type of what is not recognised. It is only ever downloaded.
const Unknown = "application/octet-stream"

// MaxSide of a picture in pixels. A larger one is not taken for a picture.
const MaxSide = 16383

// Info is what a file's first bytes tell.
type Info struct {
	Type          string // by content, never by name
	Width, Height int    // as stored; 0: not known
	Orientation   int    // 1 to 8 as in EXIF; from 5 on width and height change places when shown
	Animated      bool   // a picture that moves
}

// Shown are width and height as people see them.
func (i Info) Shown() (width, height int) {
	if i.Orientation >= 5 {
		return i.Height, i.Width
	}
	return i.Width, i.Height
}

// Picture tells whether it is one that can be decoded.
func (i Info) Picture() bool { return strings.HasPrefix(i.Type, "image/") && i.Type != "image/svg+xml" }

// Film tells whether it is a video.
func (i Info) Film() bool { return strings.HasPrefix(i.Type, "video/") }

// names that Misskey's clients know are not always those of the detector.
var names = map[string]string{
	"image/vnd.mozilla.apng": "image/apng", "audio/x-m4a": "audio/mp4", "audio/mp4": "audio/mp4", "video/x-m4v": "video/mp4",
	"audio/x-wav": "audio/wav", "audio/x-flac": "audio/flac", "application/ogg": "audio/ogg", "image/heif": "image/heic", "image/x-ms-bmp": "image/bmp",
	"image/heic-sequence": "image/heic", "image/heif-sequence": "image/heic",
}

// safe are the types that a browser shows without running anything of them.
var safe = map[string]bool{
	"image/png": true, "image/gif": true, "image/jpeg": true, "image/webp": true, "image/avif": true, "image/apng": true, "image/bmp": true, "image/tiff": true, "image/x-icon": true,
	"video/mpeg": true, "video/mp4": true, "video/webm": true, "video/ogg": true, "video/quicktime": true, "video/x-matroska": true, "video/3gpp": true, "video/3gpp2": true,
	"audio/mp4": true, "audio/mpeg": true, "audio/ogg": true, "audio/webm": true, "audio/aac": true, "audio/flac": true, "audio/wav": true, "audio/x-wav": true, "audio/aiff": true,
}

// Safe tells whether files of the type may be shown in a browser as what they
// are. Everything else is a download without a type (security row 3).
func Safe(typ string) bool { return safe[typ] }

// sniffed is how many bytes are looked at for the type.
const sniffed = 4096

// Look reads what f is. Text, pages, programs and archives have their type,
// too; a picture whose header cannot be read, or is larger than MaxSide, is
// Unknown.
func Look(f io.ReadSeeker) (Info, error) {
	head := make([]byte, sniffed)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return Info{}, fmt.Errorf("media: %w", err)
	}
	head = head[:n]
	info := Info{Type: sniff(head), Orientation: 1}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return Info{}, fmt.Errorf("media: %w", err)
	}
	if info.Picture() {
		err := info.measure(f, head)
		if errors.Is(err, os.ErrClosed) {
			return Info{}, fmt.Errorf("media: %w", err)
		}
		if err != nil || info.Width > MaxSide || info.Height > MaxSide {
			info = Info{Type: Unknown, Orientation: 1}
		}
	}
	_, err = f.Seek(0, io.SeekStart)
	return info, err
}

func sniff(head []byte) string {
	if len(head) == 0 {
		return Unknown
	}
	typ, _, _ := strings.Cut(mimetype.Detect(head).String(), ";")
	if other := names[typ]; other != "" {
		return other
	}
	return typ
}
