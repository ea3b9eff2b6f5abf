//go:build lab

package lab

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

var (
	seeds   = flag.Int("lab.seeds", 5, "roll-outs of each kind that the gates are about")
	quick   = flag.Bool("lab.quick", false, "one seed, and a file of 30 MB, of which times say nothing; without -run, only a roll-out by strict and one by random")
	verbose = flag.Bool("lab.log", false, "print whom the tracker told of whom")
	only    = flag.String("lab.only", "", "the policies to measure, with commas; empty: all")
	keepIn  = flag.String("lab.keep", "", "a directory to keep what trackers wrote down in")

	cutFor       = flag.Duration("lab.cut", time.Minute, "how long a linked tracker is cut off from the others, 15s or more")
	waggleBinary = flag.String("lab.waggle", "", "the waggle whose links are tested; empty: it is built")
)

// scratch is a directory in memory for what all tests share; it goes when they end.
var scratch string

func TestMain(m *testing.M) {
	if orders := os.Getenv(trackerOrders); orders != "" {
		if err := serveTracker(orders); err != nil {
			fmt.Fprintln(os.Stderr, "tracker of the laboratory:", err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	if err := ready(); err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		return 1
	}
	var stop context.CancelFunc
	untilSignal, stop = signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	removeOrphans()
	removeOrphanedFiles()
	scratch = filepath.Join(memoryDir, fmt.Sprintf("%s%d", namespacePrefix, os.Getpid()))
	if err := os.Mkdir(scratch, 0o755); err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	if err := os.Setenv("TMPDIR", scratch); err != nil { // for T.TempDir
		fmt.Fprintln(os.Stderr, "lab:", err)
		return 1
	}
	if run := flag.Lookup("test.run").Value; *quick && run.String() == "" {
		_ = run.Set("TestPoliciesKeep")
	}
	code := m.Run()
	printFigures(os.Stdout)
	return code
}

// memoryDir is a file system in memory: disks are not what is measured.
const memoryDir = "/dev/shm"

func removeOrphanedFiles() {
	entries, _ := os.ReadDir(memoryDir)
	for _, entry := range entries {
		if orphaned(entry.Name()) {
			_ = os.RemoveAll(filepath.Join(memoryDir, entry.Name()))
		}
	}
}

// python is Debian's own: python3-libtorrent is for no other.
const python = "/usr/bin/python3"

// ready says what is missing for the laboratory.
func ready() error {
	if os.Geteuid() != 0 {
		return errors.New("network namespaces need root: run `make lab` as root")
	}
	var missing []string
	for _, program := range []string{"ip", "tc", "iptables", "transmission-daemon", "rtorrent", python} {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, program)
		}
	}
	if err := exec.Command(python, "-c", "import libtorrent").Run(); err != nil {
		missing = append(missing, "python3-libtorrent")
	}
	if len(missing) > 0 {
		return fmt.Errorf("%s not found: run `make lab`, which installs it", strings.Join(missing, ", "))
	}
	return tryShaping()
}

// tryShaping says whether the kernel has what links are made of.
func tryShaping() error {
	name := fmt.Sprintf("%s%d-try", namespacePrefix, os.Getpid())
	defer func() { _ = exec.Command("ip", "netns", "del", name).Run() }()
	for _, line := range []string{
		"ip netns add " + name, "ip -n " + name + " link add try type veth",
		"ip -n " + name + " link add bridge type bridge", "tc -n " + name + " " + shaped("try", hostRate),
	} {
		args := strings.Fields(line)
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s: the kernel needs network namespaces, veth, bridges and tbf", line, err, out)
		}
	}
	return nil
}

// untilSignal ends at a signal: then all tests clean up and fail.
var untilSignal context.Context

// working returns a context that ends with the test, at a signal, and some time
// before go test would end everything without cleaning up.
func working(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(untilSignal)
	t.Cleanup(cancel)
	if deadline, ok := t.Deadline(); ok {
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-30*time.Second))
		t.Cleanup(cancel)
	}
	return ctx
}
