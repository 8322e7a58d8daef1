package httpsig

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/dunglas/httpsfv"
)

// Digest is the value of the Digest header for a body (RFC 3230, RFC 5843).
func Digest(body []byte) string {
	sum := sha256.Sum256(body)
	return "SHA-256=" + base64.StdEncoding.EncodeToString(sum[:])
}

// ContentDigest is the value of the Content-Digest header for a body (RFC 9530
// §2).
func ContentDigest(body []byte) string {
	sum := sha256.Sum256(body)
	return "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
}

// checkDigest checks the Digest header against the body: each SHA-256 in it
// must match, and one must be there. Other algorithms prove nothing here.
func checkDigest(header []string, body []byte) error {
	if len(header) != 1 || len(header[0]) > maxHeader {
		return fmt.Errorf("%w: %d Digest headers", ErrDigest, len(header))
	}
	sum := sha256.Sum256(body)
	known := false
	for d := range strings.SplitSeq(header[0], ",") {
		alg, val, ok := strings.Cut(strings.TrimSpace(d), "=")
		if !ok || !strings.EqualFold(alg, "SHA-256") {
			continue
		}
		got, err := base64.StdEncoding.DecodeString(val)
		if err != nil || subtle.ConstantTimeCompare(got, sum[:]) != 1 {
			return ErrDigest
		}
		known = true
	}
	if !known {
		return fmt.Errorf("%w: no SHA-256", ErrDigest)
	}
	return nil
}

// checkContentDigest checks the Content-Digest header against the body: each
// digest of an algorithm that RFC 9530 §5 calls active must match, and one must
// be there.
func checkContentDigest(header []string, body []byte) error {
	d, err := dictionary(header)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDigest, err)
	}
	known := false
	for _, name := range d.Names() {
		var sum []byte
		switch name {
		case "sha-256":
			h := sha256.Sum256(body)
			sum = h[:]
		case "sha-512":
			h := sha512.Sum512(body)
			sum = h[:]
		default:
			continue
		}
		m, _ := d.Get(name)
		item, _ := m.(httpsfv.Item)
		got, ok := item.Value.([]byte)
		if !ok || subtle.ConstantTimeCompare(got, sum) != 1 {
			return ErrDigest
		}
		known = true
	}
	if !known {
		return fmt.Errorf("%w: no algorithm that is known", ErrDigest)
	}
	return nil
}
