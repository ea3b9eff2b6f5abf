package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/dustin/go-humanize"
	"golang.org/x/term"

	"waggle/simulate"
)

// picture is the file that a result is drawn to; the zero value is none. It is opened
// before a long run, not after, so that it cannot fail for its name.
type picture struct{ file *os.File }

func createPicture(path string) (picture, error) {
	if path == "" {
		return picture{}, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return picture{}, fmt.Errorf("--svg: %w", err)
	}
	return picture{f}, nil
}

func (p picture) draw(reports []*simulate.Report) error {
	if p.file == nil {
		return nil
	}
	return errors.Join(simulate.WriteSVG(p.file, reports), p.file.Close())
}

// discard removes what nothing was drawn to.
func (p picture) discard() error {
	if p.file == nil {
		return nil
	}
	return errors.Join(p.file.Close(), os.Remove(p.file.Name()))
}

// simulateProgress shows on a terminal how far the runs are, in one line.
type simulateProgress struct {
	out   io.Writer // nil: no terminal
	mu    sync.Mutex
	next  time.Time
	shown bool
}

func newSimulateProgress(w io.Writer) *simulateProgress {
	p := &simulateProgress{next: time.Now().Add(time.Second)}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.out = w
	}
	return p
}

// show is called concurrently.
func (p *simulateProgress) show(s simulate.Progress) {
	if p.out == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.After(p.next) {
		p.next, p.shown = now.Add(200*time.Millisecond), true
		_, _ = fmt.Fprintf(p.out, "\r\x1b[K%s: after %v, %s of %s hosts are done", s.Policy,
			s.At.Truncate(time.Second), humanize.Comma(int64(s.Done)), humanize.Comma(int64(s.Hosts)))
	}
}

func (p *simulateProgress) clear() {
	if p.shown {
		_, _ = fmt.Fprint(p.out, "\r\x1b[K")
	}
}
