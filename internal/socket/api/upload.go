package api

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
)

func errNoFile() *Error {
	return InvalidParam("#/required", "must have required property 'file'")
}

// tempFile is an upload in flight.
type tempFile struct{ File }

func (t *tempFile) remove() { _ = os.Remove(t.Path) }

// maxFields bounds the text parts of a multipart call together.
const maxFields = 64 << 10

// readMultipart streams the one file of a call to disk; the other parts are
// parameters, cast like those of a GET.
func (s *Server) readMultipart(e *Endpoint, w http.ResponseWriter, r *http.Request) ([]byte, map[string]any, *tempFile, error) {
	r.Body = http.MaxBytesReader(w, r.Body, s.cfg.MaxFileSize+maxFields)
	mr, err := r.MultipartReader()
	if err != nil {
		return nil, nil, nil, ErrInvalidJSON
	}
	fields := map[string][]string{}
	var file *tempFile
	left := int64(maxFields)
	for {
		part, err := mr.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, file.drop(), ErrInvalidJSON
		}
		if part.FileName() == "" {
			b, err := io.ReadAll(io.LimitReader(part, left+1))
			left -= int64(len(b))
			if err != nil || left < 0 {
				return nil, nil, file.drop(), ErrTooLarge
			}
			fields[part.FormName()] = []string{string(b)}
			continue
		}
		if file != nil {
			return nil, nil, file.drop(), InvalidParam("#/file", "only one file is allowed")
		}
		if file, err = s.spool(part, part.FileName()); err != nil {
			return nil, nil, nil, err
		}
	}
	if file == nil {
		return nil, nil, nil, errNoFile()
	}
	values := e.Params.cast(fields)
	body, err := json.Marshal(values)
	if err != nil {
		return nil, nil, file.drop(), err
	}
	return body, values, file, nil
}

// drop removes the file, if any, and is nil.
func (t *tempFile) drop() *tempFile {
	if t != nil {
		t.remove()
	}
	return nil
}

func (s *Server) spool(r io.Reader, name string) (*tempFile, error) {
	f, err := os.CreateTemp(s.cfg.TempDir, "upload-*")
	if err != nil {
		return nil, err
	}
	n, err := io.Copy(f, io.LimitReader(r, s.cfg.MaxFileSize+1))
	cerr := f.Close()
	if err == nil && cerr == nil && n <= s.cfg.MaxFileSize {
		return &tempFile{File{Name: name, Path: f.Name(), Size: n}}, nil
	}
	_ = os.Remove(f.Name())
	if err == nil && cerr == nil {
		return nil, ErrTooLarge
	}
	return nil, errors.Join(err, cerr)
}
