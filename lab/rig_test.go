//go:build lab

package lab

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
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// What a link carries, in either direction.
const (
	uplinkRate = 80_000_000 // bits a second
	hostRate   = 200_000_000
)

// shaped are the arguments of tc that shape a link: it lets no more than some packets
// through at once, and has a queue as switches have, of 50 ms.
func shaped(device string, rate int) string {
	return fmt.Sprintf("qdisc add dev %s root tbf rate %d burst 64kb latency 50ms", device, rate)
}

// A rig is a machine room.
type rig struct {
	name   string // of its namespaces: name-fabric, name-core, name-1-1, ...
	racks  [][]*host
	origin *host    // it is in racks[0]
	counts *os.File // what the devices of the fabric have counted
}

// A host is where a client runs.
type host struct {
	namespace string
	rack      int
	addr      netip.Addr
}

func (h *host) String() string { return h.addr.String() }

// enter is the command that runs another one on the host.
func enter(namespace string, command ...string) []string {
	return append([]string{"ip", "netns", "exec", namespace}, command...)
}

const (
	namespacePrefix = "waggle-lab-"
	trackerAddr     = "10.66.255.1"
)

var rigs atomic.Int64

// newRig makes a machine room that has racks of so many hosts each, and one more for
// the origin.
func newRig(t *testing.T, hosts ...int) *rig {
	t.Helper()
	r := &rig{name: fmt.Sprintf("%s%d-%d", namespacePrefix, os.Getpid(), rigs.Add(1))}
	for _, name := range []string{"fabric", "core"} {
		r.addNamespace(t, r.name+"-"+name)
	}
	script := &links{fabric: r.name + "-fabric"}
	script.ip("link add core type bridge")
	script.ip("link set core up")
	script.host("tracker", "core", r.name+"-core", trackerAddr)
	script.run(t)
	for rack, n := range append([]int{1}, hosts...) {
		r.racks = append(r.racks, r.addRack(t, rack, n))
	}
	r.origin = r.racks[0][0]
	r.openCounts(t)
	return r
}

// addRack adds a rack of n hosts and its uplink: up is the end in the rack, down the
// one in the core.
func (r *rig) addRack(t *testing.T, rack, n int) (hosts []*host) {
	t.Helper()
	script := &links{fabric: r.name + "-fabric"}
	bridge, up, down := fmt.Sprint("rack", rack), fmt.Sprint("up", rack), fmt.Sprint("down", rack)
	script.ip("link add %s type bridge", bridge)
	script.ip("link set %s up", bridge)
	script.ip("link add %s type veth peer name %s", up, down)
	script.ip("link set %s up master %s", up, bridge)
	script.ip("link set %s up master core", down)
	script.tc(shaped(up, uplinkRate))
	script.tc(shaped(down, uplinkRate))
	for i := range n {
		h := &host{
			namespace: fmt.Sprintf("%s-%d-%d", r.name, rack, i+1), rack: rack,
			addr: netip.AddrFrom4([4]byte{10, 66, byte(rack), byte(i + 1)}),
		}
		r.addNamespace(t, h.namespace)
		port := fmt.Sprintf("port%d-%d", rack, i+1)
		script.host(port, bridge, h.namespace, h.addr.String())
		script.tc(shaped(port, hostRate))
		hosts = append(hosts, h)
	}
	script.run(t)
	for _, h := range hosts {
		run(t, "tc", append([]string{"-n", h.namespace}, strings.Fields(shaped("eth0", hostRate))...)...)
	}
	return hosts
}

// addNamespace makes a namespace that has loopback, until the test ends. TCP is that
// of the plain rules, whatever the machine is set to: other than those it has, none
// can be chosen in a namespace, and over such short distances Linux's usual one,
// cubic, does the same.
func (r *rig) addNamespace(t *testing.T, name string) {
	t.Helper()
	run(t, "ip", "netns", "add", name)
	t.Cleanup(func() {
		if out, err := exec.Command("ip", "netns", "del", name).CombinedOutput(); err != nil {
			t.Errorf("remove namespace %s: %v: %s", name, err, out)
		}
	})
	run(t, "ip", "-n", name, "link", "set", "lo", "up")
	err := inNamespace(name, func() error {
		return os.WriteFile("/proc/sys/net/ipv4/tcp_congestion_control", []byte("reno"), 0)
	})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// openCounts opens the counters of the fabric's devices.
func (r *rig) openCounts(t *testing.T) {
	t.Helper()
	err := inNamespace(r.name+"-fabric", func() (err error) {
		r.counts, err = os.Open("/proc/thread-self/net/dev")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.counts.Close() })
}

// crossed returns the bytes that have come into each rack over its uplink so far, and
// those that have left it.
func (r *rig) crossed() (into, out []int64, err error) {
	if _, err := r.counts.Seek(0, io.SeekStart); err != nil {
		return nil, nil, err
	}
	text, err := io.ReadAll(r.counts)
	if err != nil {
		return nil, nil, err
	}
	into, out = make([]int64, len(r.racks)), make([]int64, len(r.racks))
	for line := range strings.Lines(string(text)) {
		device, figures, _ := strings.Cut(strings.TrimSpace(line), ":")
		number, isUplink := strings.CutPrefix(device, "up")
		if rack, err := strconv.Atoi(number); isUplink && err == nil && rack < len(r.racks) {
			fields := strings.Fields(figures)
			into[rack], _ = strconv.ParseInt(fields[0], 10, 64)
			out[rack], _ = strconv.ParseInt(fields[8], 10, 64)
		}
	}
	return into, out, nil
}

// links is a script that makes devices of a fabric. ip and tc take many lines at a
// time.
type links struct {
	fabric      string
	ipBatch     bytes.Buffer
	tcBatch     bytes.Buffer
	inNamespace [][]string
}

func (l *links) ip(format string, a ...any) { fmt.Fprintf(&l.ipBatch, format+"\n", a...) }
func (l *links) tc(line string)             { fmt.Fprintln(&l.tcBatch, line) }

// host connects a namespace to a bridge by a port. TCP hands its packets over one by
// one, as they are on a wire: of a bunch of them a veth counts one header.
func (l *links) host(port, bridge, namespace, addr string) {
	l.ip("link add %s type veth peer name eth0 netns %s", port, namespace)
	l.ip("link set %s up master %s", port, bridge)
	l.inNamespace = append(l.inNamespace,
		[]string{"-n", namespace, "addr", "add", addr + "/16", "dev", "eth0"},
		[]string{"-n", namespace, "link", "set", "eth0", "up", "gso_max_segs", "1"})
}

func (l *links) run(t *testing.T) {
	t.Helper()
	for _, batch := range []struct {
		program string
		lines   *bytes.Buffer
	}{{"ip", &l.ipBatch}, {"tc", &l.tcBatch}} {
		cmd := exec.CommandContext(t.Context(), batch.program, "-n", l.fabric, "-batch", "-")
		cmd.Stdin = batch.lines
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s -batch: %v\n%s", batch.program, err, out)
		}
	}
	for _, args := range l.inNamespace {
		run(t, "ip", args...)
	}
}

// run runs a program to its end.
func run(t *testing.T, program string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
}

// inNamespace does something in a network namespace. Sockets, and files of /proc, stay
// in the one in which they were opened.
func inNamespace(namespace string, do func() error) error {
	home, err := os.Open("/proc/self/ns/net")
	if err != nil {
		return err
	}
	defer func() { _ = home.Close() }()
	away, err := os.Open("/run/netns/" + namespace)
	if err != nil {
		return err
	}
	defer func() { _ = away.Close() }()

	runtime.LockOSThread()
	if err := unix.Setns(int(away.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter %s: %w", namespace, err)
	}
	err = do()
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		// The thread stays locked, so that nobody else gets it; it ends with this
		// goroutine.
		return errors.Join(err, fmt.Errorf("leave %s: %w", namespace, back))
	}
	runtime.UnlockOSThread()
	return err
}

// dial connects from the host.
func (h *host) dial(ctx context.Context, network, address string) (conn net.Conn, err error) {
	err = inNamespace(h.namespace, func() (err error) {
		conn, err = new(net.Dialer).DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// removeOrphans removes the namespaces of test processes that are no more, such as
// one that was killed before it could.
func removeOrphans() {
	out, _ := exec.Command("ip", "netns", "list").Output()
	for line := range strings.Lines(string(out)) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if orphaned(name) {
			_ = exec.Command("ip", "netns", "del", name).Run()
		}
	}
}

// orphaned reports whether a name is one that a process of these tests gave, which is
// no more.
func orphaned(name string) bool {
	rest, ours := strings.CutPrefix(name, namespacePrefix)
	owner, _, _ := strings.Cut(rest, "-")
	pid, err := strconv.Atoi(owner)
	return ours && err == nil && syscall.Kill(pid, 0) == syscall.ESRCH
}
