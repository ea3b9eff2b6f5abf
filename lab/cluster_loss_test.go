//go:build lab

package lab

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// lose has some of the packets that come from instances, and of those that go to them, be
// lost: each of both with a chance of so many in a hundred. It returns what ends that, and
// says how many were lost.
func (l *lan) lose(t *testing.T, percent int) (end func() string) {
	t.Helper()
	fabric := l.rig.name + "-fabric"
	tables := func(args ...string) string {
		t.Helper()
		argv := enter(fabric, append([]string{"iptables"}, args...)...)
		out, err := exec.CommandContext(t.Context(), argv[0], argv[1:]...).CombinedOutput()
		if err != nil {
			t.Fatalf("iptables %v: %v: %s", args, err, out)
		}
		return string(out)
	}
	chance := fmt.Sprintf("-m statistic --mode random --probability %.2f -j DROP", float64(percent)/100)
	for _, in := range l.instances {
		port := portOf(in.host)
		tables(strings.Fields("-t mangle -A PREROUTING -m physdev --physdev-in " + port + " " + chance)...)
		tables(strings.Fields("-t mangle -A FORWARD -m physdev --physdev-is-bridged --physdev-out " + port + " " + chance)...)
	}
	l.patience = 4 * agreeWithin
	return func() string {
		t.Helper()
		l.patience = agreeWithin
		lost := dropped(tables("-t", "mangle", "-L", "-v", "-n", "-x"))
		if lost == 0 {
			t.Error("no packet was lost: this kernel has bridges pass iptables by (br_netfilter)")
		}
		tables("-t", "mangle", "-F")
		return fmt.Sprintf("%d packets were lost", lost)
	}
}

// dropped returns how many packets the rules of a list have dropped.
func dropped(list string) (sum int) {
	for line := range strings.Lines(list) {
		if fields := strings.Fields(line); len(fields) > 2 && fields[2] == "DROP" {
			n, _ := strconv.Atoi(fields[0])
			sum += n
		}
	}
	return sum
}
