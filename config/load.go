package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"strings"

	"github.com/spf13/pflag"
)

// Loaded is a configuration in force, with where it comes from.
type Loaded struct {
	Config  Config
	Path    string            // of the file; empty if there is none
	Sources map[string]Source // by key, such as announce.interval; a default has no entry
}

// Load lays the flags of fs (see [AddFlags]) over environ (see os.Environ) over the file that
// --config or WAGGLE_CONFIG names over the defaults. Without either of the two no file is read.
// It may be called again at any time to read the file anew.
//
// The error joins one error per problem, with what to do about it.
func Load(flags *pflag.FlagSet, environ []string) (*Loaded, error) {
	l := newLoader()
	if path, from := l.path(flags, environ); path != "" {
		l.loaded.Path = path
		l.readFile(path, "; it is named by "+from)
	}
	l.environment(environ)
	l.flags(flags)
	l.relations()
	if err := l.err(); err != nil {
		return nil, err
	}
	return l.loaded, nil
}

// CheckFile reads a file and returns what is wrong with it, or nil: see [Check].
func CheckFile(path string) error {
	l := newLoader()
	l.readFile(path, "")
	l.relations()
	return l.err()
}

// Check returns what is wrong with the content of a file when nothing but the defaults completes
// it, joined, or nil. The path is only for the messages.
func Check(path string, data []byte) error {
	l := newLoader()
	l.file(path, data)
	l.relations()
	return l.err()
}

// loader lays layer upon layer and collects the problems of all.
type loader struct {
	*schema
	problems
	loaded *Loaded
	broken map[string]bool // keys that were given a value that cannot be

	sourceLines []Source // of the entries of locality.sources
}

func newLoader() *loader {
	return &loader{
		schema: declared(),
		loaded: &Loaded{Config: Default(), Sources: map[string]Source{}},
		broken: map[string]bool{},
	}
}

// entry is the text of a value, or of one entry of a list.
type entry struct {
	text string
	from Source
}

// set gives a key the value that one layer has for it, from a place that stands for all of it.
func (l *loader) set(k key, from Source, entries ...entry) {
	values := l.parsed(k, entries)
	if l.broken[k.path] {
		return
	}
	k.put(&l.loaded.Config, values)
	l.loaded.Sources[k.path] = from
}

// parsed reads entries, and refuses those that are wrong.
func (l *loader) parsed(k key, entries []entry) []reflect.Value {
	var values []reflect.Value
	for _, e := range entries {
		value, err := k.parse(e.text)
		if err != nil {
			l.refuse(k, e.from, "%v", err)
			continue
		}
		values = append(values, value)
	}
	return values
}

// refuse reports what is wrong with the value of a key.
func (l *loader) refuse(k key, from Source, format string, args ...any) {
	l.broken[k.path] = true
	l.add(from, "%s "+format, append([]any{k.path}, args...)...)
}

// split takes apart a value that is one text: a list at its commas. An empty text is an empty list.
func split(k key, text string) []string {
	if !k.list {
		return []string{text}
	}
	if strings.TrimSpace(text) == "" {
		return nil
	}
	parts := strings.Split(text, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

// relations checks the rules between keys.
func (l *loader) relations() {
	a := l.loaded.Config.Announce
	if a.MinInterval > a.Interval {
		l.conflict("announce.min_interval", "at most", "announce.interval")
	}
	if a.PeerLifetime <= a.Interval+a.Interval/10 {
		l.conflict("announce.peer_lifetime", "more than a tenth longer than", "announce.interval")
	}
	if a.Numwant > a.MaxNumwant {
		l.conflict("announce.numwant", "at most", "announce.max_numwant")
	}
	l.access()
	l.locality()
	l.links()
	l.clusters()
	l.tls()
	l.passkeys()
	l.events()
}

// conflict blames the key, or the other one where only that was changed.
func (l *loader) conflict(path, must, other string) {
	if l.broken[path] || l.broken[other] {
		return
	}
	from := l.loaded.Sources[path]
	if from == (Source{}) {
		from = l.loaded.Sources[other]
	}
	l.add(from, "%s must be %s %s; they are %s and %s", path, must, other, l.told(path), l.told(other))
}

// told is a key's value with where it comes from.
func (l *loader) told(path string) string {
	k := l.byPath[path]
	value := format(k.in(&l.loaded.Config))
	if k.list {
		value = k.yaml(k.in(&l.loaded.Config))
	}
	return fmt.Sprintf("%s (%v)", value, l.loaded.Sources[path])
}

// path returns the file to read, or "", and what names it.
func (l *loader) path(flags *pflag.FlagSet, environ []string) (path, from string) {
	for _, variable := range environ {
		if value, ok := strings.CutPrefix(variable, fileVariable+"="); ok {
			path, from = value, fileVariable
		}
	}
	if flags != nil && flags.Changed(fileFlag) {
		path, from = flags.Lookup(fileFlag).Value.String(), "--"+fileFlag
	}
	if path == "" && from != "" {
		l.add(Source{Name: from}, "names no file; leave it out to run on the defaults")
	}
	return path, from
}

// maxFile is the size of the largest file, in bytes. Ten thousand lines of configuration are less.
const maxFile = 1 << 20

// readFile lays a file over the defaults. A file that cannot be read is a problem whose text ends
// in why.
func (l *loader) readFile(path, why string) {
	file, err := os.Open(path)
	if err != nil {
		l.add(Source{Name: path}, "%v%s", cause(err), why)
		return
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		l.add(Source{Name: path}, "%v%s", cause(err), why)
		return
	}
	l.file(path, data)
}

// cause is an error without the path, which the message already begins with.
func cause(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
