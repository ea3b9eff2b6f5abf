package carrier

import (
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

const inNamespace = "WAGGLE_TEST_NAMESPACE"

// The loopback interface of Linux takes no datagrams to groups of IPv6, and has no route for those
// of IPv4. So the test has a network of its own, by a user namespace, with a pair of interfaces that
// are wired to each other.
func TestTwoHearEachOtherOverIPv6AndOnTheInterfaceOfTheRoute(t *testing.T) {
	if os.Getenv(inNamespace) == "" {
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
		return
	}
	for _, args := range [][]string{
		{"link", "set", "lo", "up"},
		{"link", "add", "left", "type", "veth", "peer", "name", "right"},
		{"addr", "add", "fd77::1/64", "dev", "left", "nodad"},
		{"link", "set", "left", "up", "addrgenmode", "none"},
		{"link", "set", "right", "up"},
		{"addr", "add", "fe80::77/64", "dev", "left", "nodad"},
		{"addr", "add", "10.77.0.1/24", "dev", "left"},
		{"route", "add", "239.0.0.0/8", "dev", "left"},
		{"-6", "route", "add", "multicast", "ff15::/16", "dev", "left", "table", "local"},
	} {
		if out, err := exec.CommandContext(t.Context(), "ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v: %s (a missing ip comes with \"run make setup\")", args, err, out)
		}
	}
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
			Group: netip.AddrPortFrom(netip.MustParseAddr(c.group), freePort(t)), Interface: c.card,
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
