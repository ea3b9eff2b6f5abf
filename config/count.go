package config

import (
	"errors"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// Count is a number of things, large ones written shortly: 20M, 5k, 1_000. Its units are decimal:
// k, M and G are 10³, 10⁶ and 10⁹.
type Count int

var (
	countShape = regexp.MustCompile(`^(-?[0-9]+(?:_[0-9]+)*)([kKMG]?)$`)
	countUnits = []struct {
		size Count
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}}
)

// String is the shortest text that means exactly c.
func (c Count) String() string {
	for _, unit := range countUnits {
		if c != 0 && c%unit.size == 0 {
			return strconv.Itoa(int(c/unit.size)) + unit.name
		}
	}
	return strconv.Itoa(int(c))
}

func parseCount(text string) (Count, error) {
	parts := countShape.FindStringSubmatch(text)
	if parts == nil {
		return 0, errShape
	}
	n, err := strconv.Atoi(strings.ReplaceAll(parts[1], "_", ""))
	if err != nil {
		return 0, errors.New("it is too large")
	}
	for _, unit := range countUnits {
		if !strings.EqualFold(unit.name, parts[2]) {
			continue
		}
		if n > math.MaxInt/int(unit.size) || n < math.MinInt/int(unit.size) {
			return 0, errors.New("it is too large")
		}
		n *= int(unit.size)
	}
	return Count(n), nil
}
