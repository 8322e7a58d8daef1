package media

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"buttersc.one/oven/internal/lib/confine"
)

// Film is what is in a video file.
type Film struct {
	Width, Height int     // 0: it has only sound
	Seconds       float64 // 0: not known
}

// demuxers by type: a file is read as what it was found to be and nothing else,
// so that no playlist in disguise is followed.
var demuxers = map[string]string{"video/mp4": "mov", "video/quicktime": "mov", "video/3gpp": "mov", "video/3gpp2": "mov", "video/webm": "matroska", "video/x-matroska": "matroska",
	"video/ogg": "ogg", "video/mpeg": "mpeg", "video/x-msvideo": "avi"}

func (e *Engine) film(ctx context.Context, path string, info Info, program string, before, after []string) ([]byte, error) {
	demuxer := demuxers[info.Type]
	if program == "" || demuxer == "" {
		return nil, ErrUnable
	}
	args := append([]string{"-v", "error", "-protocol_whitelist", "file", "-f", demuxer}, before...)
	args = append(append(args, "-i", "file:"+path), after...)
	return e.run(ctx, nil, confine.Limits{Read: []string{path}}, program, args...)
}

// Watch reads what is in the video at the absolute path.
func (e *Engine) Watch(ctx context.Context, path string, info Info) (*Film, error) {
	out, err := e.film(ctx, path, info, e.p.FFprobe, nil, []string{"-of", "json", "-show_entries", "format=duration:stream=codec_type,width,height:stream_disposition=attached_pic"})
	if err != nil {
		return nil, err
	}
	var said struct {
		Streams []struct {
			Kind          string `json:"codec_type"`
			Width, Height int
			Disposition   struct {
				Cover int `json:"attached_pic"`
			}
		}
		Format struct{ Duration string }
	}
	if err := json.Unmarshal(out, &said); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFailed, err)
	}
	f := &Film{}
	f.Seconds, _ = strconv.ParseFloat(said.Format.Duration, 64)
	for _, s := range said.Streams {
		if s.Kind == "video" && s.Disposition.Cover == 0 && s.Width > 0 && s.Width <= MaxSide && s.Height <= MaxSide {
			f.Width, f.Height = s.Width, s.Height
			break
		}
	}
	return f, nil
}

// Frame makes a picture of the video a little after its beginning, upright.
func (e *Engine) Frame(ctx context.Context, path string, info Info, film Film, s Shape) (*Made, error) {
	at := strconv.FormatFloat(film.Seconds*0.05, 'f', 3, 64)
	scale := fmt.Sprintf("scale=w='min(iw,%d)':h='min(ih,%d)':force_original_aspect_ratio=decrease", s.Width, s.Height)
	out, err := e.film(ctx, path, info, e.p.FFmpeg, []string{"-threads", "1", "-ss", at},
		[]string{"-map", "v:0", "-frames:v", "1", "-vf", scale, "-threads", "1", "-map_metadata", "-1", "-c:v", "libwebp", "-quality", strconv.Itoa(s.Quality), "-f", "image2pipe", "pipe:1"})
	if err != nil && strings.Contains(err.Error(), "libwebp") {
		return nil, ErrUnable
	}
	if err != nil {
		return nil, err
	}
	return made(out)
}
