package s3

import (
	"context"
	"errors"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/store/faraway"
	"waggle/swarm"
)

func TestNewcomersAreNotRecordedAtTheLimit(t *testing.T) {
	now := time.Now()
	b := newFake()
	other := b.store(Options{})
	defer func() { _ = other.Close() }()
	s := b.store(Options{MaxPeers: 3, Now: func() time.Time { return now }})
	defer func() { _ = s.Close() }()
	do(t, s, announced(1, 0))
	for n := range 2 {
		do(t, other, announced(1, 1+n))
	}
	now = now.Add(time.Minute)
	do(t, s, announced(1, 0)) // has them counted
	s.totals.Wait()
	if r := do(t, s, announced(1, 9)); r.Warning == "" || r.Incomplete != 3 || r.Peers.Len() != 3 {
		t.Errorf("%+v, want the 3 others and a warning", r)
	}
	if r := do(t, s, announced(1, 1)); r.Warning != "" || r.Peers.Len() != 2 {
		t.Errorf("one that is there: %+v", r)
	}
	do(t, s, stopped1(announced(1, 1)))
	now = now.Add(time.Minute)
	do(t, s, announced(1, 0))
	s.totals.Wait()
	if r := do(t, s, announced(1, 9)); r.Warning != "" {
		t.Errorf("when there is room: %q", r.Warning)
	}
}

func TestAtTheLimitCompletedDownloadsAreRestored(t *testing.T) {
	b := newFake()
	s := b.store(Options{MaxPeers: 3})
	defer func() { _ = s.Close() }()
	snapshot := swarm.Snapshot{InfoHash: bittorrent.InfoHash{7}, Downloaded: 4}
	for n := range 3 {
		snapshot.Peers = append(snapshot.Peers, swarm.Peer{Addr: announced(1, n).Addr(), Last: time.Now()})
	}
	if err := s.Restore(t.Context(), snapshot); err != nil {
		t.Fatal(err)
	}
	snapshot.InfoHash = bittorrent.InfoHash{8}
	if err := s.Restore(t.Context(), snapshot); !errors.Is(err, swarm.ErrFull) {
		t.Errorf("beyond the limit: %v", err)
	}
	if c, _, err := s.Counts(t.Context(), snapshot.InfoHash); err != nil || c != (bittorrent.ScrapeCounts{Downloaded: 4}) {
		t.Errorf("%+v, %v; want the completed downloads", c, err)
	}
}

// TestLimitHoldsWherePeersCannotBeCounted has lists fail, and writes not.
func TestLimitHoldsWherePeersCannotBeCounted(t *testing.T) {
	now := time.Now()
	b := newFake()
	b.turn = func(_ context.Context, verb, _ string) error {
		if verb == "list" {
			return errDamaged // which no attempt mends
		}
		return nil
	}
	s := b.store(Options{MaxPeers: 3, TotalsAge: time.Hour, Now: func() time.Time { return now }})
	defer func() { _ = s.Close() }()
	recorded := 0
	for n := range 20 {
		if do(t, s, announced(1, n)).Warning == "" {
			recorded++
		}
		s.totals.Wait()
		now = now.Add(time.Minute)
	}
	if recorded != 3 {
		t.Errorf("%d peers are recorded, of 3", recorded)
	}
	if n, err := s.Totals(t.Context()); !errors.Is(err, errDamaged) {
		t.Errorf("totals that were never counted: %+v, %v", n, err)
	}
}

func TestFarFromTheLimitPeersAreCountedEveryTenMinutes(t *testing.T) {
	now := time.Now()
	s := newFake().store(Options{MaxPeers: 1000, Now: func() time.Time { return now }})
	defer func() { _ = s.Close() }()
	for want := range uint64(3) {
		for n := range 50 {
			do(t, s, announced(1, n))
			s.totals.Wait()
			now = now.Add(faraway.LimitAge)
		}
		if f := s.Figures(); f.List != want+1 {
			t.Errorf("%d lists for %d announces, want %d", f.List, 50*(want+1), want)
		}
		now = now.Add(faraway.FarAge)
	}
}
