package auth

import (
	"errors"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// maxAddress bounds addresses that apps name, in bytes.
const maxAddress = 1024

// runs are schemes whose addresses browsers run or read from the disk.
var runs = []string{"javascript", "data", "file", "mailto", "blob", "vbscript", "view-source", "about", "filesystem"}

// plainAuthority is one that cannot end a directive of a page's policy.
var plainAuthority = regexp.MustCompile(`^[A-Za-z0-9.:\[\]_-]*$`)

var errAddress = errors.New("not an address to send a browser to")

// parseAddress reads an address that a browser may be sent to: the web, or an
// app's own scheme; never one that the browser would run (security row 6).
func parseAddress(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme == "" || len(raw) > maxAddress || u.User != nil || !plainAuthority.MatchString(u.Host) ||
		slices.Contains(runs, strings.ToLower(u.Scheme)) || isWeb(u) && u.Host == "" {
		return nil, errAddress
	}
	return u, nil
}

func isWeb(u *url.URL) bool { return u.Scheme == "https" || u.Scheme == "http" }

// loopback tells whether an address leads to the browser's own machine.
func loopback(u *url.URL) bool {
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && ip.IsLoopback()
}

// Callback is the address that an app asks to be sent back to, "" for none and
// for one that a browser would run.
func Callback(raw string) string {
	if _, err := parseAddress(raw); err != nil {
		return ""
	}
	return raw
}

// FormTarget is what a page's policy allows its form to lead to, for an address
// that Callback gave or a client's redirect_uri.
func FormTarget(callback string) string {
	u, err := parseAddress(callback)
	switch {
	case err != nil:
		return ""
	case isWeb(u):
		return u.Scheme + "://" + u.Host
	}
	return u.Scheme + ":"
}
