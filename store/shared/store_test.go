package shared_test

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/locality"
	"waggle/store/memory"
	"waggle/store/shared"
	"waggle/store/shared/maptest"
	"waggle/store/storetest"
	"waggle/swarm"
)

// store is a remote store in small: the memory store keeps the peers, and replicas
// decide about the located ones.
type store struct {
	swarm.Store
	*shared.Replicas

	mu    sync.Mutex
	views map[bittorrent.InfoHash]*hosting
}

func newStore(group func(string) (*locality.Group, error)) *store {
	s := &store{Store: memory.New(memory.Options{}), views: map[bittorrent.InfoHash]*hosting{}}
	s.Replicas = shared.New(&maptest.Memory{}, s, shared.Options{Group: group, Seed: [2]uint64{1, 2}})
	return s
}

func (s *store) view(h bittorrent.InfoHash) *hosting {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.views[h] == nil {
		s.views[h] = &hosting{peers: map[netip.AddrPort]*kept{}}
	}
	return s.views[h]
}

func (s *store) Announce(ctx context.Context, a *swarm.Announce, r *swarm.Reply) error {
	return s.AnnounceWhile(ctx, a, r, func(ctx context.Context) (swarm.View, swarm.Position, error) {
		host := s.view(a.InfoHash)
		host.record(a)
		kept := *a
		kept.Location, kept.Policy, kept.NumWant = nil, nil, 0
		if err := s.Store.Announce(ctx, &kept, r); err != nil {
			return nil, swarm.Absent, err
		}
		v, at := host.view(a.Addr())
		return v, at, nil
	})
}

// Drop makes it a Host.
func (s *store) Drop(ctx context.Context, h bittorrent.InfoHash, gone []shared.Gone) ([]netip.AddrPort, error) {
	dropped, err := s.view(h).Drop(ctx, h, gone)
	for _, addr := range dropped {
		a := &swarm.Announce{From: addr.Addr(), Now: time.Now()}
		a.InfoHash, a.Port, a.Event = h, addr.Port(), bittorrent.EventStopped
		if err := s.Store.Announce(ctx, a, &swarm.Reply{}); err != nil {
			return nil, err
		}
	}
	return dropped, err
}

func (s *store) Close() error {
	_ = s.Replicas.Close()
	return s.Store.Close()
}

func openStore(t *testing.T) swarm.Store {
	tree, err := locality.NewTree(1000, "rack")
	if err != nil {
		t.Fatal(err)
	}
	return newStore(tree.Group)
}

func TestStoreWithReplicasConforms(t *testing.T) { storetest.RunLocated(t, openStore) }

// TestValuesThatThisTrackerCannotReadAreLeftAlone is of one with other levels.
func TestValuesThatThisTrackerCannotReadAreLeftAlone(t *testing.T) {
	c := newCluster(t, 1, "strict", "rack")
	var log strings.Builder
	other, err := locality.NewTree(10, "row", "rack")
	if err != nil {
		t.Fatal(err)
	}
	s := c.trackerWith(shared.Options{Group: other.Group, Log: slog.New(slog.NewTextHandler(&log, nil))})
	origin, one, two := seeder(100, "r0"), leecher(1, "r1"), leecher(2, "r1")
	for _, p := range []*peer{origin, one, two} {
		c.do(0, p)
	}
	want := c.truthOf(t)
	stranger := c.announceOf(leecher(3, ""))
	for range 3 {
		if _, err := c.try(s, stranger); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(log.String(), "give all the same levels"); n != 1 {
		t.Errorf("%d lines in the log: %s", n, log.String())
	}
	if got := c.truthOf(t); !alike(got, want) {
		t.Errorf("from%s\nto%s", dump(want), dump(got))
	}
}

func TestNewerValueIsAnErrorThatIsNotAskedForAgainAtOnce(t *testing.T) {
	c := newCluster(t, 1, "strict", "rack")
	c.do(0, leecher(1, "r1"))
	newer := shared.Update{InfoHash: torrent, Announced: []shared.Entry{{Peer: leecher(2, "r1").addr, Value: []byte("2 says more")}}}
	if err := c.m.Update(t.Context(), &newer, &shared.Answer{}); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		before := c.trackers[0].Figures()
		_, err := c.try(c.trackers[0], c.announceOf(leecher(1, "r1")))
		if err == nil || !strings.Contains(err.Error(), "upgrade this tracker") {
			t.Errorf("%v", err)
		}
		if steps := c.trackers[0].Figures().Steps - before.Steps; i > 0 && steps > 0 {
			t.Errorf("%d steps", steps)
		}
	}
	newer.Announced[0].Value = nil
	if err := c.m.Update(t.Context(), &newer, &shared.Answer{}); err != nil {
		t.Fatal(err)
	}
	c.pass(11 * time.Second)
	c.do(0, leecher(1, "r1"))
}

func TestDamagedValuesAreLeftOutAndSaid(t *testing.T) {
	c := newCluster(t, 0, "strict", "rack")
	var log strings.Builder
	s := c.trackerWith(shared.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	damaged := shared.Update{InfoHash: torrent, Announced: []shared.Entry{{Peer: leecher(2, "r1").addr, Value: []byte("1 leecher")}}}
	if err := c.m.Update(t.Context(), &damaged, &shared.Answer{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.try(s, c.announceOf(leecher(1, "r1"))); err != nil {
		t.Fatal(err)
	}
	if all := members(t, s); len(all) != 1 || !strings.Contains(log.String(), "damaged") {
		t.Errorf("%d members; the log: %s", len(all), log.String())
	}
}
