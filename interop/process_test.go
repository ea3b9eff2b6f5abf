package interop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A host is where a process runs and is reached: this machine over loopback, or
// a network namespace of the test's own.
type host struct {
	addrs []netip.Addr // its addresses, the preferred one first
	enter []string     // the command that runs another one there; empty: none needed

	// dial connects from there.
	dial func(ctx context.Context, network, address string) (net.Conn, error)

	begin func(*exec.Cmd) error // starts a process there; nil: as anywhere
}

var (
	loopback  = host{addrs: []netip.Addr{ipv4Loopback, netip.IPv6Loopback()}, dial: new(net.Dialer).DialContext}
	loopback4 = host{addrs: []netip.Addr{ipv4Loopback}, dial: new(net.Dialer).DialContext}
	loopback6 = host{addrs: []netip.Addr{netip.IPv6Loopback()}, dial: new(net.Dialer).DialContext}

	ipv4Loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})
)

// listen returns the host's addresses with port, as waggle's and libtorrent's
// options want them: 10.77.0.1:0,[fd77::1]:0.
func (h host) listen(port uint16) string {
	var list []string
	for _, addr := range h.addrs {
		list = append(list, netip.AddrPortFrom(addr, port).String())
	}
	return strings.Join(list, ",")
}

// A process is one that a test started. It ends with its test at the latest, and
// its output is in the test's log if the test failed.
type process struct {
	name   string
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout output
	stderr output
	quit   syscall.Signal // what asks it to end
	leave  func() error   // what has it leave the swarm; nil: quit does
	exited chan struct{}  // closed after the end of the process
	err    error          // what Wait said; read it after exited
}

// patience is how long anything may take that is no promise and comes for sure: mostly
// milliseconds, and the rest is for machines that are busy with other tests.
const patience = 2 * time.Minute

// start starts a program on a host, as the leader of a process group.
func start(t testing.TB, h host, name string, command ...string) *process {
	t.Helper()
	argv := slices.Concat(h.enter, command)
	p := &process{name: name, cmd: exec.Command(argv[0], argv[1:]...), quit: syscall.SIGTERM, exited: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	p.cmd.WaitDelay = time.Second // for grandchildren that hold the pipes open
	p.cmd.Dir = t.TempDir()
	p.cmd.Env = environment(p.cmd.Dir)
	// Pdeathsig is for the day on which the test binary itself is killed.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}

	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stdin = stdin
	begin := h.begin
	if begin == nil {
		begin = (*exec.Cmd).Start
	}
	if err := begin(p.cmd); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		_ = p.stop()
		if t.Failed() {
			t.Logf("%s (%s), standard output:\n%s", name, strings.Join(argv, " "), p.stdout.tail())
			t.Logf("%s, standard error:\n%s", name, p.stderr.tail())
		}
	})
	return p
}

// environment returns the environment of a process without the settings of the
// person who tests, for waggle or in a home directory.
func environment(home string) []string {
	env := slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "WAGGLE_") })
	return append(env, "HOME="+home)
}

// stop asks the process to end and waits for that. It returns an error if it did
// not end well: by itself, with status 0. What is left of its process group is
// killed.
func (p *process) stop() error {
	defer func() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) }()
	if p.alive() != nil {
		return p.err
	}
	if err := p.cmd.Process.Signal(p.quit); err != nil {
		return err
	}
	select {
	case <-p.exited:
		return p.err
	case <-time.After(patience):
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.exited
		return fmt.Errorf("%s did not end within %v of %v", p.name, patience, p.quit)
	}
}

// leaveSwarm has a client tell the tracker that it leaves. It may end of that.
func (p *process) leaveSwarm() error {
	if p.leave != nil {
		return p.leave()
	}
	return p.cmd.Process.Signal(p.quit)
}

// alive returns an error once the process has ended.
func (p *process) alive() error {
	select {
	case <-p.exited:
		return fatal{fmt.Errorf("%s ended early: %v", p.name, p.cmd.ProcessState)}
	default:
		return nil
	}
}

// output keeps what a process writes.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

// lines returns the complete lines so far.
func (o *output) lines() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	lines := strings.Split(o.buf.String(), "\n")
	return lines[:len(lines)-1]
}

// tail returns the end of the output, enough to see what went wrong.
func (o *output) tail() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	const limit = 8 << 10
	b := o.buf.Bytes()
	return string(b[max(0, len(b)-limit):])
}

// fatal is an error that waiting does not mend.
type fatal struct{ error }

// eventually waits until probe returns nil. It gives up, and fails the test with
// probe's last error, at the limit or when that error is fatal.
func eventually(t *testing.T, limit time.Duration, what string, probe func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		err := probe()
		if err == nil {
			return
		}
		if errors.As(err, new(fatal)) {
			t.Fatalf("%s: %v", what, err)
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after %v: %v", what, limit, err)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// run runs a program to its end and returns its standard output.
func run(t *testing.T, command ...string) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(command, " "), err, out, stderr.String())
	}
	return string(out)
}
