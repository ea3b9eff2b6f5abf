package access

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// Bounds of a list.
const (
	maxLine     = 4096
	maxProblems = 20 // lines that are reported as wrong
)

// verdict is what a list says of what is on it.
type verdict uint8

const (
	unlisted verdict = iota
	allowed
	denied
)

var verdictNames = [...]string{allowed: "allowed", denied: "denied"}

func (v verdict) String() string { return verdictNames[v] }

// list is a file being read.
type list struct {
	key      string // of the configuration
	path     string // "": there is none
	verdict  verdict
	entries  int
	most     int
	problems []error
}

// read gives the text of each line to take. The error joins one for each line that is wrong,
// with key, file and line.
func (l *list) read(take func(text string) error) error {
	if l.path == "" {
		return nil
	}
	f, err := open(l.path)
	if err != nil {
		return fmt.Errorf("%s: %w", l.key, err)
	}
	defer func() { _ = f.Close() }()
	l.lines(f, take)
	if l.verdict == allowed && l.entries == 0 && len(l.problems) == 0 {
		return fmt.Errorf("%s: %s: it has nothing that is allowed, so nobody could announce; add a line, or take the key away", l.key, l.path)
	}
	return errors.Join(l.problems...)
}

// open opens what may be a list. A pipe is none: it would be empty when it is read again, or keep
// who opens it waiting.
func open(path string) (*os.File, error) {
	switch info, err := os.Stat(path); {
	case err != nil: // os.Open says why
	case info.IsDir():
		return nil, fmt.Errorf("%s is a folder; give the path of a file", path)
	case info.Mode()&(fs.ModeNamedPipe|fs.ModeSocket) != 0:
		return nil, fmt.Errorf("%s is a pipe or a socket; give the path of a file, which can be read again", path)
	}
	return os.Open(path)
}

func (l *list) lines(from io.Reader, take func(text string) error) {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, maxLine)
	n := 0
	for lines.Scan() && len(l.problems) < maxProblems {
		n++
		text, _, _ := strings.Cut(lines.Text(), "#")
		text = strings.TrimSpace(strings.TrimPrefix(text, "\ufeff"))
		if text == "" {
			continue
		}
		if l.entries++; l.entries > l.most {
			l.complain(n, fmt.Errorf("more than %d entries; join some", l.most))
			return
		}
		if err := take(text); err != nil {
			l.complain(n, err)
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		l.complain(n+1, fmt.Errorf("longer than %d bytes; is this such a list?", maxLine))
	} else if err != nil {
		l.complain(n+1, err)
	}
}

func (l *list) complain(line int, err error) {
	l.problems = append(l.problems, fmt.Errorf("%s: %s:%d: %w", l.key, l.path, line, err))
}

// shown is what of a line is repeated.
func shown(text string) string { return fmt.Sprintf("%.64q", text) }
