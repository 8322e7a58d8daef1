// Package mailcheck is in charge of finding out whether a mail address can be written to
// before a letter goes there: by the domain's records, or by a service that knows more
// (verifymail.io, a server of truemail). Nothing is ever sent to the address.
package mailcheck

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Reason is why an address cannot be written to, in Misskey's words; "" when it can.
type Reason string

// Reasons.
const (
	Format     Reason = "format"     // it is none
	Disposable Reason = "disposable" // of a service that throws mail away
	NoServer   Reason = "mx"         // its domain takes no mail
	NoBox      Reason = "smtp"       // its server does not know it
	Listed     Reason = "blacklist"  // the service has it on a list
	Network    Reason = "network"    // the service does not say
)

const (
	patience  = 8 * time.Second
	maxAnswer = 64 << 10
)

// Resolver looks names up; net.Resolver does.
type Resolver interface {
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupHost(ctx context.Context, name string) ([]string, error)
}

// Domain tells whether the domain of an address takes mail: by its MX records, or where
// there are none by an address (RFC 5321 §5.1), unless it says that it takes none
// (RFC 7505). A name server that does not answer is no reason: the letter will show.
func Domain(ctx context.Context, r Resolver, address string) Reason {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	domain := address[strings.LastIndexByte(address, '@')+1:] + "."
	list, err := r.LookupMX(ctx, domain)
	var no *net.DNSError
	switch {
	case len(list) == 1 && strings.Trim(list[0].Host, ".") == "":
		return NoServer
	case len(list) > 0:
		return ""
	case err != nil && (!errors.As(err, &no) || !no.IsNotFound):
		return ""
	}
	if _, err := r.LookupHost(ctx, domain); errors.As(err, &no) && no.IsNotFound {
		return NoServer
	}
	return ""
}

// verifymail is where verifymail.io is asked.
const verifymail = "https://verifymail.io/api/"

// Verifymail asks verifymail.io.
func Verifymail(ctx context.Context, door http.RoundTripper, key, address string) (Reason, error) {
	var out struct {
		Address     *string `json:"email_address"`     //nolint:tagliatelle // the service's name
		Deliverable *bool   `json:"deliverable_email"` //nolint:tagliatelle // the service's name
		Disposable  bool    `json:"disposable"`
		MX          *bool   `json:"mx"`
	}
	if err := ask(ctx, door, verifymail+url.PathEscape(address)+"?key="+url.QueryEscape(key), "", &out); err != nil {
		return Network, fmt.Errorf("verifymail: %w", err)
	}
	no := func(b *bool) bool { return b != nil && !*b }
	switch {
	case out.Address == nil:
		return Format, nil
	case no(out.Deliverable):
		return NoBox, nil
	case out.Disposable:
		return Disposable, nil
	case no(out.MX):
		return NoServer, nil
	}
	return "", nil
}

// Truemail asks a server of truemail.
func Truemail(ctx context.Context, door http.RoundTripper, server, key, address string) (Reason, error) {
	at, err := url.Parse(server)
	if err != nil {
		return Network, fmt.Errorf("truemail: %w", err)
	}
	q := at.Query()
	q.Set("email", address)
	at.RawQuery = q.Encode()
	var out struct {
		Success bool              `json:"success"`
		Address *string           `json:"email"`
		Errors  map[string]string `json:"errors"`
	}
	if err := ask(ctx, door, at.String(), key, &out); err != nil {
		return Network, fmt.Errorf("truemail: %w", err)
	}
	has := func(what string) bool { _, ok := out.Errors[what]; return ok }
	switch {
	case out.Success:
		return "", nil
	case out.Address == nil || has("regex"):
		return Format, nil
	case has("smtp"):
		return NoBox, nil
	case has("mx"), has("dns"):
		return NoServer, nil
	case has("list_match"), has("domain_list_match"):
		return Listed, nil
	}
	return Network, nil
}

func ask(ctx context.Context, door http.RoundTripper, at, key string, out any) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	if key != "" {
		req.Header.Set("Authorization", key)
	}
	res, err := door.RoundTrip(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return fmt.Errorf("it answers %d", res.StatusCode)
	}
	return json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(out)
}
