package config_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"buttersc.one/oven/internal/lib/config"
)

func load(t *testing.T, yaml string, env ...string) (*config.Config, error) {
	t.Helper()
	path := ""
	if yaml != "" {
		path = filepath.Join(t.TempDir(), "oven.yml")
		if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return config.Load(path, env)
}

func TestDefaults(t *testing.T) {
	c, err := load(t, "")
	if err != nil {
		t.Fatal(err)
	}
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if c.Mode != config.Production || c.Role != config.All || c.Listen != "127.0.0.1:3000" ||
		c.DataDir != filepath.Join(wd, "oven-data") || c.SecretKeyFile != filepath.Join(wd, "oven-data", "secret.key") ||
		!c.Managed() || c.MetricsListen != "" || c.Location.String() != "UTC" || c.S3 != (config.S3{}) {
		t.Errorf("got %#v", *c)
	}
	if err := c.CheckServe(); err == nil || !strings.Contains(err.Error(), "OVEN_URL") {
		t.Errorf("a server without an address: %v", err)
	}
}

const whole = `
# every key
mode: development
url: https://Example.NET/
listen: "[::1]:8080"
data_dir: /srv/oven
database_url: postgres://oven:pw@db/oven
database_direct_url: host=db user=oven
database_replica_urls: [postgres://r1/oven, postgres://r2/oven]
secret_key_file: /etc/oven/key
allowed_private_networks: 10.0.0.0/8, fd00::/8
trusted_proxies:
  - 127.0.0.1
  - ::1
setup_password: open sesame
timezone: Asia/Seoul
metrics_listen: :9100
role: worker
redis_url: redis://cache:6379/1
search_url: http://search:7700
s3:
  endpoint: https://s3.example
  bucket: b
  region: eu
  access_key: a
  secret_key: s
  prefix: p/
  path_style: true
test_hosts: b.example=127.0.0.1:4001
`

var wholeEnv = []string{
	"OVEN_MODE=development", "OVEN_URL=https://Example.NET/", "OVEN_LISTEN=[::1]:8080", "OVEN_DATA_DIR=/srv/oven",
	"OVEN_DATABASE_URL=postgres://oven:pw@db/oven", "OVEN_DATABASE_DIRECT_URL=host=db user=oven",
	"OVEN_DATABASE_REPLICA_URLS=postgres://r1/oven,postgres://r2/oven", "OVEN_SECRET_KEY_FILE=/etc/oven/key",
	"OVEN_ALLOWED_PRIVATE_NETWORKS=10.0.0.0/8,fd00::/8", "OVEN_TRUSTED_PROXIES=127.0.0.1,::1", "OVEN_TIMEZONE=Asia/Seoul", "OVEN_SETUP_PASSWORD=open sesame",
	"OVEN_METRICS_LISTEN=:9100", "OVEN_ROLE=worker", "OVEN_REDIS_URL=redis://cache:6379/1", "OVEN_SEARCH_URL=http://search:7700",
	"OVEN_S3_ENDPOINT=https://s3.example", "OVEN_S3_BUCKET=b", "OVEN_S3_REGION=eu", "OVEN_S3_ACCESS_KEY=a", "OVEN_S3_SECRET_KEY=s",
	"OVEN_S3_PREFIX=p/", "OVEN_S3_PATH_STYLE=true", "OVEN_TEST_HOSTS=b.example=127.0.0.1:4001",
}

func TestEveryKeyFromFileAndEnvironment(t *testing.T) {
	fromFile, err := load(t, whole)
	if err != nil {
		t.Fatal(err)
	}
	fromEnv, err := load(t, "", wholeEnv...)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(fromFile, fromEnv) {
		t.Error("the file and the variables give different settings")
	}
	networks := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	proxies := []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("::1/128")}
	for _, c := range []*config.Config{fromFile, fromEnv} {
		if c.Mode != config.Development || c.URL != "https://example.net" || c.Listen != "[::1]:8080" || c.DataDir != "/srv/oven" ||
			c.DatabaseURL != "postgres://oven:pw@db/oven" || c.DatabaseDirectURL != "host=db user=oven" || c.Managed() ||
			!reflect.DeepEqual(c.DatabaseReplicaURLs, []string{"postgres://r1/oven", "postgres://r2/oven"}) ||
			c.SecretKeyFile != "/etc/oven/key" || !reflect.DeepEqual(c.AllowedPrivateNetworks, networks) ||
			!reflect.DeepEqual(c.TrustedProxies, proxies) || c.Location.String() != "Asia/Seoul" || c.SetupPassword != "open sesame" || c.MetricsListen != ":9100" ||
			c.Role != config.Worker || c.RedisURL != "redis://cache:6379/1" || c.SearchURL != "http://search:7700" ||
			c.S3 != (config.S3{Endpoint: "https://s3.example", Bucket: "b", Region: "eu", AccessKey: "a", SecretKey: "s", Prefix: "p/", PathStyle: true}) ||
			!reflect.DeepEqual(c.TestHosts, map[string]netip.AddrPort{"b.example": netip.MustParseAddrPort("127.0.0.1:4001")}) {
			t.Errorf("got %+v", reflect.ValueOf(*c))
		}
	}
}

func TestEnvironmentWins(t *testing.T) {
	c, err := load(t, "mode: development\nlisten: 127.0.0.1:1\ndatabase_url: postgres://db/x\n",
		"OVEN_LISTEN=127.0.0.1:2", "OVEN_DATABASE_URL=", "PATH=/bin", "OVENS=4")
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:2" || !c.Managed() {
		t.Errorf("listen %s, managed %v", c.Listen, c.Managed())
	}
}

func TestOvenConfigNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.yml")
	if err := os.WriteFile(path, []byte("role: web\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load("", []string{"OVEN_CONFIG=" + path})
	if err != nil || c.Role != config.Web {
		t.Errorf("%v %v", c, err)
	}
	for _, text := range []string{"", "# nothing\n", "---\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := config.Load(path, nil); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := config.Load(path+"x", nil); err == nil || !strings.Contains(err.Error(), path+"x") {
		t.Errorf("no file: %v", err)
	}
}

func TestURL(t *testing.T) {
	for _, c := range []struct {
		mode, url            string
		want, host, hostname string // want empty: refused
	}{
		{"production", "https://example.net", "https://example.net", "example.net", "example.net"},
		{"production", "https://example.net:443/a/b?c#d", "https://example.net", "example.net", "example.net"},
		{"production", "https://example.net:8443", "https://example.net:8443", "example.net:8443", "example.net"},
		{"production", "HTTPS://EXAMPLE.NET.", "https://example.net", "example.net", "example.net"},
		{"production", "https://한글.example", "https://xn--bj0bj06e.example", "xn--bj0bj06e.example", "xn--bj0bj06e.example"},
		{"production", "https://Bücher.example", "https://xn--bcher-kva.example", "xn--bcher-kva.example", "xn--bcher-kva.example"},
		{"production", "http://example.net", "", "", ""},
		{"production", "ftp://example.net", "", "", ""},
		{"production", "example.net", "", "", ""},
		{"production", "https://", "", "", ""},
		{"production", "https://user:pw@example.net", "", "", ""},
		{"production", "https://exa mple.net", "", "", ""},
		{"production", "https://example.net:99999", "", "", ""},
		{"production", "https://example.net:", "", "", ""},
		{"production", "https://a..b", "", "", ""},
		{"development", "http://localhost:3000", "http://localhost:3000", "localhost:3000", "localhost"},
		{"development", "http://localhost:80", "http://localhost", "localhost", "localhost"},
		{"development", "http://a_b.test:3000", "http://a_b.test:3000", "a_b.test:3000", "a_b.test"},
		{"development", "http://127.0.0.1:3000", "http://127.0.0.1:3000", "127.0.0.1:3000", "127.0.0.1"},
		{"development", "http://[0::1]:3000", "http://[::1]:3000", "[::1]:3000", "[::1]"},
		{"development", "https://example.net:80", "https://example.net:80", "example.net:80", "example.net"},
		{"test", "", "http://localhost:3000", "localhost:3000", "localhost"},
	} {
		got, err := load(t, "", "OVEN_MODE="+c.mode, "OVEN_URL="+c.url)
		if c.want == "" {
			if err == nil || !strings.Contains(err.Error(), "OVEN_URL") {
				t.Errorf("%s %s: %v %v", c.mode, c.url, got, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s %s: %v", c.mode, c.url, err)
			continue
		}
		if got.URL != c.want || got.Host() != c.host || got.Hostname() != c.hostname || got.CheckServe() != nil {
			t.Errorf("%s: %s, host %s, hostname %s", c.url, got.URL, got.Host(), got.Hostname())
		}
	}
}

func TestMistakesAreNamed(t *testing.T) {
	for _, c := range []struct {
		yaml string
		env  string
		want string
	}{
		{"role: web\nrolle: web\n", "", `oven.yml:2: unknown field "rolle"`},
		{"s3:\n  bucket: b\n  buckett: c\n", "", `oven.yml:3: unknown field "buckett"`},
		{"role: web\nrole: all\n", "", "oven.yml:2:"},
		{"role: [web\n", "", "oven.yml:"},
		{"- role\n", "", "oven.yml:1:"},
		{"listen:\n  port: 3\n", "", "oven.yml"},
		{"", "OVEN_DATABSE_URL=postgres://u:hunter2@x/y", "no such setting: OVEN_DATABSE_URL"},
		{"", "OVEN_S3=x", "no such setting: OVEN_S3"},
		{"", "OVEN_MODE=prod", `mode (OVEN_MODE): "prod" is none of production, development, test`},
		{"", "OVEN_ROLE=both", "is none of all, web, worker"},
		{"", "OVEN_LISTEN=3000", "is not host:port"},
		{"", "OVEN_LISTEN=:http", "is not a port"},
		{"", "OVEN_METRICS_LISTEN=9100", "metrics_listen (OVEN_METRICS_LISTEN)"},
		{"", "OVEN_DATABASE_URL=mysql://u:hunter2@x", "database_url (OVEN_DATABASE_URL): not an address that begins with postgres://"},
		{"", "OVEN_DATABASE_DIRECT_URL=postgres://x/y", "needs database_url"},
		{"", "OVEN_DATABASE_REPLICA_URLS=postgres://x/y", "needs database_url"},
		{"", "OVEN_TRUSTED_PROXIES=10.0.0.0/8,everyone", `"everyone" is not a network`},
		{"", "OVEN_ALLOWED_PRIVATE_NETWORKS=10.1.2.3/8", "10.0.0.0/8 is meant?"},
		{"", "OVEN_TIMEZONE=Korea/Nowhere", "is not a time zone"},
		{"", "OVEN_TIMEZONE=Local", "is not a time zone"},
		{"", "OVEN_REDIS_URL=cache:6379", "redis_url"},
		{"", "OVEN_SEARCH_URL=search", "search_url"},
		{"", "OVEN_S3_BUCKET=b", "s3.endpoint (OVEN_S3_ENDPOINT): is needed"},
		{"s3: {endpoint: 'http://s', bucket: b, secret_key: hunter2}\n", "", "belong together"},
		{"s3: {endpoint: 'http://s', bucket: b, path_style: often}\n", "", "true or false"},
		{"", "OVEN_TEST_HOSTS=a=127.0.0.1:1", "not allowed in production"},
		{"mode: test\n", "OVEN_TEST_HOSTS=a=localhost:1", "is not name=ip:port"},
		{"mode: test\n", "OVEN_TEST_HOSTS=a=127.0.0.1:1,A=127.0.0.1:2", "a is there twice"},
	} {
		_, err := load(t, c.yaml, c.env)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q %q: got %v, want %q", c.yaml, c.env, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("a password in an error: %v", err)
		}
	}
}

func TestAllMistakesAtOnce(t *testing.T) {
	_, err := load(t, "role: x\nlisten: y\n", "OVEN_TIMEZONE=z")
	for _, key := range []string{"role", "listen", "timezone"} {
		if err == nil || !strings.Contains(err.Error(), key+" (OVEN_") {
			t.Errorf("%s is not in %v", key, err)
		}
	}
}

// A syntax error is shown without the lines around it.
func TestFileErrorsHaveNoSecrets(t *testing.T) {
	for _, yaml := range []string{
		"database_url: postgres://u:hunter2@x/y\nnope: 1\n",
		"database_url: postgres://u:hunter2@x/y\n\trole: web\n",
		"database_url: {a: hunter2}\n",
		"database_url: [hunter2, {a: hunter2}]\n",
		"database_url: \"hunter2\n",
	} {
		_, err := load(t, yaml)
		if err == nil || strings.Contains(err.Error(), "hunter2") || strings.Count(err.Error(), "\n") > 0 {
			t.Errorf("%q: %v", yaml, err)
		}
	}
}

func TestSystemTimeZone(t *testing.T) {
	for tz, want := range map[string]string{
		"": "UTC", "Asia/Tokyo": "Asia/Tokyo", ":Asia/Tokyo": "Asia/Tokyo", "Local": "UTC", ":/etc/localtime": "UTC", "KST-9": "UTC",
	} {
		c, err := load(t, "", "TZ="+tz)
		if err != nil || c.Location.String() != want {
			t.Errorf("TZ=%s: %v %v", tz, c.Location, err)
		}
	}
	c, err := load(t, "timezone: Asia/Seoul\n", "TZ=Asia/Tokyo")
	if err != nil || c.Location.String() != "Asia/Seoul" {
		t.Errorf("the setting does not win: %v %v", c, err)
	}
}

func TestTestHosts(t *testing.T) {
	c, err := load(t, "mode: test\ntest_hosts: ['B.Example=127.0.0.1:1', '한글.example:8443 = [::1]:2']\n")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]netip.AddrPort{
		"b.example": netip.MustParseAddrPort("127.0.0.1:1"), "xn--bj0bj06e.example:8443": netip.MustParseAddrPort("[::1]:2"),
	}
	if !reflect.DeepEqual(c.TestHosts, want) {
		t.Errorf("got %v", c.TestHosts)
	}
}

func TestConfigDoesNotPrintSecrets(t *testing.T) {
	c, err := load(t, "", "OVEN_DATABASE_URL=postgres://u:hunter2@x/y", "OVEN_URL=https://example.net")
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		for _, value := range []any{c, *c} {
			if got := fmt.Sprintf(format, value); strings.Contains(got, "hunter2") || !strings.Contains(got, "example.net") {
				t.Errorf("%s: %s", format, got)
			}
		}
	}
}

func write(t *testing.T, yaml string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "oven.yml")
	if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBackup(t *testing.T) {
	c, err := config.Load(write(t, "s3: {endpoint: 'https://s3.example', access_key: a, secret_key: hunter2}\n"+
		"backup: {to: 's3://b/p', every: 6h, keep_last: 2, keep_daily: 7, keep_weekly: 4, age_recipients: [age1x, age1y], verify_every: 24h, age_identity_files: /k}\n"), []string{"OVEN_MODE=test"})
	if err != nil {
		t.Fatal(err)
	}
	b := c.Backup
	if b.To != "s3://b/p" || b.Every != 6*time.Hour || b.KeepLast != 2 || b.KeepDaily != 7 || b.KeepWeekly != 4 || !slices.Equal(b.Recipients, []string{"age1x", "age1y"}) ||
		b.ProveEvery != 24*time.Hour || !slices.Equal(b.Identities, []string{"/k"}) {
		t.Errorf("%+v", b)
	}
	for env, want := range map[string]string{
		"OVEN_BACKUP_TO=ftp://x":      "a folder or s3://",
		"OVEN_BACKUP_TO=s3://b":       "needs s3.endpoint",
		"OVEN_BACKUP_EVERY=1m":        "not less than 5m",
		"OVEN_BACKUP_EVERY=often":     "backup.every (OVEN_BACKUP_EVERY)",
		"OVEN_BACKUP_KEEP_LAST=-1":    "backup.keep_last",
		"OVEN_BACKUP_VERIFY_EVERY=1m": "not less than 1h",
		"OVEN_BACKUP_KEEP_DAILY=few":  "a number is needed",
	} {
		if _, err := config.Load("", []string{"OVEN_MODE=test", env}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", env, err, want)
		}
	}
}

// What is in force is written as a file that says the same; passwords only when asked for.
func TestText(t *testing.T) {
	path := write(t, "url: https://oven.example\ntrusted_proxies: [10.0.0.0/8, fd00::/8]\ns3: {endpoint: 'https://s3.example', access_key: a, secret_key: hunter2}\n")
	env := []string{"OVEN_BACKUP_TO=/backup", "OVEN_DATABASE_URL=postgres://u:hunter2@/oven", "HOME=/"}
	want, err := config.Load(path, env)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := config.Text(path, env, true)
	if err != nil {
		t.Fatal(err)
	}
	got, err := config.Load(write(t, string(whole)), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%#v is not %#v:\n%s", *got, *want, whole)
	}
	open, err := config.Text(path, env, false)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(open), "hunter2") || !strings.Contains(string(open), "# s3.secret_key is left out") {
		t.Errorf("%s", open)
	}
}
