package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// S3Options say where an object store is.
type S3Options struct {
	Endpoint  string // URL without a path
	Bucket    string
	Region    string
	AccessKey string
	SecretKey string
	Prefix    string // before every key
	PathStyle bool   // the bucket in the path, not in the host name
}

// S3 stores files in an object store that speaks Amazon's protocol.
type S3 struct {
	c      *minio.Client
	bucket string
	prefix string
}

var _ Store = (*S3)(nil)

// What is longer than inMemory is sent in parts of partSize.
const (
	inMemory = 8 << 20
	partSize = 16 << 20
)

// NewS3 makes a store of a bucket that exists. It does not ask the other side.
func NewS3(o S3Options) (*S3, error) {
	u, err := url.Parse(o.Endpoint)
	if err != nil || u.Host == "" {
		return nil, errors.New("blob: the endpoint of the object store is no address")
	}
	lookup := minio.BucketLookupDNS
	if o.PathStyle {
		lookup = minio.BucketLookupPath
	}
	c, err := minio.New(u.Host, &minio.Options{Creds: credentials.NewStaticV4(o.AccessKey, o.SecretKey, ""), Secure: u.Scheme == "https", Region: o.Region, BucketLookup: lookup, MaxRetries: 3})
	if err != nil {
		return nil, fmt.Errorf("blob: object store: %w", err)
	}
	prefix := strings.Trim(o.Prefix, "/")
	if prefix != "" {
		prefix += "/"
	}
	return &S3{c: c, bucket: o.Bucket, prefix: prefix}, nil
}

// fail translates what the other side says.
func (s *S3) fail(what, key string, err error) error {
	if err == nil {
		return nil
	}
	switch minio.ToErrorResponse(err).Code {
	case minio.NoSuchKey, "NotFound":
		return fmt.Errorf("%w: %s", ErrNotFound, key)
	}
	return fmt.Errorf("blob: %s %s: %w", what, key, err)
}

// Put is Store's.
func (s *S3) Put(ctx context.Context, key string, r io.Reader, o PutOptions) (Info, error) {
	if err := CheckKey(key); err != nil {
		return Info{}, err
	}
	in := io.Reader(reader{ctx, r})
	if o.Max > 0 {
		in = io.LimitReader(in, o.Max+1)
	}
	// What is too long must never be there, not even for a moment: the length is
	// known before the first byte is sent, or the upload is one in parts.
	var head bytes.Buffer
	size, err := io.CopyN(&head, in, inMemory)
	if err != nil && !errors.Is(err, io.EOF) {
		return Info{}, fmt.Errorf("blob: put %s: %w", key, err)
	}
	if o.Max > 0 && size > o.Max {
		return Info{}, fmt.Errorf("blob: put %s: %w", key, ErrTooLarge)
	}
	body, length := io.Reader(&head), size
	if size == inMemory {
		body, length = &bound{r: io.MultiReader(&head, in), max: o.Max}, -1
	}
	info, err := s.c.PutObject(ctx, s.bucket, s.prefix+key, body, length, minio.PutObjectOptions{ContentType: o.ContentType, PartSize: partSize,
		CacheControl: "public, max-age=31536000, immutable", SendContentMd5: true,
		DisableContentSha256: true}) // the MD5 is signed: without it what is sent would be wrapped, which not all stores unwrap
	if errors.Is(err, ErrTooLarge) {
		return Info{}, fmt.Errorf("blob: put %s: %w", key, ErrTooLarge)
	}
	if err != nil {
		return Info{}, s.fail("put", key, err)
	}
	return Info{Key: key, Size: info.Size, Modified: time.Now().UTC()}, nil
}

// bound fails a read past max.
type bound struct {
	r      io.Reader
	n, max int64
}

func (b *bound) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.n += int64(n); b.max > 0 && b.n > b.max {
		return 0, ErrTooLarge
	}
	return n, err
}

type object struct {
	*minio.Object
	info Info
}

func (o object) Info() Info { return o.info }

// Open is Store's.
func (s *S3) Open(ctx context.Context, key string) (File, error) {
	info, err := s.Stat(ctx, key)
	if err != nil {
		return nil, err
	}
	o, err := s.c.GetObject(ctx, s.bucket, s.prefix+key, minio.GetObjectOptions{})
	if err != nil {
		return nil, s.fail("open", key, err)
	}
	return object{o, info}, nil
}

// Stat is Store's.
func (s *S3) Stat(ctx context.Context, key string) (Info, error) {
	if err := CheckKey(key); err != nil {
		return Info{}, err
	}
	o, err := s.c.StatObject(ctx, s.bucket, s.prefix+key, minio.StatObjectOptions{})
	if err != nil {
		return Info{}, s.fail("stat", key, err)
	}
	return Info{Key: key, Size: o.Size, Modified: o.LastModified.UTC()}, nil
}

// Delete is Store's.
func (s *S3) Delete(ctx context.Context, key string) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	err := s.c.RemoveObject(ctx, s.bucket, s.prefix+key, minio.RemoveObjectOptions{})
	if err = s.fail("delete", key, err); err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	return nil
}

// All is Store's. It skips names that are no keys.
func (s *S3) All(ctx context.Context) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		for o := range s.c.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{Prefix: s.prefix, Recursive: true}) {
			if o.Err != nil {
				yield(Info{}, fmt.Errorf("blob: list: %w", o.Err))
				return
			}
			key := strings.TrimPrefix(o.Key, s.prefix)
			if keyPattern.MatchString(key) && !yield(Info{Key: key, Size: o.Size, Modified: o.LastModified.UTC()}, nil) {
				return
			}
		}
	}
}
