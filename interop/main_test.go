package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"waggle/internal/binary"
)

// scratch is a directory for what all tests share; it goes when they end.
var scratch string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

// runTests has a binary with the race detector wait for its last races for a
// tenth of a second before it ends, and not for a whole one, each time.
func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "waggle-interop-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	scratch = dir
	if err := os.Setenv("GORACE", strings.TrimSpace("atexit_sleep_ms=100 "+os.Getenv("GORACE"))); err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		return 1
	}
	return m.Run()
}

// waggle returns the path of the binary under test, which is built once.
func waggle(t *testing.T) string {
	t.Helper()
	path, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var buildOnce = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("INTEROP_WAGGLE"); path != "" {
		return path, nil
	}
	path := filepath.Join(scratch, "waggle")
	return path, binary.Build("..", path, buildFlags)
})

// program returns the path of a client that make installs.
func program(t *testing.T, name, remedy string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s not found: run `%s`, which installs it", name, remedy)
	}
	return path
}

// What installs the clients.
const (
	makeTest     = "make test"
	makeTestLong = "make test-long"
)
