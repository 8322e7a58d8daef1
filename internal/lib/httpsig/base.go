package httpsig

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/dunglas/httpsfv"
)

// signatureBase is the text that is signed (RFC 9421 §2.5).
func signatureBase(r *http.Request, components httpsfv.InnerList, scheme, authority string) (string, error) {
	var b strings.Builder
	seen := map[string]bool{}
	for _, c := range components.Items {
		id, err := httpsfv.Marshal(c)
		if err != nil {
			return "", fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		if seen[id] {
			return "", fmt.Errorf("%w: component %.50s twice", ErrMalformed, id)
		}
		seen[id] = true
		val, err := component(r, c, scheme, authority)
		if err != nil {
			return "", err
		}
		b.WriteString(id + ": " + val + "\n")
	}
	params, err := httpsfv.Marshal(components)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	b.WriteString(`"@signature-params": ` + params)
	return b.String(), nil
}

// component is the value of one component (RFC 9421 §2.1, §2.2). Parameters
// that change what a component means are refused, but for a query parameter's
// name.
func component(r *http.Request, item httpsfv.Item, scheme, authority string) (string, error) {
	name, _ := item.Value.(string)
	if name == "@query-param" {
		return queryParam(r, item)
	}
	if names := item.Params.Names(); len(names) > 0 {
		return "", fmt.Errorf("%w: component parameter %.50q", ErrMalformed, names[0])
	}
	path, query := target(r)
	switch name {
	case "@method":
		return r.Method, nil
	case "@authority":
		return authority, nil
	case "@scheme":
		return scheme, nil
	case "@target-uri":
		return scheme + "://" + authority + path + query, nil
	case "@request-target":
		return path + query, nil
	case "@path":
		return path, nil
	case "@query":
		if query == "" {
			return "?", nil // §2.2.7: there even when empty
		}
		return query, nil
	}
	if strings.HasPrefix(name, "@") || name != strings.ToLower(name) {
		return "", fmt.Errorf("%w: component %.50q", ErrMalformed, name)
	}
	return field(r, name)
}

// queryParam is the value of one parameter of the query (RFC 9421 §2.2.8).
func queryParam(r *http.Request, item httpsfv.Item) (string, error) {
	bad := fmt.Errorf("%w: query parameter", ErrMalformed)
	val, _ := item.Params.Get("name")
	encoded, ok := val.(string)
	if !ok || len(item.Params.Names()) != 1 {
		return "", bad
	}
	name, err := url.QueryUnescape(encoded)
	if err != nil {
		return "", bad
	}
	_, query := target(r)
	params, err := url.ParseQuery(strings.TrimPrefix(query, "?"))
	if err != nil || len(params[name]) != 1 {
		return "", bad // §2.2.8: one that occurs twice must not be used
	}
	return formEscape.Replace(url.QueryEscape(params[name][0])), nil
}

// formEscape turns Go's escapes into those of application/x-www-form-urlencoded
// with %20 for the space.
var formEscape = strings.NewReplacer("+", "%20", "~", "%7E", "%2A", "*")
