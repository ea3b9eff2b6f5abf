package config

import (
	"strings"
	"testing"
)

func TestMemoryIsBytesOrAShareOfWhatThereIs(t *testing.T) {
	const there = 4_000_000_000
	for text, want := range map[string]int64{
		"0": 0, "256M": 256e6, "2G": 2e9, "2GiB": 2 << 30, "1_024MiB": 1 << 30, "128000000": 128e6,
		"75%": 3e9, "100%": there, "1%": there / 100,
	} {
		m, err := parseMemory(text)
		if err != nil || m.Of(there) != want {
			t.Errorf("%s: %d of %d, want %d: %v", text, m.Of(there), there, want, err)
		}
		if again, err := parseMemory(m.String()); err != nil || again != m {
			t.Errorf("%s is printed as %s, which is %+v: %v", text, m, again, err)
		}
	}
	if got := (Memory{Percent: 75}).Of(0); got != 0 {
		t.Errorf("75%% of nobody knows what is %d", got)
	}
}

func TestMemoryThatIsNoneIsRefusedWithTheRemedy(t *testing.T) {
	for text, want := range map[string]string{
		"":      errShape.Error(),
		"half":  errShape.Error(),
		"%":     errShape.Error(),
		"+5%":   errShape.Error(),
		"5.5%":  errShape.Error(),
		"0%":    "0 is no limit",
		"101%":  "from 1% to 100%",
		"-256M": "0 is no limit",
		"64M":   "128M at least",
		"xGiB":  errShape.Error(),
		"-1GiB": errShape.Error(),
		"1kMiB": errShape.Error(),

		"9999999999GiB":        "too large",
		"99999999999999999999": "too large",
	} {
		if m, err := parseMemory(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v; want %q", text, m, err, want)
		}
	}
}
