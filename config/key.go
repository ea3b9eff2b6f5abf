package config

import (
	_ "embed"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"reflect"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// key is one setting, as its struct field declares it.
type key struct {
	path    string // as in the file: announce.min_interval
	doc     string // the field's doc comment, without slashes
	usage   string // the first sentence of that
	field   []int  // where it is in Config
	kind    kind   // of the value, or of a list's entries
	list    bool
	initial string // the default, as the environment would give it
	oneof   []string
	bounds  *bounds // nil: any value
}

// bounds are the least and the greatest value of a number or a duration.
type bounds struct {
	low, high         int64
	lowText, highText string // highText is empty where there is no upper end
}

// section is a key that only holds keys.
type section struct{ path, doc string }

// environment is the name of the key's environment variable.
func (k key) environment() string {
	return prefix + strings.ToUpper(strings.ReplaceAll(k.path, ".", "_"))
}

// flag is the name of the key's flag, without dashes before it.
func (k key) flag() string {
	return strings.NewReplacer(".", "-", "_", "-").Replace(k.path)
}

// in is the field of c that holds the key's value.
func (k key) in(c *Config) reflect.Value {
	return reflect.ValueOf(c).Elem().FieldByIndex(k.field)
}

// put gives c the entries of a list, or the one value of any other key.
func (k key) put(c *Config, values []reflect.Value) {
	k.store(k.in(c), values)
}

// store gives a field the entries of a list, or the one value of any other key.
func (k key) store(field reflect.Value, values []reflect.Value) {
	if !k.list {
		field.Set(values[0])
		return
	}
	list := reflect.MakeSlice(reflect.SliceOf(k.kind.of), 0, len(values))
	field.Set(reflect.Append(list, values...))
}

// defaults are the values that the key's default stands for.
func (k key) defaults() []reflect.Value {
	var values []reflect.Value
	for _, text := range split(k, k.initial) {
		value, err := k.parse(text)
		if err != nil {
			panic("config: default: " + k.path + " " + err.Error())
		}
		values = append(values, value)
	}
	return values
}

// parse reads a value, or one entry of a list. Its error completes a sentence that begins with the
// key.
func (k key) parse(text string) (reflect.Value, error) {
	if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		return reflect.Value{}, fmt.Errorf("holds a character that is no text: %s", shown(text))
	}
	if len(k.oneof) > 0 {
		return k.choose(text)
	}
	value, err := k.kind.parse(text)
	if errors.Is(err, errShape) {
		return value, fmt.Errorf("wants %s, not %s", k.kind.want, shown(text))
	}
	if err != nil {
		return value, fmt.Errorf("wants %s, not %s: %w", k.kind.want, shown(text), err)
	}
	if b := k.bounds; b != nil && (value.Int() < b.low || value.Int() > b.high) {
		return value, fmt.Errorf("must be %s, not %s", b, shown(text))
	}
	return value, nil
}

func (k key) choose(text string) (reflect.Value, error) {
	for _, choice := range k.oneof {
		if text == choice {
			return reflect.ValueOf(text), nil
		}
	}
	err := fmt.Errorf("is one of %s, not %s", strings.Join(k.oneof, ", "), shown(text))
	if near := nearest(text, k.oneof); near != "" {
		err = fmt.Errorf("%w; did you mean %s?", err, near)
	}
	return reflect.Value{}, err
}

// manual is the doc comment with what the tags add to it.
func (k key) manual() string {
	if k.bounds != nil {
		return k.doc + " Range: " + k.bounds.String() + "."
	}
	if len(k.oneof) > 0 {
		return k.doc + " One of " + strings.Join(k.oneof, ", ") + "."
	}
	if k.isSources() {
		return k.doc + sourcesManual()
	}
	return k.doc
}

func (b *bounds) String() string {
	if b.highText == "" {
		return b.lowText + " or more"
	}
	return b.lowText + " to " + b.highText
}

// schema is everything that the declaration of Config says.
type schema struct {
	doc      string // of Config itself
	keys     []key  // in the order of the file
	byPath   map[string]key
	sections map[string]section
}

// declared reads Config once. It panics if a field is declared in a way that cannot work, which
// the package's tests would notice.
var declared = sync.OnceValue(func() *schema {
	docs := comments()
	s := &schema{doc: docs["Config"], byPath: map[string]key{}, sections: map[string]section{}}
	s.read(reflect.TypeFor[Config](), "", nil, docs)
	return s
})

func keys() []key { return declared().keys }

func (s *schema) read(t reflect.Type, parent string, index []int, docs map[string]string) {
	for i := range t.NumField() {
		f := t.Field(i)
		path := join(parent, f.Tag.Get("key"))
		doc := strings.TrimSpace(docs[t.Name()+"."+f.Name])
		field := append(append([]int(nil), index...), i)
		if f.Type.Kind() == reflect.Struct && !isKind(f.Type) {
			s.sections[path] = section{path, doc}
			s.read(f.Type, path, field, docs)
			continue
		}
		k := newKey(f, path)
		k.doc, k.usage, k.field = doc, firstSentence(doc), field
		s.keys = append(s.keys, k)
		s.byPath[path] = k
	}
}

func newKey(f reflect.StructField, path string) key {
	k := key{path: path, initial: f.Tag.Get("default")}
	t := f.Type
	if t.Kind() == reflect.Slice {
		k.list, t = true, t.Elem()
	}
	if !isKind(t) {
		panic(fmt.Sprintf("config: %s has type %v, which is not in kinds", path, t))
	}
	k.kind = kinds[t]
	k.kind.of = t
	if choices := f.Tag.Get("oneof"); choices != "" {
		k.oneof = strings.Split(choices, ",")
	}
	if r := f.Tag.Get("range"); r != "" {
		k.bounds = newBounds(k.kind, r)
	}
	return k
}

func newBounds(of kind, text string) *bounds {
	low, high, _ := strings.Cut(text, "..")
	b := &bounds{low: bound(of, low), high: math.MaxInt64, lowText: low, highText: high}
	if high != "" {
		b.high = bound(of, high)
	}
	return b
}

func bound(of kind, text string) int64 {
	value, err := of.parse(text)
	if err != nil {
		panic("config: range: " + text + ": " + err.Error())
	}
	return value.Int()
}

// inside returns the names, without their section, of the keys and sections of a section in the
// order of the file. The root is "".
func (s *schema) inside(parent string) []string {
	var names []string
	for _, k := range s.keys {
		rest, ok := strings.CutPrefix(k.path, join(parent, ""))
		if !ok {
			continue
		}
		name, _, _ := strings.Cut(rest, ".")
		if len(names) == 0 || names[len(names)-1] != name {
			names = append(names, name)
		}
	}
	return names
}

// join puts a name below its section; below the root it stands alone.
func join(parent, name string) string {
	if parent == "" {
		return name
	}
	return parent + "." + name
}

//go:embed config.go
var source []byte

//go:embed locality.go
var localitySource []byte

//go:embed link.go
var linkSource []byte

//go:embed cluster.go
var clusterSource []byte

//go:embed tls.go
var tlsSource []byte

//go:embed events.go
var eventsSource []byte

// comments returns the doc comments of the files that declare keys: those of types by the type's
// name, those of fields as Type.Field.
func comments() map[string]string {
	docs := map[string]string{}
	addComments(docs, "config.go", source)
	addComments(docs, "locality.go", localitySource)
	addComments(docs, "link.go", linkSource)
	addComments(docs, "cluster.go", clusterSource)
	addComments(docs, "tls.go", tlsSource)
	addComments(docs, "events.go", eventsSource)
	return docs
}

func addComments(docs map[string]string, name string, source []byte) {
	file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ParseComments)
	if err != nil {
		panic("config: " + err.Error())
	}
	for _, d := range file.Decls {
		declaration, ok := d.(*ast.GenDecl)
		if !ok || declaration.Tok != token.TYPE {
			continue
		}
		t := declaration.Specs[0].(*ast.TypeSpec)
		fields, ok := t.Type.(*ast.StructType)
		if !ok {
			continue
		}
		docs[t.Name.Name] = declaration.Doc.Text()
		for _, f := range fields.Fields.List {
			docs[t.Name.Name+"."+f.Names[0].Name] = f.Doc.Text()
		}
	}
}
