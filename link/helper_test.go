package link_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"waggle/bittorrent"
	"waggle/catalog"
	"waggle/link"
	"waggle/link/carrier"
	"waggle/store/memory"
	"waggle/swarm"
	"waggle/tracker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long anything may take.
const patience = 2 * time.Minute

// eventually waits until something is so.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(patience); !is(); {
		if time.Now().After(deadline) {
			t.Fatalf("%s: it did not come to that", what)
		}
		<-ticker.C
	}
}

// logged is a log that a test can read.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logged) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.b.String(), text)
}

// site is a tracker with its links.
type site struct {
	t       testing.TB
	name    string
	dir     string
	store   *memory.Store
	tracker *tracker.Tracker
	links   *link.Links
	log     *logged
	change  func(*link.Options)
	locator tracker.Locator
	gate    tracker.Gate
	details memory.Options
	life    time.Duration
}

// newSite returns a tracker that has a name and a folder, and does not run yet.
func newSite(t testing.TB, name string) *site {
	s := &site{t: t, name: name, dir: t.TempDir(), log: &logged{}, life: 45 * time.Minute, change: func(*link.Options) {}}
	s.details.Details = true
	t.Cleanup(s.stop)
	return s
}

// hub makes it listen.
func (s *site) hub() *site {
	change := s.change
	s.change = func(o *link.Options) { change(o); o.Listen = "127.0.0.1:0" }
	return s
}

func (s *site) with(change func(*link.Options)) *site {
	before := s.change
	s.change = func(o *link.Options) { before(o); change(o) }
	return s
}

// start begins a life, with what fill puts into the store before.
func (s *site) start(fill ...func(*memory.Store)) *site {
	s.t.Helper()
	intake := link.NewIntake(s.life)
	o := s.details
	o.Changed = intake.Changed
	s.store = memory.New(o)
	for _, f := range fill {
		f(s.store)
	}
	settings := tracker.Settings{Interval: s.life / 2, PeerLifetime: s.life, NumWant: 50, MaxNumWant: 50}
	if s.locator != nil {
		policy, err := swarm.NewPolicy("strict", 15*time.Second, 5*time.Minute)
		if err != nil {
			s.t.Fatal(err)
		}
		settings.Policies.Default = &policy
	}
	s.tracker = tracker.New(s.store, settings, tracker.Options{Locator: s.locator, Gate: s.gate})
	options := link.Options{
		Intake: intake, Store: memory.Shown{Store: s.store}, Tracker: s.tracker, Name: s.name, Directory: s.dir,
		Software: "waggle test", Log: slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	s.change(&options)
	links, err := link.Open(context.Background(), options)
	if err != nil {
		s.t.Fatal(err)
	}
	s.links = links
	return s
}

// stop ends the life.
func (s *site) stop() {
	if s.links == nil {
		return
	}
	if err := s.links.Close(); err != nil {
		s.t.Error(err)
	}
	_ = s.store.Close()
	s.links = nil
	if s.t.Failed() {
		s.t.Logf("%s:\n%s", s.name, s.log.b.String())
	}
}

var everything = carrier.Rights{Receive: true, Send: true}

// join makes a site the leaf of another.
func (s *site) join(hub *site, r carrier.Rights) {
	s.t.Helper()
	line, err := hub.links.Invite(s.name, r, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.links.Join(context.Background(), line); err != nil {
		s.t.Fatal(err)
	}
	s.await(link.Active, link.RoleHub)
}

// joined is join with everything.
func (s *site) joined(t *testing.T, hub *site) *site {
	t.Helper()
	s.join(hub, everything)
	return s
}

// await waits until the first link of a role is in a state.
func (s *site) await(state, role string) {
	s.t.Helper()
	eventually(s.t, s.name+" is "+state, func() bool {
		for _, l := range s.links.Show().Links {
			if l.Role == role && l.State == state {
				return true
			}
		}
		return false
	})
}

func hash(n int) (h bittorrent.InfoHash) {
	binary.BigEndian.PutUint64(h[:], uint64(n)*0x9e3779b97f4a7c15)
	binary.BigEndian.PutUint64(h[8:], uint64(n))
	return h
}

func addr(n int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{19, byte(n >> 16), byte(n >> 8), byte(n)}), 6881)
}

// announce has peer n of a torrent announce.
func (s *site) announce(torrent, n int, event bittorrent.Event, left int64) *swarm.Reply {
	s.t.Helper()
	return s.announceTo(hash(torrent), n, event, left)
}

func (s *site) announceTo(h bittorrent.InfoHash, n int, event bittorrent.Event, left int64) *swarm.Reply {
	s.t.Helper()
	a := swarm.Announce{From: addr(n).Addr(), Now: time.Now(), Families: swarm.IPv4}
	a.InfoHash, a.Port, a.NumWant, a.Event, a.Left = h, addr(n).Port(), 50, event, left
	binary.BigEndian.PutUint32(a.PeerID[:], uint32(n))
	ctx := context.Background()
	if !s.tracker.Locate(&a) {
		s.tracker.AwaitLocation(ctx, &a)
	}
	r := &swarm.Reply{}
	if err := s.tracker.Announce(ctx, &a, r); err != nil {
		s.t.Fatal(err)
	}
	return r
}

// peers returns the addresses that a store has of a torrent.
func (s *site) peers(torrent int) map[netip.AddrPort]swarm.Peer {
	all := map[netip.AddrPort]swarm.Peer{}
	s.store.Walk(hash(torrent), nil, func(some []swarm.Peer) bool {
		for _, p := range some {
			all[p.Addr] = p
		}
		return true
	})
	return all
}

func (s *site) counts(torrent int) bittorrent.ScrapeCounts {
	c, _ := s.store.Counts(hash(torrent))
	return c
}

// awaitPeers waits until a store has so many peers of a torrent.
func (s *site) awaitPeers(torrent, n int) {
	s.t.Helper()
	eventually(s.t, s.name+" has its peers", func() bool { return len(s.peers(torrent)) == n })
}

func newCatalog(t *testing.T) *catalog.Catalog {
	c, err := catalog.Open(context.Background(), catalog.Options{Store: catalog.NewMemory(64 << 20)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func removeState(t *testing.T, dir string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, "state")); err != nil {
		t.Fatal(err)
	}
}

func benchPair(b *testing.B) (hub, leaf *site) {
	b.Helper()
	hub, leaf = newSite(b, "hub1").hub().start(), newSite(b, "leaf1").start()
	leaf.join(hub, everything)
	return hub, leaf
}
