package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/agnivade/levenshtein"
)

// Source is where a value comes from. The zero Source is the default.
type Source struct {
	Name string // path of a file, name of a variable, or flag with its dashes
	Line int    // in a file, from 1; otherwise 0
}

// String is the source as it is shown to people: "default", "waggle.yaml:12", "WAGGLE_STORE" or
// "--store".
func (s Source) String() string {
	if s.Name == "" {
		return "default"
	}
	if s.Line == 0 {
		return printable(s.Name)
	}
	return printable(s.Name) + ":" + strconv.Itoa(s.Line)
}

// maxProblems bounds what a file that is no configuration at all makes us say.
const maxProblems = 50

// problems are what is wrong so far.
type problems struct {
	first []error // at most maxProblems
	more  int
}

func (p *problems) add(from Source, format string, args ...any) {
	if len(p.first) == maxProblems {
		p.more++
		return
	}
	p.first = append(p.first, fmt.Errorf("%v: "+format, append([]any{from}, args...)...))
}

// err joins the problems; it is nil if there are none.
func (p *problems) err() error {
	if p.more == 0 {
		return errors.Join(p.first...)
	}
	return errors.Join(append(p.first, fmt.Errorf("and %d more problems", p.more))...)
}

// maxShown is how many bytes of what somebody wrote are repeated to them. It keeps a wrong file,
// which may be a secret one, out of the log.
const maxShown = 40

// shown quotes a text in an error, without its passwords.
func shown(text string) string {
	text = hideSecretsOfMistakes(text)
	if len(text) > maxShown {
		return strconv.Quote(strings.ToValidUTF8(text[:maxShown], "")) + "..."
	}
	return strconv.Quote(text)
}

// printable is a name as it stands, or quoted where it would break or disguise a line.
func printable(name string) string {
	if strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(name)
	}
	return name
}

// named is what somebody wrote for a key, where an error speaks of it.
func named(name string) string {
	if name == "" || len(name) > maxShown {
		return shown(name)
	}
	return printable(name)
}

// nearest is the choice that was probably meant by word, or "" if none is near.
func nearest(word string, choices []string) string {
	if len(word) > 64 {
		return ""
	}
	word = strings.ReplaceAll(strings.ToLower(word), "-", "_")
	best, least := "", max(1, min(len(word)/3, 3))+1
	for _, choice := range choices {
		if d := levenshtein.ComputeDistance(word, strings.ToLower(choice)); d < least {
			best, least = choice, d
		}
	}
	return best
}

// didYouMean ends an error about a name that is not known below parent, with the name that was
// probably meant or with those that there are.
func (s *schema) didYouMean(parent, name string) string {
	siblings := s.inside(parent)
	if near := nearest(name, siblings); near != "" {
		return "did you mean " + near + "?"
	}
	section, last, dotted := strings.Cut(name, ".")
	if _, ok := s.byPath[name]; ok && dotted {
		return "write " + section + ": on a line and " + last + ": indented below it"
	}
	if near := s.elsewhere(name); near != "" {
		return "did you mean " + near + "?"
	}
	if parent == "" {
		return "the keys are " + strings.Join(siblings, ", ")
	}
	return "the keys of " + parent + " are " + strings.Join(siblings, ", ")
}

// elsewhere is the full key whose last part is nearest to that of name, or "".
func (s *schema) elsewhere(name string) string {
	var paths, lasts []string
	for _, k := range s.keys {
		paths, lasts = append(paths, k.path), append(lasts, last(k.path))
	}
	near := nearest(last(name), lasts)
	for i := range paths {
		if near != "" && lasts[i] == near {
			return paths[i]
		}
	}
	return ""
}

func last(path string) string { return path[strings.LastIndex(path, ".")+1:] }
