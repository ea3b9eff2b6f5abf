package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// flagSet has all flags of waggle, of which args were given.
func flagSet(t *testing.T, args ...string) *pflag.FlagSet {
	t.Helper()
	flags := pflag.NewFlagSet("waggle", pflag.ContinueOnError)
	AddFlags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return flags
}

// fileWith returns the path of a new file.
func fileWith(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "waggle.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// problemsOf are the lines of an error.
func problemsOf(err error) []string {
	if err == nil {
		return nil
	}
	return strings.Split(err.Error(), "\n")
}

func wantProblems(t *testing.T, err error, want ...string) {
	t.Helper()
	if got := problemsOf(err); !reflect.DeepEqual(got, want) {
		t.Errorf("problems are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestNothingToldMeansTheDefaults(t *testing.T) {
	l, err := Load(flagSet(t), []string{"LANG=C", "NOT_WAGGLE_STORE=x"})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(l.Config, Default()) || l.Path != "" || len(l.Sources) != 0 {
		t.Errorf("%+v", l)
	}
	if from := l.Sources["announce.interval"]; from.String() != "default" {
		t.Errorf("announce.interval is from %v", from)
	}
}

func TestFlagsWinOverEnvironmentOverFileOverDefaults(t *testing.T) {
	path := fileWith(t, "announce:\n  interval: 21m\n  min_interval: 11m\n  numwant: 31\n")
	environ := []string{"WAGGLE_CONFIG=" + path, "WAGGLE_ANNOUNCE_INTERVAL=22m", "WAGGLE_ANNOUNCE_MIN_INTERVAL=12m"}
	l, err := Load(flagSet(t, "--announce-interval=23m"), environ)
	if err != nil {
		t.Fatal(err)
	}
	want := Announce{Interval: 23 * time.Minute, MinInterval: 12 * time.Minute, PeerLifetime: 45 * time.Minute, PassiveInterval: 5 * time.Minute, WebSocketInterval: 2 * time.Minute, Numwant: 31, MaxNumwant: 200, RecordLimit: 1_000_000_000, EarlyWarned: 4, EarlyShortened: 8, EarlyRefused: 16}
	if l.Config.Announce != want {
		t.Errorf("announce is %+v", l.Config.Announce)
	}
	for key, from := range map[string]string{
		"announce.interval":      "--announce-interval",
		"announce.min_interval":  "WAGGLE_ANNOUNCE_MIN_INTERVAL",
		"announce.numwant":       path + ":4",
		"announce.peer_lifetime": "default",
	} {
		if got := l.Sources[key].String(); got != from {
			t.Errorf("%s is from %s, want %s", key, got, from)
		}
	}
}

func TestFlagNamesTheFileBeforeTheEnvironmentDoes(t *testing.T) {
	path := fileWith(t, "store: sqlite:flag.db\n")
	l, err := Load(flagSet(t, "--config", path), []string{"WAGGLE_CONFIG=missing.yaml"})
	if err != nil || l.Path != path || l.Config.Store != "sqlite:flag.db" {
		t.Errorf("%+v, %v", l, err)
	}
}

func TestListsAreSeparatedByCommasAndFlagsAreRepeated(t *testing.T) {
	flags := flagSet(t, "--listen-udp=:1, :2", "--listen-udp", "[::1]:3", "--access-trusted-proxies=")
	l, err := Load(flags, []string{"WAGGLE_LISTEN_HTTP=:4,:5", "WAGGLE_ACCESS_TRUSTED_PROXIES=::1"})
	if err != nil {
		t.Fatal(err)
	}
	want := Listen{UDP: []Address{":1", ":2", "[::1]:3"}, HTTP: []Address{":4", ":5"}, HTTPS: []Address{}, WebSocket: true, Console: "127.0.0.1:6970"}
	if !reflect.DeepEqual(l.Config.Listen, want) || len(l.Config.Access.TrustedProxies) != 0 {
		t.Errorf("%+v", l.Config)
	}
}

func TestEmptyTextTurnsAListenerOff(t *testing.T) {
	l, err := Load(nil, []string{"WAGGLE_LISTEN_HTTP="})
	if err != nil || len(l.Config.Listen.HTTP) != 0 || len(l.Config.Listen.UDP) != 1 {
		t.Errorf("%+v, %v", l, err)
	}
}

func TestLoadReadsTheFileAnew(t *testing.T) {
	path := fileWith(t, "limits: {peers: 1k}\n")
	flags := flagSet(t, "--config", path, "--listen-udp=:1")
	for _, want := range []Count{1000, 2000} {
		l, err := Load(flags, nil)
		if err != nil || l.Config.Limits.Peers != want || len(l.Config.Listen.UDP) != 1 {
			t.Fatalf("%+v, %v", l, err)
		}
		if err := os.WriteFile(path, []byte("limits: {peers: 2k}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestProblemsOfAllLayersAreFoundAtOnce(t *testing.T) {
	path := fileWith(t, "announce: {intervall: 5m}\n")
	flags := flagSet(t, "--config", path, "--announce-interval=5", "--log-level=trace")
	_, err := Load(flags, []string{"WAGGLE_LISTEN_UDP=:1,6969"})
	wantProblems(t, err,
		path+":1: announce.intervall is not a key; did you mean interval?",
		`WAGGLE_LISTEN_UDP: listen.udp wants an address such as [::1]:6969 or :6969, not "6969": for that port on every address write ":6969"`,
		`--announce-interval: announce.interval wants a duration such as 30m, not "5": it has no unit, which is s, m or h`,
		`--log-level: log.level is one of debug, info, warn, error, not "trace"`,
	)
}

func TestMissingFileIsReportedWithWhatNamesIt(t *testing.T) {
	_, err := Load(flagSet(t, "--config", "missing.yaml"), nil)
	wantProblems(t, err, "missing.yaml: no such file or directory; it is named by --config")
	_, err = Load(flagSet(t), []string{"WAGGLE_CONFIG=missing.yaml"})
	wantProblems(t, err, "missing.yaml: no such file or directory; it is named by WAGGLE_CONFIG")
	_, err = Load(flagSet(t, "--config="), nil)
	wantProblems(t, err, "--config: names no file; leave it out to run on the defaults")
	directory := t.TempDir()
	_, err = Load(flagSet(t, "--config", directory), nil)
	wantProblems(t, err, directory+": is a directory; it is named by --config")
}

func TestUnknownVariableIsRefusedWithTheNearestOne(t *testing.T) {
	_, err := Load(nil, []string{
		"WAGGLE_ANOUNCE_INTERVAL=1m", "WAGGLE_INTERVAL=1m", "WAGGLE_FROB=1", "WAGGLE_CONFIGS=x", "WAGGLE_=", "WAGGLE_PORT=6969", "waggle_store=x",
	})
	wantProblems(t, err,
		`WAGGLE_: no key has this environment variable; "waggle config print" lists the keys`,
		`WAGGLE_ANOUNCE_INTERVAL: no key has this environment variable; did you mean WAGGLE_ANNOUNCE_INTERVAL?`,
		`WAGGLE_CONFIGS: no key has this environment variable; did you mean WAGGLE_CONFIG?`,
		`WAGGLE_FROB: no key has this environment variable; "waggle config print" lists the keys`,
		`WAGGLE_INTERVAL: no key has this environment variable; did you mean WAGGLE_ANNOUNCE_INTERVAL?`,
		`WAGGLE_PORT: no key has this environment variable; "waggle config print" lists the keys`,
	)
}

func TestVariablesThatKubernetesSetsForAServiceCalledWaggleAreIgnored(t *testing.T) {
	_, err := Load(nil, []string{
		"WAGGLE_SERVICE_HOST=10.96.0.1", "WAGGLE_SERVICE_PORT=6969", "WAGGLE_SERVICE_PORT_HTTP=6969",
		"WAGGLE_PORT=tcp://10.96.0.1:6969", "WAGGLE_PORT_6969_TCP=tcp://10.96.0.1:6969", "WAGGLE_PORT_6969_TCP_PROTO=tcp",
		"WAGGLE_PORT_6969_TCP_PORT=6969", "WAGGLE_PORT_6969_UDP_ADDR=10.96.0.1", "WAGGLE_CONSOLE_SERVICE_HOST=10.96.0.2",
		"WAGGLE_CONSOLE_PORT=tcp://10.96.0.2:6970",
	})
	if err != nil {
		t.Error(err)
	}
}

func TestEmptyVariableOfAKeyThatIsNoListIsRefused(t *testing.T) {
	_, err := Load(nil, []string{"WAGGLE_ANNOUNCE_INTERVAL="})
	wantProblems(t, err, `WAGGLE_ANNOUNCE_INTERVAL: announce.interval wants a duration such as 30m, not ""`)
}

func TestKeysThatContradictEachOtherAreReportedWithBothSources(t *testing.T) {
	path := fileWith(t, "announce:\n  interval: 1h\n  max_numwant: 20\n")
	_, err := Load(flagSet(t, "--config", path), []string{"WAGGLE_ANNOUNCE_MIN_INTERVAL=2h"})
	wantProblems(t, err,
		"WAGGLE_ANNOUNCE_MIN_INTERVAL: announce.min_interval must be at most announce.interval; they are 2h (WAGGLE_ANNOUNCE_MIN_INTERVAL) and 1h ("+path+":2)",
		path+":2: announce.peer_lifetime must be more than a tenth longer than announce.interval; they are 45m (default) and 1h ("+path+":2)",
		path+":3: announce.numwant must be at most announce.max_numwant; they are 50 (default) and 20 ("+path+":3)",
	)
}

func TestEqualMinIntervalAndNumwantAreAllowedAndEqualLifetimeIsNot(t *testing.T) {
	_, err := Load(flagSet(t, "--announce-min-interval=30m", "--announce-numwant=200", "--announce-peer-lifetime=30m"), nil)
	wantProblems(t, err,
		"--announce-peer-lifetime: announce.peer_lifetime must be more than a tenth longer than announce.interval; they are 30m (--announce-peer-lifetime) and 30m (default)")
}

func TestEveryFlagExplainsItself(t *testing.T) {
	help := flagSet(t).FlagUsages()
	for _, k := range keys() {
		if !strings.Contains(help, "--"+k.flag()+" "+new(flagValue{key: &k}).Type()) {
			t.Errorf("no --%s in the help", k.flag())
		}
	}
	for _, text := range []string{
		"--config file", "How long a client is told to wait before it announces again (default 30m)",
		"--listen-udp host:port,...", "--log-level debug|info|warn|error",
	} {
		if !strings.Contains(help, text) {
			t.Errorf("no %q in\n%s", text, help)
		}
	}
}
