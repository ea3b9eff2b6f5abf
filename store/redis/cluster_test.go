package redis_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// TestClusterThatIsPartlyLostGoesOnWithTheRest has no replicas: what was on the node
// that stands still is gone for as long as it does.
func TestClusterThatIsPartlyLostGoesOnWithTheRest(t *testing.T) {
	nodes, err := launchCluster(t.TempDir(), 3, 0, "--cluster-require-full-coverage", "no")
	defer stopAll(nodes)
	if err != nil {
		t.Fatal(err)
	}
	o := options(t, urlOf(nodes), "b") // whose marks are on the last node
	o.Timeout, o.MaxPeers = 500*time.Millisecond, 1000
	s := opened(t, o)
	for tag := range 256 {
		do(t, s, leecher(hash(byte(tag), 1), tag))
	}
	still(t, nodes[1], syscall.SIGSTOP)
	if _, err := s.Totals(t.Context()); !errors.Is(err, swarm.ErrBusy) {
		t.Errorf("totals without a third of the tags: %v", err)
	}
	lost, healthy := 0, bittorrent.InfoHash{}
	began := time.Now()
	for tag := range 256 {
		if err := s.Announce(t.Context(), leecher(hash(byte(tag), 2), tag), new(swarm.Reply)); err != nil {
			lost++
		} else {
			healthy = hash(byte(tag), 2)
		}
	}
	if took := time.Since(began); lost < 64 || lost > 107 || took > 2*time.Second {
		t.Errorf("%d of 256 tags are lost, which takes %v to find out", lost, took)
	}
	if n, err := s.Expire(t.Context(), now.Add(time.Hour)); n != 2*(256-lost) || !errors.Is(err, swarm.ErrBusy) {
		t.Errorf("%d peers of %d expire, %v", n, 2*(256-lost), err)
	}
	began = time.Now()
	another := opened(t, o)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("another tracker starts in %v", took)
	}
	do(t, another, leecher(healthy, 3))
	still(t, nodes[1], syscall.SIGCONT)
	eventually(t, "the node is back", func() bool { return s.Healthy() == nil })
	if n, err := s.Expire(t.Context(), now.Add(time.Hour)); n < lost || err != nil {
		t.Errorf("%d peers of %d expire, %v", n, lost, err)
	}
	wantTotals(t, s, swarm.Totals{})
}

// What a master says of its replica, and of itself.
var (
	replicated = regexp.MustCompile(`slave0:.*state=online,offset=(\d+)`)
	offset     = regexp.MustCompile(`master_repl_offset:(\d+)`)
)

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
		eventually(t, "its replica has all that a master has", func() bool { // WAIT would speak of what the command line itself has written
			out, err := n.cli("INFO", "replication")
			there, all := replicated.FindStringSubmatch(out), offset.FindStringSubmatch(out)
			return err == nil && there != nil && all != nil && there[1] == all[1]
		})
	}
	l := begin(s, 64)
	l.goes(t)
	nodes[1].stop()
	eventually(t, "the store notices", func() bool { return s.Healthy() != nil })
	l.goes(t) // on other nodes, meanwhile
	eventually(t, "a replica takes over", func() bool {
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
	eventually(t, "announces", func() bool { return good.Load() > 100 })
	moveSlot(t, slot, from, to, func() { eventually(t, "refusals", func() bool { return busy.Load() > 0 }) })
	before := good.Load()
	eventually(t, "announces again", func() bool { return good.Load() > before+1000 })
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
