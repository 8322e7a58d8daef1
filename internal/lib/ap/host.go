package ap

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// ErrHost says that a text names no host.
var ErrHost = errors.New("not a host")

// Host is the authority of an http or https address in binding form:
// lower-case punycode, the scheme's default port dropped, another kept. What
// is compared or stored as a host is in this form. ErrHost for other schemes,
// for addresses with user info, and for what is no host.
func Host(uri string) (string, error) {
	u, err := url.Parse(uri)
	if err != nil || u.User != nil || u.Host == "" || u.Opaque != "" {
		return "", fmt.Errorf("%w: %.200q", ErrHost, uri)
	}
	h, err := authority(u.Hostname(), u.Port())
	switch {
	case err != nil:
		return "", err
	case u.Scheme == "https":
		return strings.TrimSuffix(h, ":443"), nil
	case u.Scheme == "http":
		return strings.TrimSuffix(h, ":80"), nil
	}
	return "", fmt.Errorf("%w: scheme of %.200q", ErrHost, uri)
}

// NormalizeHost brings the host part of an acct (name[:port]) into binding
// form.
func NormalizeHost(h string) (string, error) {
	if strings.ContainsAny(h, "/@?#\\ ") {
		return "", fmt.Errorf("%w: %.200q", ErrHost, h)
	}
	u, err := url.Parse("https://" + h)
	if err != nil || u.Host == "" || u.User != nil {
		return "", fmt.Errorf("%w: %.200q", ErrHost, h)
	}
	a, err := authority(u.Hostname(), u.Port())
	return strings.TrimSuffix(a, ":443"), err
}

func authority(name, port string) (string, error) {
	if ip, err := netip.ParseAddr(name); err == nil {
		if ip.Zone() != "" {
			return "", fmt.Errorf("%w: zone", ErrHost)
		}
		name = ip.String()
		if ip.Is6() {
			name = "[" + name + "]"
		}
	} else if name, err = hostName(name); err != nil {
		return "", err
	}
	if port == "" {
		return name, nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return "", fmt.Errorf("%w: port %.10q", ErrHost, port)
	}
	return name + ":" + strconv.FormatUint(n, 10), nil
}

// hostName is a name in lower-case punycode, without the dot of the root.
func hostName(name string) (string, error) {
	ascii, err := idna.Lookup.ToASCII(name)
	if err != nil {
		// Underscores and the like are no IDNA names but do exist.
		if ascii, err = idna.Punycode.ToASCII(name); err != nil {
			return "", fmt.Errorf("%w: %.200q", ErrHost, name)
		}
	}
	ascii = strings.TrimSuffix(strings.ToLower(ascii), ".")
	if len(ascii) > 253 {
		return "", fmt.Errorf("%w: too long", ErrHost)
	}
	for label := range strings.SplitSeq(ascii, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return "", fmt.Errorf("%w: %.200q", ErrHost, name)
		}
	}
	return ascii, nil
}

// SameHost tells whether both addresses have the same authority; false when
// one has none (FEP-fe34).
func SameHost(a, b string) bool {
	ha, err1 := Host(a)
	hb, err2 := Host(b)
	return err1 == nil && err2 == nil && ha == hb
}

// PathEscape escapes one segment of a path.
func PathEscape(s string) string { return url.PathEscape(s) }
