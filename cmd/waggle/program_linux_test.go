//go:build !function

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"waggle/bench/process"
)

// What starting read of the program's file is let go of when the tracker has come to rest, and
// it goes on: all that it needs comes back.
func TestTrackerAtRestKeepsLittleOfItsProgramAndServesOn(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "waggle")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as waggle is built
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	m := startMember(t, program, nil)
	pid := m.process.Process.Pid
	pages := func() int64 {
		u, err := process.Of(pid)
		if err != nil {
			t.Fatal(err)
		}
		return u.RSS - u.Anonymous
	}
	started := pages()
	eventually(t, "it keeps less than half of its program", func() bool { return pages() < started/2 })
	get(t, m.at)
	get(t, m.at+"/api/v1/openapi.json")
	if r := (&serving{lines: m.lines}).announce(t, ""); r.Incomplete != 1 {
		t.Errorf("%+v", r)
	}
	if err := m.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := m.process.Wait(); err != nil || !strings.Contains(m.log.String(), "nothing was lost") {
		t.Errorf("%v\n%s", err, m.log)
	}
}
