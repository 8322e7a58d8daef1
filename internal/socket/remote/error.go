package remote

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
)

// Error is what became of a request that failed. All errors of this package's
// requests are of this type; errors.Is finds the cause below it.
type Error struct {
	Host      string // authority that was asked; "" when the address names none
	Status    int    // 0: no answer, or one that cannot be used
	Temporary bool   // worth another try later
	Reason    string // for logs and admins: no text of the answer
	err       error
}

func (e *Error) Error() string {
	if e.Status != 0 {
		return fmt.Sprintf("%s answered %d: %s", e.Host, e.Status, e.Reason)
	}
	return fmt.Sprintf("%s: %s", e.Host, e.Reason)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.err }

// Causes that callers decide on. None of them is temporary.
var (
	ErrLocal    = errors.New("the address is this server's own")
	ErrRefused  = errors.New("the host is not spoken to") // HostPolicy's error is wrapped beside it
	ErrGuard    = errors.New("the address is not on the public network")
	ErrScheme   = errors.New("the address is not one of https")
	ErrRedirect = errors.New("redirected in circles or too often")
	ErrOrigin   = errors.New("the document does not come from where its id says") // FEP-fe34
	ErrType     = errors.New("the answer is not what was asked for")
	ErrTooLong  = errors.New("the answer is too long")
)

// ErrSign is this server's own failure to sign; it says nothing about the other
// one. It is temporary.
var ErrSign = errors.New("cannot sign")

// IsGone tells whether a failure says that the thing does not exist, or not any
// more.
func IsGone(err error) bool {
	var e *Error
	return errors.As(err, &e) && (e.Status == http.StatusNotFound || e.Status == http.StatusGone)
}

// fail makes the Error of a request that got no usable answer.
func fail(host string, err error) *Error {
	e := &Error{Host: host, Reason: err.Error(), err: err, Temporary: true}
	for _, final := range []error{ErrLocal, ErrRefused, ErrGuard, ErrScheme, ErrRedirect, ErrOrigin, ErrType, ErrTooLong} {
		if errors.Is(err, final) {
			e.Temporary = false
		}
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		// Temporary all the same: names of servers that come back were gone too.
		e.Reason = "name not found"
	}
	return e
}

// answered makes the Error of a request that was answered otherwise than by
// success.
func answered(host string, status int) *Error {
	return &Error{Host: host, Status: status, Reason: strings.ToLower(http.StatusText(status)),
		Temporary: status >= 500 || status == http.StatusRequestTimeout || status == http.StatusTooEarly || status == http.StatusTooManyRequests}
}
