package main

import (
	"net/http"
	"slices"
	"strings"

	"waggle/config"
	"waggle/console/client"
	"waggle/public"
)

// publicPages answers strangers at the tracker's own address; nil: nothing does.
func (s *service) publicPages() http.Handler {
	if !s.config.Console.Public {
		return nil
	}
	return public.New(public.Options{Catalog: s.catalog, Swarms: publicSwarms{s.shownSwarms(), s}, Log: s.log})
}

// showConfiguration has the console show a configuration that was read: what takes
// effect at a start only stays as it was then.
func (s *service) showConfiguration(l *config.Loaded) {
	before := s.configuration.Load()
	shown := client.Configuration{File: l.Path, Settings: []client.Setting{}, Sections: config.Sections()}
	for i, k := range l.Effective() {
		setting := client.Setting{
			Key: k.Key, Section: k.Section, Value: k.Value, Default: k.Default, Source: k.Source.String(),
			Doc: k.Doc, Hidden: k.Hidden, Flag: k.Flag, Environment: k.Environment,
		}
		if before != nil { // all keys are always there, in one order
			if old := &before.Settings[i]; setting.Value != old.Value && !changesWhileRunning(k.Key, old.Value, setting.Value) {
				setting = *old
			}
		}
		shown.Settings = append(shown.Settings, setting)
	}
	s.configuration.Store(&shown)
}

// changesWhileRunning reports whether another value of a key is among what a reload puts into
// force.
func changesWhileRunning(key, before, value string) bool {
	switch section, name, _ := strings.Cut(key, "."); section {
	case "announce":
		return name != "record" && name != "record_limit" && name != "nat_check"
	case "access":
		return true // but for passkeys, which is put back
	case "locality":
		return !slices.Contains([]string{
			"levels", "sources", "lookup_timeout", "cache_time", "cache_unknown", "cache_addresses", "lookups", "max_groups",
		}, name)
	case "limits":
		return slices.Contains([]string{
			"announces_per_second", "announces_per_second_per_address", "early_per_address", "events_disk", "events_memory", "nat_checks_per_second",
		}, name)
	case "events":
		if name == "webhook" {
			return before != "" && value != "" // another end, but not one more or fewer
		}
		return !slices.Contains([]string{"nats", "subject", "jetstream", "credentials", "directory"}, name)
	case "tls":
		return name == "certificate" || name == "key" || name == "others"
	case "torrents":
		return name == "mode" || name == "deny"
	case "log":
		return name == "level"
	}
	return false
}
