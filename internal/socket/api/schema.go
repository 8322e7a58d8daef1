package api

import (
	"encoding/json"
	"reflect"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Schema describes a JSON value. It is read from a Go type: the json tag names
// a property, the api tag constrains it, comma separated:
//
//	required         the property must be there
//	nullable         null is allowed (pointers and Opt are nullable anyhow)
//	id               Misskey's id format
//	min=, max=       number, or length in code points, or number of items
//	pattern=         regular expression of a string; a comma is written \\,
//	enum=a|b|c       allowed strings
//	unique           array items differ
//	items-…          the same for an array's items: items-id, items-min=…
//	default=         used when the property is absent
type Schema struct {
	Type     string // string, integer, number, boolean, array, object; "" = any
	Format   string
	Nullable bool
	Enum     []string
	Pattern  string
	Min, Max *float64
	Unique   bool
	Items    *Schema
	Props    []*Prop
	AnyOf    []*Schema
	Default  string // JSON; "" = none
	Name     string // of the Go type, for the description's references

	re *regexp.Regexp
}

// Prop is a property of an object.
type Prop struct {
	Name     string
	Required bool
	Schema   *Schema
	index    []int // of the Go field
}

// Opt is a parameter whose absence, null and value all differ.
type Opt[T any] struct {
	Set  bool // was there, null or not
	Null bool
	V    T
}

// UnmarshalJSON is called only when the property is there.
func (o *Opt[T]) UnmarshalJSON(b []byte) error {
	o.Set = true
	if string(b) == "null" {
		o.Null = true
		return nil
	}
	return json.Unmarshal(b, &o.V)
}

// MarshalJSON writes null for an absent or null value.
func (o Opt[T]) MarshalJSON() ([]byte, error) {
	if !o.Set || o.Null {
		return []byte("null"), nil
	}
	return json.Marshal(o.V)
}

func (Opt[T]) inner() reflect.Type { return reflect.TypeFor[T]() }

type optional interface{ inner() reflect.Type }

// Schemer is a type that describes itself.
type Schemer interface{ APISchema() *Schema }

// OneOrMany is a parameter that is one value or a list of them.
type OneOrMany[T any] struct {
	Many   bool
	Values []T
}

// UnmarshalJSON takes both forms.
func (o *OneOrMany[T]) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '[' {
		o.Many = true
		return json.Unmarshal(b, &o.Values)
	}
	var v T
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	o.Values = []T{v}
	return nil
}

// APISchema is anyOf the value and the list; strings are ids.
func (OneOrMany[T]) APISchema() *Schema {
	one := *SchemaOf(reflect.TypeFor[T]())
	if one.Type == "string" {
		one.Format = "misskey:id"
		one.compile()
	}
	return &Schema{AnyOf: []*Schema{&one, {Type: "array", Items: &one}}}
}

// idPattern is Misskey's id format.
const idPattern = `^[a-zA-Z0-9]+$`

// schemaReader remembers the structs it met: they may refer to each other (a
// note has a reply), so an unfinished one is put in before its fields.
type schemaReader struct {
	seen map[reflect.Type]*Schema
}

// SchemaOf reads the schema of a type.
func SchemaOf(t reflect.Type) *Schema {
	r := &schemaReader{seen: map[reflect.Type]*Schema{}}
	return r.of(t)
}

func (r *schemaReader) of(t reflect.Type) *Schema {
	if o, ok := reflect.Zero(t).Interface().(optional); ok {
		s := *r.of(o.inner())
		s.Nullable = true
		return &s
	}
	switch t {
	case reflect.TypeFor[time.Time](), reflect.TypeFor[Time]():
		return &Schema{Type: "string", Format: "date-time"}
	case reflect.TypeFor[json.RawMessage]():
		return &Schema{}
	}
	if t.Kind() != reflect.Interface && t.Kind() != reflect.Pointer && t.Implements(reflect.TypeFor[Schemer]()) {
		return reflect.Zero(t).Interface().(Schemer).APISchema()
	}
	switch t.Kind() {
	case reflect.Pointer:
		s := r.of(t.Elem())
		c := *s
		c.Nullable = true
		if s.Name != "" && len(s.Props) == 0 {
			return s // unfinished: refer to it
		}
		return &c
	case reflect.String:
		return &Schema{Type: "string"}
	case reflect.Bool:
		return &Schema{Type: "boolean"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return &Schema{Type: "integer"}
	case reflect.Float32, reflect.Float64:
		return &Schema{Type: "number"}
	case reflect.Slice, reflect.Array:
		return &Schema{Type: "array", Items: r.of(t.Elem())}
	case reflect.Map:
		return &Schema{Type: "object"}
	case reflect.Struct:
		if s, ok := r.seen[t]; ok {
			return s
		}
		s := &Schema{Type: "object", Name: t.String()}
		r.seen[t] = s
		r.fields(s, t, nil)
		return s
	}
	return &Schema{}
}

func (r *schemaReader) fields(s *Schema, t reflect.Type, at []int) {
	for i := range t.NumField() {
		f := t.Field(i)
		index := append(append([]int{}, at...), i)
		name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			ft := f.Type
			if ft.Kind() == reflect.Pointer {
				ft = ft.Elem()
			}
			r.fields(s, ft, index)
			continue
		}
		if !f.IsExported() || name == "-" || name == "" {
			continue
		}
		c := *r.of(f.Type)
		p := &Prop{Name: name, Schema: &c, index: index}
		c.apply(f.Tag.Get("api"), p)
		if !strings.Contains(opts, "omitempty") && !strings.Contains(opts, "omitzero") && f.Tag.Get("api") == "" {
			p.Required = p.Required || !c.Nullable // of results; parameters say it themselves
		}
		c.compile()
		s.Props = append(s.Props, p)
	}
}

func (s *Schema) apply(tag string, p *Prop) {
	if tag == "" {
		return
	}
	for _, opt := range splitTag(tag) {
		key, val, _ := strings.Cut(opt, "=")
		target := s
		if rest, ok := strings.CutPrefix(key, "items-"); ok {
			item := *s.Items
			s.Items, target, key = &item, &item, rest
		}
		switch key {
		case "required":
			p.Required = true
		case "nullable":
			target.Nullable = true
		case "id":
			target.Format = "misskey:id"
		case "min", "max":
			n, err := strconv.ParseFloat(val, 64)
			if err != nil {
				panic("api: tag " + tag + ": " + err.Error())
			}
			if key == "min" {
				target.Min = &n
			} else {
				target.Max = &n
			}
		case "pattern":
			target.Pattern = val
		case "enum":
			target.Enum = strings.Split(val, "|")
		case "unique":
			target.Unique = true
		case "default":
			target.Default = val
		case "any":
			target.Type = ""
		case "optional":
		default:
			panic("api: unknown tag " + opt + " on " + p.Name)
		}
		target.compile()
	}
	if s.Default != "" && s.Type == "string" && s.Default[0] != '"' {
		s.Default = strconv.Quote(s.Default)
	}
}

// splitTag splits at commas; one that is meant is written \\,.
func splitTag(tag string) []string {
	parts := strings.Split(strings.ReplaceAll(tag, `\,`, "\x00"), ",")
	for i, p := range parts {
		parts[i] = strings.ReplaceAll(p, "\x00", ",")
	}
	return parts
}

func (s *Schema) compile() {
	switch {
	case s.Pattern != "":
		s.re = regexp.MustCompile(s.Pattern)
	case s.Format == "misskey:id":
		s.re = regexp.MustCompile(idPattern)
	}
}

// check finds the first thing wrong with v, as (schema path, reason); "" = fine.
func (s *Schema) check(v any, path string) (string, string) {
	if v == nil {
		if s.Nullable || (s.Type == "" && len(s.AnyOf) == 0) {
			return "", ""
		}
		return path + "/type", "must be " + s.Type
	}
	if len(s.AnyOf) > 0 {
		for _, alt := range s.AnyOf {
			if at, _ := alt.check(v, path); at == "" {
				return "", ""
			}
		}
		return path + "/anyOf", "must match a schema in anyOf"
	}
	switch s.Type {
	case "string":
		return s.checkString(v, path)
	case "integer", "number":
		return s.checkNumber(v, path)
	case "boolean":
		if _, ok := v.(bool); !ok {
			return path + "/type", "must be boolean"
		}
	case "array":
		return s.checkArray(v, path)
	case "object":
		m, ok := v.(map[string]any)
		if !ok {
			return path + "/type", "must be object"
		}
		return s.checkProps(m, path)
	}
	return "", ""
}

func (s *Schema) checkProps(m map[string]any, path string) (string, string) {
	for _, p := range s.Props {
		if _, there := m[p.Name]; p.Required && !there {
			return path + "/required", "must have required property '" + p.Name + "'"
		}
	}
	for _, p := range s.Props {
		v, there := m[p.Name]
		if !there {
			continue
		}
		if at, why := p.Schema.check(v, path+"/properties/"+p.Name); at != "" {
			return at, why
		}
	}
	return "", ""
}

func (s *Schema) checkString(v any, path string) (string, string) {
	t, ok := v.(string)
	if !ok {
		return path + "/type", "must be string"
	}
	n := float64(utf8.RuneCountInString(t))
	switch {
	case s.Min != nil && n < *s.Min:
		return path + "/minLength", "must NOT have fewer than " + num(*s.Min) + " characters"
	case s.Max != nil && n > *s.Max:
		return path + "/maxLength", "must NOT have more than " + num(*s.Max) + " characters"
	case s.re != nil && s.Format != "" && !s.re.MatchString(t):
		return path + "/format", `must match format "` + s.Format + `"`
	case s.re != nil && !s.re.MatchString(t):
		return path + "/pattern", `must match pattern "` + s.Pattern + `"`
	}
	if s.Enum != nil {
		for _, e := range s.Enum {
			if e == t {
				return "", ""
			}
		}
		return path + "/enum", "must be equal to one of the allowed values"
	}
	return "", ""
}

func (s *Schema) checkNumber(v any, path string) (string, string) {
	n, ok := v.(float64)
	if !ok || (s.Type == "integer" && n != float64(int64(n))) {
		return path + "/type", "must be " + s.Type
	}
	switch {
	case s.Min != nil && n < *s.Min:
		return path + "/minimum", "must be >= " + num(*s.Min)
	case s.Max != nil && n > *s.Max:
		return path + "/maximum", "must be <= " + num(*s.Max)
	}
	return "", ""
}

func (s *Schema) checkArray(v any, path string) (string, string) {
	list, ok := v.([]any)
	if !ok {
		return path + "/type", "must be array"
	}
	n := float64(len(list))
	switch {
	case s.Min != nil && n < *s.Min:
		return path + "/minItems", "must NOT have fewer than " + num(*s.Min) + " items"
	case s.Max != nil && n > *s.Max:
		return path + "/maxItems", "must NOT have more than " + num(*s.Max) + " items"
	}
	seen := map[string]bool{}
	for _, item := range list {
		if at, why := s.Items.check(item, path+"/items"); at != "" {
			return at, why
		}
		if s.Unique {
			b, err := json.Marshal(item)
			if err != nil || seen[string(b)] {
				return path + "/uniqueItems", "must NOT have duplicate items"
			}
			seen[string(b)] = true
		}
	}
	return "", ""
}

func num(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// fillDefaults sets the fields whose properties are absent from values.
func (s *Schema) fillDefaults(v reflect.Value, values map[string]any) {
	for _, p := range s.Props {
		if _, there := values[p.Name]; there || p.Schema.Default == "" {
			continue
		}
		f := v.FieldByIndex(p.index)
		if err := json.Unmarshal([]byte(p.Schema.Default), f.Addr().Interface()); err != nil {
			panic("api: default of " + p.Name + ": " + err.Error())
		}
	}
}

// cast turns the strings of a query into the types the schema asks for; what
// does not fit stays a string and is refused by the check.
func (s *Schema) cast(query map[string][]string) map[string]any {
	out := map[string]any{}
	for name, vals := range query {
		out[name] = vals[0]
	}
	for _, p := range s.Props {
		v, ok := out[p.Name].(string)
		if !ok {
			continue
		}
		switch p.Schema.Type {
		case "integer", "number":
			if n, err := strconv.ParseFloat(v, 64); err == nil {
				out[p.Name] = n
			}
		case "boolean":
			if v == "true" || v == "false" {
				out[p.Name] = v == "true"
			}
		}
	}
	return out
}

// JSON is the schema as JSON Schema (draft-07 with OpenAPI's nullable, the
// dialect of Misskey's /api.json). Named types become references into defs.
func (s *Schema) JSON(defs map[string]any) map[string]any {
	out := map[string]any{}
	if s.Type != "" {
		out["type"] = s.Type
	}
	if s.Nullable {
		out["nullable"] = true
	}
	if s.Format != "" {
		out["format"] = s.Format
	}
	if s.Pattern != "" {
		out["pattern"] = s.Pattern
	}
	if s.Enum != nil {
		out["enum"] = s.Enum
	}
	if s.Unique {
		out["uniqueItems"] = true
	}
	if s.Default != "" {
		out["default"] = json.RawMessage(s.Default)
	}
	lo, hi := map[string][2]string{"string": {"minLength", "maxLength"}, "array": {"minItems", "maxItems"}}[s.Type][0],
		map[string][2]string{"string": {"minLength", "maxLength"}, "array": {"minItems", "maxItems"}}[s.Type][1]
	if lo == "" {
		lo, hi = "minimum", "maximum"
	}
	if s.Min != nil {
		out[lo] = *s.Min
	}
	if s.Max != nil {
		out[hi] = *s.Max
	}
	if s.Items != nil {
		out["items"] = s.Items.ref(defs)
	}
	for _, alt := range s.AnyOf {
		list, _ := out["anyOf"].([]any)
		out["anyOf"] = append(list, alt.ref(defs))
	}
	if s.Type == "object" && s.Props != nil {
		props, required := map[string]any{}, []string{}
		for _, p := range s.Props {
			props[p.Name] = p.Schema.ref(defs)
			if p.Required {
				required = append(required, p.Name)
			}
		}
		sort.Strings(required)
		out["properties"], out["required"] = props, required
	}
	return out
}

func (s *Schema) ref(defs map[string]any) map[string]any {
	if s.Name == "" || defs == nil {
		return s.JSON(defs)
	}
	name := s.Name[strings.LastIndexByte(s.Name, '.')+1:]
	if _, ok := defs[name]; !ok {
		defs[name] = nil // ends recursion
		plain := *s
		plain.Nullable = false
		defs[name] = plain.JSON(defs)
	}
	r := map[string]any{"$ref": "#/components/schemas/" + name}
	if s.Nullable {
		return map[string]any{"nullable": true, "allOf": []any{r}}
	}
	return r
}
