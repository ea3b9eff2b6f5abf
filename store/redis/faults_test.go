package redis_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

func TestRedisIsKilledUnderLoadAndComesBack(t *testing.T) {
	n := launched(t)
	o := options(t, n.url(), "a")
	o.Timeout = time.Second
	s := opened(t, o)
	seed, err := n.cli("GET", "a:seed")
	if err != nil || seed == "" {
		t.Fatal(seed, err)
	}
	l := begin(s, 64)
	defer l.stop(t)
	l.goes(t)
	goroutines := runtime.NumGoroutine()
	for range 2 {
		n.stop()
		l.fails(t)
		if err := s.Healthy(); !errors.Is(err, swarm.ErrBusy) {
			t.Errorf("healthy: %v", err)
		}
		if more := runtime.NumGoroutine() - goroutines; more > 200 {
			t.Errorf("%d goroutines more", more)
		}
		if err := n.start(); err != nil {
			t.Fatal(err)
		}
		l.goes(t)
		eventually(t, "the store is healthy", func() bool { return s.Healthy() == nil })
	}
	if slowest := time.Duration(l.slowest.Load()); slowest > 3*time.Second {
		t.Errorf("an announce was refused after %v", slowest)
	}
	if mark, err := n.cli("GET", "a:schema"); err != nil || mark != "waggle 1" {
		t.Errorf("the mark of an empty server that came back is %q, %v", mark, err)
	}
	if now, err := n.cli("GET", "a:seed"); err != nil || now != seed {
		t.Errorf("trackers that come later choose by %q, %v, and this one by %q", now, err, seed)
	}
}

func TestRedisThatStandsStillShedsLoadAndGoesOn(t *testing.T) {
	n := launched(t)
	o := options(t, n.url(), "a")
	o.Timeout, o.Pending = 500*time.Millisecond, 32
	s := opened(t, o)
	l := begin(s, 64)
	defer l.stop(t)
	l.goes(t)
	still(t, n, syscall.SIGSTOP)
	eventually(t, "the store notices", func() bool { return s.Healthy() != nil })
	began := time.Now()
	for range 1000 {
		if err := s.Announce(context.Background(), leecher(hash(1, 1), 1), new(swarm.Reply)); !errors.Is(err, swarm.ErrBusy) {
			t.Fatal(err)
		}
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("1,000 announces were refused in %v", took)
	}
	still(t, n, syscall.SIGCONT)
	l.goes(t)
	if slowest := time.Duration(l.slowest.Load()); slowest > 3*time.Second {
		t.Errorf("an announce was refused after %v", slowest)
	}
}

func TestImpatientCallersNoticeAServerThatStandsStillToo(t *testing.T) {
	n := launched(t)
	o := options(t, n.url(), "a")
	o.Timeout = 400 * time.Millisecond
	s := opened(t, o)
	still(t, n, syscall.SIGSTOP)
	for _, wait := range []time.Duration{50 * time.Millisecond, 300 * time.Millisecond} {
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		err := s.Announce(ctx, leecher(hash(1, 1), 1), new(swarm.Reply))
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after %v: %v", wait, err)
		}
		if broken := s.Healthy() != nil; broken != (wait > o.Timeout/2) {
			t.Errorf("after %v the server counts as broken: %v", wait, broken)
		}
	}
	still(t, n, syscall.SIGCONT)
	eventually(t, "the store goes on", func() bool { return s.Healthy() == nil })
}

func TestServerThatComesBackWithKeysOfAnotherProgramIsNotWrittenTo(t *testing.T) {
	n := launched(t)
	o := options(t, n.url(), "a")
	o.Timeout = 200 * time.Millisecond
	s := opened(t, o)
	if out, err := n.cli("SET", "a:schema", "waggle 99"); err != nil {
		t.Fatal(out)
	}
	still(t, n, syscall.SIGSTOP)
	if err := s.Announce(t.Context(), leecher(hash(1, 1), 1), new(swarm.Reply)); !errors.Is(err, swarm.ErrBusy) {
		t.Fatal(err)
	}
	still(t, n, syscall.SIGCONT)
	eventually(t, "the store says why", func() bool { return strings.Contains(s.Healthy().Error(), "newer waggle") })
	if out, err := n.cli("SET", "a:schema", "waggle 1"); err != nil {
		t.Fatal(out)
	}
	eventually(t, "the store goes on", func() bool { return s.Healthy() == nil })
}

func still(t *testing.T, n *node, signal os.Signal) {
	t.Helper()
	if err := n.cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
}

// switchboard forwards connections to the node that it names when they are made, as a
// load balancer before masters and replicas does.
func switchboard(t *testing.T, to *atomic.Pointer[node]) (address string, end func()) {
	t.Helper()
	return serve(t, func(in net.Conn) {
		out, err := net.Dial("tcp", to.Load().address())
		if err != nil {
			_ = in.Close()
			return
		}
		forward := func(a, b net.Conn) {
			_, _ = io.Copy(a, b)
			_ = a.Close()
			_ = b.Close()
		}
		go forward(in, out)
		go forward(out, in)
	})
}

func TestMasterThatBecomesAReplicaIsLeftForTheNewOne(t *testing.T) {
	old := launched(t)
	next := launched(t)
	var to atomic.Pointer[node]
	to.Store(old)
	at, end := switchboard(t, &to)
	defer end()
	s := opened(t, options(t, "redis://"+at, "a"))
	do(t, s, leecher(hash(1, 1), 1))
	to.Store(next)
	if out, err := old.cli("REPLICAOF", "127.0.0.1", fmt.Sprint(next.port)); err != nil {
		t.Fatal(out)
	}
	eventually(t, "the store uses the new master", func() bool {
		return s.Announce(t.Context(), leecher(hash(1, 1), 2), new(swarm.Reply)) == nil && s.Healthy() == nil
	})
	if out, err := next.cli("EXISTS", "a:{01}:"+hash(1, 1).String()); err != nil || out != "1" {
		t.Errorf("%s, %v", out, err)
	}
}

// TestMemoryThatIsFullIsSaidAndPeersLeave shows that what makes room goes on meanwhile.
func TestMemoryThatIsFullIsSaidAndPeersLeave(t *testing.T) {
	n := launched(t, "--maxmemory-policy", "noeviction")
	s := opened(t, options(t, n.url(), "a"))
	for i := range 9 {
		do(t, s, leecher(hash(1, 1), i))
	}
	late := leecher(hash(1, 1), 0) // expiry looks at it first, and keeps it
	late.Now = now.Add(time.Hour)
	do(t, s, late)
	limit := func(bytes string) {
		if out, err := n.cli("CONFIG", "SET", "maxmemory", bytes); err != nil {
			t.Fatal(out)
		}
	}
	limit("1")
	began := time.Now()
	for range 50 {
		if err := s.Announce(t.Context(), leecher(hash(1, 1), 10), new(swarm.Reply)); !errors.Is(err, swarm.ErrBusy) {
			t.Fatal(err)
		}
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("50 announces were refused in %v", took)
	}
	if err := s.Healthy(); err == nil || !strings.Contains(err.Error(), "memory is full") {
		t.Errorf("healthy: %v", err)
	}
	wantCounts(t, s, hash(1, 1), bittorrent.ScrapeCounts{Incomplete: 9, Downloaders: 9})
	stop := leecher(hash(1, 1), 1)
	stop.Event = bittorrent.EventStopped
	do(t, s, stop)
	if n, err := s.Expire(t.Context(), now.Add(time.Minute)); err != nil || n != 7 {
		t.Errorf("%d of 7 expire, %v", n, err)
	}
	if s.Healthy() == nil {
		t.Error("what makes room does not make it")
	}
	limit("0")
	eventually(t, "it recovers", func() bool { return s.Healthy() == nil })
	do(t, s, leecher(hash(1, 1), 2))
	wantTotals(t, s, swarm.Totals{Torrents: 1, Peers: 2})
}

// TestServerThatWantsAnotherPasswordNow shows that connections are not tried for each
// announce.
func TestServerThatWantsAnotherPasswordNowIsBroken(t *testing.T) {
	n := launched(t)
	s := opened(t, options(t, n.url(), "a"))
	do(t, s, leecher(hash(1, 1), 1))
	if out, err := n.cli("CONFIG", "SET", "requirepass", "secret"); err != nil {
		t.Fatal(out)
	}
	if out, err := n.cli("-a", "secret", "CLIENT", "KILL", "TYPE", "normal"); err != nil {
		t.Fatal(out)
	}
	for range 100 {
		if err := s.Announce(t.Context(), leecher(hash(1, 1), 1), new(swarm.Reply)); !errors.Is(err, swarm.ErrBusy) {
			t.Fatal(err)
		}
	}
	if err := s.Healthy(); err == nil || !strings.Contains(err.Error(), "password") {
		t.Errorf("healthy: %v", err)
	}
	if out, err := n.cli("-a", "secret", "CONFIG", "SET", "requirepass", ""); err != nil {
		t.Fatal(out)
	}
	eventually(t, "the store goes on", func() bool { return s.Healthy() == nil })
	do(t, s, leecher(hash(1, 1), 1))
}

func TestScriptsThatAreForgottenAreLoadedAgain(t *testing.T) {
	s := opened(t, options(t, alone.url(), newPrefix()))
	for n := range 3 {
		do(t, s, leecher(hash(1, 1), n))
		if out, err := alone.cli("SCRIPT", "FLUSH"); err != nil {
			t.Fatal(out)
		}
	}
	wantCounts(t, s, hash(1, 1), bittorrent.ScrapeCounts{Incomplete: 3, Downloaders: 3})
}

func TestMoreThanMayWaitAreRefusedAtOnce(t *testing.T) {
	o := options(t, alone.url(), newPrefix())
	o.Pending = 4
	s := opened(t, o)
	l := begin(s, 64)
	l.goes(t)
	l.fails(t)
	l.stop(t)
	if s.Healthy() != nil {
		t.Errorf("too many at once make a server broken: %v", s.Healthy())
	}
}

func TestAnnounceOfOneWhoIsGoneEnds(t *testing.T) {
	s := opened(t, options(t, alone.url(), newPrefix()))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Announce(ctx, leecher(hash(1, 1), 1), new(swarm.Reply)); !errors.Is(err, context.Canceled) || s.Healthy() != nil {
		t.Errorf("%v, %v", err, s.Healthy())
	}
}

func TestKeysThatOthersWroteIntoAreAnErrorAndNoCrash(t *testing.T) {
	prefix := newPrefix()
	s := opened(t, options(t, alone.url(), prefix))
	a := leecher(hash(0xab, 1), 1)
	key := fmt.Sprintf("%s:{ab}:%s", prefix, a.InfoHash)
	for _, wrong := range [][]string{
		{"SET", key, "text"},
		{"HSET", key, "l4", "x"},
		{"HSET", key, "parts", "3"},
		{"HSET", key, "parts", "1000000"},
		{"HSET", key + ":peers", "10.0.0.1:6881", "nothing"},
	} {
		if out, err := alone.cli(wrong...); err != nil {
			t.Fatal(out)
		}
		if err := s.Announce(t.Context(), a, new(swarm.Reply)); err == nil || errors.Is(err, swarm.ErrBusy) {
			t.Errorf("%q: an announce is answered: %v", wrong, err)
		}
		_, _, counted := s.Counts(t.Context(), a.InfoHash)
		_, walked := s.Walk(t.Context(), a.InfoHash, nil, func([]swarm.Peer) bool { return true })
		if counted == nil && walked == nil {
			t.Errorf("%q: peers are counted and shown", wrong)
		}
		if out, err := alone.cli("DEL", key, key+":peers", key+":l4"); err != nil {
			t.Fatal(out)
		}
	}
	if s.Healthy() != nil {
		t.Errorf("one bad key makes a server broken: %v", s.Healthy())
	}
}

func TestPeerThatCannotBeReadKeepsNobodyElseFromExpiring(t *testing.T) {
	prefix := newPrefix()
	s := opened(t, options(t, alone.url(), prefix))
	for tag := range 3 {
		do(t, s, leecher(hash(byte(tag), 1), 1))
	}
	if out, err := alone.cli("HSET", fmt.Sprintf("%s:{01}:%s:peers", prefix, hash(1, 1)), "10.0.0.1:6881", "nothing"); err != nil {
		t.Fatal(out)
	}
	if n, err := s.Expire(t.Context(), now.Add(time.Hour)); n != 2 || err == nil {
		t.Errorf("%d of 2 others expire, %v", n, err)
	}
}
