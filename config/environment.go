package config

import (
	"regexp"
	"slices"
	"strings"
)

const (
	prefix       = "WAGGLE_"
	fileVariable = prefix + "CONFIG" // names the file, and is no key
)

// foreign matches the variables that Kubernetes and Docker set in every container next to a
// service that is itself called waggle, or waggle-something. They are not meant for us.
var foreign = regexp.MustCompile(`^WAGGLE_(\w+_)?(` +
	`SERVICE_HOST=|SERVICE_PORT(_\w+)?=|` +
	`PORT=\w+://|PORT_[0-9]+_(TCP|UDP|SCTP)(_PROTO|_PORT|_ADDR)?=)`)

// environment lays the WAGGLE_* variables over what is there.
func (l *loader) environment(environ []string) {
	byName := map[string]key{}
	for _, k := range l.keys {
		byName[k.environment()] = k
	}
	for _, variable := range slices.Sorted(slices.Values(environ)) {
		name, value, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, prefix) || name == fileVariable {
			continue
		}
		k, ok := byName[name]
		if ok {
			l.setText(k, value, Source{Name: name})
			continue
		}
		if !foreign.MatchString(variable) {
			l.unknownVariable(name)
		}
	}
}

// setText gives a key a value that is one text.
func (l *loader) setText(k key, text string, from Source) {
	if k.isSources() {
		l.sourcesIn(k, text, from)
		return
	}
	var entries []entry
	for _, part := range split(k, text) {
		entries = append(entries, entry{part, from})
	}
	l.set(k, from, entries...)
}

func (l *loader) unknownVariable(name string) {
	rest := strings.TrimPrefix(name, prefix)
	names := []string{"CONFIG"}
	for _, k := range l.keys {
		names = append(names, strings.TrimPrefix(k.environment(), prefix))
	}
	near := nearest(rest, names)
	for _, candidate := range names {
		if near == "" && strings.HasSuffix(candidate, "_"+rest) {
			near = candidate
		}
	}
	remedy := `"waggle config print" lists the keys`
	if near != "" {
		remedy = "did you mean " + prefix + near + "?"
	}
	l.add(Source{Name: name}, "no key has this environment variable; %s", remedy)
}
