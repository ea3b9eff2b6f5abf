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
// tenth of a second before it ends, and not for a whole one, each time. Stores that
// speak as those of AWS get credentials of their own.
func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "waggle-interop-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	scratch = dir
	for name, value := range map[string]string{
		"GORACE":            strings.TrimSpace("atexit_sleep_ms=100 " + os.Getenv("GORACE")),
		"AWS_ACCESS_KEY_ID": "interop", "AWS_SECRET_ACCESS_KEY": "interop-secret", "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_EC2_METADATA_DISABLED": "true",
	} {
		if err := os.Setenv(name, value); err != nil {
			fmt.Fprintln(os.Stderr, "interop:", err)
			return 1
		}
	}
	return m.Run()
}

// waggle returns the path of the binary under test, which is built once.
func waggle(t testing.TB) string {
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
