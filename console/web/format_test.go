package web

import (
	"math"
	"strings"
	"testing"
	"time"

	"waggle/console/client"
)

func TestNumbersHaveUnitsAndGroups(t *testing.T) {
	for got, want := range map[string]string{
		bytesText(0): "0 B", bytesText(1536): "1.5 KiB", bytesText(-1): "0 B", bytesText(5 << 30): "5.0 GiB",
		countText(1234567): "1,234,567", countText(uint64(math.MaxUint64)): "9,223,372,036,854,775,807",
		rateText(0): "0", rateText(0.05): "< 0.1", rateText(12.34): "12.3", rateText(12345.6): "12,346", rateText(math.NaN()): "–",
		percentText(1): "100.0 %", percentText(0.99999): "99.9 %", ratioText(1, 0): "–", ratioText(1, 4): "0.25",
		plural(1, "peer"): "1 peer", plural(2000, "peer"): "2,000 peers",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestSpansHaveTwoUnitsAtMost(t *testing.T) {
	for of, want := range map[time.Duration]string{
		-time.Second: "0 s", 300 * time.Millisecond: "0 s", 59 * time.Second: "59 s", time.Minute: "1 min",
		90 * time.Second: "1 min 30 s", 25*time.Hour + 59*time.Minute: "1 d 1 h", 48*time.Hour + time.Minute: "2 d",
	} {
		if got := spanText(of); got != want {
			t.Errorf("%v is %q, want %q", of, got, want)
		}
	}
}

func TestMomentsAreUTCAndSayHowLongAgo(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.FixedZone("", 3600))
	for ago, want := range map[time.Duration]string{
		0: "now", 5 * time.Second: "5 s ago", 3 * time.Hour: "3 h ago", 72 * time.Hour: "3 d ago", -time.Hour: "in 1 h",
	} {
		if got := momentAt(now.Add(-ago), now); got.Ago != want || !strings.HasSuffix(got.Text, " UTC") || !strings.HasSuffix(got.Machine, "Z") {
			t.Errorf("%v ago is %+v, want %q", ago, got, want)
		}
	}
	if got := momentAt(time.Time{}, now); got != (moment{}) {
		t.Errorf("the zero time is %+v", got)
	}
}

func TestLongTextIsCutBetweenCharacters(t *testing.T) {
	if got := clip("äöüß", 3); got != "äö…" {
		t.Errorf("got %q", got)
	}
	if got := clip("a\xff", 9); got != "a\ufffd" {
		t.Errorf("got %q", got)
	}
}

func TestASentenceBeginsWithACapitalLetter(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "too late": "Too late.", "über alles.": "Über alles.", "\"a\" is gone": "\"a\" is gone.", "\xff": "\ufffd.",
	} {
		if got := sentence(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

func TestAChartHasGapsWhereNothingIsKnown(t *testing.T) {
	values := []*float64{new(1.0), new(2.0), nil, new(4.0)}
	if got, want := linePath(values, 4), "M0.0 74.8h.1L60.0 50.0M180.0 0.5h.1"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := linePath(nil, 0); got != "" {
		t.Errorf("nothing is drawn as %s", got)
	}
	if got := linePath([]*float64{new(0.0)}, 0); got != "M0.0 99.5h.1" {
		t.Errorf("zero is drawn as %s", got)
	}
}

func TestChartsLeaveOutWhatTheAPIDoesNotHave(t *testing.T) {
	all := charts(&client.Timeline{Span: client.Day, Series: []client.Series{
		{Name: "memory", Unit: client.Bytes, Values: []*float64{new(1024.0), new(2048.0), new(1024.0)}},
	}})
	if len(all) != 1 || all[0].Title != "Memory" || all[0].Top != "2.0 KiB" || all[0].Lines[0].Mean != "1.3 KiB" || all[0].Span != "last day" {
		t.Errorf("got %+v", all)
	}
}

// FuzzMessages reads cookies that anybody may have written.
func FuzzMessages(f *testing.F) {
	f.Add("W3siayI6ImRvbmUiLCJ0Ijoib2sifV0")
	f.Add("W3siayI6IngiLCJ0IjoiPHNjcmlwdD4ifV0")
	f.Add("bnVsbA")
	f.Add("%%%")
	f.Fuzz(func(t *testing.T, value string) {
		all := parseMessages(value)
		if len(all) > maxMessages+1 {
			t.Errorf("%d messages", len(all))
		}
		for _, m := range all {
			if m.Kind != "done" && m.Kind != "failed" && m.Kind != "warning" || len([]rune(m.Text)) > maxMessageText {
				t.Errorf("got %+v", m)
			}
		}
	})
}
