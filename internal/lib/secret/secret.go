// Package secret encrypts what the database stores and must not reveal: private keys, tokens for other services,
// two-factor seeds. The key is in a file beside the data, never in the database or a plain backup.
//
// It is not for passwords (those are hashed) nor for signing.
package secret

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
)

var (
	// ErrKey says that no key of the file made the sealed value: the key file is not the database's, or an old key
	// was removed from it too early.
	ErrKey = errors.New("secret: sealed with a key that is not in the key file")
	// ErrOpen says that the sealed value was altered, cut, or sealed for another context.
	ErrOpen = errors.New("secret: not a sealed value, or not of this context")
)

// A sealed value is
//
//	version (1 byte) | key id (4) | nonce (24) | ciphertext | tag (16)
//
// with version 1 = XChaCha20-Poly1305; version, key id and context are authenticated. Overhead is Overhead bytes.
const (
	version  = 1
	idSize   = 4
	header   = 1 + idSize
	Overhead = header + chacha20poly1305.NonceSizeX + chacha20poly1305.Overhead // bytes that Seal adds
	keySize  = 32
)

// Box seals and opens with the keys of one key file. It may be used by many goroutines at once.
type Box struct {
	keys []key // the first seals, all open
}

type key struct {
	id          [idSize]byte
	aead        cipher.AEAD
	fingerprint string
	names       []byte // of Name
}

// newKey derives from the master key what is used and what is shown, so that neither tells of the other.
func newKey(master []byte) (key, error) {
	var k key
	sub, err := hkdf.Expand(sha256.New, master, "oven secret v1 encryption", keySize)
	if err != nil {
		return k, err
	}
	id, err := hkdf.Expand(sha256.New, master, "oven secret v1 key id", idSize)
	if err != nil {
		return k, err
	}
	shown, err := hkdf.Expand(sha256.New, master, "oven secret v1 fingerprint", 16)
	if err != nil {
		return k, err
	}
	k.names, err = hkdf.Expand(sha256.New, master, "oven secret v1 names", keySize)
	if err != nil {
		return k, err
	}
	copy(k.id[:], id)
	k.fingerprint = hex.EncodeToString(shown)
	k.aead, err = chacha20poly1305.NewX(sub)
	return k, err
}

// Seal encrypts plain for one context: the place it is stored at, such as "user_key.private:9abc". It cannot be
// opened for another, so a value that is moved to another row or column is noticed.
func (b *Box) Seal(plain []byte, context string) []byte {
	k := b.keys[0]
	sealed := make([]byte, header+chacha20poly1305.NonceSizeX, len(plain)+Overhead)
	sealed[0] = version
	copy(sealed[1:], k.id[:])
	nonce := sealed[header:]
	rand.Read(nonce) // never fails (crypto/rand); 24 random bytes do not repeat
	return k.aead.Seal(sealed, nonce, plain, authenticated(sealed[:header], context))
}

// Open returns what was sealed for this context. The error is ErrKey or ErrOpen.
func (b *Box) Open(sealed []byte, context string) ([]byte, error) {
	if len(sealed) < Overhead || sealed[0] != version {
		return nil, ErrOpen
	}
	for _, k := range b.keys {
		if [idSize]byte(sealed[1:header]) != k.id {
			continue
		}
		nonce, text := sealed[header:header+chacha20poly1305.NonceSizeX], sealed[header+chacha20poly1305.NonceSizeX:]
		plain, err := k.aead.Open(nil, nonce, text, authenticated(sealed[:header], context))
		if err != nil {
			return nil, ErrOpen
		}
		return plain, nil
	}
	return nil, ErrKey
}

// Stale reports whether a sealed value was not made by the key that seals now: after a rotation it should be opened
// and sealed again, before the old key is taken out of the file.
func (b *Box) Stale(sealed []byte) bool {
	return len(sealed) < header || sealed[0] != version || [idSize]byte(sealed[1:header]) != b.keys[0].id
}

// Fingerprint names the key that seals, without revealing anything of it. Store it in the database and compare it at
// start with Knows: a wrong key file is then an error at once, not at the first secret.
func (b *Box) Fingerprint() string { return b.keys[0].fingerprint }

// Name is a name for data that is always the same and tells nobody without the key what it is the name of, or that two
// servers have the same. After a rotation the names are others.
func (b *Box) Name(context string, data []byte) []byte {
	mac := hmac.New(sha256.New, b.keys[0].names)
	mac.Write([]byte(context))
	mac.Write([]byte{0})
	mac.Write(data)
	return mac.Sum(nil)
}

// Knows reports whether the key file has the key of this fingerprint.
func (b *Box) Knows(fingerprint string) bool {
	for _, k := range b.keys {
		if subtle.ConstantTimeCompare([]byte(k.fingerprint), []byte(fingerprint)) == 1 {
			return true
		}
	}
	return false
}

// String keeps keys out of logs.
func (b *Box) String() string { return fmt.Sprintf("secret.Box(%s)", b.Fingerprint()) }

func authenticated(head []byte, context string) []byte {
	return append(append(make([]byte, 0, len(head)+len(context)), head...), context...)
}
