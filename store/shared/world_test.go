package shared_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"waggle/bittorrent"
	"waggle/locality"
	"waggle/roster"
	"waggle/store/shared"
	"waggle/store/shared/maptest"
	"waggle/swarm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var torrent = bittorrent.InfoHash{1, 2, 3}

// cluster is some trackers on one Map, and the peers that their store keeps.
type cluster struct {
	t        testing.TB
	m        *maptest.Memory
	tree     *locality.Tree
	policy   *swarm.Policy
	trackers []*shared.Replicas
	host     *hosting

	mu  sync.Mutex
	now time.Time
}

// fataler is a testing.TB or a rapid.T.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

func newCluster(t testing.TB, trackers int, profile string, levels ...string) *cluster {
	policy, err := swarm.NewPolicy(profile, 15*time.Second, 300*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := locality.NewTree(10_000, levels...)
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{
		t: t, m: &maptest.Memory{}, tree: tree, policy: &policy, host: &hosting{peers: map[netip.AddrPort]*kept{}},
		now: time.Unix(1_000_000, 0),
	}
	for range trackers {
		c.trackers = append(c.trackers, c.tracker())
	}
	return c
}

// tracker returns one more.
func (c *cluster) tracker() *shared.Replicas { return c.trackerWith(shared.Options{}) }

func (c *cluster) trackerWith(o shared.Options) *shared.Replicas {
	if o.Group == nil {
		o.Group = c.tree.Group
	}
	o.Seed, o.Now = [2]uint64{1, 2}, c.clock
	s := shared.New(c.m, c.host, o)
	if t, ok := c.t.(interface{ Cleanup(func()) }); ok {
		t.Cleanup(func() { _ = s.Close() })
	}
	return s
}

func (c *cluster) clock() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *cluster) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (c *cluster) at(path string) *locality.Group {
	if path == "" {
		return nil
	}
	g, err := c.tree.Group(path)
	if err != nil {
		panic(err)
	}
	return g
}

// hosting is the peers of a store.
type hosting struct {
	mu    sync.Mutex
	peers map[netip.AddrPort]*kept
	err   error // of Drop
}

type kept struct {
	addr netip.AddrPort
	id   bittorrent.PeerID
	kind swarm.Kind
	last time.Time
}

func (h *hosting) record(a *swarm.Announce) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if a.Event == bittorrent.EventStopped {
		delete(h.peers, a.Addr())
		return
	}
	h.peers[a.Addr()] = &kept{a.Addr(), a.PeerID, a.Kind(), a.Now}
}

func (h *hosting) Drop(_ context.Context, _ bittorrent.InfoHash, gone []shared.Gone) (dropped []netip.AddrPort, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil {
		return nil, h.err
	}
	for _, g := range gone {
		if p := h.peers[g.Addr]; p != nil && p.last.Unix() > g.Last.Unix() {
			continue
		}
		delete(h.peers, g.Addr)
		dropped = append(dropped, g.Addr)
	}
	return dropped, nil
}

func (h *hosting) has(addr netip.AddrPort) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.peers[addr] != nil
}

// view is the swarm as a store shows it.
type view [swarm.Groups][]*kept

func (h *hosting) view(asker netip.AddrPort) (*view, swarm.Position) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v, at := &view{}, swarm.Absent
	for _, p := range h.peers {
		g := swarm.Leechers4
		if p.kind != swarm.Leecher {
			g = swarm.Seeds4
		}
		v[g] = append(v[g], p)
	}
	for g := range v {
		slices.SortFunc(v[g], func(a, b *kept) int {
			if a.kind != b.kind {
				return int(a.kind) - int(b.kind)
			}
			return a.addr.Compare(b.addr)
		})
		if i := slices.IndexFunc(v[g], func(p *kept) bool { return p.addr == asker }); i >= 0 {
			at = swarm.Position{Group: swarm.Group(g), Index: i}
		}
	}
	return v, at
}

func (v *view) Len(g swarm.Group) int { return len(v[g]) }

func (v *view) Seeders(g swarm.Group) (n int) {
	for _, p := range v[g] {
		if p.kind == swarm.Seeder {
			n++
		}
	}
	return n
}

func (v *view) Append(g swarm.Group, picks []uint32, a *swarm.Announce, r *swarm.Reply) {
	for _, i := range picks {
		if p := v[g][i]; p.id != a.PeerID {
			r.Peers.Append(p.addr)
		}
	}
}

// peer is a client of a test.
type peer struct {
	addr                       netip.AddrPort
	path                       string // "": unlocated
	left, downloaded, uploaded int64
	partial                    bool
}

// GoString is short, in the draws of a random history.
func (p *peer) GoString() string { return p.addr.String() }

const fileSize = 1000

func leecher(n int, path string) *peer {
	return &peer{addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), 6881), path: path, left: fileSize}
}

func seeder(n int, path string) *peer {
	p := leecher(n, path)
	p.left = 0
	return p
}

func (p *peer) get(n int64) {
	n = min(n, p.left)
	p.left -= n
	p.downloaded += n
}

func (c *cluster) announceOf(p *peer) *swarm.Announce {
	a := &swarm.Announce{From: p.addr.Addr(), Now: c.clock(), Families: swarm.IPv4 | swarm.IPv6, Location: c.at(p.path)}
	a.InfoHash, a.Port, a.NumWant = torrent, p.addr.Port(), 50
	copy(a.PeerID[:], fmt.Sprintf("-XX0001-%v", p.addr))
	a.Left, a.Downloaded, a.Uploaded = p.left, p.downloaded, p.uploaded
	if a.Location != nil {
		a.Policy = c.policy
	}
	if p.partial {
		a.Event = bittorrent.EventPaused
	}
	return a
}

// try lets a peer announce to a tracker. Every other peer is recorded before the Map is
// asked, the others meanwhile.
func (c *cluster) try(s *shared.Replicas, a *swarm.Announce) (*swarm.Reply, error) {
	r := &swarm.Reply{}
	if a.From.As16()[15]&1 == 0 {
		return r, s.AnnounceWhile(context.Background(), a, r, c.recording(a))
	}
	v, at, err := c.recording(a)(context.Background())
	if err != nil {
		return nil, err
	}
	return r, s.Announce(context.Background(), a, r, v, at)
}

func (c *cluster) recording(a *swarm.Announce) func(context.Context) (swarm.View, swarm.Position, error) {
	return func(context.Context) (swarm.View, swarm.Position, error) {
		c.host.record(a)
		v, at := c.host.view(a.Addr())
		return v, at, nil
	}
}

// do lets a peer announce, and returns whom it is told of.
func (c *cluster) do(tracker int, p *peer) []netip.AddrPort {
	c.t.Helper()
	r, err := c.try(c.trackers[tracker], c.announceOf(p))
	if err != nil {
		c.t.Fatal(err)
	}
	return told(r)
}

func told(r *swarm.Reply) (addrs []netip.AddrPort) {
	for addr := range r.Peers.All() {
		addrs = append(addrs, addr)
	}
	return addrs
}

func (c *cluster) stop(tracker int, p *peer) {
	c.t.Helper()
	a := c.announceOf(p)
	a.Event = bittorrent.EventStopped
	if _, err := c.try(c.trackers[tracker], a); err != nil {
		c.t.Fatal(err)
	}
}

// members returns the members that a tracker has, by address.
func members(t fataler, s *shared.Replicas) map[netip.AddrPort]roster.Member {
	t.Helper()
	out := map[netip.AddrPort]roster.Member{}
	err := s.Members(context.Background(), torrent, func(some []roster.Member) bool {
		for _, m := range some {
			out[m.Addr] = m
		}
		return true
	})
	if err != nil {
		t.Fatalf("%v", err)
	}
	return out
}

func (c *cluster) place(tracker int, path string) roster.Place {
	c.t.Helper()
	places, err := c.trackers[tracker].Places(context.Background(), torrent)
	if err != nil {
		c.t.Fatal(err)
	}
	i := slices.IndexFunc(places, func(p roster.Place) bool { return p.Group.Path() == path })
	if i < 0 {
		c.t.Fatalf("%s is not among %+v", path, places)
	}
	return places[i]
}

// truthOf returns the members that follow from what the Map has.
func (c *cluster) truthOf(t fataler) map[netip.AddrPort]roster.Member {
	t.Helper()
	before, after := c.m.Before, c.m.After
	c.m.Before, c.m.After = nil, nil
	defer func() { c.m.Before, c.m.After = before, after }()
	s := shared.New(c.m, c.host, shared.Options{Group: c.tree.Group, Now: c.clock})
	defer func() { _ = s.Close() }()
	return members(t, s)
}
