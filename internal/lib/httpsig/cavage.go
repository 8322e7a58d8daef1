package httpsig

import (
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// cavageParams are the parameters of a draft-cavage signature (§2.1).
type cavageParams struct {
	algorithm string   // lower case
	headers   []string // lower case
	created   string
	expires   string
	signature []byte
}

func parseCavage(r *http.Request) (*Signature, error) {
	vals := r.Header.Values("Signature")
	if len(vals) == 0 {
		for _, v := range r.Header.Values("Authorization") { // §3.1
			if text, ok := strings.CutPrefix(v, "Signature "); ok {
				vals = append(vals, text)
			}
		}
	}
	switch {
	case len(vals) == 0:
		return nil, ErrNone
	case len(vals) > 1:
		return nil, fmt.Errorf("%w: several", ErrMalformed)
	case len(vals[0]) > maxHeader:
		return nil, fmt.Errorf("%w: %d bytes", ErrMalformed, len(vals[0]))
	}
	params, err := cavageFields(vals[0])
	if err != nil {
		return nil, err
	}
	sig, err := base64.StdEncoding.DecodeString(params["signature"])
	if err != nil || len(sig) == 0 || params["keyId"] == "" {
		return nil, fmt.Errorf("%w: keyId or signature", ErrMalformed)
	}
	p := &cavageParams{
		algorithm: strings.ToLower(params["algorithm"]), headers: strings.Fields(strings.ToLower(params["headers"])),
		created: params["created"], expires: params["expires"], signature: sig,
	}
	for i, h := range p.headers {
		if slices.Contains(p.headers[:i], h) {
			return nil, fmt.Errorf("%w: %.50q twice", ErrMalformed, h)
		}
	}
	return &Signature{KeyID: params["keyId"], Scheme: Cavage, r: r, cavage: p}, nil
}

// cavageFields reads key="value" and key=number pairs; a key twice is an error.
func cavageFields(text string) (map[string]string, error) {
	out := map[string]string{}
	for text = strings.TrimSpace(text); text != ""; {
		key, rest, ok := strings.Cut(text, "=")
		key = strings.TrimSpace(key)
		if !ok || key == "" || strings.ContainsAny(key, `", `) {
			return nil, fmt.Errorf("%w: no name and value", ErrMalformed)
		}
		var val string
		if quoted, ok := strings.CutPrefix(rest, `"`); ok {
			if val, rest, ok = strings.Cut(quoted, `"`); !ok {
				return nil, fmt.Errorf("%w: open quote", ErrMalformed)
			}
		} else {
			end := strings.IndexByte(rest, ',')
			if end < 0 {
				end = len(rest)
			}
			val, rest = strings.TrimSpace(rest[:end]), rest[end:]
			if _, err := strconv.ParseFloat(val, 64); err != nil {
				return nil, fmt.Errorf("%w: no quotes", ErrMalformed)
			}
		}
		if _, twice := out[key]; twice {
			return nil, fmt.Errorf("%w: %.50q twice", ErrMalformed, key)
		}
		out[key] = val
		rest = strings.TrimSpace(rest)
		if rest == "" {
			break
		}
		if rest[0] != ',' {
			return nil, fmt.Errorf("%w: no comma", ErrMalformed)
		}
		text = strings.TrimSpace(rest[1:])
	}
	return out, nil
}

// cavageAlgorithms maps the draft's names to what they mean among servers:
// hs2019 hides the algorithm, the key tells it, and for RSA everybody means
// PKCS #1 v1.5 with SHA-256.
func cavageAlgorithms(name string) []string {
	switch name {
	case "rsa-sha256":
		return []string{rsaV15}
	case "hs2019", "":
		return []string{rsaV15, ed25519A}
	case "ed25519", "ed25519-sha512":
		return []string{ed25519A}
	}
	return nil
}

func (s *Signature) verifyCavage(key crypto.PublicKey, body []byte, want Expect) error {
	p := s.cavage
	if s.r.Method != strings.ToUpper(s.r.Method) {
		// The draft signs lower case; "post" would pass for the POST it is not.
		return fmt.Errorf("%w: method %.20q", ErrMalformed, s.r.Method)
	}
	need := []string{"(request-target)", "host"}
	digest := needsDigest(s.r, body)
	if digest {
		need = append(need, "digest")
	}
	for _, n := range need {
		if !slices.Contains(p.headers, n) {
			return fmt.Errorf("%w: %s", ErrCoverage, n)
		}
	}
	if err := s.checkCavageTime(want.Now); err != nil {
		return err
	}
	if digest {
		if err := checkDigest(s.r.Header.Values("Digest"), body); err != nil {
			return err
		}
	}
	allowed := cavageAlgorithms(p.algorithm)
	if allowed == nil {
		return fmt.Errorf("%w: algorithm %.50q", ErrMalformed, p.algorithm)
	}
	path, query := target(s.r)
	message, err := cavageMessage(s.r, p, path+query)
	if err != nil {
		return err
	}
	if err = check(key, allowed, []byte(message), p.signature); err == nil || query == "" {
		return err
	}
	// Misskey and others sign the path alone. What they sign does not name the
	// query, so it is only the second guess.
	if message, err = cavageMessage(s.r, p, path); err != nil {
		return err
	}
	return check(key, allowed, []byte(message), p.signature)
}

// checkCavageTime requires a signed Date, or a signed (created).
func (s *Signature) checkCavageTime(now time.Time) error {
	p := s.cavage
	date := slices.Contains(p.headers, "date")
	created := slices.Contains(p.headers, "(created)")
	if !date && !created {
		return fmt.Errorf("%w: date", ErrCoverage)
	}
	if date {
		vals := s.r.Header.Values("Date")
		if len(vals) != 1 {
			return fmt.Errorf("%w: %d Date headers", ErrMalformed, len(vals))
		}
		t, err := http.ParseTime(vals[0])
		if err != nil {
			return fmt.Errorf("%w: Date", ErrMalformed)
		}
		if err := checkTime(t, now); err != nil {
			return err
		}
	}
	if (created || slices.Contains(p.headers, "(expires)")) && strings.HasPrefix(p.algorithm, "rsa") {
		return fmt.Errorf("%w: (created) with %.50q", ErrMalformed, p.algorithm) // §2.3
	}
	if created {
		sec, err := strconv.ParseInt(p.created, 10, 64)
		if err != nil {
			return fmt.Errorf("%w: created", ErrMalformed)
		}
		if err := checkTime(time.Unix(sec, 0), now); err != nil {
			return err
		}
	}
	if p.expires != "" {
		sec, err := strconv.ParseFloat(p.expires, 64) // §2.1.5 allows fractions
		if err != nil {
			return fmt.Errorf("%w: expires", ErrMalformed)
		}
		if float64(now.Unix()) > sec {
			return fmt.Errorf("%w: expired", ErrTime)
		}
	}
	return nil
}

// cavageMessage is the text that is signed (§2.3).
func cavageMessage(r *http.Request, p *cavageParams, target string) (string, error) {
	var b strings.Builder
	for i, h := range p.headers {
		if i > 0 {
			b.WriteByte('\n')
		}
		var val string
		switch h {
		case "(request-target)":
			val = strings.ToLower(r.Method) + " " + target
		case "(created)":
			val = p.created
		case "(expires)":
			val = p.expires
		default:
			var err error
			if val, err = field(r, h); err != nil {
				return "", err
			}
		}
		if val == "" && h[0] == '(' {
			return "", fmt.Errorf("%w: no %.50q", ErrMalformed, h)
		}
		b.WriteString(h + ": " + val)
	}
	return b.String(), nil
}

// CavageOption changes what SignCavage signs.
type CavageOption int8

// WithoutQuery leaves the query out of the request target, as servers of
// Misskey's family sign and some expect it.
const WithoutQuery CavageOption = 1

// SignCavage signs the request by draft-cavage-12: (request-target), date and
// host always, digest for POST and with a body, else accept if it is set. It
// sets Date, Digest and Signature, and Host from the URL when it is empty.
// RSA signs as rsa-sha256, Ed25519 as hs2019.
func SignCavage(r *http.Request, key Key, body []byte, now time.Time, opts ...CavageOption) error {
	if strings.ContainsAny(key.ID, "\"\r\n") {
		return fmt.Errorf("sign: %w: id", ErrKey)
	}
	if r.Host == "" {
		r.Host = r.URL.Host
	}
	r.Header.Set("Date", now.UTC().Format(http.TimeFormat))
	p := &cavageParams{headers: []string{"(request-target)", "date", "host"}}
	switch {
	case needsDigest(r, body):
		r.Header.Set("Digest", Digest(body))
		p.headers = append(p.headers, "digest")
	case r.Header.Get("Accept") != "":
		p.headers = append(p.headers, "accept")
	}
	path, query := target(r)
	if slices.Contains(opts, WithoutQuery) {
		query = ""
	}
	message, err := cavageMessage(r, p, path+query)
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	_, sig, err := sign(key.Signer, []byte(message))
	if err != nil {
		return err
	}
	alg := "rsa-sha256"
	if _, ok := key.Signer.Public().(ed25519.PublicKey); ok {
		alg = "hs2019"
	}
	r.Header.Set("Signature", fmt.Sprintf(`keyId="%s",algorithm="%s",headers="%s",signature="%s"`,
		key.ID, alg, strings.Join(p.headers, " "), base64.StdEncoding.EncodeToString(sig)))
	return nil
}
