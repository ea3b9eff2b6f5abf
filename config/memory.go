package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// Memory is an amount of memory: bytes, or a share of what there is. The zero value is no limit.
type Memory struct {
	Bytes   Count
	Percent int // of what there is, instead of Bytes; 0: Bytes count
}

// leastMemory is what a tracker cannot do with less than, in bytes.
const leastMemory = 128_000_000

// String is what Memory is read from.
func (m Memory) String() string {
	if m.Percent > 0 {
		return strconv.Itoa(m.Percent) + "%"
	}
	return m.Bytes.String()
}

// Of returns how many bytes they are where there are so many; 0: no limit, or nobody knows how many
// there are.
func (m Memory) Of(there int64) int64 {
	if m.Percent > 0 {
		return there / 100 * int64(m.Percent)
	}
	return int64(m.Bytes)
}

func parseMemory(text string) (Memory, error) {
	if number, ok := strings.CutSuffix(text, "%"); ok {
		percent, err := strconv.Atoi(number)
		if err != nil || strings.Trim(number, "0123456789") != "" {
			return Memory{}, errShape
		}
		if percent < 1 || percent > 100 {
			return Memory{}, errors.New("a share is from 1% to 100%; 0 is no limit")
		}
		return Memory{Percent: percent}, nil
	}
	bytes, err := parseBytes(text)
	if err != nil {
		return Memory{}, err
	}
	if bytes != 0 && bytes < leastMemory {
		return Memory{}, errors.New("a tracker needs " + Count(leastMemory).String() + " at least; 0 is no limit")
	}
	return Memory{Bytes: bytes}, nil
}

// parseBytes reads a count, which may also have the binary units that memory is sold by.
func parseBytes(text string) (Count, error) {
	for unit, size := range map[string]Count{"MiB": 1 << 20, "GiB": 1 << 30} {
		number, ok := strings.CutSuffix(text, unit)
		if !ok {
			continue
		}
		n, err := parseCount(number)
		if err != nil || strings.Trim(number, "0123456789_") != "" {
			return 0, errShape
		}
		if n > math.MaxInt/size {
			return 0, errors.New("it is too large")
		}
		return n * size, nil
	}
	return parseCount(text)
}
