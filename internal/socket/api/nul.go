package api

import (
	"bytes"
	"encoding/json"
	"strings"
)

// withoutNUL takes U+0000 out of all texts of a body: PostgreSQL keeps none,
// and nobody means one. Most bodies have none, and are given back as they are.
func withoutNUL(body []byte) ([]byte, error) {
	if !bytes.Contains(body, []byte(`\u0000`)) {
		return body, nil
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber() // numbers stay as they were written
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	return json.Marshal(stripNUL(v))
}

func stripNUL(v any) any {
	switch v := v.(type) {
	case string:
		return strings.ReplaceAll(v, "\x00", "")
	case []any:
		for i := range v {
			v[i] = stripNUL(v[i])
		}
	case map[string]any:
		for k, inner := range v {
			delete(v, k)
			v[strings.ReplaceAll(k, "\x00", "")] = stripNUL(inner)
		}
	}
	return v
}
