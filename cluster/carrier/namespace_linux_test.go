package carrier

import (
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"waggle/internal/freeport"
)

const inNamespace = "WAGGLE_TEST_NAMESPACE"

// inOwnNetwork reports whether a test runs in a network of its own, by a user namespace; else it has
// it run there. The loopback interface of Linux takes no datagrams to groups of IPv6, and has no
// route for those of IPv4.
func inOwnNetwork(t *testing.T) bool {
	t.Helper()
	if os.Getenv(inNamespace) != "" {
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.timeout=1m")
	cmd.Env = append(os.Environ(), inNamespace+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWNET | syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
	return false
}

func ip(t *testing.T, commands ...string) {
	t.Helper()
	for _, line := range commands {
		if out, err := exec.CommandContext(t.Context(), "ip", strings.Fields(line)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s (a missing ip comes with \"run make setup\")", line, err, out)
		}
	}
}

// wired are two interfaces that are wired to each other.
var wired = []string{
	"link add left type veth peer name right",
	"addr add fd77::1/64 dev left nodad",
	"link set left up addrgenmode none",
	"link set right up",
	"addr add fe80::77/64 dev left nodad",
	"addr add 10.77.0.1/24 dev left",
}

func TestTwoHearEachOtherOverIPv6AndOnTheInterfaceOfTheRoute(t *testing.T) {
	if !inOwnNetwork(t) {
		return
	}
	ip(t, "link set lo up")
	ip(t, wired...)
	ip(t, "route add 239.0.0.0/8 dev left", "-6 route add multicast ff15::/16 dev left table local")
	if _, err := NewMulticast(MulticastOptions{Secret: secret, GroupOptions: GroupOptions{
		Group: netip.MustParseAddrPort("224.0.1.1:7000"),
	}}); err == nil || !strings.Contains(err.Error(), "name the network interface") {
		t.Errorf("a group without a route: error %v", err)
	}
	for _, c := range []struct {
		group string
		card  string
		want  string
	}{
		{"ff15::7761", "left", "fd77::1"},
		{"ff12::7761", "left", "fe80::77"},
		{"ff15::7761", "", "fd77::1"},
		{"239.192.77.1", "", "10.77.0.1"},
	} {
		o := MulticastOptions{Secret: secret, GroupOptions: GroupOptions{
			Group: netip.AddrPortFrom(netip.MustParseAddr(c.group), freeport.For(t)), Interface: c.card,
		}}
		all := carriers(t, 2, o)
		if got := all[0].(*Multicast).Interface(); got != "left" {
			t.Errorf("%s: the interface is %s", c.group, got)
		}
		if got := all[0].Address().Addr(); got != netip.MustParseAddr(c.want) {
			t.Errorf("%s on %s: the address is %s", c.group, c.card, got)
		}
		know(t, all)
		exactly(t, all[0], all[1], 100)
	}
}

func TestInterfaceThatComesAndGoesIsSurvived(t *testing.T) {
	if !inOwnNetwork(t) {
		return
	}
	ip(t, "link set lo up")
	ip(t, wired...)
	carriersOf := func(group string) []Carrier {
		return carriers(t, 2, MulticastOptions{Secret: secret, GroupOptions: GroupOptions{
			Group: netip.AddrPortFrom(netip.MustParseAddr(group), freeport.For(t)), Interface: "left",
		}})
	}
	four, six := carriersOf("239.192.77.1"), carriersOf("ff15::7761")
	both := [][]Carrier{four, six}
	faulty := func(all []Carrier, words string) {
		t.Helper()
		eventually(t, words, func() bool {
			all[0].Broadcast(message(24, 1))
			return strings.Contains(all[0].Figures().Fault, words)
		})
	}
	for _, c := range []struct{ away, back, words string }{
		{"link set left down", "link set left up", "left is down"},
		{"addr del 10.77.0.1/24 dev left", "addr add 10.77.0.1/24 dev left", "has lost the address"},
		{"link del left", "", "left is gone"},
	} {
		for _, all := range both {
			know(t, all)
		}
		ip(t, c.away)
		faulty(four, c.words)
		if c.back != "" {
			ip(t, c.back, "addr replace fd77::1/64 dev left nodad") // which is lost with the interface
			continue
		}
		faulty(six, c.words)
		ip(t, wired...)
	}
	for _, all := range both {
		know(t, all)
	}
}
