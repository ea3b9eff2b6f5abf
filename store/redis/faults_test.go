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
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/store/redis"
	"waggle/swarm"
)

// load announces with many at once until it is ended.
type load struct {
	store   *redis.Store
	end     context.CancelFunc
	done    sync.WaitGroup
	good    atomic.Int64
	busy    atomic.Int64
	slowest atomic.Int64 // nanoseconds, of those that failed
	fault   atomic.Pointer[error]
}

// begin announces peers of 256 torrents, of each tag one.
func begin(s *redis.Store, atOnce int) *load {
	l := &load{store: s}
	ctx, cancel := context.WithCancel(context.Background())
	l.end = cancel
	for w := range atOnce {
		l.done.Go(func() {
			var r swarm.Reply
			for n := w; ctx.Err() == nil; n += atOnce {
				r.Reset()
				l.count(time.Now(), s.Announce(context.Background(), leecher(hash(byte(n), 1), n>>8%100), &r))
			}
		})
	}
	return l
}

func (l *load) count(began time.Time, err error) {
	switch {
	case err == nil:
		l.good.Add(1)
		return
	case !errors.Is(err, swarm.ErrBusy):
		l.fault.Store(&err)
	}
	l.busy.Add(1)
	took := int64(time.Since(began))
	for old := l.slowest.Load(); took > old && !l.slowest.CompareAndSwap(old, took); old = l.slowest.Load() {
	}
	runtime.Gosched()
}

func (l *load) stop(t *testing.T) {
	t.Helper()
	l.end()
	l.done.Wait()
	if err := l.fault.Load(); err != nil {
		t.Errorf("not ErrBusy: %v", *err)
	}
}

// goes waits until so many more announces were answered.
func (l *load) goes(t *testing.T, within time.Duration) {
	t.Helper()
	before := l.good.Load()
	eventually(t, within, "announces are answered", func() bool { return l.good.Load() > before+200 })
}

func (l *load) fails(t *testing.T, within time.Duration) {
	t.Helper()
	before := l.busy.Load()
	eventually(t, within, "announces are refused", func() bool { return l.busy.Load() > before+200 })
}

func TestRedisIsKilledUnderLoadAndComesBack(t *testing.T) {
	n, err := launch(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer n.stop()
	o := options(t, n.url(), "a")
	o.Timeout = time.Second
	s := opened(t, o)
	l := begin(s, 64)
	defer l.stop(t)
	l.goes(t, 5*time.Second)
	goroutines := runtime.NumGoroutine()
	for range 2 {
		n.stop()
		l.fails(t, 5*time.Second)
		if err := s.Healthy(); !errors.Is(err, swarm.ErrBusy) {
			t.Errorf("healthy: %v", err)
		}
		if more := runtime.NumGoroutine() - goroutines; more > 200 {
			t.Errorf("%d goroutines more", more)
		}
		if err := n.start(); err != nil {
			t.Fatal(err)
		}
		l.goes(t, 5*time.Second)
		eventually(t, time.Second, "the store is healthy", func() bool { return s.Healthy() == nil })
	}
	if slowest := time.Duration(l.slowest.Load()); slowest > 3*time.Second {
		t.Errorf("an announce was refused after %v", slowest)
	}
	if mark, err := n.cli("GET", "a:schema"); err != nil || mark != "waggle 1" {
		t.Errorf("the mark of an empty server that came back is %q, %v", mark, err)
	}
}

func TestRedisThatStandsStillShedsLoadAndGoesOn(t *testing.T) {
	n, err := launch(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer n.stop()
	o := options(t, n.url(), "a")
	o.Timeout, o.Pending = 500*time.Millisecond, 32
	s := opened(t, o)
	l := begin(s, 64)
	defer l.stop(t)
	l.goes(t, 5*time.Second)
	still(t, n, syscall.SIGSTOP)
	eventually(t, 5*time.Second, "the store notices", func() bool { return s.Healthy() != nil })
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
	l.goes(t, 5*time.Second)
	if slowest := time.Duration(l.slowest.Load()); slowest > 3*time.Second {
		t.Errorf("an announce was refused after %v", slowest)
	}
}

func TestImpatientCallersNoticeAServerThatStandsStillToo(t *testing.T) {
	n, err := launch(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer n.stop()
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
	eventually(t, 5*time.Second, "the store goes on", func() bool { return s.Healthy() == nil })
}

func TestServerThatComesBackWithKeysOfAnotherProgramIsNotWrittenTo(t *testing.T) {
	n, err := launch(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer n.stop()
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
	eventually(t, 5*time.Second, "the store says why", func() bool { return strings.Contains(s.Healthy().Error(), "newer waggle") })
	if out, err := n.cli("SET", "a:schema", "waggle 1"); err != nil {
		t.Fatal(out)
	}
	eventually(t, 5*time.Second, "the store goes on", func() bool { return s.Healthy() == nil })
}

func still(t *testing.T, n *node, signal os.Signal) {
	t.Helper()
	if err := n.cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
}

func TestClusterThatLosesAMasterFailsOver(t *testing.T) {
	nodes, err := launchCluster(t.TempDir(), 3, 1)
	defer stopAll(nodes)
	if err != nil {
		t.Fatal(err)
	}
	o := options(t, urlOf(nodes), "a")
	o.Timeout = time.Second
	s := opened(t, o)
	for tag := range 256 {
		do(t, s, seeder(hash(byte(tag), 2), tag))
	}
	for _, n := range nodes[:3] {
		if out, err := n.cli("WAIT", "1", "5000"); err != nil || out != "1" {
			t.Fatalf("no replica has it: %s, %v", out, err)
		}
	}
	l := begin(s, 64)
	l.goes(t, 5*time.Second)
	nodes[1].stop()
	eventually(t, 5*time.Second, "the store notices", func() bool { return s.Healthy() != nil })
	l.goes(t, 5*time.Second) // on other nodes, meanwhile
	eventually(t, 30*time.Second, "a replica takes over", func() bool {
		for tag := range 256 {
			if err := s.Announce(context.Background(), leecher(hash(byte(tag), 3), tag), new(swarm.Reply)); err != nil {
				return false
			}
		}
		return s.Healthy() == nil
	})
	l.stop(t)
	for tag := range 256 {
		wantCounts(t, s, hash(byte(tag), 2), bittorrent.ScrapeCounts{Complete: 1})
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
	old, err := launch(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer old.stop()
	next, err := launch(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer next.stop()
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
	eventually(t, 5*time.Second, "the store uses the new master", func() bool {
		return s.Announce(t.Context(), leecher(hash(1, 1), 2), new(swarm.Reply)) == nil && s.Healthy() == nil
	})
	if out, err := next.cli("EXISTS", "a:{01}:"+hash(1, 1).String()); err != nil || out != "1" {
		t.Errorf("%s, %v", out, err)
	}
}

// TestSlotIsMovedUnderLoad moves a torrent to another node, key by key, as redis-cli
// --cluster reshard does.
func TestSlotIsMovedUnderLoad(t *testing.T) {
	s := opened(t, options(t, urlOf(cluster), newPrefix()))
	h := hash(0x77, 1)
	for n := range 200 {
		do(t, s, leecher(h, n))
	}
	slot, err := cluster[0].cli("CLUSTER", "KEYSLOT", "{77}")
	if err != nil {
		t.Fatal(slot)
	}
	from, to := holderOf(t, slot)
	var all sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	busy, good := atomic.Int64{}, atomic.Int64{}
	for w := range 8 {
		all.Go(func() {
			for n := w; ctx.Err() == nil; n = (n + 8) % 400 {
				err := s.Announce(t.Context(), seeder(h, n), new(swarm.Reply))
				switch {
				case err == nil:
					good.Add(1)
				case errors.Is(err, swarm.ErrBusy):
					busy.Add(1)
				default:
					t.Error(err)
				}
			}
		})
	}
	eventually(t, 5*time.Second, "announces", func() bool { return good.Load() > 100 })
	moveSlot(t, slot, from, to, func() { eventually(t, 10*time.Second, "refusals", func() bool { return busy.Load() > 0 }) })
	before := good.Load()
	eventually(t, 10*time.Second, "announces again", func() bool { return good.Load() > before+1000 })
	cancel()
	all.Wait()
	seen := 0
	if _, err := s.Walk(t.Context(), h, nil, func(peers []swarm.Peer) bool {
		seen += len(peers)
		return true
	}); err != nil {
		t.Error(err)
	}
	for n := range 400 {
		do(t, s, seeder(h, n))
	}
	wantCounts(t, s, h, bittorrent.ScrapeCounts{Complete: 400})
	wantTotals(t, s, swarm.Totals{Torrents: 1, Peers: 400, Seeders: 400})
	if seen < 200 {
		t.Errorf("%d peers of 200 at least", seen)
	}
}

// holderOf returns the node that has a slot, and another one.
func holderOf(t *testing.T, slot string) (from, to *node) {
	t.Helper()
	for _, n := range cluster {
		if out, _ := n.cli("CLUSTER", "COUNTKEYSINSLOT", slot); out != "0" {
			from = n
		} else {
			to = n
		}
	}
	if from == nil || to == nil {
		t.Fatal("no node has the slot")
	}
	return from, to
}

func moveSlot(t *testing.T, slot string, from, to *node, halfway func()) {
	t.Helper()
	must := func(n *node, args ...string) string {
		out, err := n.cli(args...)
		if err != nil || strings.Contains(out, "ERR") {
			t.Fatalf("%q: %s", args, out)
		}
		return out
	}
	source, target := must(from, "CLUSTER", "MYID"), must(to, "CLUSTER", "MYID")
	must(to, "CLUSTER", "SETSLOT", slot, "IMPORTING", source)
	must(from, "CLUSTER", "SETSLOT", slot, "MIGRATING", target)
	for n := 0; ; n++ {
		key := must(from, "CLUSTER", "GETKEYSINSLOT", slot, "1")
		if key == "" {
			break
		}
		must(from, "MIGRATE", "127.0.0.1", fmt.Sprint(to.port), key, "0", "5000")
		if n == 1 {
			halfway()
		}
	}
	for _, n := range append([]*node{to, from}, cluster...) {
		must(n, "CLUSTER", "SETSLOT", slot, "NODE", target)
	}
}

func TestMemoryThatIsFullIsSaidAndRecoveredFrom(t *testing.T) {
	n, err := launch(t.TempDir(), "--maxmemory-policy", "noeviction")
	if err != nil {
		t.Fatal(err)
	}
	defer n.stop()
	s := opened(t, options(t, n.url(), "a"))
	do(t, s, leecher(hash(1, 1), 1))
	for _, limit := range []string{"1", "0"} {
		if out, err := n.cli("CONFIG", "SET", "maxmemory", limit); err != nil {
			t.Fatal(out)
		}
		if limit == "0" {
			eventually(t, 5*time.Second, "it recovers", func() bool { return s.Healthy() == nil })
			continue
		}
		err := s.Announce(context.Background(), leecher(hash(1, 1), 2), new(swarm.Reply))
		if !errors.Is(err, swarm.ErrBusy) || s.Healthy() == nil {
			t.Errorf("%v, %v", err, s.Healthy())
		}
	}
	do(t, s, leecher(hash(1, 1), 2))
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
	l.goes(t, 10*time.Second)
	l.fails(t, 10*time.Second)
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
		{"SET", key + ":l4", "short"},
		{"HSET", key + ":peers", "10.0.0.1:6881", "nothing"},
		{"HSET", key + ":peers", "nobody", "l4 1"},
	} {
		if out, err := alone.cli(wrong...); err != nil {
			t.Fatal(out)
		}
		_ = s.Announce(t.Context(), a, new(swarm.Reply))
		_, _, _ = s.Counts(t.Context(), a.InfoHash)
		_, _ = s.Walk(t.Context(), a.InfoHash, nil, func([]swarm.Peer) bool { return true })
		_, _ = s.Expire(t.Context(), now.Add(time.Hour))
		for _, suffix := range []string{"", ":peers", ":l4"} {
			if out, err := alone.cli("DEL", key+suffix); err != nil {
				t.Fatal(out)
			}
		}
	}
	if s.Healthy() != nil {
		t.Errorf("one bad key makes a server broken: %v", s.Healthy())
	}
}
