package access

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

func listsOf(t testing.TB, f Files) *Lists {
	t.Helper()
	c, err := Read(f)
	if err != nil {
		t.Fatal(err)
	}
	return NewLists(c, quiet)
}

// asClient is the announce of a client.
func asClient(id, agent string) *swarm.Announce {
	a := &swarm.Announce{Credentials: swarm.Credentials{Agent: agent}}
	copy(a.PeerID[:], id+strings.Repeat("x", 20))
	return a
}

func TestSmallestNetworkSaysWhetherAnAddressMayCome(t *testing.T) {
	for _, test := range []struct {
		name, allow, deny string
		may, mayNot       []string
	}{
		{"no lists", "-", "-", []string{"192.0.2.1", "::1"}, nil},
		{"deny alone", "-", "10.0.0.0/8\n2001:db8::/32 # all\n192.0.2.7\n", []string{"192.0.2.1", "2001:db9::1"}, []string{"10.1.2.3", "2001:db8::1", "192.0.2.7", "::ffff:10.0.0.1"}},
		{"an empty list of denied ones", "-", "# none yet\n", []string{"192.0.2.1", "::1"}, nil},
		{"allow alone", "10.0.0.0/8\n", "-", []string{"10.1.2.3", "::ffff:10.0.0.1"}, []string{"192.0.2.1", "2001:db8::1"}},
		{"exceptions from denied ones", "0.0.0.0/0\n::/0\n10.1.0.0/16\n", "10.0.0.0/8\n10.1.2.0/24\n", []string{"192.0.2.1", "2001:db8::1", "10.1.9.9"}, []string{"10.2.0.1", "10.1.2.3"}},
		{"mapped ones", "-", "\ufeff::ffff:10.0.0.0/104\r\n::ffff:192.0.2.1\n", []string{"11.0.0.1"}, []string{"10.0.0.1", "192.0.2.1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var f Files
			if test.allow != "-" {
				f.NetworksAllow = file(t, "allow", test.allow)
			}
			if test.deny != "-" {
				f.NetworksDeny = file(t, "deny", test.deny)
			}
			l := listsOf(t, f)
			for _, ip := range test.may {
				if err := l.Welcome(netip.MustParseAddr(ip)); err != nil {
					t.Errorf("%s: %v", ip, err)
				}
			}
			for _, ip := range test.mayNot {
				if err := l.Welcome(netip.MustParseAddr(ip)); !errors.Is(err, ErrNetwork) {
					t.Errorf("%s: %v", ip, err)
				}
			}
			if got := l.Figures(); got != (Figures{Networks: uint64(len(test.mayNot))}) {
				t.Errorf("figures %+v", got)
			}
		})
	}
}

func TestLongestBeginningSaysWhetherAClientMayAnnounce(t *testing.T) {
	type client struct{ id, agent string }
	for _, test := range []struct {
		name, allow, deny string
		may, mayNot       []client
	}{
		{"no lists", "-", "-", []client{{"-UT3500-", "uTorrent/3500"}, {"\x00", ""}}, nil},
		{"deny alone", "-", "-UT*\n-XL0012- # this one\n", []client{{"-TR2940-", ""}, {"-XL0013-", ""}, {"UT", ""}}, []client{{"-UT3500-", ""}, {"-XL0012-", "good/1"}}},
		{"allow alone", "-TR\n-qB45*\n", "-", []client{{"-TR2940-", "anything"}, {"-qB4520-", ""}}, []client{{"-qB4420-", ""}, {"M7-0-1--", ""}}},
		{"both", "-TR\n-UT35\n", "-UT\n-TR2\n-TR294\n", []client{{"-TR3000-", ""}, {"-UT3550-", ""}}, []client{{"-UT3400-", ""}, {"-TR2940-", ""}, {"-TR2000-", ""}, {"-qB4520-", ""}}},
		{
			"User-Agents", "-", "user-agent: uTorrent/2*\nUser-Agent:curl\n",
			[]client{{"-UT2210-", ""}, {"-UT3000-", "uTorrent/3"}, {"x", "uTorrent"}},
			[]client{{"-TR2940-", "uTorrent/2210(25110)"}, {"x", "curl/8"}},
		},
		{"allowed User-Agents", "User-Agent: Transmission/4\n", "-", []client{{"-TR4000-", "Transmission/4.0.5"}, {"x", ""}}, []client{{"-TR4000-", "Transmission/3.00"}, {"x", "c"}}},
		{"escaped", "-", "exbc%00%38LORD\n", []client{{"exbc\x00\x38lord", ""}}, []client{{"exbc\x008LORD", ""}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var f Files
			if test.allow != "-" {
				f.ClientsAllow = file(t, "allow", test.allow)
			}
			if test.deny != "-" {
				f.ClientsDeny = file(t, "deny", test.deny)
			}
			l := listsOf(t, f)
			for _, c := range test.may {
				if err := l.Enter(asClient(c.id, c.agent)); err != nil {
					t.Errorf("%q: %v", c, err)
				}
			}
			for _, c := range test.mayNot {
				a := asClient(c.id, c.agent)
				if err := l.Enter(a); !errors.Is(err, ErrClient) {
					t.Errorf("%q: %v", c, err)
				}
				if a.Event = bittorrent.EventStopped; l.Enter(a) != nil {
					t.Errorf("%q may not leave", c)
				}
			}
			if got := l.Figures(); got != (Figures{Clients: uint64(len(test.mayNot))}) {
				t.Errorf("figures %+v", got)
			}
		})
	}
}

func TestMistakeInAListIsNamedByKeyFileAndLineWithTheRemedy(t *testing.T) {
	for _, test := range []struct {
		key, text, want string
	}{
		{"networks_deny", "# x\n10.0.0.1/8\n", `:2: 10.0.0.1/8 has bits behind its prefix; write the network 10.0.0.0/8 or the address 10.0.0.1`},
		{"networks_deny", "ams1\n10.0.0.0/33\n", `:1: "ams1" is no network such as 10.1.2.0/24 or 2001:db8::/64, and no address`},
		{"networks_allow", "10.0.0.0/33\n", `:1: "10.0.0.0/33" is no network`},
		{"networks_allow", "# nobody\n", `it has nothing that is allowed, so nobody could announce; add a line, or take the key away`},
		{"networks_deny", "\n" + strings.Repeat("a", 5000), ":2: longer than 4096 bytes; is this such a list?"},
		{"clients_allow", "", "it has nothing that is allowed"},
		{"clients_deny", "uTorrent 3", `:1: "uTorrent 3" has a space; write what a peer id begins with, as -TR2940-, or User-Agent: and what that begins with`},
		{"clients_deny", "*", `:1: "*" is what any client begins with`},
		{"clients_deny", "User-Agent:", `:1: "" is what any client begins with`},
		{"clients_deny", "-U*T", `:1: "-U*T" has a star before its end`},
		{"clients_deny", "-U%0", `:1: "-U%0" has a % that is not followed by two hexadecimal digits`},
		{"clients_deny", strings.Repeat("a", 21), `is longer than a peer id, which has 20 bytes; for a User-Agent write User-Agent: before it`},
		{"clients_deny", "User-Agent: " + strings.Repeat("a", 65), `is longer than 64 bytes`},
	} {
		path := file(t, "list", test.text)
		f := map[string]Files{
			"networks_deny": {NetworksDeny: path}, "networks_allow": {NetworksAllow: path}, "clients_deny": {ClientsDeny: path}, "clients_allow": {ClientsAllow: path},
		}[test.key]
		if _, err := Read(f); err == nil || !strings.HasPrefix(err.Error(), "access."+test.key+": "+path) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s %.40q: %v, want %s", test.key, test.text, err, test.want)
		}
	}
	if _, err := Read(Files{ClientsDeny: "nowhere/at-all"}); err == nil || !strings.Contains(err.Error(), "access.clients_deny: open nowhere/at-all") {
		t.Errorf("a list that is not there: %v", err)
	}
	same := file(t, "same", "10.0.0.0/8\n")
	if _, err := Read(Files{NetworksAllow: same, NetworksDeny: same}); err == nil || !strings.Contains(err.Error(), ":1: 10.0.0.0/8 is allowed as well; take it from one of the lists") {
		t.Errorf("a network on both lists: %v", err)
	}
	clients := file(t, "clients", "-UT\n")
	if _, err := Read(Files{ClientsAllow: clients, ClientsDeny: clients}); err == nil || !strings.Contains(err.Error(), `"-UT" is allowed as well`) {
		t.Errorf("a client on both lists: %v", err)
	}
	many := file(t, "many", strings.Repeat("x y\n", 100))
	if _, err := Read(Files{ClientsDeny: many}); err == nil || strings.Count(err.Error(), "\n") != maxProblems-1 {
		t.Errorf("a file that is no list: %d lines of problems", strings.Count(err.Error(), "\n")+1)
	}
}

// watched is lists that are watched every so often, until the test ends.
func watched(t *testing.T, f Files) *Lists {
	l := listsOf(t, f)
	ctx, end := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { l.Watch(ctx, time.Millisecond) })
	t.Cleanup(func() { end(); group.Wait() })
	return l
}

func TestListsAreReadAgainWhenAFileChangesAndStayWhereItIsWrong(t *testing.T) {
	clients, networks := file(t, "clients", "-UT\n"), file(t, "networks", "10.0.0.0/8\n")
	l := watched(t, Files{ClientsDeny: clients, NetworksDeny: networks})
	refuses := func(ip string) bool { return l.Welcome(netip.MustParseAddr(ip)) != nil }
	write(t, networks, "192.0.2.0/24\n")
	until(t, "the new network is refused", func() bool { return refuses("192.0.2.1") && !refuses("10.0.0.1") })

	write(t, networks, "192.0.2.0/24\n198.51.100.0/24\nrubbish\n")
	write(t, clients, "-TR\n")
	time.Sleep(20 * time.Millisecond) // what must not be done would be done by then
	if refuses("198.51.100.1") || !refuses("192.0.2.1") || l.Enter(asClient("-TR2940-", "")) != nil {
		t.Error("a list with a mistake in it is in force, or what changed with it")
	}
	write(t, networks, "198.51.100.0/24\n")
	until(t, "the mended list is in force, and what changed with it", func() bool { return refuses("198.51.100.1") && l.Enter(asClient("-TR2940-", "")) != nil })

	if err := os.Remove(networks); err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond)
	if !refuses("198.51.100.1") {
		t.Error("a list ends with its file")
	}
	write(t, networks, "# nobody\n")
	until(t, "nobody is refused any more", func() bool { return !refuses("198.51.100.1") })
}

func TestListsThatArePutAreThoseThatAreWatched(t *testing.T) {
	one, two := file(t, "one", "10.0.0.0/8\n"), file(t, "two", "192.0.2.0/24\n")
	l := watched(t, Files{NetworksDeny: one})
	c, err := Read(Files{NetworksDeny: two})
	if err != nil {
		t.Fatal(err)
	}
	l.Put(c)
	if l.Welcome(netip.MustParseAddr("10.0.0.1")) != nil || l.Welcome(netip.MustParseAddr("192.0.2.1")) == nil {
		t.Error("the old lists are in force")
	}
	write(t, two, "198.51.100.0/24\n")
	until(t, "the second file is read again", func() bool { return l.Welcome(netip.MustParseAddr("198.51.100.1")) != nil })
}

func TestAskingListsAllocatesNothing(t *testing.T) {
	l := listsOf(t, Files{ClientsDeny: file(t, "c", "-UT\n-XL0012-\nUser-Agent: curl\n"), NetworksDeny: file(t, "n", someNetworks(1000))})
	a, ip := asClient("-TR2940-", "Transmission/4"), netip.MustParseAddr("192.0.2.1")
	bad, denied := asClient("-UT2940-", ""), netip.MustParseAddr("10.0.0.1")
	if n := testing.AllocsPerRun(100, func() {
		_ = errors.Join(l.Enter(a), l.Welcome(ip)) // of nothing, which allocates nothing
		_, _ = l.Enter(bad), l.Welcome(denied)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// someNetworks are as many, of different sizes.
func someNetworks(n int) string {
	var b strings.Builder
	for i := range n {
		if i%4 == 3 {
			fmt.Fprintf(&b, "2001:db8:%x::/48\n", i&0xffff)
		} else {
			fmt.Fprintf(&b, "10.%d.%d.0/%d\n", i>>8&255, i&255, 24)
		}
		if i >= 65536 {
			fmt.Fprintf(&b, "11.%d.%d.128/25\n", i>>8&255, i&255)
		}
	}
	return b.String()
}

// BenchmarkWelcome is the same, however many networks there are.
func BenchmarkWelcome(b *testing.B) {
	for _, n := range []int{100, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			l := listsOf(b, Files{NetworksDeny: file(b, "networks", someNetworks(n))})
			var asked [1024]netip.Addr
			for i := range asked {
				asked[i] = netip.AddrFrom4([4]byte{byte(9 + i%4), byte(i * 7), byte(i * 31), byte(i)})
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				_ = l.Welcome(asked[i%len(asked)])
			}
		})
	}
}

func FuzzReadNetworks(f *testing.F) {
	f.Add("10.0.0.0/8\n2001:db8::/32 # x\n192.0.2.1\n")
	f.Add("\xff/8\n::ffff:0:0/95\n0.0.0.0/0\nfe80::1%eth0/10")
	f.Fuzz(func(t *testing.T, text string) {
		path := file(t, "list", text)
		c, err := Read(Files{NetworksDeny: path})
		if err != nil {
			if !strings.HasPrefix(err.Error(), "access.networks_deny: ") || len(err.Error()) > maxProblems*(400+len(path)) {
				t.Errorf("%q", err)
			}
			return
		}
		for p := range c.networks.table.All() {
			if p != p.Masked() || c.networks.admit(p.Addr()) {
				t.Errorf("%v is on the list, and may come", p)
			}
		}
	})
}

func FuzzReadClients(f *testing.F) {
	f.Add("-UT*\nUser-Agent: curl\n%00%ff\n")
	f.Add("*\n%%\nuser-agent:*")
	f.Fuzz(func(t *testing.T, text string) {
		path := file(t, "list", text)
		c, err := Read(Files{ClientsDeny: path})
		if err != nil {
			if !strings.HasPrefix(err.Error(), "access.clients_deny: ") || len(err.Error()) > maxProblems*(400+len(path)) {
				t.Errorf("%q", err)
			}
			return
		}
		for begins := range c.clients.ids.says {
			if a := asClient(begins, ""); c.clients.admit(&a.PeerID, "") {
				t.Errorf("%q is on the list, and may announce", begins)
			}
		}
		for begins := range c.clients.agents.says {
			if a := asClient("-", begins+"x"); c.clients.admit(&a.PeerID, a.Credentials.Agent) {
				t.Errorf("User-Agent %q is on the list, and may announce", begins)
			}
		}
	})
}
