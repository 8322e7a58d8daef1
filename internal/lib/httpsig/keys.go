package httpsig

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// Key signs requests.
type Key struct {
	ID     string        // where others fetch it; goes into the header as it is
	Signer crypto.Signer // RSA or Ed25519
}

// KeyPair is a key in the form it is stored in.
type KeyPair struct {
	PrivatePEM string // PKCS #8
	PublicPEM  string // SPKI
}

const (
	rsaBits    = 2048 // of keys made here
	minRSABits = 1024 // of keys accepted: old servers have them
	maxRSABits = 8192 // a larger one only costs us time
	maxPEM     = 16 << 10
)

// ErrKey says that a text is no key that can be used.
var ErrKey = errors.New("not a usable key")

// GenerateRSA makes an RSA-2048 pair; it takes a tenth of a second or more.
func GenerateRSA() (*KeyPair, error) {
	k, err := rsa.GenerateKey(rand.Reader, rsaBits)
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	priv, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	pub, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	return &KeyPair{
		PrivatePEM: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: priv})),
		PublicPEM:  string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pub})),
	}, nil
}

// ParsePrivateKey reads a PEM text of PKCS #8 or PKCS #1: RSA or Ed25519.
// Errors wrap ErrKey and do not carry the text.
func ParsePrivateKey(text string) (crypto.Signer, error) {
	der, err := decodePEM(text)
	if err != nil {
		return nil, err
	}
	if k, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return orNot(crypto.Signer(k), checkRSA(&k.PublicKey))
	}
	k, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	switch k := k.(type) {
	case *rsa.PrivateKey:
		return orNot(crypto.Signer(k), checkRSA(&k.PublicKey))
	case ed25519.PrivateKey:
		return k, nil
	}
	return nil, fmt.Errorf("%w: %T", ErrKey, k)
}

// ParsePublicKey reads a PEM text of SPKI or PKCS #1, whatever its label says:
// RSA of 1024 to 8192 bits, Ed25519, or ECDSA on P-256. Errors wrap ErrKey.
func ParsePublicKey(text string) (crypto.PublicKey, error) {
	der, err := decodePEM(text)
	if err != nil {
		return nil, err
	}
	if k, err := x509.ParsePKCS1PublicKey(der); err == nil {
		return orNot(crypto.PublicKey(k), checkRSA(k))
	}
	k, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	switch k := k.(type) {
	case *rsa.PublicKey:
		return orNot(crypto.PublicKey(k), checkRSA(k))
	case ed25519.PublicKey:
		return k, nil
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return k, nil
		}
	}
	return nil, fmt.Errorf("%w: %T", ErrKey, k)
}

func decodePEM(text string) ([]byte, error) {
	if len(text) > maxPEM {
		return nil, fmt.Errorf("%w: %d bytes", ErrKey, len(text))
	}
	block, _ := pem.Decode([]byte(strings.TrimSpace(text)))
	if block == nil {
		return nil, fmt.Errorf("%w: no PEM", ErrKey)
	}
	return block.Bytes, nil
}

func checkRSA(k *rsa.PublicKey) error {
	if n := k.N.BitLen(); n < minRSABits || n > maxRSABits {
		return fmt.Errorf("%w: RSA of %d bits", ErrKey, n)
	}
	return nil
}

// orNot is the key, or the error alone.
func orNot[K any](k K, err error) (K, error) {
	if err != nil {
		var none K
		return none, err
	}
	return k, nil
}
