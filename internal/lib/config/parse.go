package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // small machines have no zone files

	"golang.org/x/net/idna"
)

// parse checks every value and joins all complaints: one run shows all that is wrong.
func (f *file) parse(systemZone string) (*Config, error) {
	c := &Config{}
	var errs []error
	// check names the setting in both of its forms.
	check := func(key string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s (%s): %w", key, variable(key), err))
		}
	}
	var err error

	c.Mode, err = oneOf(f.Mode, Production, Development, Test)
	check("mode", err)
	c.Role, err = oneOf(f.Role, All, Web, Worker)
	check("role", err)
	c.Listen, err = address(f.Listen.or("127.0.0.1:3000"))
	check("listen", err)
	if f.MetricsListen.trim() != "" {
		c.MetricsListen, err = address(f.MetricsListen.trim())
		check("metrics_listen", err)
	}
	public := f.URL.trim()
	if public == "" && c.Mode != Production && c.Listen != "" {
		_, port, _ := net.SplitHostPort(c.Listen) // checked above
		public = "http://localhost:" + port
	}
	if public != "" {
		check("url", c.setURL(public))
	}

	c.DataDir, err = filepath.Abs(f.DataDir.or("oven-data"))
	check("data_dir", err)
	c.SecretKeyFile, err = filepath.Abs(f.SecretKeyFile.or(filepath.Join(c.DataDir, "secret.key")))
	check("secret_key_file", err)

	c.DatabaseURL, err = database(f.DatabaseURL.trim())
	check("database_url", err)
	c.DatabaseDirectURL, err = database(f.DatabaseDirectURL.or(c.DatabaseURL))
	check("database_direct_url", err)
	for _, item := range f.DatabaseReplicaURLs.list() {
		replica, err := database(item)
		check("database_replica_urls", err)
		c.DatabaseReplicaURLs = append(c.DatabaseReplicaURLs, replica)
	}
	if c.DatabaseURL == "" {
		if f.DatabaseDirectURL.trim() != "" {
			check("database_direct_url", errors.New("needs database_url (OVEN_DATABASE_URL)"))
		}
		if len(c.DatabaseReplicaURLs) > 0 {
			check("database_replica_urls", errors.New("needs database_url (OVEN_DATABASE_URL)"))
		}
	}

	c.AllowedPrivateNetworks, err = networks(f.AllowedPrivateNetworks)
	check("allowed_private_networks", err)
	c.TrustedProxies, err = networks(f.TrustedProxies)
	check("trusted_proxies", err)
	c.TestHosts, err = testHosts(f.TestHosts, c.Mode)
	check("test_hosts", err)

	c.SetupPassword = f.SetupPassword.trim()
	c.Location, err = zone(f.Timezone.trim(), systemZone)
	check("timezone", err)
	c.RedisURL, err = serverURL(f.RedisURL.trim(), "redis", "rediss", "unix")
	check("redis_url", err)
	c.SearchURL, err = serverURL(f.SearchURL.trim(), "http", "https")
	check("search_url", err)
	switch scope := f.SearchScope.or("global"); scope {
	case "local", "global":
		c.SearchLocal = scope == "local"
	default:
		check("search_scope", errors.New("local or global is needed"))
	}
	f.S3.parse(&c.S3, check)
	f.Backup.parse(&c.Backup, check)
	if strings.HasPrefix(c.Backup.To, "s3://") && c.S3.Endpoint == "" {
		check("backup.to", errors.New("s3:// needs s3.endpoint (OVEN_S3_ENDPOINT)"))
	}

	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return c, nil
}

func (f *s3) parse(c *S3, check func(string, error)) {
	if *f == (s3{}) {
		return
	}
	var err error
	c.Endpoint, err = serverURL(f.Endpoint.trim(), "http", "https")
	if err == nil && c.Endpoint == "" {
		err = errors.New("is needed with other s3 settings")
	}
	check("s3.endpoint", err)
	c.Bucket, c.Region, c.Prefix = f.Bucket.trim(), f.Region.or("us-east-1"), f.Prefix.trim()
	c.AccessKey, c.SecretKey = f.AccessKey.trim(), f.SecretKey.trim()
	if (c.AccessKey == "") != (c.SecretKey == "") {
		check("s3.secret_key", errors.New("access_key and secret_key belong together"))
	}
	c.PathStyle, err = strconv.ParseBool(f.PathStyle.or("false"))
	if err != nil {
		check("s3.path_style", errors.New("true or false is needed"))
	}
	c.Leave, err = strconv.ParseBool(f.Leave.or("false"))
	if err != nil {
		check("s3.leave", errors.New("true or false is needed"))
	}
}

// oftenest is as often as a server may back itself up.
const oftenest = 5 * time.Minute

func (f *backup) parse(c *Backup, check func(string, error)) {
	c.Recipients = f.AgeRecipients.list()
	c.To = f.To.trim()
	var err error
	if c.To != "" && !strings.Contains(c.To, "://") {
		c.To, err = filepath.Abs(c.To)
	} else if c.To != "" && !strings.HasPrefix(c.To, "s3://") {
		err = errors.New("a folder or s3://bucket/prefix is needed")
	}
	check("backup.to", err)
	c.Every, err = time.ParseDuration(f.Every.or("24h"))
	if err != nil || c.Every < oftenest {
		check("backup.every", errors.New("a time such as 24h is needed, not less than 5m"))
	}
	c.ProveEvery, err = time.ParseDuration(f.VerifyEvery.or("168h"))
	if err != nil || c.ProveEvery != 0 && c.ProveEvery < time.Hour {
		check("backup.verify_every", errors.New("a time such as 168h is needed, not less than 1h; 0 switches it off"))
	}
	c.Identities = f.AgeIdentities.list()
	for key, n := range map[string]struct {
		text text
		to   *int
	}{"backup.keep_last": {f.KeepLast, &c.KeepLast}, "backup.keep_daily": {f.KeepDaily, &c.KeepDaily}, "backup.keep_weekly": {f.KeepWeekly, &c.KeepWeekly}} {
		if *n.to, err = strconv.Atoi(n.text.or("0")); err != nil || *n.to < 0 {
			check(key, errors.New("a number is needed"))
		}
	}
}

func (t text) trim() string { return strings.TrimSpace(string(t)) }

func (t text) or(fallback string) string {
	if s := t.trim(); s != "" {
		return s
	}
	return fallback
}

// list splits at commas; empty items do not count.
func (t text) list() []string {
	var items []string
	for item := range strings.SplitSeq(string(t), ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

func oneOf[T ~string](t text, fallback T, others ...T) (T, error) {
	value := T(t.or(string(fallback)))
	all := append([]T{fallback}, others...)
	if slices.Contains(all, value) {
		return value, nil
	}
	names := make([]string, len(all))
	for i, name := range all {
		names[i] = string(name)
	}
	return "", fmt.Errorf("%q is none of %s", string(value), strings.Join(names, ", "))
}

// address checks host:port; the host may be empty, for all addresses.
func address(s string) (string, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", fmt.Errorf("%q is not host:port, such as 127.0.0.1:3000", s)
	}
	if _, err := parsePort(port); err != nil {
		return "", err
	}
	return net.JoinHostPort(host, port), nil
}

func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%q is not a port", s)
	}
	return uint16(n), nil
}

// database accepts what PostgreSQL's clients do. It does not show the value, which may have a password in it.
func database(s string) (string, error) {
	if s == "" || strings.Contains(s, "=") && !strings.Contains(s, "://") {
		return s, nil
	}
	return serverURL(s, "postgres", "postgresql")
}

// serverURL does not show the value either.
func serverURL(s string, schemes ...string) (string, error) {
	if s == "" {
		return "", nil
	}
	u, err := url.Parse(s)
	if err != nil || !slices.Contains(schemes, u.Scheme) || u.Host == "" && u.Path == "" {
		return "", fmt.Errorf("not an address that begins with %s://", strings.Join(schemes, ":// or "))
	}
	return s, nil
}

func networks(t text) ([]netip.Prefix, error) {
	var list []netip.Prefix
	for _, item := range t.list() {
		network, err := netip.ParsePrefix(item)
		if err != nil {
			addr, err := netip.ParseAddr(item)
			if err != nil || addr.Zone() != "" {
				return nil, fmt.Errorf("%q is not a network such as 10.0.0.0/8 or fd00::/8", item)
			}
			network = netip.PrefixFrom(addr, addr.BitLen())
		}
		if network != network.Masked() {
			return nil, fmt.Errorf("%q has address bits behind the mask; %s is meant?", item, network.Masked())
		}
		list = append(list, network)
	}
	return list, nil
}

func testHosts(t text, mode Mode) (map[string]netip.AddrPort, error) {
	items := t.list()
	if len(items) == 0 {
		return nil, nil
	}
	if mode == Production {
		return nil, errors.New("not allowed in production: it would send what is meant for a server to another")
	}
	hosts := make(map[string]netip.AddrPort, len(items))
	for _, item := range items {
		name, place, _ := strings.Cut(item, "=")
		to, err := netip.ParseAddrPort(strings.TrimSpace(place))
		if err != nil {
			return nil, fmt.Errorf("%q is not name=ip:port", item)
		}
		name, err = authority(strings.TrimSpace(name))
		if err != nil {
			return nil, err
		}
		if _, twice := hosts[name]; twice {
			return nil, fmt.Errorf("%s is there twice", name)
		}
		hosts[name] = to
	}
	return hosts, nil
}

// authority is a host name, with a port or without.
func authority(s string) (string, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return bindingHost(s)
	}
	if _, err := parsePort(port); err != nil {
		return "", err
	}
	host, err = bindingHost(host)
	return host + ":" + port, err
}

// bindingHost is a host name in the form that is compared and stored: lower case, punycode, no final dot; an IPv6
// address in brackets.
func bindingHost(s string) (string, error) {
	s = strings.TrimSuffix(s, ".")
	if addr, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil && addr.Zone() == "" {
		if addr.Is6() {
			return "[" + addr.String() + "]", nil
		}
		return addr.String(), nil
	}
	// As browsers and Misskey do (UTS 46, not transitional); underscores occur in names of tests and containers.
	profile := idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false), idna.VerifyDNSLength(true))
	host, err := profile.ToASCII(s)
	if err != nil || strings.ContainsAny(host, " /\\@:?#[]%") {
		return "", fmt.Errorf("%q is not a host name", s)
	}
	return host, nil
}

// zone is the setting, else the system's where Go understands it, else UTC.
func zone(name, system string) (*time.Location, error) {
	if name != "" {
		location, err := time.LoadLocation(name)
		if err != nil || name == "Local" {
			return nil, fmt.Errorf("%q is not a time zone such as Asia/Seoul", name)
		}
		return location, nil
	}
	if location, err := time.LoadLocation(strings.TrimPrefix(system, ":")); err == nil && system != "Local" {
		return location, nil
	}
	return time.UTC, nil
}
