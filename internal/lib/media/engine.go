package media

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"buttersc.one/oven/internal/lib/confine"
)

var (
	// ErrUnable says that no program that is here can show such a file.
	ErrUnable = errors.New("media: no program for this kind of file")
	// ErrFailed says that a program gave up on the file, or was stopped by its
	// limits.
	ErrFailed = errors.New("media: the file could not be read")
)

// Bounds of one run, and of what it gives.
const (
	memory    = 700 << 20
	runTime   = 30 * time.Second
	maxOutput = 32 << 20
)

// Programs are the absolute paths of what is installed; "": not.
type Programs struct{ Vips, FFmpeg, FFprobe string }

// FindPrograms looks for them where systems have programs.
func FindPrograms() Programs {
	find := func(name string) string {
		p, err := exec.LookPath(name)
		if err == nil {
			p, err = filepath.EvalSymlinks(p)
		}
		if err == nil {
			p, err = filepath.Abs(p)
		}
		if err != nil {
			return ""
		}
		return p
	}
	return Programs{Vips: find("vipsthumbnail"), FFmpeg: find("ffmpeg"), FFprobe: find("ffprobe")}
}

// Engine makes pictures out of files, a few at a time.
type Engine struct {
	p     Programs
	slots chan struct{}
}

// NewEngine makes an engine that runs at most so many processes at once.
func NewEngine(p Programs, processes int) *Engine {
	return &Engine{p: p, slots: make(chan struct{}, max(processes, 1))}
}

// Programs that the engine uses.
func (e *Engine) Programs() Programs { return e.p }

// Shape is the picture that is wanted. It is never larger than the source.
type Shape struct {
	Width, Height int  // it fits in; 0: as large as the other allows
	Animated      bool // keep movement, where the engine can
	Quality       int  // of WebP, 1 to 100
	PNG           bool // a PNG in the place of a WebP
}

// Made is a picture that was made.
type Made struct {
	Data          []byte
	Type          string
	Width, Height int // 0: not known
}

// Render makes a picture of the one at path, upright, in sRGB and without what
// it tells of its maker. ErrUnable, ErrFailed, or ctx's error.
func (e *Engine) Render(ctx context.Context, path string, info Info, s Shape) (*Made, error) {
	if !strings.HasPrefix(info.Type, "image/") {
		return nil, ErrUnable
	}
	program, args, env := e.renderer(info, s)
	if program == "" {
		return nil, ErrUnable
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("media: %w", err)
	}
	defer func() { _ = f.Close() }()
	out, err := e.run(ctx, f, confine.Limits{Env: env}, program, args...)
	if err != nil {
		return nil, err
	}
	return made(out)
}

// vipsTypes are decoded by libvips; those of the second kind it calls
// untrusted, and is only given where the type was found by us.
var vipsTypes = map[string]bool{"image/jpeg": true, "image/png": true, "image/apng": true, "image/gif": true, "image/webp": true, "image/avif": true, "image/heic": true,
	"image/tiff": true, "image/svg+xml": false, "image/jxl": false}

func (e *Engine) renderer(info Info, s Shape) (program string, args, env []string) {
	trusted, known := vipsTypes[info.Type]
	if e.p.Vips == "" || !known {
		if !builtinTypes[info.Type] {
			return "", nil, nil
		}
		return builtinProgram, []string{strconv.Itoa(s.Width), strconv.Itoa(s.Height), strconv.Itoa(s.Quality), strconv.FormatBool(s.PNG), strconv.Itoa(info.Orientation)}, builtinEnv
	}
	source := "stdin"
	if s.Animated && info.Animated && info.Type != "image/apng" { // libvips shows the first frame of an APNG
		source = "stdin[n=-1]"
	}
	side := func(n int) string {
		if n == 0 {
			return strconv.Itoa(MaxSide)
		}
		return strconv.Itoa(n)
	}
	format := ".webp[Q=" + strconv.Itoa(s.Quality) + ",alpha_q=95,effort=2,strip]"
	if s.PNG {
		format = ".png[compression=6,strip]"
	}
	env = []string{"VIPS_CONCURRENCY=1", "VIPS_DISC_THRESHOLD=4g"}
	if trusted {
		env = append(env, "VIPS_BLOCK_UNTRUSTED=1")
	}
	size := side(s.Width) + "x" + side(s.Height)
	if info.Type != "image/svg+xml" { // a drawing has no size of its own
		size += ">"
	}
	return e.p.Vips, []string{source, "--size", size, "--eprofile", "srgb", "-o", format}, env
}

// made reads what a program gave: it may be anything.
func made(out []byte) (*Made, error) {
	info, err := Look(bytes.NewReader(out))
	if err != nil {
		return nil, err
	}
	if info.Type != "image/webp" && info.Type != "image/png" && info.Type != "image/jpeg" {
		return nil, fmt.Errorf("%w: it became %s", ErrFailed, info.Type)
	}
	return &Made{Data: out, Type: info.Type, Width: info.Width, Height: info.Height}, nil
}

// run gives what the program prints.
func (e *Engine) run(ctx context.Context, in *os.File, l confine.Limits, program string, args ...string) ([]byte, error) {
	select {
	case e.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-e.slots }()
	l.Memory, l.Time = memory, runTime
	cmd, done := confine.Command(ctx, l, program, args...)
	defer done()
	out, said := &bounded{max: maxOutput}, &bounded{max: 4 << 10}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, said
	err := cmd.Run()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w: %.300s", ErrFailed, filepath.Base(program), err, said.b.Bytes())
	}
	return out.b.Bytes(), nil
}

// bounded takes so many bytes, and of more makes an error.
type bounded struct {
	b   bytes.Buffer
	max int
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.b.Len()+len(p) > b.max {
		return 0, io.ErrShortBuffer
	}
	return b.b.Write(p)
}
