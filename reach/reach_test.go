package reach

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"waggle/bittorrent"
	"waggle/internal/freeport"
	"waggle/swarm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func announce(addr string) *swarm.Announce {
	a := netip.MustParseAddrPort(addr)
	out := &swarm.Announce{From: a.Addr(), Now: time.Now()}
	out.Port, out.InfoHash = a.Port(), bittorrent.InfoHash{1}
	return out
}

// network is what a checker connects to, in a test.
type network struct {
	answer func(conn net.Conn) // of those that take connections; nil: with the same handshake
	refuse error               // nil: they take them

	mu    sync.Mutex
	tries []string
	when  []time.Time
}

func (n *network) dial(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
	n.mu.Lock()
	n.tries, n.when = append(n.tries, addr.String()), append(n.when, time.Now())
	n.mu.Unlock()
	if n.refuse != nil {
		if errors.Is(n.refuse, context.DeadlineExceeded) {
			<-ctx.Done()
			return nil, &net.OpError{Op: "dial", Err: ctx.Err()}
		}
		return nil, &net.OpError{Op: "dial", Err: n.refuse}
	}
	here, there := net.Pipe()
	go func() {
		defer func() { _ = there.Close() }()
		if n.answer != nil {
			n.answer(there)
			return
		}
		echo(there)
	}()
	return here, nil
}

// echo answers a handshake with the same.
func echo(conn net.Conn) {
	b := make([]byte, handshakeSize)
	if _, err := io.ReadFull(conn, b); err == nil {
		_, _ = conn.Write(b)
	}
}

func (n *network) tried() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.tries)
}

// running has a checker run within a bubble, until the end of the test.
func running(t *testing.T, n *network, change func(*Options)) (c *Checker, stop func()) {
	t.Helper()
	o := Options{Settings: Settings{PerSecond: 100}, Addresses: 10_000, Dial: n.dial}
	if change != nil {
		change(&o)
	}
	c = New(o)
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { c.Run(ctx) })
	return c, func() {
		cancel()
		run.Wait()
	}
}

func TestPeerIsReachableWhereItAnswersTheHandshakeOfItsTorrent(t *testing.T) {
	other := append([]byte(protocol), make([]byte, 48)...)
	for name, c := range map[string]struct {
		n    *network
		want swarm.Reach
	}{
		"answers":         {&network{}, swarm.Reachable},
		"another torrent": {&network{answer: func(c net.Conn) { _, _ = io.ReadFull(c, make([]byte, handshakeSize)); _, _ = c.Write(other) }}, swarm.ReachUnknown},
		"hangs up":        {&network{answer: func(net.Conn) {}}, swarm.ReachUnknown},
		"silent":          {&network{answer: func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }}, swarm.ReachUnknown},
		"something else":  {&network{answer: func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }}, swarm.ReachUnknown},
		"refuses":         {&network{refuse: syscall.ECONNREFUSED}, swarm.Unreachable},
		"no way":          {&network{refuse: syscall.EHOSTUNREACH}, swarm.Unreachable},
		"nobody answers":  {&network{refuse: context.DeadlineExceeded}, swarm.Unreachable},
		"no way out here": {&network{refuse: syscall.ENETUNREACH}, swarm.ReachUnknown},
		"no room here":    {&network{refuse: syscall.EMFILE}, swarm.ReachUnknown},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := c.n
			checker, stop := running(t, n, nil)
			defer stop()
			const addr = "192.0.2.1:6881"
			if got := checker.Of(netip.MustParseAddrPort(addr)); got != swarm.ReachUnknown {
				t.Errorf("%s: before, %v", name, got)
			}
			checker.Announce(announce(addr))
			time.Sleep(5 * time.Second)
			if got := checker.Of(netip.MustParseAddrPort(addr)); got != c.want || n.tried() != 1 {
				t.Errorf("%s: %v after %d attempts, want %v", name, got, n.tried(), c.want)
			}
			f := checker.Figures()
			if f.Reached+f.Refused+f.Unclear != 1 || f.Reachable+f.Unreachable+f.Others != 1 || (f.Reached == 1) != (c.want == swarm.Reachable) || (f.Unreachable == 1) != (c.want == swarm.Unreachable) {
				t.Errorf("%s: %+v", name, f)
			}
		})
	}
}

func TestHandshakeIsNotSentWhereAStrangerCouldWriteLinesByIt(t *testing.T) {
	for _, at := range []int{0, 19} {
		for _, c := range []byte("\r\n") {
			synctest.Test(t, func(t *testing.T) {
				n := &network{answer: func(conn net.Conn) {
					if k, _ := conn.Read(make([]byte, 1)); k > 0 {
						t.Error("something was sent")
					}
				}}
				checker, stop := running(t, n, nil)
				a := announce("192.0.2.1:6881")
				a.InfoHash[at] = c
				checker.Announce(a)
				time.Sleep(time.Second)
				if checker.Of(a.Addr()) != swarm.Reachable {
					t.Error("a port that is open is none")
				}
				stop()
			})
		}
	}
}

func TestAddressIsTriedOnceInSomeHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good, bad := &network{}, &network{refuse: syscall.ECONNREFUSED}
		for n, want := range map[*network]time.Duration{good: againGood, bad: againBad} {
			checker, stop := running(t, n, nil)
			for range int(24 * time.Hour / time.Minute) {
				for hash := range 3 { // and three torrents
					a := announce("192.0.2.1:6881")
					a.InfoHash[0] = byte(hash)
					checker.Announce(a)
				}
				time.Sleep(time.Minute)
			}
			stop()
			if got, most := n.tried(), int(24*time.Hour/want); got != most {
				t.Errorf("%d attempts in a day, want %d", got, most)
			}
		}
	})
}

func TestAddressesThatAreNeverTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{}
		checker, stop := running(t, n, nil)
		for _, addr := range []string{
			"127.0.0.1:6881", "[::1]:6881", "0.0.0.0:6881", "224.0.0.1:6881", "169.254.0.1:6881", "[fe80::1]:6881", "[ff02::1]:6881", "255.255.255.255:6881",
			"192.0.2.1:80", "192.0.2.1:1023", "192.0.2.1:0",
		} {
			checker.Announce(announce(addr))
		}
		stopped, relayed := announce("192.0.2.1:6881"), announce("192.0.2.1:6881")
		stopped.Event, relayed.Relayed = bittorrent.EventStopped, time.Hour
		checker.Announce(stopped)
		checker.Announce(relayed)
		time.Sleep(time.Minute)
		if n.tried() != 0 {
			t.Errorf("%v were tried", n.tries)
		}
		checker.Apply(Settings{PerSecond: 100, Privileged: true})
		checker.Announce(announce("192.0.2.1:80"))
		time.Sleep(time.Minute)
		stop()
		if n.tried() != 1 {
			t.Errorf("%v were tried", n.tries)
		}
	})
}

// TestAttemptsAreSpread has a stranger name all his ports, those of a network all of their addresses, and others come from
// everywhere.
func TestAttemptsAreSpread(t *testing.T) {
	for name, c := range map[string]struct {
		addr func(i int) string
		most float64 // attempts a second
	}{
		"one address":      {func(i int) string { return "192.0.2.1:" + strconv.Itoa(1024+i) }, 1 / addressGap.Seconds()},
		"one address of 6": {func(i int) string { return fmt.Sprintf("[2001:db8::%x]:6881", i+1) }, 1 / addressGap.Seconds()},
		"one network":      {func(i int) string { return fmt.Sprintf("192.0.2.%d:%d", i%256, 1024+i) }, 1 / networkGap.Seconds()},
		"one network of 6": {func(i int) string { return fmt.Sprintf("[2001:db8:0:%x::1]:6881", i) }, 1 / networkGap.Seconds()},
		"everywhere":       {func(i int) string { return fmt.Sprintf("11.%d.%d.1:6881", i/256, i%256) }, 10},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := &network{refuse: syscall.ECONNREFUSED}
			checker, stop := running(t, n, func(o *Options) { o.PerSecond = 10 })
			const spell = 100 // seconds
			for s := range spell {
				for i := range 50 {
					checker.Announce(announce(c.addr(50*s + i)))
				}
				time.Sleep(time.Second)
			}
			time.Sleep(longest)
			stop()
			most := c.most * (spell + longest.Seconds())
			if got := float64(n.tried()); got > most+2 || got < 0.6*c.most*spell {
				t.Errorf("%s: %v attempts, want up to %v", name, got, most)
			}
			if f := checker.Figures(); int(f.Skipped)+n.tried() != 50*spell {
				t.Errorf("%s: %d of %d are accounted for", name, int(f.Skipped)+n.tried(), 50*spell)
			}
		})
	}
}

func TestNoMoreAddressesAreRememberedThanMayBe(t *testing.T) {
	table := newTable(1000)
	now := time.Unix(1_700_000_000, 0)
	at := func(i int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}), 6881)
	}
	for i := range 20_000 {
		table.claim(at(i), now.Add(time.Duration(i)*time.Second), time.Minute)
		table.set(at(i), swarm.Reachable, now.Add(time.Duration(i)*time.Second), time.Hour)
	}
	if n := table.count()[swarm.Reachable]; n > 1000 || n < 900 {
		t.Errorf("%d are remembered", n)
	}
	if table.of(at(19_999)) != swarm.Reachable || table.of(at(0)) != swarm.ReachUnknown {
		t.Error("the latest is forgotten, or the first is not")
	}
	table.set(at(0), swarm.Reachable, now, time.Hour)
	if table.of(at(0)) != swarm.ReachUnknown {
		t.Error("who was forgotten is remembered for an attempt that was under way")
	}
}

func TestClockThatWasAheadKeepsNobodyFromBeingTried(t *testing.T) {
	table, now := newTable(1000), time.Unix(1_700_000_000, 0)
	addr := netip.MustParseAddrPort("192.0.2.1:6881")
	ahead := now.Add(365 * 24 * time.Hour)
	if !table.claim(addr, ahead, 2*time.Minute) {
		t.Fatal("a newcomer is not tried")
	}
	table.set(addr, swarm.Unreachable, ahead, againBad)
	if table.claim(addr, ahead.Add(-time.Second), time.Minute) {
		t.Error("an announce that waited for a moment has it tried again")
	}
	if !table.claim(addr, now, time.Minute) {
		t.Error("it waits for the time that the clock once showed")
	}
	if table.claim(addr, now, time.Minute) {
		t.Error("it is tried twice")
	}
}

func TestAnnounceAllocatesNothing(t *testing.T) {
	c := New(Options{Settings: Settings{PerSecond: 1}, Addresses: 1000})
	a := announce("192.0.2.1:6881")
	if n := testing.AllocsPerRun(2*queue, func() {
		a.Port++
		c.Announce(a)
		c.Announce(a)
		c.Of(a.Addr())
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if len(c.queue) != queue || c.Figures().Skipped == 0 {
		t.Errorf("%d wait, %+v", len(c.queue), c.Figures())
	}
}

func TestEndCutsAttemptsShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, n := range []*network{{refuse: context.DeadlineExceeded}, {answer: func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }}} {
			c, stop := running(t, n, nil)
			c.Announce(announce("192.0.2.1:6881"))
			time.Sleep(100 * time.Millisecond)
			began := time.Now()
			stop()
			if took := time.Since(began); took != 0 || n.tried() != 1 {
				t.Errorf("%v, after %d attempts", took, n.tried())
			}
			if f := c.Figures(); f.Reached+f.Refused+f.Unclear != 0 {
				t.Errorf("%+v", f)
			}
		}
	})
}

// TestRealSockets tries one that listens, and one that does not any more.
func TestRealSockets(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			echo(conn)
			_ = conn.Close()
		}
	})
	c, stop := running(t, &network{}, func(o *Options) { o.Dial, o.Loopback = nil, true })
	for addr, want := range map[string]swarm.Reach{l.Addr().String(): swarm.Reachable, fmt.Sprintf("127.0.0.2:%d", freeport.For(t)): swarm.Unreachable} {
		a := announce(addr)
		c.Announce(a)
		for end := time.Now().Add(2 * time.Minute); c.Of(a.Addr()) != want; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: %v, want %v", addr, c.Of(a.Addr()), want)
			}
		}
	}
	stop()
	_ = l.Close()
	serving.Wait()
}

// FuzzHandshake has strangers answer anything.
func FuzzHandshake(f *testing.F) {
	h := bittorrent.InfoHash{1}
	good := append(append([]byte(protocol), make([]byte, 8)...), h[:]...)
	f.Add(append(good, make([]byte, 20)...))
	f.Add([]byte(protocol))
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if answers(b, &h) != (len(b) == 68 && string(b[:20]) == protocol && b[28] == 1 && string(b[29:48]) == string(make([]byte, 19))) {
			t.Errorf("%x", b)
		}
	})
}
