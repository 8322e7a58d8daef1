package httpsig

import (
	"crypto"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/dunglas/httpsfv"
)

// rfcParams are the members of a signature by RFC 9421.
type rfcParams struct {
	components httpsfv.InnerList // with the signature's parameters
	signature  []byte
	alg        string // "": the key tells
	created    int64  // Unix seconds; 0: none
	expires    int64  // Unix seconds; 0: none
}

// parseRFC reads the signature of a request (RFC 9421 §4).
func parseRFC(r *http.Request) (*Signature, error) {
	inputs, err := dictionary(r.Header.Values("Signature-Input"))
	if err != nil {
		return nil, fmt.Errorf("%w: Signature-Input: %w", ErrMalformed, err)
	}
	sigs, err := dictionary(r.Header.Values("Signature"))
	if err != nil {
		return nil, fmt.Errorf("%w: Signature: %w", ErrMalformed, err)
	}
	if len(inputs.Names()) != 1 || len(sigs.Names()) != 1 {
		return nil, fmt.Errorf("%w: %d signatures", ErrMalformed, len(inputs.Names()))
	}
	label := inputs.Names()[0]
	in, _ := inputs.Get(label)
	list, ok := in.(httpsfv.InnerList)
	if !ok {
		return nil, fmt.Errorf("%w: no list of components", ErrMalformed)
	}
	member, ok := sigs.Get(label)
	if !ok {
		return nil, fmt.Errorf("%w: labels differ", ErrMalformed)
	}
	p := &rfcParams{components: list}
	item, _ := member.(httpsfv.Item)
	if p.signature, ok = item.Value.([]byte); !ok {
		return nil, fmt.Errorf("%w: no bytes", ErrMalformed)
	}
	var keyID string
	err = errors.Join(
		param(list.Params, "keyid", &keyID), param(list.Params, "alg", &p.alg),
		param(list.Params, "created", &p.created), param(list.Params, "expires", &p.expires),
	)
	if err != nil {
		return nil, err
	}
	if keyID == "" {
		return nil, fmt.Errorf("%w: keyid", ErrMalformed)
	}
	return &Signature{KeyID: keyID, Scheme: RFC9421, r: r, rfc: p}, nil
}

// param reads a parameter that may be missing but must have its type.
func param[T any](from *httpsfv.Params, name string, to *T) error {
	v, ok := from.Get(name)
	if !ok {
		return nil
	}
	if *to, ok = v.(T); !ok {
		return fmt.Errorf("%w: %s is a %T", ErrMalformed, name, v)
	}
	return nil
}

// dictionary reads one header line as a dictionary (RFC 9651 §3.2) in which
// nothing is named twice. The format lets the last one win; two readers that
// disagree about that would see two signatures.
func dictionary(header []string) (*httpsfv.Dictionary, error) {
	if len(header) != 1 || len(header[0]) > maxHeader {
		return nil, fmt.Errorf("%d header lines, or too long", len(header))
	}
	d, err := httpsfv.UnmarshalDictionary(header)
	if err != nil {
		return nil, err
	}
	again, err := httpsfv.Marshal(d)
	if err != nil {
		return nil, err
	}
	// What was overwritten has taken its separator along.
	if separators(header[0]) != separators(again) {
		return nil, errors.New("a name stands twice")
	}
	return d, nil
}

// separators counts the commas and semicolons outside of strings.
func separators(s string) int {
	n, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case !quoted && (s[i] == ',' || s[i] == ';'):
			n++
		}
	}
	return n
}

func (s *Signature) verifyRFC(key crypto.PublicKey, body []byte, want Expect) error {
	p := s.rfc
	covered := map[string]bool{}
	for _, c := range p.components.Items {
		name, ok := c.Value.(string)
		if !ok {
			return fmt.Errorf("%w: component", ErrMalformed)
		}
		covered[name] = true
	}
	digest := needsDigest(s.r, body)
	switch {
	case !covered["@method"]:
		return fmt.Errorf("%w: @method", ErrCoverage)
	case !covered["@target-uri"] && !(covered["@authority"] && covered["@path"]):
		return fmt.Errorf("%w: @target-uri", ErrCoverage)
	case digest && !covered["content-digest"]:
		return fmt.Errorf("%w: content-digest", ErrCoverage)
	case p.created == 0:
		return fmt.Errorf("%w: created", ErrCoverage)
	}
	if err := checkTime(time.Unix(p.created, 0), want.Now); err != nil {
		return err
	}
	if p.expires != 0 && want.Now.Unix() > p.expires {
		return fmt.Errorf("%w: expired", ErrTime)
	}
	if covered["content-digest"] {
		if err := checkContentDigest(s.r.Header.Values("Content-Digest"), body); err != nil {
			return err
		}
	}
	return s.verifyBase(key, want.Authority)
}

// verifyBase checks the bytes: those of https first, then those of http, since
// behind a proxy the request does not tell which of them its sender used.
func (s *Signature) verifyBase(key crypto.PublicKey, authority string) error {
	allowed := []string{s.rfc.alg}
	if s.rfc.alg == "" {
		allowed = byKey(key)
	}
	for _, scheme := range []string{"https", "http"} {
		base, err := signatureBase(s.r, s.rfc.components, scheme, authority)
		if err != nil {
			return err
		}
		if check(key, allowed, []byte(base), s.rfc.signature) == nil {
			return nil
		}
	}
	return ErrInvalid
}

// SignRFC9421 signs the request by RFC 9421 over its method, its target and,
// for POST and with a body, its content digest. It sets Content-Digest,
// Signature-Input and Signature, and Host from the URL when it is empty. The
// URL must have its scheme.
func SignRFC9421(r *http.Request, key Key, body []byte, now time.Time) error {
	if r.Host == "" {
		r.Host = r.URL.Host
	}
	names := []string{"@method", "@target-uri"}
	if needsDigest(r, body) {
		r.Header.Set("Content-Digest", ContentDigest(body))
		names = append(names, "content-digest")
	}
	list := httpsfv.InnerList{Params: httpsfv.NewParams()}
	for _, n := range names {
		list.Items = append(list.Items, httpsfv.NewItem(n))
	}
	list.Params.Add("created", now.Unix())
	list.Params.Add("keyid", key.ID)
	if algs := byKey(key.Signer.Public()); len(algs) > 0 {
		list.Params.Add("alg", algs[0])
	}
	base, err := signatureBase(r, list, strings.ToLower(r.URL.Scheme), authority(r))
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	_, sig, err := sign(key.Signer, []byte(base))
	if err != nil {
		return err
	}
	input, err := httpsfv.Marshal(list)
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	r.Header.Set("Signature-Input", "sig1="+input)
	r.Header.Set("Signature", "sig1=:"+base64.StdEncoding.EncodeToString(sig)+":")
	return nil
}
