package simulate

import (
	"fmt"
	"strings"

	"github.com/dustin/go-humanize"
)

// ParseSpeed reads a speed, such as "10Gbit" (a second) or "125MB", and returns it in
// bytes a second, at least 1.
func ParseSpeed(s string) (int64, error) {
	n, per := strings.TrimSuffix(s, "/s"), uint64(1)
	if bits, ok := strings.CutSuffix(n, "bit"); ok {
		n, per = bits+"B", 8
	}
	bytes, err := humanize.ParseBytes(n)
	if err != nil || bytes/per < 1 || bytes > 1<<50 {
		return 0, fmt.Errorf("%q is no speed: want one such as 1Gbit or 125MB, a second", s)
	}
	return int64(bytes / per), nil
}

// ParseSize reads a size, such as "500MB" or "1GiB", and returns it in bytes, at least
// 1.
func ParseSize(s string) (int64, error) {
	bytes, err := humanize.ParseBytes(s)
	if err != nil || bytes < 1 || bytes > 1<<50 {
		return 0, fmt.Errorf("%q is no size: want one such as 500MB or 1GiB", s)
	}
	return int64(bytes), nil
}
