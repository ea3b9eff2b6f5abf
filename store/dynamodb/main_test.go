package dynamodb_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"waggle/internal/freeport"
	"waggle/store/dynamodb"
	"waggle/swarm"
)

// endpoints are the URLs of the dynalites of these tests: each uses one processor at most.
var endpoints [2]string

func TestMain(m *testing.M) {
	runtime.LockOSThread() // which the servers end with
	flag.Parse()
	os.Exit(runWithServer(m))
}

func runWithServer(m *testing.M) int {
	if f := flag.Lookup("test.fuzz"); f != nil && f.Value.String() != "" {
		return m.Run() // what is fuzzed needs none
	}
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1",
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	for i := range endpoints {
		url, stop, err := startDynalite()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer stop()
		endpoints[i] = url
	}
	if !isSet("rapid.checks") { // on the command line
		if err := flag.Set("rapid.checks", histories); err != nil {
			panic(err)
		}
	}
	before := goleak.IgnoreCurrent()
	code := m.Run()
	http.DefaultClient.CloseIdleConnections()
	if err := goleak.Find(before, goleak.IgnoreAnyFunction("os/exec.(*Cmd).watchCtx.func1")); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func isSet(name string) (set bool) {
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == name })
	return set
}

// startDynalite starts a server in memory, on a port that is free.
func startDynalite() (url string, stop func(), err error) {
	const script = "node_modules/dynalite/cli.js"
	if _, err := os.Stat(script); err != nil {
		return "", nil, fmt.Errorf("dynalite is missing (%w): run make setup", err)
	}
	port, err := freeport.Find()
	if err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "node", "--max-old-space-size=1024", script, "--host", "127.0.0.1", "--port", fmt.Sprint(port),
		"--createTableMs", "1", "--deleteTableMs", "1")
	// Pdeathsig is for the day on which the test binary itself is killed, or a test panics.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return "", nil, fmt.Errorf("node could not be started (%w): run make setup", err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	_, url, found := strings.Cut(strings.TrimSpace(line), "listening at: ")
	stop = func() { cancel(); _ = cmd.Wait() }
	if err != nil || !found {
		stop()
		return "", nil, fmt.Errorf("dynalite did not start and said %q: %w", line, err)
	}
	return url, stop, nil
}

var tables atomic.Int64

// newTable makes a table of its own for a test. Its stores have patience with a machine
// that does much else.
func newTable(t testing.TB) dynamodb.Options {
	t.Helper()
	n := tables.Add(1)
	o := dynamodb.Options{
		Table: fmt.Sprintf("t%04d", n), Region: "us-east-1", Endpoint: endpoints[n%2], Heads: 2,
		Attempt: 20 * time.Second, Patience: time.Minute, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	if err := dynamodb.CreateTable(t.Context(), o, func(string) {}); err != nil {
		t.Fatal(err)
	}
	return o
}

func open(t testing.TB, o dynamodb.Options) *dynamodb.Store {
	t.Helper()
	s, err := dynamodb.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func openNew(t *testing.T) swarm.Store { return open(t, newTable(t)) }
