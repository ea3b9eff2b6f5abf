package roster

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"waggle/bittorrent"
	"waggle/locality"
	"waggle/swarm"
)

// world is a torrent's swarm as a store keeps it, and the roster of its located
// peers.
type world struct {
	roster   *Roster
	selector swarm.Selector
	policy   *swarm.Policy
	now      time.Time
	peers    [swarm.Groups][]peer
	reply    swarm.Reply
}

type peer struct {
	addr netip.AddrPort
	id   bittorrent.PeerID
	kind swarm.Kind
}

func newWorld(policy *swarm.Policy, budget *Budget) *world {
	w := &world{policy: policy, now: time.Unix(1_000_000, 0), selector: swarm.NewSelector(1, 2)}
	w.roster = New(&w.selector, 7, budget)
	return w
}

func mustPolicy(profile string) *swarm.Policy {
	p, err := swarm.NewPolicy(profile, 15*time.Second, 300*time.Second)
	if err != nil {
		panic(err)
	}
	return &p
}

// Len and Append make it a view.
func (w *world) Len(g swarm.Group) int { return len(w.peers[g]) }

// Seeders makes it a view.
func (w *world) Seeders(g swarm.Group) (n int) {
	for _, p := range w.peers[g] {
		if p.kind == swarm.Seeder {
			n++
		}
	}
	return n
}

func (w *world) Append(g swarm.Group, picks []uint32, a *swarm.Announce, r *swarm.Reply) {
	for _, i := range picks {
		if p := w.peers[g][i]; p.id != a.PeerID {
			r.Peers.Append(p.addr)
		}
	}
}

func (w *world) forget(addr netip.AddrPort) {
	for g := range w.peers {
		w.peers[g] = slices.DeleteFunc(w.peers[g], func(p peer) bool { return p.addr == addr })
	}
}

// announce puts a peer into the swarm and returns what it is told.
func (w *world) announce(a *swarm.Announce) []netip.AddrPort {
	a.Now, a.Policy = w.now, w.policy
	a.Families = swarm.IPv4 | swarm.IPv6
	w.forget(a.Addr())
	g := swarm.Seeds4
	if a.Kind() == swarm.Leecher {
		g = swarm.Leechers4
	}
	at := len(w.peers[g])
	if a.Kind() == swarm.Seeder {
		at = 0
	}
	w.peers[g] = slices.Insert(w.peers[g], at, peer{a.Addr(), a.PeerID, a.Kind()})
	w.reply.Reset()
	w.roster.Announce(w, swarm.Position{Group: g, Index: at}, a, &w.reply)
	var told []netip.AddrPort
	for addr := range w.reply.Peers.All() {
		told = append(told, addr)
	}
	return told
}

func (w *world) leave(addr netip.AddrPort) {
	w.forget(addr)
	w.roster.Remove(addr)
}

// silent returns those that are silent for too long at a time.
func (w *world) silent(now time.Time) []netip.AddrPort {
	gone, _ := w.roster.Silent(nil, now, 0, math.MaxInt)
	return gone
}

// tend forgets those that are silent for too long.
func (w *world) tend() (gone []netip.AddrPort) {
	gone = w.silent(w.now)
	for _, addr := range gone {
		w.leave(addr)
	}
	return gone
}

// host is a client of a test.
type host struct {
	addr       netip.AddrPort
	id         bittorrent.PeerID
	place      *locality.Group // nil: unlocated
	left       int64
	downloaded int64
	uploaded   int64
	partial    bool
	reach      swarm.Reach
}

// GoString is short, in the draws of a random history.
func (h *host) GoString() string { return h.addr.String() }

const fileSize = 1000

func newHost(n int, place *locality.Group) *host {
	h := &host{
		addr:  netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}), 6881),
		place: place, left: fileSize,
	}
	copy(h.id[:], fmt.Sprintf("-XX0001-%012d", n))
	return h
}

func newSeed(n int, place *locality.Group) *host {
	h := newHost(n, place)
	h.left = 0
	return h
}

func (h *host) announce() *swarm.Announce {
	a := &swarm.Announce{From: h.addr.Addr(), Location: h.place, Reach: h.reach}
	a.Port, a.PeerID, a.NumWant = h.addr.Port(), h.id, 50
	a.Left, a.Downloaded, a.Uploaded = h.left, h.downloaded, h.uploaded
	if h.partial {
		a.Event = bittorrent.EventPaused
	}
	return a
}

// get lets the host download n bytes more.
func (h *host) get(n int64) {
	n = min(n, h.left)
	h.left -= n
	h.downloaded += n
}

func mustTree(levels ...string) *locality.Tree {
	t, err := locality.NewTree(10_000, levels...)
	if err != nil {
		panic(err)
	}
	return t
}

func mustGroup(t *locality.Tree, path string) *locality.Group {
	g, err := t.Group(path)
	if err != nil {
		panic(err)
	}
	return g
}
