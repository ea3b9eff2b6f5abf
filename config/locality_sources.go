package config

import (
	"bytes"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
)

const (
	sourcesPath = "locality.sources"
	maxSources  = 32
)

// sourceKind is a kind of source of locations, as its field in LocalitySource declares it.
type sourceKind struct {
	name, doc string
	index     int   // of the field
	keys      []key // their fields are those of its struct; the first one stands for a value without keys
}

// sourceKinds are all kinds of sources, in the order in which they are declared.
var sourceKinds = sync.OnceValue(func() []sourceKind {
	docs := comments()
	var all []sourceKind
	t := reflect.TypeFor[LocalitySource]()
	for i := range t.NumField() {
		of := t.Field(i).Type.Elem()
		kind := sourceKind{name: t.Field(i).Tag.Get("key"), doc: strings.TrimSpace(docs[of.Name()]), index: i}
		for j := range of.NumField() {
			k := newKey(of.Field(j), join(join(sourcesPath, kind.name), of.Field(j).Tag.Get("key")))
			k.doc, k.field = strings.TrimSpace(docs[of.Name()+"."+of.Field(j).Name]), []int{j}
			kind.keys = append(kind.keys, k)
		}
		all = append(all, kind)
	}
	return all
})

// fresh is a new source of a kind, with the defaults of its keys, and the struct that holds those.
func (kind sourceKind) fresh() (source LocalitySource, keys reflect.Value) {
	field := reflect.ValueOf(&source).Elem().Field(kind.index)
	field.Set(reflect.New(field.Type().Elem()))
	for _, k := range kind.keys {
		k.store(field.Elem().FieldByIndex(k.field), k.defaults())
	}
	return source, field.Elem()
}

// of is the struct that holds the keys of a source, if that is of the kind.
func (kind sourceKind) of(source reflect.Value) (keys reflect.Value, ok bool) {
	field := source.Field(kind.index)
	return field.Elem(), !field.IsNil()
}

// isSources reports whether a key is the list of sources, whose entries have keys of their own.
func (k key) isSources() bool { return k.path == sourcesPath }

// sourcesIn gives the sources that one text has, as a flag or a variable does: YAML, with or
// without the brackets around the list.
func (l *loader) sourcesIn(k key, text string, from Source) {
	text = strings.TrimSpace(text)
	if !strings.HasPrefix(text, "[") {
		text = "[" + text + "]"
	}
	f := &file{loader: l, path: from.Name, lineless: true}
	if len(text) > maxFile {
		f.refuse(k, from, "is longer than 1 MiB")
		return
	}
	documents, err := decode([]byte(text))
	if err != nil || len(documents) != 1 {
		f.refuse(k, from, "wants %s, not %s", k.example(), shown(text))
		return
	}
	f.sources(k, from, documents[0].Content[0])
}

// sources reads a list of sources.
func (f *file) sources(k key, from Source, list *yaml.Node) {
	if list.Kind != yaml.SequenceNode {
		f.refuse(k, f.at(list), "wants %s, not %s", k.example(), describe(list))
		return
	}
	if len(list.Content) > maxSources {
		f.refuse(k, f.at(list), "has %d entries, and may have %d", len(list.Content), maxSources)
		return
	}
	var sources []reflect.Value
	f.sourceLines = nil
	for _, n := range list.Content {
		sources = append(sources, reflect.ValueOf(f.source(k, n)))
		f.sourceLines = append(f.sourceLines, f.at(n))
	}
	if f.broken[k.path] {
		return
	}
	k.put(&f.loaded.Config, sources)
	f.loaded.Sources[k.path] = from
}

// source reads one source.
func (f *file) source(k key, n *yaml.Node) LocalitySource {
	if n.Kind != yaml.MappingNode || len(n.Content) != 2 || n.Content[0].Kind != yaml.ScalarNode {
		f.refuse(k, f.at(n), "wants an entry with one of %s: in it, as in - %s", strings.Join(sourceNames(), ":, "), k.kind.example)
		return LocalitySource{}
	}
	name, value := n.Content[0], n.Content[1]
	for _, kind := range sourceKinds() {
		if kind.name == name.Value {
			return f.sourceOf(k, kind, name, value)
		}
	}
	remedy := "they are " + strings.Join(sourceNames(), ", ")
	if near := nearest(name.Value, sourceNames()); near != "" {
		remedy = "did you mean " + near + "?"
	}
	f.refuse(k, f.at(name), "has no kind of source %s; %s", named(name.Value), remedy)
	return LocalitySource{}
}

func (f *file) sourceOf(list key, kind sourceKind, name, value *yaml.Node) LocalitySource {
	source, keys := kind.fresh()
	if value.Kind == yaml.MappingNode {
		f.sourceKeys(list, kind, keys, value)
	} else {
		first := kind.keys[0]
		if first.list && value.Kind == yaml.ScalarNode && !empty(value) {
			value = &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{value}, Line: value.Line}
		}
		f.sourceKey(list, first, keys, name, value)
	}
	if complaint := source.lacks(); complaint != "" && !f.broken[list.path] {
		f.refuse(list, f.at(name), "%s", complaint)
	}
	return source
}

func (f *file) sourceKeys(list key, kind sourceKind, keys reflect.Value, n *yaml.Node) {
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		if line, twice := seen[name.Value]; twice {
			f.refuse(list, f.at(name), "has %s already on line %d; keep one of them", named(name.Value), line)
			continue
		}
		seen[name.Value] = name.Line
		k, ok := kind.key(name)
		if !ok {
			f.refuse(list, f.at(name), "has no key %s in %s; %s", named(name.Value), kind.name, kind.didYouMean(name.Value))
			continue
		}
		f.sourceKey(list, k, keys, name, value)
	}
}

// sourceKey reads one key of a source.
func (f *file) sourceKey(list, k key, keys reflect.Value, name, value *yaml.Node) {
	values := f.parsed(k, f.entries(k, name, value))
	if f.broken[k.path] {
		// Another source of the kind may be right in this.
		delete(f.broken, k.path)
		f.broken[list.path] = true
		return
	}
	k.store(keys.FieldByIndex(k.field), values)
}

func (kind sourceKind) key(name *yaml.Node) (key, bool) {
	for _, k := range kind.keys {
		if name.Kind == yaml.ScalarNode && last(k.path) == name.Value {
			return k, true
		}
	}
	return key{}, false
}

func (kind sourceKind) didYouMean(name string) string {
	var names []string
	for _, k := range kind.keys {
		names = append(names, last(k.path))
	}
	if near := nearest(name, names); near != "" {
		return "did you mean " + near + "?"
	}
	return "its keys are " + strings.Join(names, ", ")
}

func sourceNames() []string {
	var names []string
	for _, kind := range sourceKinds() {
		names = append(names, kind.name)
	}
	return names
}

// lacks says what a source must be told besides, or "".
func (s LocalitySource) lacks() string {
	switch {
	case s.Subnets != nil && s.Subnets.File == "":
		return "subnets lacks file"
	case s.REST != nil && s.REST.URL == "":
		return "rest lacks url"
	case s.DNS != nil && (s.DNS.TXT == "") == (s.DNS.LOC == ""):
		return "dns wants one of txt and loc"
	case s.DNS != nil && s.DNS.LOC != "" && s.DNS.Path == "":
		return "dns with loc wants path, as in path: \"{lat.1},{long.1}\""
	case s.DNS != nil && s.DNS.TXT != "" && s.DNS.Path != "":
		return "dns has path, which is for loc; the text of a TXT record is the path"
	case s.Hostname != nil && s.Hostname.Pattern == "":
		return "hostname lacks pattern"
	case s.Program != nil && (len(s.Program.Command) == 0 || s.Program.Command[0] == ""):
		return "program lacks command"
	case s.MaxMind != nil && (len(s.MaxMind.Files) == 0 || s.MaxMind.Path == ""):
		return "maxmind lacks files or path"
	case s.Kubernetes != nil && s.Kubernetes.Path == "":
		return "kubernetes lacks path"
	}
	return ""
}

// sourcesManual is what the kinds of sources and their keys mean, as a doc comment.
func sourcesManual() string {
	var b strings.Builder
	for _, kind := range sourceKinds() {
		_, what, _ := strings.Cut(kind.doc, " is ")
		fmt.Fprintf(&b, "\n\n%s: %s\n\n", kind.name, what)
		for _, k := range kind.keys {
			text := strings.Join(strings.Fields(k.manual()), " ")
			if k.initial != "" {
				text += " Default: " + k.initial
			}
			fmt.Fprintf(&b, "  - %s: %s\n", last(k.path), text)
		}
	}
	return strings.TrimRight(b.String(), "\n")
}

// sourcesText is a list of sources in YAML on one line. Keys that have their defaults are left out.
func sourcesText(list reflect.Value) string {
	var entries []string
	for i := range list.Len() {
		for _, kind := range sourceKinds() {
			if keys, ok := kind.of(list.Index(i)); ok {
				entries = append(entries, fmt.Sprintf("{%s: {%s}}", kind.name, strings.Join(kind.changed(keys), ", ")))
			}
		}
	}
	return "[" + strings.Join(entries, ", ") + "]"
}

// writeSources writes a list of sources in YAML, a line per key.
func writeSources(b *bytes.Buffer, indent string, list reflect.Value) {
	for i := range list.Len() {
		for _, kind := range sourceKinds() {
			if keys, ok := kind.of(list.Index(i)); ok {
				fmt.Fprintf(b, "%s- %s:\n%s    %s\n", indent, kind.name, indent, strings.Join(kind.changed(keys), "\n    "+indent))
			}
		}
	}
}

// changed are the keys that have other values than their defaults, in YAML, and always one.
func (kind sourceKind) changed(keys reflect.Value) []string {
	_, fresh := kind.fresh()
	var lines []string
	for i, k := range kind.keys {
		value, unset := k.yaml(keys.FieldByIndex(k.field)), k.yaml(fresh.FieldByIndex(k.field))
		if value != unset || i == 0 && keys.Field(0).String() != "" {
			lines = append(lines, last(k.path)+": "+value)
		}
	}
	return lines
}

// pairs are the entries of a list whose entries are a name and a number, in YAML.
func pairs(list reflect.Value) string {
	var entries []string
	for i := range list.Len() {
		c := list.Index(i).Interface().(LevelCount)
		entries = append(entries, quote(string(c.Level))+": "+strconv.Itoa(c.Count))
	}
	return "{" + strings.Join(entries, ", ") + "}"
}

// isPairs reports whether a key is a list of names with a number each, which a file has as keys.
func (k key) isPairs() bool { return k.kind.of == reflect.TypeFor[LevelCount]() }

// pairsIn are the entries of such a list.
func (f *file) pairsIn(k key, n *yaml.Node) []entry {
	if n.Kind != yaml.MappingNode {
		f.refuse(k, f.at(n), "wants %s, not %s", k.example(), describe(n))
		return nil
	}
	var entries []entry
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		if f.scalar(k, name) && f.scalar(k, value) {
			entries = append(entries, entry{name.Value + "=" + value.Value, f.at(name)})
		}
	}
	return entries
}
