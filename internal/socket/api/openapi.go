package api

import (
	"encoding/json"
	"net/http"
)

// OpenAPI is the description served at /api.json, made from the endpoints' own
// types: there is no second description that could disagree.
func (s *Server) OpenAPI() map[string]any {
	defs, paths := map[string]any{}, map[string]any{}
	for _, e := range s.Endpoints() {
		op := e.operation(defs)
		item := map[string]any{"post": op}
		if e.Meta.Get {
			item["get"] = op
		}
		paths["/"+e.Name] = item
	}
	return map[string]any{
		"openapi": "3.1.0",
		"info":    map[string]any{"version": s.cfg.Version, "title": "Misskey API", "description": "The API of an Oven server."},
		"servers": []any{map[string]any{"url": s.cfg.Origin + "/api"}},
		"paths":   paths,
		"components": map[string]any{
			"schemas":         defs,
			"securitySchemes": map[string]any{"bearerAuth": map[string]any{"type": "http", "scheme": "bearer"}},
		},
	}
}

func (e *Endpoint) operation(defs map[string]any) map[string]any {
	contentType := "application/json"
	if e.Meta.File {
		contentType = "multipart/form-data"
	}
	examples := map[string]map[string]any{}
	for _, err := range append([]*Error{ErrInvalidParam, ErrCredentialRequired, ErrAuthenticationFailed, ErrRateLimit, ErrInternal}, e.Meta.Errors...) {
		status := http.StatusText(err.status())
		if examples[status] == nil {
			examples[status] = map[string]any{"code": err.status()}
		}
		examples[status][err.Code] = map[string]any{"value": map[string]any{"error": map[string]any{
			"code": err.Code, "id": err.ID, "message": err.Message, "kind": err.kind()}}}
	}
	responses := map[string]any{}
	for text, ex := range examples {
		code, _ := ex["code"].(int)
		delete(ex, "code")
		b, _ := json.Marshal(code)
		responses[string(b)] = map[string]any{"description": text, "content": map[string]any{"application/json": map[string]any{"examples": ex}}}
	}
	if e.Result != nil {
		responses["200"] = map[string]any{"description": "OK", "content": map[string]any{"application/json": map[string]any{"schema": e.Result.ref(defs)}}}
	} else {
		responses["204"] = map[string]any{"description": "OK, without a body"}
	}
	op := map[string]any{
		"operationId": e.Name,
		"summary":     e.Name,
		"description": e.describe(),
		"requestBody": map[string]any{"required": true, "content": map[string]any{contentType: map[string]any{"schema": e.Params.JSON(defs)}}},
		"responses":   responses,
	}
	if e.Meta.Credential {
		op["security"] = []any{map[string]any{"bearerAuth": []any{}}}
	}
	return op
}

func (e *Endpoint) describe() string {
	d := "**Credential required**: *No*"
	if e.Meta.Credential {
		d = "**Credential required**: *Yes*"
	}
	if e.Meta.Secure {
		d += " / **Internal endpoint**: access tokens are refused"
	}
	if e.Meta.Scope != "" {
		d += " / **Permission**: *" + e.Meta.Scope + "*"
	}
	return d
}
