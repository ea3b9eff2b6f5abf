//go:build unix

package locality

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// script is the path of a new program, written for sh.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "where")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func newProgram(t *testing.T, command ...string) *Program {
	t.Helper()
	p, err := NewProgram(command...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestProgramPrintsThePathOfItsLastArgument(t *testing.T) {
	p := newProgram(t, script(t, `case "$2" in
192.0.2.1) echo "$1/r12";;
2001:db8::1) printf "$1/r13";;
192.0.2.2) ;;
192.0.2.3) echo "no such host" >&2; echo second line >&2; exit 3;;
192.0.2.4) printf 'a/b\nc/d\n';;
192.0.2.5) head -c 100000 /dev/zero | tr '\0' x;;
192.0.2.6) exit 1;;
esac`), "ams1")
	wantPath(t, p, "192.0.2.1", "ams1/r12", "")
	wantPath(t, p, "2001:db8::1", "ams1/r13", "")
	wantPath(t, p, "192.0.2.2", "", "")
	wantPath(t, p, "192.0.2.3", "", `exit status 3: "no such host"`)
	wantPath(t, p, "192.0.2.4", "", `it printed more than one line: "a/b\nc/d"`)
	wantPath(t, p, "192.0.2.5", "", "it printed more than 4096 bytes")
	wantPath(t, p, "192.0.2.6", "", "exit status 1")
}

func TestProgramSeesNoSettingsOfTheTracker(t *testing.T) {
	t.Setenv("WAGGLE_STORE", "redis://:password@host")
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=key")
	t.Setenv("WHERE_SITE", "ams1")
	p := newProgram(t, script(t, `echo "$WHERE_SITE/x$WAGGLE_STORE$OTEL_EXPORTER_OTLP_HEADERS"`))
	wantPath(t, p, "192.0.2.1", "ams1/x", "")
}

func TestProgramThatHangsIsKilledWithItsChildren(t *testing.T) {
	file := filepath.Join(t.TempDir(), "alive")
	p := newProgram(t, script(t, `mkfifo "`+file+`"; cat "`+file+`" & echo ready; wait`))
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	begun := time.Now()
	_, err := p.Locate(ctx, here)
	if took := time.Since(begun); !errors.Is(err, context.DeadlineExceeded) || took > 5*time.Second {
		t.Errorf("%v after %v", err, took)
	}
	// Nobody has the pipe open for reading any more: to open it for writing without waiting fails.
	if w, err := os.OpenFile(file, os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil {
		_ = w.Close()
		t.Error("its child lives on")
	}
}

func TestNoMoreProgramsThanTheLimitRunAtATime(t *testing.T) {
	started, ended := pipe(t, "started"), pipe(t, "ended")
	p := newProgram(t, script(t, `echo >"`+started.Name()+`"; read line <"`+ended.Name()+`"; echo r1`))
	var all sync.WaitGroup
	for range maxPrograms {
		all.Go(func() { wantPath(t, p, "192.0.2.1", "r1", "") })
	}
	if _, err := io.ReadFull(started, make([]byte, maxPrograms)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Locate(ctx, here); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := ended.WriteString(strings.Repeat("\n", maxPrograms)); err != nil {
		t.Fatal(err)
	}
	all.Wait()
}

// pipe is a new named pipe, open at both ends.
func pipe(t *testing.T, name string) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func TestProgramThatIsNotThereIsRefused(t *testing.T) {
	for _, command := range [][]string{nil, {""}, {"/nowhere/where"}, {t.TempDir()}} {
		if _, err := NewProgram(command...); err == nil || !strings.HasPrefix(err.Error(), "program: ") {
			t.Errorf("%q: %v", command, err)
		}
	}
}

// FuzzProgramOutput reads any bytes as what a program prints, in two pieces.
func FuzzProgramOutput(f *testing.F) {
	f.Add([]byte("ams1/row3/"), []byte("r12\n"))
	f.Add([]byte("\n\n"), []byte("a\r\n\r\nb"))
	f.Add([]byte(strings.Repeat("x", maxOutput)), []byte("\n"))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		var output limited
		for _, piece := range [][]byte{first, second} {
			if n, err := output.Write(piece); n != len(piece) || err != nil {
				t.Errorf("%d of %d, %v", n, len(piece), err)
			}
		}
		path, err := pathInOutput(&output)
		if len(path) > maxOutput || strings.Contains(path, "\n") || err != nil && (!isRubbish(err) || len(err.Error()) > 500) {
			t.Errorf("%q, %v", path, err)
		}
		if whole := strings.TrimSpace(string(first) + string(second)); err == nil && path != whole {
			t.Errorf("%q of %q", path, whole)
		}
	})
}
