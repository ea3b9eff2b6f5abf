package config

import (
	"bytes"
	"fmt"
	"go/doc/comment"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

// columns is how wide a printed comment may be.
const columns = 90

// Print writes the configuration as a file that says the same: every key with its doc comment
// above it, and beside each value that is not the default where it comes from. Its errors are
// those of w.
func (l *Loaded) Print(w io.Writer) error {
	var b bytes.Buffer
	s := declared()
	writeComment(&b, "", header(s.doc))
	open := ""
	for _, k := range s.keys {
		parent, name, nested := strings.Cut(k.path, ".")
		indent := "  "
		if !nested {
			parent, name, indent = "", k.path, ""
		}
		b.WriteByte('\n')
		if nested && parent != open {
			writeComment(&b, "", s.sections[parent].doc)
			b.WriteString(parent + ":\n")
		}
		open = parent
		writeComment(&b, indent, k.manual())
		if sources := k.in(&l.Config); k.isSources() && sources.Len() > 0 {
			b.WriteString(indent + name + ":" + l.origin(k) + "\n")
			writeSources(&b, indent+"  ", sources)
			continue
		}
		b.WriteString(indent + name + ": " + l.text(k) + l.origin(k) + "\n")
	}
	_, err := w.Write(b.Bytes())
	return err
}

// header is the doc comment of Config without its first paragraph, which is for those who read Go.
func header(doc string) string {
	_, rest, _ := strings.Cut(doc, "\n\n")
	return "The configuration of waggle.\n\n" + rest
}

func writeComment(b *bytes.Buffer, indent, doc string) {
	p := comment.Printer{TextPrefix: indent + "# ", TextWidth: columns - len(indent) - len("# ")}
	b.Write(p.Text(new(comment.Parser).Parse(doc)))
}

// text is the key's value in YAML.
func (l *Loaded) text(k key) string {
	return k.yaml(k.in(&l.Config))
}

// yaml is a value of the key in YAML.
func (k key) yaml(value reflect.Value) string {
	switch {
	case k.isSources():
		return sourcesText(value)
	case k.isPairs():
		return pairs(value)
	case k.list:
		return list(value)
	}
	return quote(format(value))
}

func list(value reflect.Value) string {
	var entries []string
	for i := range value.Len() {
		entries = append(entries, quote(format(value.Index(i))))
	}
	return "[" + strings.Join(entries, ", ") + "]"
}

// plain matches what YAML takes for a text without quotes, within a list too.
var plain = regexp.MustCompile(`^[\w/][\w/.+-]*(:[\w/.+-]+)*$`)

// quote writes a text in YAML. Go's escapes are among those of YAML.
func quote(text string) string {
	if plain.MatchString(text) {
		return text
	}
	return strconv.Quote(text)
}

// origin is a comment that says where a value comes from, and what it would be otherwise.
func (l *Loaded) origin(k key) string {
	from, ok := l.Sources[k.path]
	if !ok {
		return ""
	}
	unset := Loaded{Config: Default()}
	return fmt.Sprintf(" # from %v; the default is %s", from, unset.text(k))
}
