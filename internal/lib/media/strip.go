package media

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// Strip gives the file at path without what it tells of its maker (EXIF with
// its places, XMP, IPTC, comments) and without what follows its end: colours,
// orientation and movement stay. The result is path itself or a new file in
// dir, which the caller removes. Pictures in AVIF and HEIC and sounds are not
// changed. ErrBroken when the file is not built as its type says.
func Strip(path, dir string, info Info) (string, error) {
	strip := map[string]func(io.ReadSeeker, io.Writer) error{
		"image/jpeg": func(r io.ReadSeeker, w io.Writer) error { return stripJPEG(r, w) },
		"image/png":  func(r io.ReadSeeker, w io.Writer) error { return stripPNG(r, w) },
		"image/apng": func(r io.ReadSeeker, w io.Writer) error { return stripPNG(r, w) },
		"image/gif":  func(r io.ReadSeeker, w io.Writer) error { return stripGIF(r, w) },
		"image/webp": stripWebP,
	}[info.Type]
	switch info.Type {
	case "video/mp4", "video/quicktime", "audio/mp4", "video/3gpp", "video/3gpp2":
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return "", fmt.Errorf("media: %w", err)
		}
		defer func() { _ = f.Close() }()
		return path, broken(blankMP4(f))
	}
	if strip == nil {
		return path, nil
	}
	in, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("media: %w", err)
	}
	defer func() { _ = in.Close() }()
	out, err := os.CreateTemp(dir, "stripped-*")
	if err != nil {
		return "", fmt.Errorf("media: %w", err)
	}
	err = strip(in, out)
	if err = errors.Join(err, out.Close()); err != nil {
		_ = os.Remove(out.Name())
		return "", broken(err)
	}
	return out.Name(), nil
}

// broken says so of a file that ends too soon.
func broken(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrBroken
	}
	if err != nil && !errors.Is(err, ErrBroken) {
		return fmt.Errorf("media: %w", err)
	}
	return err
}
