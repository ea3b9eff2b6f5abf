package config

import (
	"errors"
	"math"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Level is the name of a level of locations, such as rack.
type Level string

var levelShape = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,63}$`)

func parseLevel(text string) (Level, error) {
	if !levelShape.MatchString(text) {
		return "", errShape
	}
	return Level(text), nil
}

// LevelCount is a number for a level.
type LevelCount struct {
	Level Level
	Count int // from 1 to 1000
}

// String is the level and its number, as a flag has them: "rack=1".
func (c LevelCount) String() string { return string(c.Level) + "=" + strconv.Itoa(c.Count) }

func parseLevelCount(text string) (LevelCount, error) {
	name, number, found := strings.Cut(text, "=")
	level, err := parseLevel(strings.TrimSpace(name))
	if !found || err != nil {
		return LevelCount{}, errShape
	}
	n, err := strconv.Atoi(strings.TrimSpace(number))
	if err != nil || n < 1 || n > 1000 {
		return LevelCount{}, errors.New("the number is from 1 to 1000")
	}
	return LevelCount{level, n}, nil
}

// Bandwidth is in bits a second; 0 is none.
type Bandwidth int64

var (
	bandwidthShape = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)([kMGT]?)bit(?:/s)?$`)
	bandwidthUnits = []struct {
		size Bandwidth
		name string
	}{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}, {1, ""}}
)

// String is the shortest text without a decimal point that means exactly b, such as 10Gbit.
func (b Bandwidth) String() string {
	for _, unit := range bandwidthUnits {
		if b != 0 && b%unit.size == 0 {
			return strconv.FormatInt(int64(b/unit.size), 10) + unit.name + "bit"
		}
	}
	return "0"
}

func parseBandwidth(text string) (Bandwidth, error) {
	if text == "0" {
		return 0, nil
	}
	parts := bandwidthShape.FindStringSubmatch(text)
	if parts == nil {
		return 0, errShape
	}
	n, err := strconv.ParseFloat(parts[1], 64)
	if err != nil {
		return 0, errShape
	}
	for _, unit := range bandwidthUnits {
		if unit.name == parts[2] {
			n *= float64(unit.size)
		}
	}
	if n != math.Trunc(n) {
		return 0, errors.New("it is no whole number of bits")
	}
	if n > 1e15 {
		return 0, errors.New("it is too large")
	}
	return Bandwidth(n), nil
}

// URL is where a web service is: http or https.
type URL string

func parseURL(text string) (URL, error) {
	if text == "" {
		return "", nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", errShape
	}
	if u.User != nil {
		return "", errors.New("a password does not belong here; put a token into a file")
	}
	return URL(text), nil
}

// Template is a text with places to fill, {such} as these.
type Template string

func parseTemplate(text string) (Template, error) {
	if len(text) > 1024 {
		return "", errors.New("it is longer than 1024 bytes")
	}
	for rest := text; ; {
		before, after, found := strings.Cut(rest, "{")
		if strings.Contains(before, "}") {
			return "", errors.New("a } has no { before it")
		}
		if !found {
			return Template(text), nil
		}
		name, after, found := strings.Cut(after, "}")
		if !found || name == "" || strings.Contains(name, "{") {
			return "", errors.New("a { is not followed by a name and }")
		}
		rest = after
	}
}

// Pattern is a regular expression, as Go has them.
type Pattern string

func parsePattern(text string) (Pattern, error) {
	if _, err := regexp.Compile(text); err != nil {
		return "", errors.New(strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return Pattern(text), nil
}

// lacks is the first level that a pattern has no named group for, or "". A name of a group has _
// for each - of a level's.
func (p Pattern) lacks(levels []Level) Level {
	compiled, err := regexp.Compile(string(p))
	if err != nil {
		return ""
	}
	for _, level := range levels {
		if !slices.Contains(compiled.SubexpNames(), groupName(level)) {
			return level
		}
	}
	return ""
}

// Server is a name server, as host or host:port; empty for those of the system.
type Server string

func parseServer(text string) (Server, error) {
	if text == "" {
		return "", nil
	}
	if _, err := netip.ParseAddr(text); err == nil || hostName().MatchString(text) {
		return Server(text), nil
	}
	if _, err := parseAddress(text); err != nil || strings.HasPrefix(text, ":") {
		return "", errShape
	}
	return Server(text), nil
}

// noSource is never called: sources have keys, and are read by (*file).source.
func noSource(string) (LocalitySource, error) { return LocalitySource{}, errShape }
