package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// setting is one key: its name in the file, from which the variable's follows, and where its value goes.
type setting struct {
	key   string
	value *text
}

// settings is every key there is.
func (f *file) settings() []setting {
	return []setting{
		{"mode", &f.Mode},
		{"url", &f.URL},
		{"listen", &f.Listen},
		{"data_dir", &f.DataDir},
		{"database_url", &f.DatabaseURL},
		{"database_direct_url", &f.DatabaseDirectURL},
		{"database_replica_urls", &f.DatabaseReplicaURLs},
		{"secret_key_file", &f.SecretKeyFile},
		{"allowed_private_networks", &f.AllowedPrivateNetworks},
		{"trusted_proxies", &f.TrustedProxies},
		{"setup_password", &f.SetupPassword},
		{"timezone", &f.Timezone},
		{"metrics_listen", &f.MetricsListen},
		{"role", &f.Role},
		{"redis_url", &f.RedisURL},
		{"search_url", &f.SearchURL},
		{"search_scope", &f.SearchScope},
		{"s3.endpoint", &f.S3.Endpoint},
		{"s3.bucket", &f.S3.Bucket},
		{"s3.region", &f.S3.Region},
		{"s3.access_key", &f.S3.AccessKey},
		{"s3.secret_key", &f.S3.SecretKey},
		{"s3.prefix", &f.S3.Prefix},
		{"s3.path_style", &f.S3.PathStyle},
		{"s3.leave", &f.S3.Leave},
		{"backup.to", &f.Backup.To},
		{"backup.every", &f.Backup.Every},
		{"backup.keep_last", &f.Backup.KeepLast},
		{"backup.keep_daily", &f.Backup.KeepDaily},
		{"backup.keep_weekly", &f.Backup.KeepWeekly},
		{"backup.age_recipients", &f.Backup.AgeRecipients},
		{"backup.verify_every", &f.Backup.VerifyEvery},
		{"backup.age_identity_files", &f.Backup.AgeIdentities},
		{"test_hosts", &f.TestHosts},
	}
}

// variable is the name of a key's environment variable: s3.access_key → OVEN_S3_ACCESS_KEY.
func variable(key string) string {
	return "OVEN_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// foreign are OVEN_ variables that are no settings: the file's own, and those that the project's tests read.
func foreign(name string) bool {
	return name == "OVEN_CONFIG" || name == "OVEN_TEST_PEERS" || name == "OVEN_TEST_OPENSEARCH_URL"
}

// Load reads the settings from a file and from the environment (a list of "NAME=value", as os.Environ gives it). An
// empty path means the file that OVEN_CONFIG names, or none. A variable that is set but empty means the default, also
// where the file says something. Relative paths start at the working directory. Errors name the file and line, or
// the variable, and never show a value that may be secret.
func Load(path string, environ []string) (*Config, error) {
	f, env, err := read(path, environ)
	if err != nil {
		return nil, err
	}
	c, err := f.parse(env["TZ"])
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	return c, nil
}

// secrets tells whether a setting holds what others must not read.
func secrets(key string) bool {
	switch key {
	case "database_url", "database_direct_url", "database_replica_urls", "setup_password", "redis_url", "search_url", "s3.access_key", "s3.secret_key":
		return true
	}
	return false
}

// Text gives the settings that are in force, from wherever they come, as a file. Without withSecrets, those that hold
// passwords are named and left out.
func Text(path string, environ []string, withSecrets bool) ([]byte, error) {
	f, _, err := read(path, environ)
	if err != nil {
		return nil, err
	}
	tree, left := map[string]any{}, ""
	for _, s := range f.settings() {
		value := s.value.trim()
		if value == "" {
			continue
		}
		if secrets(s.key) && !withSecrets {
			left += "# " + s.key + " is left out: it may hold a password.\n"
			continue
		}
		at, key := tree, s.key
		if section, name, ok := strings.Cut(s.key, "."); ok {
			if tree[section] == nil {
				tree[section] = map[string]any{}
			}
			at, key = tree[section].(map[string]any), name
		}
		at[key] = value
	}
	text, err := yaml.Marshal(tree)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	return append([]byte(left), text...), nil
}

// read takes the file and the environment together.
func read(path string, environ []string) (f file, env map[string]string, err error) {
	env = map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		env[name] = value
	}
	if path == "" {
		path = env["OVEN_CONFIG"]
	}
	if path != "" {
		if f, err = readFile(path); err != nil {
			return f, nil, err
		}
	}
	known := map[string]*text{}
	for _, s := range f.settings() {
		known[variable(s.key)] = s.value
	}
	var unknown []string
	for name, value := range env {
		if !strings.HasPrefix(name, "OVEN_") || foreign(name) {
			continue
		}
		if to, ok := known[name]; ok {
			*to = text(value)
		} else {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		return f, nil, fmt.Errorf("config: no such setting: %s", strings.Join(unknown, ", "))
	}
	return f, env, nil
}
