package locality

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Template is a text with places to fill, {such} as these. The zero value is the empty text.
type Template struct {
	text  []string // text[i] stands before names[i]; the last one at the end
	names []string
}

// maxTemplate is the length of the longest template, in bytes.
const maxTemplate = 1024

// ParseTemplate reads a template. It refuses a brace that has no partner, an empty pair of braces,
// and more than 1024 bytes.
func ParseTemplate(text string) (Template, error) {
	var t Template
	if len(text) > maxTemplate {
		return t, fmt.Errorf("%s is longer than %d bytes", quote(text), maxTemplate)
	}
	rest := text
	for {
		before, after, found := strings.Cut(rest, "{")
		if strings.Contains(before, "}") {
			return Template{}, fmt.Errorf("%s has a } without a { before it", quote(text))
		}
		t.text = append(t.text, before)
		if !found {
			return t, nil
		}
		name, after, found := strings.Cut(after, "}")
		if !found || name == "" || strings.Contains(name, "{") {
			return Template{}, fmt.Errorf("%s has a { that is not followed by a name and }", quote(text))
		}
		t.names = append(t.names, name)
		rest = after
	}
}

// Names are the names in its braces, in their order.
func (t Template) Names() []string { return t.names }

// Fill is the text with values in place of names. It is "" if any value is: then there is no
// location. The first error of value is returned.
func (t Template) Fill(value func(name string) (string, error)) (string, error) {
	var b strings.Builder
	for i, before := range t.text {
		b.WriteString(before)
		if i == len(t.names) {
			break
		}
		v, err := value(t.names[i])
		if err != nil || v == "" {
			return "", err
		}
		b.WriteString(v)
	}
	return b.String(), nil
}

// checkDepth refuses a template of a path that has another number of names than a tree has levels.
// It is for values that have no slash.
func (t Template) checkDepth(tree *Tree) error {
	if strings.Count(strings.Join(t.text, ""), "/")+1 != len(tree.levels) {
		return fmt.Errorf("it is no path of %d names; give %s", len(tree.levels), strings.Join(tree.levels, "/"))
	}
	return nil
}

// parseTemplate reads a template of which some source says what it is for, and which names it may
// have.
func parseTemplate(what, text string, names ...string) (Template, error) {
	t, err := ParseTemplate(text)
	if err != nil {
		return t, fmt.Errorf("%s: %w", what, err)
	}
	if text == "" {
		return t, errors.New(what + " is empty")
	}
	for _, name := range t.names {
		if len(names) > 0 && !slices.Contains(names, name) {
			return t, fmt.Errorf("%s: {%s} is none of {%s}", what, name, strings.Join(names, "}, {"))
		}
	}
	return t, nil
}
