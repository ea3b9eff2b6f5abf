package config

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// file lays the content of a YAML file over what is there.
func (l *loader) file(path string, data []byte) {
	if len(data) > maxFile {
		l.add(Source{Name: path}, "is larger than 1 MiB; is this the configuration?")
		return
	}
	if line, complaint := notText(data); complaint != "" {
		l.add(Source{path, line}, "%s", complaint)
		return
	}
	f := &file{loader: l, path: path}
	documents, err := decode(data)
	if err != nil {
		f.syntax(data, err)
		return
	}
	if len(documents) > 0 {
		f.root(documents[0].Content[0])
	}
	if len(documents) > 1 {
		l.add(f.at(documents[1]), "a second YAML document begins here; keep one, and no --- between keys")
	}
}

// decode returns the first two documents of a file, or as many as there are. An empty file has none.
func decode(data []byte) ([]*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var documents []*yaml.Node
	for len(documents) < 2 {
		n := new(yaml.Node)
		err := decoder.Decode(n)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		documents = append(documents, n)
	}
	return documents, nil
}

// notText returns what keeps data from being a text file, and on which line, or "".
func notText(data []byte) (line int, complaint string) {
	line = 1
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		if r == utf8.RuneError && size == 1 {
			return line, "is not UTF-8; save it as UTF-8 text"
		}
		if r == '\n' {
			line++
		} else if unicode.IsControl(r) && r != '\t' && r != '\r' {
			return line, "holds a control character, as a text file does not; is this the configuration?"
		}
		data = data[size:]
	}
	return 0, ""
}

// file reads the nodes of one YAML document. Nodes, and not values, because they know their lines,
// show what is there twice, and leave aliases alone.
type file struct {
	*loader
	path     string
	lineless bool // it is a flag or a variable
}

func (f *file) at(n *yaml.Node) Source {
	if f.lineless {
		return Source{Name: f.path}
	}
	return Source{f.path, n.Line}
}

func (f *file) root(n *yaml.Node) {
	if n.Kind == yaml.MappingNode {
		f.section("", n)
	} else if !empty(n) {
		f.add(f.at(n), "wants keys such as announce:, not %s", describe(n))
	}
}

func (f *file) section(path string, n *yaml.Node) {
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		if name.Kind != yaml.ScalarNode {
			f.add(f.at(name), "a key is a word, not %s", describe(name))
			continue
		}
		if line, twice := seen[name.Value]; twice {
			f.add(f.at(name), "%s is already on line %d; keep one of them", named(join(path, name.Value)), line)
			continue
		}
		seen[name.Value] = name.Line
		f.key(path, name, value)
	}
}

func (f *file) key(parent string, name, value *yaml.Node) {
	path := join(parent, name.Value)
	k, isKey := f.byPath[path]
	_, isSection := f.sections[path]
	switch {
	case !isKey && !isSection || strings.Contains(name.Value, "."):
		f.add(f.at(name), "%s is not a key; %s", named(path), f.didYouMean(parent, name.Value))
	case isKey:
		f.value(k, name, value)
	case value.Kind == yaml.MappingNode:
		f.section(path, value)
	case !empty(value):
		f.add(f.at(value), "%s wants keys such as %s: below it, not %s", path, f.inside(path)[0], describe(value))
	}
}

func (f *file) value(k key, name, value *yaml.Node) {
	if k.isSources() && !empty(value) {
		f.sources(k, f.at(name), value)
		return
	}
	f.set(k, f.at(name), f.entries(k, name, value)...)
}

// entries are the texts of a value. What is wrong with it is refused.
func (f *file) entries(k key, name, value *yaml.Node) []entry {
	if empty(value) {
		f.refuse(k, f.at(name), "has no value; give it %s, or leave out the key", k.example())
		return nil
	}
	if k.isPairs() {
		return f.pairsIn(k, value)
	}
	items := []*yaml.Node{value}
	if k.list {
		if value.Kind != yaml.SequenceNode {
			f.refuse(k, f.at(value), "wants %s, not %s", k.example(), describe(value))
			return nil
		}
		items = value.Content
	}
	var entries []entry
	for _, item := range items {
		if f.scalar(k, item) {
			entries = append(entries, entry{item.Value, f.at(item)})
		}
	}
	return entries
}

// scalar reports whether n is a text to read, and refuses it if not.
func (f *file) scalar(k key, n *yaml.Node) bool {
	if n.Kind == yaml.ScalarNode && n.Style&yaml.TaggedStyle == 0 && !empty(n) {
		return true
	}
	hint := ""
	if n.Style&yaml.FlowStyle != 0 {
		hint = "; a value with [ or { in it goes in quotes"
	}
	f.refuse(k, f.at(n), "wants %s, not %s%s", k.kind.want, describe(n), hint)
	return false
}

// example is what to write in a file, with an example.
func (k key) example() string {
	if k.isPairs() {
		return "keys such as {" + strings.Replace(k.kind.example, "=", ": ", 1) + "}"
	}
	if k.isSources() {
		return "a list such as [" + k.kind.example + "]"
	}
	if k.list {
		return "a list such as [" + quote(k.kind.example) + "]"
	}
	if len(k.oneof) > 0 {
		return "one of " + strings.Join(k.oneof, ", ")
	}
	return k.kind.want
}

// empty reports whether nothing stands where a value could.
func empty(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Value == "" && n.Style == 0
}

// describe says what a node is where something else is wanted.
func describe(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "keys"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Kind == yaml.AliasNode:
		return "the alias " + shown("*"+n.Value) + ", which is not followed"
	case empty(n):
		return "nothing"
	case n.Style&yaml.TaggedStyle != 0:
		return "a value with the tag " + shown(n.Tag)
	}
	return shown(n.Value)
}
