package config

import (
	"net/url"
	"regexp"
	"strings"
)

// Setting is a key as it is in force, with what it means and where its value comes
// from.
type Setting struct {
	Key         string // announce.interval
	Section     string // announce; empty for a key outside of all
	Value       string // in YAML on one line; what is secret in it reads ***
	Default     string
	Source      Source
	Doc         string // as doc comments are written: paragraphs, and indented lists and examples
	Flag        string // --announce-interval
	Environment string // WAGGLE_ANNOUNCE_INTERVAL
	Hidden      bool   // a secret in the value is hidden
}

// Effective returns all settings in the order of the file that [Loaded.Print] writes.
// Passwords in URLs are hidden, and so are values that are named like secrets, in URLs
// and in the arguments of programs. The path of a file with a secret is none.
func (l *Loaded) Effective() []Setting {
	all := make([]Setting, 0, len(keys()))
	unset := Loaded{Config: Default()}
	for _, k := range keys() {
		section, _, nested := strings.Cut(k.path, ".")
		if !nested {
			section = ""
		}
		value := l.text(k)
		shown := hideSecrets(value)
		all = append(all, Setting{
			Key: k.path, Section: section, Value: shown, Default: unset.text(k), Source: l.Sources[k.path], Doc: k.manual(),
			Flag: "--" + k.flag(), Environment: k.environment(), Hidden: strings.Contains(shown, hidden),
		})
	}
	return all
}

// Sections returns what each section is about, by its name.
func Sections() map[string]string {
	docs := map[string]string{}
	for name, s := range declared().sections {
		docs[name] = s.doc
	}
	return docs
}

// hidden stands for a secret.
const hidden = "***"

var (
	// urlShape matches a URL within a text, as far as it may go in YAML.
	urlShape = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^\s"'<>\x60]*`)

	// secretName is what secrets are called.
	secretName = regexp.MustCompile(`(?i)pass|secret|token|key|auth|credential|signature|\bsig\b|pwd`)

	// parameterShape matches a parameter of a URL.
	parameterShape = regexp.MustCompile(`([?&;])([^?&;=#\s"']*)=([^&;#\s"'\]}]*)`)

	// optionShape matches an option of a program, with its value; quotedShape one that
	// stands in quotes with it.
	quotedShape = regexp.MustCompile(`("-{1,2}[A-Za-z][\w-]*=)()((?:[^"\\]|\\.)*)`)
	optionShape = regexp.MustCompile(`(-{1,2}[A-Za-z][\w-]*)(=|"?, )("(?:[^"\\]|\\.)*"?|[^\s,\]}"]+)`)
)

// passwordShape matches the password of what should have been a URL: redis//:password@host.
var passwordShape = regexp.MustCompile(`:[^\s"'@]+@`)

// hideSecretsOfMistakes replaces what is secret, or may be, in a value that is none.
func hideSecretsOfMistakes(text string) string {
	if !urlShape.MatchString(text) {
		text = passwordShape.ReplaceAllString(text, ":"+hidden+"@")
	}
	return hideSecrets(text)
}

// hideSecrets replaces what is secret in a value as a file has it.
func hideSecrets(text string) string {
	text = urlShape.ReplaceAllStringFunc(text, hidePassword)
	text = replaceNamed(text, parameterShape, func(parts []string) string { return parts[1] + parts[2] + "=" + hidden })
	for _, shape := range []*regexp.Regexp{quotedShape, optionShape} {
		text = replaceNamed(text, shape, func(parts []string) string { return parts[1] + parts[2] + hidden })
	}
	return text
}

// replaceNamed replaces those matches whose first two parts, which stand before the
// value, are named like a secret. What is called a file is only its path.
func replaceNamed(text string, shape *regexp.Regexp, replace func(parts []string) string) string {
	return shape.ReplaceAllStringFunc(text, func(match string) string {
		parts := shape.FindStringSubmatch(match)
		name := parts[1] + parts[2]
		if !secretName.MatchString(name) || strings.HasSuffix(strings.TrimRight(name, `=", `), "file") || parts[3] == "" {
			return match
		}
		return replace(parts)
	})
}

// escapedShape matches user and password of a URL that is escaped within another.
var escapedShape = regexp.MustCompile(`(?i)(://|%3A%2F%2F)[^&#\s"'/?]*?(@|%40)`)

// hideWithin hides user and password of URLs in what follows the host of another, such as the
// endpoint of a store, where none belong.
func hideWithin(after string) string {
	return escapedShape.ReplaceAllString(after, "${1}"+hidden+"${2}")
}

// hidePassword hides what stands before the @ of a URL, but for the name of a user who
// has a password besides.
func hidePassword(text string) string {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return text
	}
	authority, after := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, after = rest[:i], rest[i:]
	}
	if at := strings.LastIndex(rest, "@"); at >= len(authority) {
		if _, err := url.Parse(scheme + "://" + authority); err != nil {
			authority, after = rest[:at+1], rest[at+1:] // a password with a / in it
		}
	}
	after = hideWithin(after)
	at := strings.LastIndex(authority, "@")
	if at < 0 {
		return scheme + "://" + authority + after
	}
	user, _, both := strings.Cut(authority[:at], ":")
	if both {
		user += ":"
	} else {
		user = ""
	}
	return scheme + "://" + user + hidden + authority[at:] + after
}
