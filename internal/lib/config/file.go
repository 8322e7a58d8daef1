package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/goccy/go-yaml"
)

// file is the YAML document. All values are text here; parse.go gives them a meaning, wherever they come from.
type file struct {
	Mode                   text   `yaml:"mode"`
	URL                    text   `yaml:"url"`
	Listen                 text   `yaml:"listen"`
	DataDir                text   `yaml:"data_dir"`
	DatabaseURL            text   `yaml:"database_url"`
	DatabaseDirectURL      text   `yaml:"database_direct_url"`
	DatabaseReplicaURLs    text   `yaml:"database_replica_urls"`
	SecretKeyFile          text   `yaml:"secret_key_file"`
	AllowedPrivateNetworks text   `yaml:"allowed_private_networks"`
	TrustedProxies         text   `yaml:"trusted_proxies"`
	SetupPassword          text   `yaml:"setup_password"`
	Timezone               text   `yaml:"timezone"`
	MetricsListen          text   `yaml:"metrics_listen"`
	Role                   text   `yaml:"role"`
	RedisURL               text   `yaml:"redis_url"`
	SearchURL              text   `yaml:"search_url"`
	SearchScope            text   `yaml:"search_scope"`
	S3                     s3     `yaml:"s3"`
	Backup                 backup `yaml:"backup"`
	TestHosts              text   `yaml:"test_hosts"`
}

type s3 struct {
	Endpoint  text `yaml:"endpoint"`
	Bucket    text `yaml:"bucket"`
	Region    text `yaml:"region"`
	AccessKey text `yaml:"access_key"`
	SecretKey text `yaml:"secret_key"`
	Prefix    text `yaml:"prefix"`
	PathStyle text `yaml:"path_style"`
	Leave     text `yaml:"leave"`
}

type backup struct {
	To            text `yaml:"to"`
	Every         text `yaml:"every"`
	KeepLast      text `yaml:"keep_last"`
	KeepDaily     text `yaml:"keep_daily"`
	KeepWeekly    text `yaml:"keep_weekly"`
	AgeRecipients text `yaml:"age_recipients"`
	VerifyEvery   text `yaml:"verify_every"`
	AgeIdentities text `yaml:"age_identity_files"`
}

// text is a plain value; a list counts as its items with commas between.
type text string

// UnmarshalYAML takes a text, number, true/false, nothing, or a list of these.
func (t *text) UnmarshalYAML(decode func(any) error) error {
	var value any
	if err := decode(&value); err != nil {
		return err
	}
	items, ok := value.([]any)
	if !ok {
		items = []any{value}
	}
	parts := make([]string, len(items))
	for i, item := range items {
		switch item := item.(type) {
		case nil:
		case string, bool, int64, uint64, float64:
			parts[i] = fmt.Sprint(item)
		default:
			return errors.New("a plain value or a list of them is needed here")
		}
	}
	*t = text(strings.Join(parts, ","))
	return nil
}

// readFile reads the YAML file; an empty one is fine.
func readFile(path string) (file, error) {
	var f file
	text, err := os.ReadFile(path)
	if err != nil {
		return f, fmt.Errorf("config: %w", err)
	}
	err = yaml.NewDecoder(bytes.NewReader(text), yaml.DisallowUnknownField()).Decode(&f)
	if err == nil || errors.Is(err, io.EOF) {
		return f, nil
	}
	// The library's own text quotes the lines around, and with them passwords.
	var place yaml.Error
	if errors.As(err, &place) {
		line := 0
		if tk := place.GetToken(); tk != nil {
			line = tk.Position.Line
		}
		return f, fmt.Errorf("config: %s:%d: %s", path, line, place.GetMessage())
	}
	return f, fmt.Errorf("config: %s: not a YAML file of settings", path)
}
