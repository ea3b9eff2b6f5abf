package web

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// bytesText writes a number of bytes as cmd/waggle does: 1.5 GiB.
func bytesText(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

// countText groups the thousands of a number.
func countText[T int | int64 | uint64 | uint32](n T) string {
	return humanize.Comma(int64(min(uint64(n), math.MaxInt64)))
}

// number is countText for templates.
func number(n any) (string, error) {
	switch n := n.(type) {
	case int:
		return countText(n), nil
	case int64:
		return countText(n), nil
	case uint64:
		return countText(n), nil
	case uint32:
		return countText(n), nil
	}
	return "", fmt.Errorf("%T is no number", n)
}

// rateText writes a number per second: with a decimal while that says something.
func rateText(perSecond float64) string {
	switch {
	case math.IsNaN(perSecond) || math.IsInf(perSecond, 0):
		return "–"
	case perSecond == 0:
		return "0"
	case math.Abs(perSecond) < 0.1:
		return "< 0.1"
	case math.Abs(perSecond) < 99.95:
		return fmt.Sprintf("%.1f", perSecond)
	}
	return humanize.Comma(int64(math.Round(perSecond)))
}

// percentText rounds down, so that 100 % is all.
func percentText(share float64) string { return fmt.Sprintf("%.1f %%", math.Floor(share*1000)/10) }

// ratioText is what a peer uploaded for each byte that it downloaded.
func ratioText(uploaded, downloaded int64) string {
	if downloaded <= 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", float64(uploaded)/float64(downloaded))
}

// spanText writes a duration by its two largest units.
func spanText(d time.Duration) string {
	d = max(d, 0)
	units := []struct {
		name string
		of   time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"min", time.Minute}, {"s", time.Second}}
	for i, u := range units {
		if d < u.of {
			continue
		}
		text := fmt.Sprintf("%d %s", d/u.of, u.name)
		if i+1 < len(units) {
			next := units[i+1]
			if rest := d % u.of / next.of; rest > 0 {
				text += fmt.Sprintf(" %d %s", rest, next.name)
			}
		}
		return text
	}
	return "0 s"
}

// moment is a time as a page shows it.
type moment struct {
	Machine string // RFC 3339, UTC
	Text    string // UTC, to the second
	Ago     string // how long ago, or when
}

// momentAt returns t as seen at a moment. The zero time is the zero moment.
func momentAt(t, now time.Time) moment {
	if t.IsZero() {
		return moment{}
	}
	t = t.UTC()
	m := moment{Machine: t.Format(time.RFC3339), Text: t.Format("2006-01-02 15:04:05 UTC")}
	switch d := now.Sub(t); {
	case d < -time.Second:
		m.Ago = "in " + coarse(-d)
	case d < time.Second:
		m.Ago = "now"
	default:
		m.Ago = coarse(d) + " ago"
	}
	return m
}

// coarse writes a duration by its largest unit.
func coarse(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return fmt.Sprintf("%s d", humanize.Comma(int64(d/(24*time.Hour))))
}

// plural writes a number of things, as "1 peer" or "2 peers".
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return countText(n) + " " + thing + "s"
}

// clip cuts a text that is longer than n characters.
func clip(text string, n int) string {
	text = strings.ToValidUTF8(text, "\ufffd")
	if runes := []rune(text); len(runes) > n {
		return string(runes[:n-1]) + "…"
	}
	return text
}

// seconds returns a number of seconds as a duration.
func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }
