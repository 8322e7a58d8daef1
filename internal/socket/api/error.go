package api

import (
	"errors"
	"net/http"
	"strconv"
	"time"
)

// Error is an error as clients see it. They switch on ID, so it is contract.
type Error struct {
	Code    string
	ID      string // UUID
	Message string
	Kind    string // client, permission or server; "" = client
	Status  int    // 0: 400 for client, 403 for permission, 500 for server
	Info    any

	header [2]string
}

// Err makes a client error, answered with 400.
func Err(code, id, message string) *Error { return &Error{Code: code, ID: id, Message: message} }

// WithStatus is the error answered with another status.
func (e *Error) WithStatus(status int) *Error {
	c := *e
	c.Status = status
	return &c
}

// WithInfo is the error with details for the client.
func (e *Error) WithInfo(info any) *Error {
	c := *e
	c.Info = info
	return &c
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Is makes errors.Is compare by id, so that copies with info still match.
func (e *Error) Is(target error) bool {
	var t *Error
	return errors.As(target, &t) && t.ID == e.ID
}

func (e *Error) kind() string {
	if e.Kind == "" {
		return "client"
	}
	return e.Kind
}

func (e *Error) status() int {
	switch {
	case e.Status != 0:
		return e.Status
	case e.kind() == "client":
		return http.StatusBadRequest
	case e.kind() == "permission":
		return http.StatusForbidden
	}
	return http.StatusInternalServerError
}

// ErrNoToken is what an Authenticator says of a token that is nobody's.
var ErrNoToken = errors.New("no such token")

// Errors every endpoint may give. The ids are Misskey's.
var (
	ErrInternal = &Error{Code: "INTERNAL_ERROR", ID: "5d37dbcb-891e-41ca-a3d6-e690c97775ac", Kind: "server",
		Message: "Something went wrong on the server. The id in info names the log line."}
	ErrInvalidParam       = Err("INVALID_PARAM", "3d81ceae-475f-4600-b2a8-2bc116157532", "A parameter is not as it must be.")
	ErrCredentialRequired = &Error{Code: "CREDENTIAL_REQUIRED", ID: "1384574d-a912-4b81-8601-c7b1c4085df1", Status: 401,
		Message: "Sign in to call this.", header: [2]string{"WWW-Authenticate", `Bearer realm="Misskey"`}}
	ErrAuthenticationFailed = &Error{Code: "AUTHENTICATION_FAILED", ID: "b0a7f5f8-dc2f-4171-b91f-de88ad238e14", Status: 401,
		Message: "The token is not valid. Sign in again.", header: [2]string{"WWW-Authenticate", `Bearer realm="Misskey", error="invalid_token", error_description="The token is not valid"`}}
	ErrSuspended = &Error{Code: "YOUR_ACCOUNT_SUSPENDED", ID: "a8c724b3-6e9c-4b46-b1a8-bc3ed6258370", Kind: "permission",
		Message: "Your account is suspended."}
	ErrMoved = &Error{Code: "YOUR_ACCOUNT_MOVED", ID: "56f20ec9-fd06-4fa5-841b-edd6d7d4fa31", Kind: "permission",
		Message: "Your account has moved; this is not possible any more."}
	ErrRoleDenied = &Error{Code: "ROLE_PERMISSION_DENIED", ID: "c3d38592-54c0-429d-be96-5636b0431a61", Kind: "permission",
		Message: "Your role does not allow this."}
	ErrPolicyDenied = &Error{Code: "ROLE_PERMISSION_DENIED", ID: "7f86f06f-7e15-4057-8561-f4b6d4ac755a", Kind: "permission",
		Message: "None of your roles allows this."}
	ErrPermissionDenied = &Error{Code: "PERMISSION_DENIED", ID: "1370e5b7-d4eb-4566-bb1d-7748ee6a1838", Kind: "permission",
		Message: "The token does not hold the permission for this.", header: [2]string{"WWW-Authenticate", `Bearer realm="Misskey", error="insufficient_scope"`}}
	ErrAccessDenied = &Error{Code: "ACCESS_DENIED", ID: "56f35758-7dd5-468b-8439-5d6fb8ec9b8e", Kind: "permission",
		Message: "Apps may not call this."}
	ErrRateLimit = &Error{Code: "RATE_LIMIT_EXCEEDED", ID: "d5826d14-3982-4d2e-8011-b9e9f02499ef", Status: 429,
		Message: "Too many calls. Try again later."}
	ErrUnknownEndpoint = &Error{Code: "UNKNOWN_API_ENDPOINT", ID: "2ca3b769-540a-4f08-9dd5-b5a825b6d0f1", Status: 404,
		Message: "There is no such endpoint."}
	ErrTooLarge = &Error{Code: "REQUEST_ENTITY_TOO_LARGE", ID: "4b8e1b1c-0b1c-4f0e-8f49-7c2b0a9fd8a1", Status: 413,
		Message: "The request is larger than 1 MiB."}
	ErrInvalidJSON = &Error{Code: "INVALID_JSON", ID: "7d0f1f6a-6a3a-4d59-9b0a-5b7a2a7a4c33", Status: 400,
		Message: "The request is not a JSON object."}
)

// InvalidParam is INVALID_PARAM for the parameter at a schema path such as
// "#/properties/limit/maximum".
func InvalidParam(path, reason string) *Error {
	return ErrInvalidParam.WithInfo(map[string]string{"param": path, "reason": reason})
}

func tooMany(wait time.Duration) *Error {
	sec := int(wait/time.Second) + 1
	e := ErrRateLimit.WithInfo(map[string]any{"resetMs": time.Now().Add(wait).UnixMilli()})
	e.header = [2]string{"Retry-After", strconv.Itoa(sec)}
	return e
}
