package redis_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/store/redis"
	"waggle/swarm"
)

// now is when the announces of these tests come in.
var now = time.Unix(1_800_000_000, 0)

func hash(first, n byte) bittorrent.InfoHash { return bittorrent.InfoHash{0: first, 19: n} }

// leecher returns the announce of peer n.
func leecher(h bittorrent.InfoHash, n int) *swarm.Announce {
	a := &swarm.Announce{From: netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), Now: now, Families: swarm.IPv4 | swarm.IPv6}
	a.InfoHash, a.Port, a.NumWant, a.Left, a.Key = h, 6881, 50, 1<<20, uint32(n)
	copy(a.PeerID[:], fmt.Sprintf("-WG0001-%012d", n))
	return a
}

func seeder(h bittorrent.InfoHash, n int) *swarm.Announce {
	a := leecher(h, n)
	a.Left = 0
	return a
}

func do(t testing.TB, s *redis.Store, a *swarm.Announce) *swarm.Reply {
	t.Helper()
	var r swarm.Reply
	if err := s.Announce(context.Background(), a, &r); err != nil {
		t.Fatal(err)
	}
	return &r
}

func wantCounts(t testing.TB, s *redis.Store, h bittorrent.InfoHash, want bittorrent.ScrapeCounts) {
	t.Helper()
	c, _, err := s.Counts(context.Background(), h)
	if err != nil || c != want {
		t.Errorf("%+v, %v, want %+v", c, err, want)
	}
}

func wantTotals(t testing.TB, s *redis.Store, want swarm.Totals) {
	t.Helper()
	if got, err := s.Totals(context.Background()); err != nil || got != want {
		t.Errorf("totals %+v, %v, want %+v", got, err, want)
	}
}

// patience is how long anything may take that is no promise and comes for sure: mostly
// milliseconds, and the rest is for machines that are busy with other tests.
const patience = 2 * time.Minute

// eventually waits for what nothing tells of.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(patience); !is(); <-ticker.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

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
func (l *load) goes(t *testing.T) {
	t.Helper()
	before := l.good.Load()
	eventually(t, "announces are answered", func() bool { return l.good.Load() > before+200 })
}

func (l *load) fails(t *testing.T) {
	t.Helper()
	before := l.busy.Load()
	eventually(t, "announces are refused", func() bool { return l.busy.Load() > before+200 })
}
