package httpsig

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"math/big"
	"slices"
)

// The algorithms of RFC 9421 §3.3 that are known here. Those of the draft are
// other names for the first and the third.
const (
	rsaV15   = "rsa-v1_5-sha256"
	rsaPSS   = "rsa-pss-sha512"
	ed25519A = "ed25519"
	p256     = "ecdsa-p256-sha256"
)

// byKey are the algorithms that a key can be used with. The key decides, a name
// in the request only narrows it: else the sender chose how he is checked.
func byKey(key crypto.PublicKey) []string {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if checkRSA(k) == nil {
			return []string{rsaV15, rsaPSS}
		}
	case ed25519.PublicKey:
		if len(k) == ed25519.PublicKeySize {
			return []string{ed25519A}
		}
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return []string{p256}
		}
	}
	return nil
}

// check checks the bytes with the key by one of the allowed algorithms.
func check(key crypto.PublicKey, allowed []string, message, sig []byte) error {
	for _, alg := range byKey(key) {
		if slices.Contains(allowed, alg) && signedBy(key, alg, message, sig) {
			return nil
		}
	}
	return ErrInvalid
}

func signedBy(key crypto.PublicKey, alg string, message, sig []byte) bool {
	switch alg {
	case rsaV15:
		sum := sha256.Sum256(message)
		return rsa.VerifyPKCS1v15(key.(*rsa.PublicKey), crypto.SHA256, sum[:], sig) == nil
	case rsaPSS:
		sum := sha512.Sum512(message)
		return rsa.VerifyPSS(key.(*rsa.PublicKey), crypto.SHA512, sum[:], sig, &rsa.PSSOptions{SaltLength: 64}) == nil
	case ed25519A:
		return ed25519.Verify(key.(ed25519.PublicKey), message, sig)
	case p256:
		// r and s of 32 bytes each (RFC 9421 §3.3.4), not ASN.1.
		sum := sha256.Sum256(message)
		return len(sig) == 64 &&
			ecdsa.Verify(key.(*ecdsa.PublicKey), sum[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]))
	}
	return false
}

// sign signs with RSA PKCS #1 v1.5 over SHA-256, or Ed25519.
func sign(k crypto.Signer, message []byte) (alg string, sig []byte, err error) {
	switch k.Public().(type) {
	case *rsa.PublicKey:
		sum := sha256.Sum256(message)
		sig, err = k.Sign(rand.Reader, sum[:], crypto.SHA256)
	case ed25519.PublicKey:
		sig, err = k.Sign(rand.Reader, message, crypto.Hash(0))
	default:
		return "", nil, fmt.Errorf("%w: %T", ErrKey, k.Public())
	}
	if err != nil {
		return "", nil, fmt.Errorf("sign: %w", err)
	}
	return byKey(k.Public())[0], sig, nil
}
