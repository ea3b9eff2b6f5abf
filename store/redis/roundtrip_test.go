package redis_test

import (
	"bytes"
	"net"
	"sync"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/locality"
	"waggle/store/redis"
	"waggle/swarm"
)

// gate is a way to a server that counts script calls, and keeps answers back until as
// many have come as are needed.
type gate struct {
	mu    sync.Mutex
	more  *sync.Cond
	calls int
	need  int
}

// through returns an address that leads to a node through a gate.
func through(t *testing.T, n *node) (g *gate, address string) {
	t.Helper()
	g = &gate{}
	g.more = sync.NewCond(&g.mu)
	address, end := serve(t, func(in net.Conn) {
		out, err := net.Dial("tcp", n.address())
		if err != nil {
			_ = in.Close()
			return
		}
		go g.forward(in, out, g.count)
		go g.forward(out, in, func([]byte) { g.wait() })
	})
	t.Cleanup(func() { g.close(0); end() })
	return g, address
}

func (g *gate) forward(from, to net.Conn, before func([]byte)) {
	defer func() { _, _ = from.Close(), to.Close() }()
	buf := make([]byte, 1<<16)
	for {
		n, err := from.Read(buf)
		before(buf[:n])
		if _, err2 := to.Write(buf[:n]); err != nil || err2 != nil {
			return
		}
	}
}

// count counts calls. Commands of these tests come whole: each is smaller than what the
// client writes at once.
func (g *gate) count(p []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls += bytes.Count(p, []byte("\r\nEVALSHA\r\n"))
	g.more.Broadcast()
}

func (g *gate) wait() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.calls < g.need {
		g.more.Wait()
	}
}

// close keeps all answers back until as many calls have come.
func (g *gate) close(need int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls, g.need = 0, need
	g.more.Broadcast()
}

func (g *gate) seen() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.calls
}

// located makes an announce that of a peer in a rack.
func located(t testing.TB, o *redis.Options, rack string, a *swarm.Announce) *swarm.Announce {
	t.Helper()
	policy, err := swarm.NewPolicy("strict", 15*time.Second, 5*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	a.Location, a.Policy = mustGroup(t, o, rack), &policy
	return a
}

func mustGroup(t testing.TB, o *redis.Options, rack string) *locality.Group {
	t.Helper()
	g, err := o.Group(rack)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestAnnounceOfALocatedPeerIsOneRoundTrip keeps the answer to what is asked first back
// until the rest has been asked.
func TestAnnounceOfALocatedPeerIsOneRoundTrip(t *testing.T) {
	g, address := through(t, alone)
	o := options(t, "redis://"+address, newPrefix())
	s, h := opened(t, o), hash(1, 1)
	do(t, s, located(t, &o, "r0", seeder(h, 100)))
	first := located(t, &o, "r1", leecher(h, 1))
	do(t, s, first) // it is told to import
	do(t, s, located(t, &o, "r1", leecher(h, 2)))
	stranger := leecher(h, 3)
	do(t, s, stranger)

	later := func(a *swarm.Announce) *swarm.Announce {
		a.Now = a.Now.Add(15 * time.Second)
		return a
	}
	stop := located(t, &o, "r1", leecher(h, 4))
	do(t, s, stop)
	stop.Event = bittorrent.EventStopped
	for _, c := range []struct {
		what        string
		a           *swarm.Announce
		first, then int // calls of the first round trip, and of others
	}{
		{"announce of an importer", later(first), 2, 0},
		{"announce of one that stays in its rack", later(located(t, &o, "r1", leecher(h, 2))), 2, 0},
		{"announce of an unlocated peer of the swarm", later(stranger), 2, 0},
		{"stop of one that stays in its rack", stop, 2, 0},
		{"first announce that changes roles", located(t, &o, "r2", leecher(h, 5)), 2, 1},
	} {
		g.close(c.first)
		if err := s.Announce(t.Context(), c.a, new(swarm.Reply)); err != nil {
			t.Fatalf("%s: %v, after %d calls", c.what, err, g.seen())
		}
		if got := g.seen(); got != c.first+c.then {
			t.Errorf("%s: %d calls, want %d", c.what, got, c.first+c.then)
		}
		g.close(0)
	}
}

// TestAnnounceThatCouldNotBeRecordedLeavesNothingBehind lets the record of a torrent's
// only peer fail, of which the map learns.
func TestAnnounceThatCouldNotBeRecordedLeavesNothingBehind(t *testing.T) {
	o := options(t, alone.url(), newPrefix())
	s, h := opened(t, o), hash(1, 1)
	key := o.Prefix + ":{01}:" + h.String()
	if out, err := alone.cli("SET", key+":peers", "is no hash"); err != nil {
		t.Fatal(out)
	}
	a := located(t, &o, "r1", leecher(h, 1))
	a.Now = time.Now()
	eventually(t, "the map learns of it", func() bool { // it need not, where the record fails first
		if err := s.Announce(t.Context(), a, new(swarm.Reply)); err == nil {
			t.Fatal("it was recorded")
		}
		out, err := alone.cli("HEXISTS", key+":said", "10.0.0.1:6881")
		return err == nil && out == "1"
	})
	if out, err := alone.cli("DEL", key+":peers"); err != nil {
		t.Fatal(out)
	}
	if n, err := s.Expire(t.Context(), time.Now().Add(time.Hour)); err != nil || n != 0 {
		t.Errorf("%d expired, %v", n, err)
	}
	if out, err := alone.cli("EXISTS", key+":said", key+":roles", o.Prefix+":{01}:seen"); err != nil || out != "0" {
		t.Errorf("%s keys are left, %v", out, err)
	}
	if out, err := alone.cli("TTL", key+":located"); err != nil || out == "-1" {
		t.Errorf("what numbers the steps stays for ever: %s, %v", out, err)
	}
}
