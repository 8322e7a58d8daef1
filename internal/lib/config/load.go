package config

import (
	"fmt"
	"slices"
	"strings"
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
		{"s3.endpoint", &f.S3.Endpoint},
		{"s3.bucket", &f.S3.Bucket},
		{"s3.region", &f.S3.Region},
		{"s3.access_key", &f.S3.AccessKey},
		{"s3.secret_key", &f.S3.SecretKey},
		{"s3.prefix", &f.S3.Prefix},
		{"s3.path_style", &f.S3.PathStyle},
		{"test_hosts", &f.TestHosts},
	}
}

// variable is the name of a key's environment variable: s3.access_key → OVEN_S3_ACCESS_KEY.
func variable(key string) string {
	return "OVEN_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// foreign are OVEN_ variables that are no settings: the file's own, and one that the project's tests read.
func foreign(name string) bool {
	return name == "OVEN_CONFIG" || name == "OVEN_TEST_PEERS"
}

// Load reads the settings from a file and from the environment (a list of "NAME=value", as os.Environ gives it). An
// empty path means the file that OVEN_CONFIG names, or none. A variable that is set but empty means the default, also
// where the file says something. Relative paths start at the working directory. Errors name the file and line, or
// the variable, and never show a value that may be secret.
func Load(path string, environ []string) (*Config, error) {
	env := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		env[name] = value
	}
	if path == "" {
		path = env["OVEN_CONFIG"]
	}
	var f file
	if path != "" {
		var err error
		if f, err = readFile(path); err != nil {
			return nil, err
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
		return nil, fmt.Errorf("config: no such setting: %s", strings.Join(unknown, ", "))
	}
	c, err := f.parse(env["TZ"])
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	return c, nil
}
