package config

import (
	"slices"
	"strings"
)

// locality checks the rules between the keys of the section on locality.
func (l *loader) locality() {
	c := l.loaded.Config.Locality
	l.levels(c.Levels)
	l.levelCounts("locality.importers", c.Importers, c.Levels)
	l.levelCounts("locality.exporters", c.Exporters, c.Levels)
	if c.ActiveInterval > c.PassiveInterval {
		l.conflict("locality.active_interval", "at most", "locality.passive_interval")
	}
	if (c.RackBandwidth == 0) != (c.ClientBandwidth == 0) {
		l.conflict("locality.rack_bandwidth", "set, or 0, together with", "locality.client_bandwidth")
	} else if c.ClientBandwidth > c.RackBandwidth {
		l.conflict("locality.client_bandwidth", "at most", "locality.rack_bandwidth")
	}
	for i, s := range c.Sources {
		if s.Hostname == nil || l.broken[sourcesPath] || l.broken["locality.levels"] {
			continue
		}
		if level := s.Hostname.Pattern.lacks(c.Levels); level != "" {
			l.add(l.sourceLines[i], "%s.hostname.pattern has no named group for level %s, as in (?P<%s>[^.]+)", sourcesPath, level, groupName(level))
		}
	}
}

func (l *loader) levels(levels []Level) {
	k := l.byPath["locality.levels"]
	from := l.loaded.Sources[k.path]
	if n := len(levels); n == 0 || n > 8 {
		l.refuse(k, from, "has %d levels, and must have 1 to 8", n)
	}
	for i, level := range levels {
		if slices.Contains(levels[:i], level) {
			l.refuse(k, from, "has %s twice", level)
		}
	}
}

// levelCounts refuses a number for a level that does not exist, or a second one.
func (l *loader) levelCounts(path string, counts []LevelCount, levels []Level) {
	k := l.byPath[path]
	from := l.loaded.Sources[path]
	for i, c := range counts {
		if !slices.Contains(levels, c.Level) && !l.broken["locality.levels"] {
			l.refuse(k, from, "names level %s, and locality.levels are %s", c.Level, l.told("locality.levels"))
		}
		if slices.ContainsFunc(counts[:i], func(other LevelCount) bool { return other.Level == c.Level }) {
			l.refuse(k, from, "has level %s twice", c.Level)
		}
	}
}

// groupName is the name of the group of a regular expression that stands for a level.
func groupName(level Level) string { return strings.ReplaceAll(string(level), "-", "_") }
