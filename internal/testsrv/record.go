package testsrv

import (
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
)

// recordEnv names a directory to which the answers of endpoints are written,
// so that make contract can compare them with Misskey's types: one JSON object
// {"name","status","body"} a line, a file for each package's tests.
const recordEnv = "OVEN_TEST_RECORD"

// recordMost is how many answers of an endpoint are kept a process.
const recordMost = 60

type recorder struct {
	mu   sync.Mutex
	file *os.File
	kept map[string]int
}

// recording is nil where nothing is to be recorded.
var recording = sync.OnceValues(func() (*recorder, error) {
	dir := os.Getenv(recordEnv)
	if dir == "" {
		return nil, nil //nolint:nilnil // documented
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.Create(filepath.Join(dir, filepath.Base(os.Args[0])+".jsonl"))
	if err != nil {
		return nil, err
	}
	return &recorder{file: f, kept: map[string]int{}}, nil
})

// record keeps a good answer.
func record(name string, status int, body []byte) error {
	r, err := recording()
	if err != nil || r == nil || status >= 300 {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kept[name]++; r.kept[name] > recordMost {
		return nil
	}
	b, err := json.Marshal(struct {
		Name   string          `json:"name"`
		Status int             `json:"status"`
		Body   json.RawMessage `json:"body,omitempty"`
	}{name, status, body})
	if err != nil {
		return err
	}
	_, err = r.file.Write(append(b, '\n'))
	return err
}
