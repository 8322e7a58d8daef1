package httpsig

import (
	"crypto"
	"net/http"
)

// VerifyOnly parses and checks the bytes alone: the examples of RFC 9421 sign
// less than Verify demands, and at another time.
func VerifyOnly(r *http.Request, key crypto.PublicKey, authority string) error {
	s, err := Parse(r)
	if err != nil {
		return err
	}
	return s.verifyBase(key, authority)
}

// Base is the text that the request's signature signs.
func Base(r *http.Request, scheme, authority string) (string, error) {
	s, err := Parse(r)
	if err != nil {
		return "", err
	}
	return signatureBase(r, s.rfc.components, scheme, authority)
}

// CheckMessage checks bytes by one algorithm.
func CheckMessage(key crypto.PublicKey, alg, message string, sig []byte) error {
	return check(key, []string{alg}, []byte(message), sig)
}

// CheckContentDigest is checkContentDigest.
var CheckContentDigest = checkContentDigest

// CheckDigest is checkDigest.
var CheckDigest = checkDigest
