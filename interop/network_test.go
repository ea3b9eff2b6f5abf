//go:build long

package interop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A network is hosts on one bridge, each in a network namespace, as is the bridge
// itself. There is no route out of it, and nothing of it is outside of the
// namespaces. It goes with its test.
type network struct {
	name  string // of the namespaces: name-switch, name-1, name-2, ...
	hosts int
}

// Names of namespaces begin with this, then the id of the process that made them.
const namespacePrefix = "waggle-interop-"

var networks atomic.Int64

// newNetwork makes a network with no hosts.
func newNetwork(t *testing.T) *network {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatalf("network namespaces need root: run `%s` as root", makeTestLong)
	}
	program(t, "ip", makeTestLong)
	removeOrphans()
	n := &network{name: fmt.Sprintf("%s%d-%d", namespacePrefix, os.Getpid(), networks.Add(1))}
	n.addNamespace(t, n.hub())
	run(t, "ip", "-n", n.hub(), "link", "add", "bridge", "up", "type", "bridge")
	return n
}

// hub is the namespace of the bridge.
func (n *network) hub() string { return n.name + "-switch" }

// addHost adds a host. The first has 10.77.0.1 and fd77::1.
func (n *network) addHost(t *testing.T) host {
	t.Helper()
	n.hosts++
	name := fmt.Sprintf("%s-%d", n.name, n.hosts)
	ipv4 := netip.AddrFrom4([4]byte{10, 77, 0, byte(n.hosts)})
	ipv6 := netip.AddrFrom16([16]byte{0xfd, 0x77, 15: byte(n.hosts)})

	n.addNamespace(t, name)
	port := fmt.Sprint("port", n.hosts)
	run(t, "ip", "link", "add", port, "netns", n.hub(), "type", "veth", "peer", "name", "eth0", "netns", name)
	run(t, "ip", "-n", n.hub(), "link", "set", port, "up", "master", "bridge")
	run(t, "ip", "-n", name, "addr", "add", ipv4.String()+"/24", "dev", "eth0")
	run(t, "ip", "-n", name, "addr", "add", ipv6.String()+"/64", "dev", "eth0", "nodad")
	run(t, "ip", "-n", name, "link", "set", "eth0", "up")
	return host{
		addrs: []netip.Addr{ipv4, ipv6},
		enter: []string{"ip", "netns", "exec", name},
		dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			return dialFrom(ctx, name, network, address)
		},
	}
}

// addNamespace makes a namespace that has loopback, until the test ends.
func (n *network) addNamespace(t *testing.T, name string) {
	t.Helper()
	run(t, "ip", "netns", "add", name)
	t.Cleanup(func() {
		if out, err := exec.Command("ip", "netns", "del", name).CombinedOutput(); err != nil {
			t.Errorf("remove namespace %s: %v: %s", name, err, out)
		}
	})
	run(t, "ip", "-n", name, "link", "set", "lo", "up")
}

// dialFrom connects from a namespace.
func dialFrom(ctx context.Context, namespace, network, address string) (conn net.Conn, err error) {
	err = within(namespace, func() error {
		conn, err = new(net.Dialer).DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// within makes a socket in a namespace. It stays in the namespace that its thread was
// in when it was made.
func within(namespace string, open func() error) error {
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
	err = open()
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		// The thread stays locked, so that nobody else gets it; it ends with
		// this goroutine.
		return errors.Join(err, fmt.Errorf("leave %s: %w", namespace, back))
	}
	runtime.UnlockOSThread()
	return err
}

// removeOrphans removes the namespaces of test processes that are no more, such
// as one that was killed before it could.
var removeOrphans = sync.OnceFunc(func() {
	out, _ := exec.Command("ip", "netns", "list").Output()
	for line := range strings.Lines(string(out)) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		rest, ours := strings.CutPrefix(name, namespacePrefix)
		owner, _, _ := strings.Cut(rest, "-")
		if pid, err := strconv.Atoi(owner); ours && err == nil && syscall.Kill(pid, 0) == syscall.ESRCH {
			_ = exec.Command("ip", "netns", "del", name).Run()
		}
	}
})
