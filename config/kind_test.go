package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestCountIsReadInAllItsSpellings(t *testing.T) {
	for text, want := range map[string]Count{
		"0": 0, "74": 74, "5k": 5_000, "5K": 5_000, "20M": 20_000_000, "2G": 2_000_000_000,
		"1_000": 1_000, "20_000_000": 20_000_000, "20000000": 20_000_000, "-3": -3, "1_0k": 10_000,
	} {
		if got, err := parseCount(text); err != nil || got != want {
			t.Errorf("%q is %d, %v; want %d", text, got, err, want)
		}
	}
}

func TestCountRefusesWhatIsNoWholeNumber(t *testing.T) {
	for _, text := range []string{"", "k", "1.5M", "20m", "20g", "20 M", "1__0", "_1", "1_", "0x10", "1e6", "+5", "²", "20MB"} {
		if got, err := parseCount(text); err == nil {
			t.Errorf("%q is read as %d", text, got)
		}
	}
	for _, text := range []string{"9223372036854775808", "9223372037G", "-9223372037G"} {
		if got, err := parseCount(text); err == nil || !strings.Contains(err.Error(), "too large") {
			t.Errorf("%q is read as %d, %v", text, got, err)
		}
	}
}

func TestCountIsPrintedShortlyAndReadBack(t *testing.T) {
	for want, c := range map[string]Count{"0": 0, "74": 74, "1500": 1500, "10k": 10_000, "20M": 20_000_000, "2G": 2e9, "-1k": -1000} {
		if got := c.String(); got != want {
			t.Errorf("%d is printed as %s, want %s", int(c), got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		c := Count(rapid.IntRange(math.MinInt, math.MaxInt).Draw(t, "c"))
		if back, err := parseCount(c.String()); err != nil || back != c {
			t.Fatalf("%d is printed as %s and read as %d, %v", int(c), c, int(back), err)
		}
	})
}

func TestDurationIsPrintedShortlyAndReadBack(t *testing.T) {
	for want, d := range map[string]time.Duration{"0s": 0, "30m": 30 * time.Minute, "1h": time.Hour, "1h0m30s": time.Hour + 30*time.Second, "10s": 10 * time.Second, "100ms": 100 * time.Millisecond, "1m30s": 90 * time.Second} {
		if got := shortDuration(d); got != want {
			t.Errorf("%v is printed as %s, want %s", d, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64().Draw(t, "d"))
		if back, err := parseDuration(shortDuration(d)); err != nil || back != d {
			t.Fatalf("%v is printed as %s and read as %v, %v", d, shortDuration(d), back, err)
		}
	})
}

func TestAddressIsAnythingThatCanBeListenedOn(t *testing.T) {
	for _, text := range []string{":6969", ":0", "0.0.0.0:80", "[::]:6969", "[::1]:65535", "[fe80::1%eth0]:6969", "localhost:1", "tracker.example:6969"} {
		if got, err := parseAddress(text); err != nil || string(got) != text {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

func TestAddressIsRefusedWithTheRemedy(t *testing.T) {
	for text, remedy := range map[string]string{
		"":                 "no port",
		"localhost":        "no port",
		"6969":             `write ":6969"`,
		"::1:6969":         "brackets",
		"[::1]":            "brackets",
		"udp://:6969":      "leave out",
		":":                "not a number from 0 to 65535",
		":65536":           "not a number from 0 to 65535",
		":-1":              "not a number from 0 to 65535",
		":http":            "not a number from 0 to 65535",
		"a b:1":            "neither an IP address nor a name",
		"/run/waggle:6969": "neither an IP address nor a name",
	} {
		if _, err := parseAddress(text); err == nil || !strings.Contains(err.Error(), remedy) {
			t.Errorf("%q: %v, want %q", text, err, remedy)
		}
	}
}

func TestTrustedProxyIsANetworkOrOneAddress(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.0/8": "10.0.0.0/8", "192.0.2.1": "192.0.2.1/32", "2001:db8::/32": "2001:db8::/32", "::1": "::1/128",
		"::ffff:192.0.2.1": "192.0.2.1/32", "::ffff:10.0.0.0/104": "10.0.0.0/8", "0.0.0.0/0": "0.0.0.0/0",
	} {
		if got, err := parsePrefix(text); err != nil || got.String() != want {
			t.Errorf("%q: %v, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "proxy.example", "10.0.0.0/33", "10.0.0.0/-1", "fe80::1%eth0", "10.0.0.0-10.0.0.9"} {
		if got, err := parsePrefix(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
	if _, err := parsePrefix("10.0.0.7/8"); err == nil || err.Error() != "write the network 10.0.0.0/8 or the address 10.0.0.7" {
		t.Error(err)
	}
}

func TestStoreURLNamesAStoreAndItsFile(t *testing.T) {
	for _, c := range []struct{ text, scheme, path string }{
		{"memory:", "memory", ""},
		{"sqlite:waggle.db", "sqlite", "waggle.db"},
		{"sqlite:waggle-data/waggle.db", "sqlite", "waggle-data/waggle.db"},
		{"sqlite:///var/lib/waggle/waggle.db", "sqlite", "/var/lib/waggle/waggle.db"},
		{"sqlite:/var/lib/waggle/waggle.db", "sqlite", "/var/lib/waggle/waggle.db"},
		{"sqlite:with space.db", "sqlite", "with space.db"},
		{"redis://:secret@host:6379/0?prefix=x", "redis", ""},
		{"rediss+cluster://h1:7000,h2:7000,[::1]:7000", "rediss+cluster", ""},
		{"dynamodb://waggle?region=eu-central-1&endpoint=http://127.0.0.1:4567", "dynamodb", ""},
		{"s3://bucket/a/b", "s3", ""},
	} {
		u, err := parseStoreURL(c.text)
		if err != nil || u.Scheme() != c.scheme || u.Path() != c.path {
			t.Errorf("%q: %q %q, %v", c.text, u.Scheme(), u.Path(), err)
		}
	}
}

func TestStoreURLIsRefusedWithTheRemedy(t *testing.T) {
	for text, remedy := range map[string]string{
		"":                       errShape.Error(),
		"waggle.db":              errShape.Error(),
		"sqlite":                 errShape.Error(),
		"memory:x":               errShape.Error(),
		"postgres://host/waggle": errShape.Error(),
		"memory":                 "colon",
		"sqlite:":                "names no file",
		"sqlite:///":             "names no file",
		"sqlite:waggle-data/":    "names no file",
		"sqlite://waggle.db":     "has no slashes before it",
		"sqlite:waggle.db?a=b":   "no options",
		"redis":                  errShape.Error(),
		"redis:host":             "redis://host:6379/0",
		"dynamodb://?region=x":   "dynamodb://table",
		"s3:///prefix":           "s3://bucket",
		"redis://:***@host":      "in place of ***",
		"redis://:a/b#c@host:x":  "written %2F",
	} {
		if _, err := parseStoreURL(text); err == nil || !strings.Contains(err.Error(), remedy) {
			t.Errorf("%q: %v, want %q", text, err, remedy)
		}
	}
}

func TestPasswordOfAStoreIsNeverPrinted(t *testing.T) {
	for text, want := range map[string]string{
		"redis://:hush@host:6379/0":           "redis://:***@host:6379/0",
		"rediss+cluster://user:hush@h1,h2":    "rediss+cluster://user:***@h1,h2",
		"redis://host":                        "redis://host",
		"sqlite:a@b.db":                       "sqlite:a@b.db",
		"s3://bucket/prefix?region=us-west-2": "s3://bucket/prefix?region=us-west-2",
	} {
		if got := fmt.Sprint(StoreURL(text)); got != want {
			t.Errorf("%s is shown as %s, want %s", text, got, want)
		}
	}
	for _, text := range []string{"reds://:hush@host", "redis://:hu/hush@host:x", "redis://:hush@host with spaces", "redis//:hush@host", "redis:://user:hush@host"} {
		if _, err := read("store: " + strconv.Quote(text)); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", text, err)
		}
	}
	l := &Loaded{Config: Default()}
	l.Config.Store = "redis://:hush@host"
	if text := printed(l); strings.Contains(text, "hush") || !strings.Contains(text, `store: "redis://:***@host"`) {
		t.Error("config print shows the password, or no store")
	}
	for _, s := range l.Effective() {
		if s.Key == "store" && (!s.Hidden || strings.Contains(s.Value, "hush")) {
			t.Errorf("%+v", s)
		}
	}
}
