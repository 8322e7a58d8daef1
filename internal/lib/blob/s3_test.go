package blob_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"buttersc.one/oven/internal/lib/blob"
)

// bucket is an object store: the one that OVEN_TEST_S3 names (endpoint bucket
// access-key secret-key), else one in memory, reached over HTTP.
func bucket(t *testing.T) *blob.S3 {
	t.Helper()
	o := blob.S3Options{Region: "us-east-1", PathStyle: true, Prefix: "test-" + strings.ToLower(rand.Text()[:8]) + "/"}
	if named := strings.Fields(os.Getenv("OVEN_TEST_S3")); len(named) == 4 {
		o.Endpoint, o.Bucket, o.AccessKey, o.SecretKey = named[0], named[1], named[2], named[3]
	} else {
		back := s3mem.New()
		if err := back.CreateBucket("files"); err != nil {
			t.Fatal(err)
		}
		srv := httptest.NewServer(gofakes3.New(back).Server())
		t.Cleanup(srv.Close)
		o.Endpoint, o.Bucket, o.AccessKey, o.SecretKey = srv.URL, "files", "key", "secret"
	}
	s, err := blob.NewS3(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func content(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

func store(t *testing.T, s blob.Store, key string, b []byte) {
	t.Helper()
	info, err := s.Put(t.Context(), key, bytes.NewReader(b), blob.PutOptions{ContentType: "image/png"})
	if err != nil || info.Size != int64(len(b)) || info.Key != key {
		t.Fatalf("%s: %+v %v", key, info, err)
	}
}

func read(t *testing.T, s blob.Store, key string) []byte {
	t.Helper()
	f, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(f)
	if err != nil || f.Info().Size != int64(len(b)) {
		t.Fatalf("%s: %d bytes, said to be %d (%v)", key, len(b), f.Info().Size, err)
	}
	return b
}

func TestS3(t *testing.T) {
	t.Parallel()
	s := bucket(t)
	for _, n := range []int{0, 1, 5000, 8 << 20, 8<<20 + 1, 20 << 20} {
		b := content(n)
		key := fmt.Sprint("k", n)
		store(t, s, key, b)
		if !bytes.Equal(read(t, s, key), b) {
			t.Errorf("%d bytes came back as others", n)
		}
	}
	f, err := s.Open(t.Context(), "k5000")
	if err != nil {
		t.Fatal(err)
	}
	whole := read(t, s, "k5000")
	part := make([]byte, 10)
	if _, err := f.Seek(-20, io.SeekEnd); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(f, part); err != nil || !bytes.Equal(part, whole[4980:4990]) {
		t.Errorf("a part: %v", err)
	}
	_ = f.Close()
	for _, n := range []int{11, 9 << 20} {
		if _, err := s.Put(t.Context(), "long", bytes.NewReader(content(n)), blob.PutOptions{Max: int64(n - 1)}); !errors.Is(err, blob.ErrTooLarge) {
			t.Errorf("%d bytes, one too many: %v", n, err)
		}
	}
	for _, key := range []string{"long", "none"} {
		if _, err := s.Open(t.Context(), key); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("%s: %v", key, err)
		}
	}
	if _, err := s.Put(t.Context(), "../x", strings.NewReader(""), blob.PutOptions{}); !errors.Is(err, blob.ErrKey) {
		t.Error(err)
	}
	for range 2 {
		if err := s.Delete(t.Context(), "k1"); err != nil {
			t.Error(err)
		}
	}
	keys := map[string]int64{}
	for i, err := range s.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		keys[i.Key] = i.Size
	}
	if len(keys) != 5 || keys["k5000"] != 5000 {
		t.Errorf("listed: %v", keys)
	}
}

// While files move there and back, each can be read, written and deleted all the
// time, and none is lost or comes back.
func TestMoving(t *testing.T) {
	t.Parallel()
	disk, err := blob.NewDisk(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s3 := bucket(t)
	want := map[string][]byte{}
	for i := range 60 {
		key := fmt.Sprint("old", i)
		want[key] = content(100 + i)
		store(t, disk, key, want[key])
	}
	for round, m := range []*blob.Moving{{To: s3, From: disk}, {To: disk, From: s3}} {
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := m.Move(t.Context()); err != nil {
				t.Error(err)
			}
		})
		r := mrand.New(mrand.NewPCG(uint64(round), 1))
		for i := range 150 {
			switch r.IntN(3) {
			case 0:
				key := fmt.Sprint("new", round, "-", i)
				want[key] = content(200)
				store(t, m, key, want[key])
			case 1:
				for key := range want {
					if err := m.Delete(t.Context(), key); err != nil {
						t.Error(err)
					}
					delete(want, key)
					break
				}
			default:
				for key, b := range want {
					if !bytes.Equal(read(t, m, key), b) {
						t.Errorf("%s has other bytes", key)
					}
					break
				}
			}
		}
		wg.Wait()
		if _, err := m.Move(t.Context()); err != nil { // what was on its way when it was deleted
			t.Fatal(err)
		}
		for i, err := range m.From.All(t.Context()) {
			t.Errorf("round %d: %s stayed (%v)", round, i.Key, err)
		}
		n := 0
		for i, err := range m.All(t.Context()) {
			if n++; err != nil || want[i.Key] == nil {
				t.Errorf("round %d: %s is there (%v)", round, i.Key, err)
			}
		}
		if n != len(want) {
			t.Errorf("round %d: %d files, not %d", round, n, len(want))
		}
		for key, b := range want {
			if !bytes.Equal(read(t, m.To, key), b) {
				t.Errorf("%s has other bytes", key)
			}
		}
	}
}

// during does something while a file is being put.
type during struct {
	blob.Store
	do func(key string)
}

func (d during) Put(ctx context.Context, key string, r io.Reader, o blob.PutOptions) (blob.Info, error) {
	d.do(key)
	return d.Store.Put(ctx, key, r, o)
}

// What is deleted while it is carried over does not come back.
func TestDeletedOnTheWay(t *testing.T) {
	t.Parallel()
	from, err := blob.NewDisk(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	to := bucket(t)
	store(t, from, "x", content(10))
	m := &blob.Moving{From: from}
	m.To = during{to, func(key string) {
		if err := (&blob.Moving{To: to, From: from}).Delete(t.Context(), key); err != nil {
			t.Error(err)
		}
	}}
	if _, err := m.Move(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Stat(t.Context(), "x"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("it is there again: %v", err)
	}
}

// While the new place does not answer, what is in the old one can be read, and what
// may be in either is not said to be missing.
func TestNewPlaceDown(t *testing.T) {
	t.Parallel()
	from, err := blob.NewDisk(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	down, err := blob.NewS3(blob.S3Options{Endpoint: "http://127.0.0.1:1", Bucket: "files", Region: "us-east-1", AccessKey: "key", SecretKey: "secret", PathStyle: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	m := &blob.Moving{To: down, From: from}
	b := content(10)
	store(t, from, "x", b)
	f, err := m.Open(ctx, "x")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, b) {
		t.Errorf("%d bytes (%v)", len(got), err)
	}
	_ = f.Close()
	if _, err := m.Open(ctx, "elsewhere"); err == nil || errors.Is(err, blob.ErrNotFound) {
		t.Errorf("what may be there is said to be missing: %v", err)
	}
}
