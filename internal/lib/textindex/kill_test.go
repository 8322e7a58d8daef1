package textindex_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	. "buttersc.one/oven/internal/lib/textindex"
)

// newer writes a manifest of a format that is still to come.
func newer(t *testing.T, path string) {
	t.Helper()
	body := `{"format":99}`
	must(t, os.WriteFile(path, []byte(Checksum(body)+"\n"+body), 0o600))
}

const childEnv = "OVEN_TEXTINDEX_CHILD"

// TestMain plays the process that is killed, when it is asked to.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		child(dir)
	}
	os.Exit(m.Run())
}

// child writes batch after batch, the same in every life, from where its index stands, and prints what is durable.
func child(dir string) {
	x, err := Open(dir, Options{LiveDocs: 600, MaxDocs: 4000})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	from := 0
	if s := x.State(); s != nil {
		from, _ = strconv.Atoi(string(s))
	}
	for k := from; ; k++ {
		if err := x.Apply(nth(k)); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		if k%5 == 0 {
			if err := x.Flush(); err != nil {
				fmt.Println("error", err)
				os.Exit(1)
			}
		}
		fmt.Println("saved", string(x.Saved()))
	}
}

// nth is the batch of a number: documents that come, change and go.
func nth(k int) Batch {
	r := maker{rand.New(rand.NewPCG(uint64(k), 5))}
	b := r.batch(30 * (k + 1))
	b.State = []byte(strconv.Itoa(k + 1))
	return b
}

// An index whose process is killed again and again has all that it said to be durable, and nothing that was deleted.
func TestKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	saved := 0
	for round := range 50 {
		cmd := exec.Command(os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), childEnv+"="+dir)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		timer := time.AfterFunc(time.Duration(20+rand.IntN(200))*time.Millisecond, func() { _ = cmd.Process.Kill() })
		for lines := bufio.NewScanner(out); lines.Scan(); {
			word, rest, _ := strings.Cut(lines.Text(), " ")
			if word == "error" {
				t.Fatalf("round %d: %s", round, rest)
			}
			if n, err := strconv.Atoi(rest); err == nil {
				saved = n
			}
		}
		_ = cmd.Wait()
		timer.Stop()
	}
	x := opened(t, dir, Options{})
	must(t, x.Verify(t.Context(), nil))
	at, _ := strconv.Atoi(string(x.State()))
	if at < saved || saved < 200 || len(x.Lost()) > 0 {
		t.Fatalf("stands at %d, said %d; lost %v", at, saved, x.Lost())
	}
	// Merges make tombstones durable that are newer than the state; the batches after it bring all in line.
	o := &oracle{docs: map[string][]string{}}
	for k := range at + 20 {
		o.apply(nth(k))
		if k >= at {
			must(t, x.Apply(nth(k)))
		}
	}
	r := maker{rand.New(rand.NewPCG(1, 1))}
	for range 300 {
		q := r.query(30 * at)
		if got, want := all(t, x, q), o.search(q); !slices.Equal(got, want) {
			t.Fatalf("%s: %d documents, not %d", q.Expr, len(got), len(want))
		}
	}
}
