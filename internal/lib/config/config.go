// Package config reads Oven's settings: one YAML file, and for every key a variable OVEN_… that wins over it.
//
// It checks what can be checked without touching anything but the file; whether a database answers or a directory
// can be written is for those who use them. A key or OVEN_ variable that does not exist is an error: a misspelt
// setting must not be a silent default.
package config

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Mode is what the server is run for.
type Mode string

// Production is the default. Development allows plain http and federation on loopback; Test also switches limits off
// and allows tests to empty the server.
const (
	Production  Mode = "production"
	Development Mode = "development"
	Test        Mode = "test"
)

// Role is the part of the work a process does.
type Role string

// All is the default; Web answers requests only, Worker does background work only.
const (
	All    Role = "all"
	Web    Role = "web"
	Worker Role = "worker"
)

// Config is a checked set of settings. It holds passwords: pass on the fields that are needed, do not print it whole.
type Config struct {
	Mode   Mode
	URL    string // public origin, "https://example.net" without a final slash; empty when none is set (see CheckServe)
	Listen string // host:port of the server

	DataDir       string // absolute
	SecretKeyFile string // absolute

	DatabaseURL         string   // empty: the managed cluster
	DatabaseDirectURL   string   // past a pooler, for LISTEN and locks; DatabaseURL when not set
	DatabaseReplicaURLs []string // for reads that may be behind

	AllowedPrivateNetworks []netip.Prefix            // that outbound requests may reach besides the public internet
	TrustedProxies         []netip.Prefix            // whose X-Forwarded-For is believed
	TestHosts              map[string]netip.AddrPort // authority → where it is; development and test only

	SetupPassword string // for making the first account; empty: anybody may

	Location      *time.Location // for what is counted by day; stored times are UTC
	MetricsListen string         // host:port; empty: off
	Role          Role
	RedisURL      string // empty: none
	SearchURL     string // empty: the built-in index
	SearchLocal   bool   // only notes of this server can be searched
	S3            S3     // an object store; Endpoint empty: none
	Backup        Backup // what is backed up by itself

	hostname, host string
}

// S3 is an object store.
type S3 struct {
	Endpoint  string // URL without a path
	Bucket    string // for files; empty: they are in DataDir
	Region    string // "us-east-1" when not set
	AccessKey string
	SecretKey string
	Prefix    string // before every key
	PathStyle bool   // the bucket in the path, not in the host name
	Leave     bool   // files move from Bucket back to DataDir
}

// Backup says where and how often the server backs itself up.
type Backup struct {
	To         string        // an absolute folder, or s3://bucket/prefix in the store of S3; empty: backups are made by command only
	Every      time.Duration // 24 h when not set
	KeepLast   int           // the newest ones that stay; with KeepDaily and KeepWeekly 0: all stay
	KeepDaily  int           // days of which one stays
	KeepWeekly int           // weeks of which one stays
	Recipients []string      // age public keys; empty: not encrypted
	ProveEvery time.Duration // how often the newest backup is restored to prove it; a week when not set, 0: never
	Identities []string      // files with age private keys, for proving encrypted backups
}

// Host is the server's authority as it stands in handles and in the database: lower case, punycode, with the port
// unless it is the scheme's default. It is empty when no URL is set.
func (c *Config) Host() string { return c.host }

// Hostname is Host without a port.
func (c *Config) Hostname() string { return c.hostname }

// Managed reports whether Oven runs the database itself.
func (c *Config) Managed() bool { return c.DatabaseURL == "" }

// CheckServe reports what is missing for running a server, that commands on the database can do without.
func (c *Config) CheckServe() error {
	if c.URL == "" {
		return errors.New("url (OVEN_URL) is not set: give the public address of this server, such as https://example.net; it cannot be changed later")
	}
	return nil
}

// Adopt takes the origin that a database was made for, where none is set: for commands on a server that has run.
// One with plain http was made by a server for development.
func (c *Config) Adopt(origin string) error {
	if c.URL != "" {
		return nil
	}
	if strings.HasPrefix(origin, "http://") && c.Mode == Production {
		c.Mode = Development
	}
	return c.setURL(origin)
}

// String shows nothing that is secret.
func (c Config) String() string { return "config of " + c.host + " (" + string(c.Mode) + ")" }

// GoString is String, for %#v.
func (c Config) GoString() string { return c.String() }

// setURL takes an origin apart. Only the origin counts: a path would be a second server under one name.
func (c *Config) setURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("not an address such as https://example.net")
	}
	switch {
	case c.Mode == Production && u.Scheme != "https":
		return errors.New("https is needed in production (http is for OVEN_MODE=development)")
	case u.User != nil:
		return errors.New("an address with a user name is not a public one")
	}
	host, err := bindingHost(u.Hostname())
	if err != nil {
		return err
	}
	c.hostname, c.host = host, host
	if port := u.Port(); port != "" && port != map[string]string{"http": "80", "https": "443"}[u.Scheme] {
		if _, err := parsePort(port); err != nil {
			return err
		}
		c.host += ":" + port
	} else if strings.HasSuffix(u.Host, ":") {
		return errors.New("a colon without a port")
	}
	c.URL = u.Scheme + "://" + c.host
	return nil
}
