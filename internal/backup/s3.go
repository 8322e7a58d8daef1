package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/url"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"buttersc.one/oven/internal/lib/config"
)

// bucket is a place in an object store.
type bucket struct {
	c      *minio.Client
	name   string
	prefix string // "" or with a slash at the end
}

// What is longer than small is sent in parts of partSize; there can be 10,000.
const (
	small    = 8 << 20
	partSize = 32 << 20
)

func openS3(rest string, set config.S3) (*bucket, error) {
	name, prefix, _ := strings.Cut(rest, "/")
	if name == "" {
		return nil, errors.New("backup: s3:// needs a bucket: s3://bucket/prefix")
	}
	if set.Endpoint == "" {
		return nil, errors.New("backup: s3:// needs the address of the store: s3.endpoint (OVEN_S3_ENDPOINT)")
	}
	u, err := url.Parse(set.Endpoint)
	if err != nil {
		return nil, errors.New("backup: s3.endpoint is no address")
	}
	lookup := minio.BucketLookupDNS
	if set.PathStyle {
		lookup = minio.BucketLookupPath
	}
	c, err := minio.New(u.Host, &minio.Options{Creds: credentials.NewStaticV4(set.AccessKey, set.SecretKey, ""),
		Secure: u.Scheme == "https", Region: set.Region, BucketLookup: lookup})
	if err != nil {
		return nil, fmt.Errorf("backup: object store: %w", err)
	}
	if prefix = strings.Trim(prefix, "/"); prefix != "" {
		prefix += "/"
	}
	return &bucket{c: c, name: name, prefix: prefix}, nil
}

func (b *bucket) String() string {
	return strings.TrimSuffix("s3://"+b.name+"/"+b.prefix, "/")
}

func (b *bucket) fail(what string, err error) error {
	if code := minio.ToErrorResponse(err).Code; code == minio.NoSuchKey {
		return fmt.Errorf("backup: %s in %s %w", what, b, errNone)
	}
	return fmt.Errorf("backup: %s: %s: %w", b, what, err)
}

// lock keeps nobody out: object stores have no locks. Backups of one server keep
// each other out by a lock in its database.
func (b *bucket) lock(ctx context.Context) (func(), error) {
	ok, err := b.c.BucketExists(ctx, b.name)
	if err != nil {
		return nil, b.fail("the bucket", err)
	}
	if !ok {
		return nil, fmt.Errorf("backup: there is no bucket %q", b.name)
	}
	return func() {}, nil
}

// tidy ends uploads that were cut off, whose parts nobody lists and somebody pays.
func (b *bucket) tidy(ctx context.Context) error {
	for _, dir := range []string{backupsDir, objectsDir} {
		for u := range b.c.ListIncompleteUploads(ctx, b.name, b.prefix+dir, true) {
			err := u.Err
			if err == nil {
				err = b.c.RemoveIncompleteUpload(ctx, b.name, u.Key)
			}
			if err != nil && minio.ToErrorResponse(err).Code != minio.NoSuchUpload { // ended meanwhile
				return b.fail("end what was cut off", err)
			}
		}
	}
	return nil
}

func (b *bucket) put(ctx context.Context, name string, r io.Reader, size int64) (int64, error) {
	if size < 0 || size <= small {
		// Its length must be known, or much is taken for the first part.
		var head bytes.Buffer
		n, err := io.CopyN(&head, r, small+1)
		switch {
		case errors.Is(err, io.EOF):
			r, size = &head, n
		case err != nil:
			return 0, err
		default:
			r, size = io.MultiReader(&head, r), -1
		}
	}
	info, err := b.c.PutObject(ctx, b.name, b.prefix+name, reader{ctx, r}, size, minio.PutObjectOptions{
		ContentType: "application/octet-stream", PartSize: partSize, SendContentMd5: true,
		DisableContentSha256: true}) // the MD5 is signed: without it what is sent would be wrapped, which not all stores unwrap
	if err != nil {
		return 0, b.fail(name, err)
	}
	return info.Size, nil
}

func (b *bucket) open(ctx context.Context, name string) (io.ReadCloser, error) {
	o, err := b.c.GetObject(ctx, b.name, b.prefix+name, minio.GetObjectOptions{})
	if err == nil {
		_, err = o.Stat() // asks
	}
	if err != nil {
		return nil, b.fail(name, err)
	}
	return o, nil
}

func (b *bucket) list(ctx context.Context, prefix string) iter.Seq2[object, error] {
	return func(yield func(object, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		for o := range b.c.ListObjectsIter(ctx, b.name, minio.ListObjectsOptions{Prefix: b.prefix + prefix, Recursive: true}) {
			if o.Err != nil {
				yield(object{}, b.fail("list", o.Err))
				return
			}
			if !yield(object{strings.TrimPrefix(o.Key, b.prefix), o.Size}, nil) {
				return
			}
		}
	}
}

func (b *bucket) remove(ctx context.Context, name string) error {
	if err := b.c.RemoveObject(ctx, b.name, b.prefix+name, minio.RemoveObjectOptions{}); err != nil {
		return b.fail(name, err)
	}
	return nil
}
