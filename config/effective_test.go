package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// effective loads flags, an environment and a file, and returns what is in force.
func effective(t *testing.T, args, environ []string, file string) map[string]Setting {
	t.Helper()
	flags := pflag.NewFlagSet("waggle", pflag.ContinueOnError)
	AddFlags(flags)
	if file != "" {
		path := filepath.Join(t.TempDir(), "waggle.yaml")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config", path)
	}
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	l, err := Load(flags, environ)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]Setting{}
	for _, s := range l.Effective() {
		all[s.Key] = s
	}
	return all
}

func TestEffectiveSettingTellsItsValueAndWhereItComesFrom(t *testing.T) {
	all := effective(t, []string{"--limits-peers", "7M"}, []string{"WAGGLE_LOG_LEVEL=debug"}, "announce:\n  interval: 20m\n")
	for key, want := range map[string][3]string{
		"announce.interval":     {"20m", "30m", ":2"},
		"announce.min_interval": {"15m", "15m", "default"},
		"log.level":             {"debug", "info", "WAGGLE_LOG_LEVEL"},
		"limits.peers":          {"7M", "20M", "--limits-peers"},
		"store":                 {"sqlite:waggle-data/waggle.db", "sqlite:waggle-data/waggle.db", "default"},
		"listen.udp":            {`[":6969"]`, `[":6969"]`, "default"},
		"console.token_file":    {`""`, `""`, "default"},
	} {
		s := all[key]
		if s.Value != want[0] || s.Default != want[1] || !strings.HasSuffix(s.Source.String(), want[2]) || s.Hidden {
			t.Errorf("%s is %+v, want %q", key, s, want)
		}
	}
	s := all["announce.interval"]
	if s.Section != "announce" || s.Flag != "--announce-interval" || s.Environment != "WAGGLE_ANNOUNCE_INTERVAL" || !strings.Contains(s.Doc, "How long a client") {
		t.Errorf("%+v", s)
	}
	if store := all["store"]; store.Section != "" {
		t.Errorf("%+v", store)
	}
}

func TestEveryKeyIsAnEffectiveSettingWithItsText(t *testing.T) {
	all, sections := effective(t, nil, nil, ""), Sections()
	for _, k := range keys() {
		s, ok := all[k.path]
		if !ok || s.Doc == "" || s.Source != (Source{}) || s.Value != s.Default {
			t.Errorf("%s is %+v", k.path, s)
		}
		if s.Section != "" && sections[s.Section] == "" {
			t.Errorf("nothing is said of section %s", s.Section)
		}
	}
}

func TestSecretInAValueIsHidden(t *testing.T) {
	for text, want := range map[string]string{
		"redis://user:pass@host:6379/0":                            "redis://user:***@host:6379/0",
		"redis://:p@ss:w0rd@host:6379/0":                           "redis://:***@host:6379/0",
		"redis://user:pa/ss@host:6379/0":                           "redis://user:***@host:6379/0",
		"nats://token@host:4222":                                   "nats://***@host:4222",
		`[{rest: {url: "http://u:p@a.example/{ip}?x=1"}}]`:         `[{rest: {url: "http://u:***@a.example/{ip}?x=1"}}]`,
		`"https://a.example/x?api_key=abc&ip={ip}&access_token=y"`: `"https://a.example/x?api_key=***&ip={ip}&access_token=***"`,
		`[{program: {command: [find, --password, hunter2, -v]}}]`:  `[{program: {command: [find, --password, ***, -v]}}]`,
		`[{program: {command: [find, "--api-key=a b"]}}]`:          `[{program: {command: [find, "--api-key=***"]}}]`,
		`[{program: {command: [find, --token-file, /etc/t]}}]`:     `[{program: {command: [find, --token-file, /etc/t]}}]`,
		"s3://bucket?endpoint=http://k:s@a.example&region=x":       "s3://bucket?endpoint=http://***@a.example&region=x",
		"s3://bucket?endpoint=http%3A%2F%2Fk%3As%40a.example":      "s3://bucket?endpoint=http%3A%2F%2F***%40a.example",
		"redis://u:p@host:6379/0?proxy=http://k:s@a.example":       "redis://u:***@host:6379/0?proxy=http://***@a.example",
		"sqlite:///var/lib/waggle/waggle.db":                       "sqlite:///var/lib/waggle/waggle.db",
		"http://host/a@b":                                          "http://host/a@b",
		"/etc/waggle/token":                                        "/etc/waggle/token",
		`""`:                                                       `""`,
	} {
		if got := hideSecrets(text); got != want {
			t.Errorf("%s is shown as %s, want %s", text, got, want)
		}
	}
}

func TestSecretOfALocationSourceIsHiddenInWhatIsInForce(t *testing.T) {
	all := effective(t, nil, nil, `locality:
  sources:
    - rest: {url: "http://smdb.example/{ip}?apikey=hunter2", token_file: /etc/token}
    - program: {command: [/usr/bin/find, --password, hunter2]}
`)
	s := all["locality.sources"]
	if strings.Contains(s.Value, "hunter2") || !s.Hidden || !strings.Contains(s.Value, "/etc/token") || !strings.HasSuffix(s.Source.String(), ":2") {
		t.Errorf("%+v", s)
	}
}
