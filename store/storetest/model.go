package storetest

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"waggle/bittorrent"
	"waggle/swarm"
)

// model is a store so simple that it is right at sight.
type model map[bittorrent.InfoHash]*modelTorrent

type modelTorrent struct {
	downloaded uint32
	peers      map[netip.AddrPort]modelPeer
}

type modelPeer struct {
	id   bittorrent.PeerID
	kind swarm.Kind
	last time.Time
}

func (m model) announce(a *swarm.Announce) {
	t := m[a.InfoHash]
	if t == nil {
		t = &modelTorrent{peers: map[netip.AddrPort]modelPeer{}}
		m[a.InfoHash] = t
	}
	if a.Event == bittorrent.EventStopped {
		delete(t.peers, a.Addr())
		m.forgetEmpty()
		return
	}
	was, known := t.peers[a.Addr()]
	if a.Event == bittorrent.EventCompleted && a.Left == 0 && (!known || was.kind != swarm.Seeder) {
		t.downloaded++
	}
	t.peers[a.Addr()] = modelPeer{id: a.PeerID, kind: a.Kind(), last: a.Now}
}

func (m model) expire(before time.Time) (n int) {
	for _, t := range m {
		for addr, p := range t.peers {
			if p.last.Before(before) {
				delete(t.peers, addr)
				n++
			}
		}
	}
	m.forgetEmpty()
	return n
}

func (m model) forgetEmpty() {
	for h, t := range m {
		if len(t.peers) == 0 && t.downloaded == 0 {
			delete(m, h)
		}
	}
}

func (m model) counts(h bittorrent.InfoHash) (c bittorrent.ScrapeCounts) {
	t := m[h]
	if t == nil {
		return c
	}
	c.Downloaded = t.downloaded
	for _, p := range t.peers {
		switch p.kind {
		case swarm.Seeder:
			c.Complete++
		case swarm.PartialSeed:
			c.Incomplete++
		default:
			c.Incomplete++
			c.Downloaders++
		}
	}
	return c
}

func (m model) totals() (n swarm.Totals) {
	for _, t := range m {
		n.Torrents++
		n.Peers += len(t.peers)
		for _, p := range t.peers {
			if p.kind == swarm.Seeder {
				n.Seeders++
			}
		}
	}
	return n
}

// eligible returns whom the asker may be told of.
func (m model) eligible(a *swarm.Announce) map[netip.AddrPort]bool {
	out := map[netip.AddrPort]bool{}
	if m[a.InfoHash] == nil || a.Event == bittorrent.EventStopped {
		return out
	}
	for addr, p := range m[a.InfoHash].peers {
		self := addr == a.Addr() || p.id == a.PeerID
		useless := a.Kind() != swarm.Leecher && p.kind != swarm.Leecher
		if !self && !useless && a.Families&swarm.FamilyOf(addr.Addr()) != 0 {
			out[addr] = true
		}
	}
	return out
}

// randomHistories draws announces, stops, completions and silences of a few
// peers over a few torrents, and compares the store with the model after each.
func randomHistories(t *testing.T, open Open) {
	rapid.Check(t, func(rt *rapid.T) {
		h := &history{store: open(t), model: model{}, now: start}
		defer closeStore(t, h.store)
		rt.Repeat(map[string]func(*rapid.T){
			"announce": h.announce,
			"expire":   h.expire,
			"":         h.check,
		})
	})
}

type history struct {
	store swarm.Store
	model model
	now   time.Time
}

func (h *history) announce(rt *rapid.T) {
	a := announce(hash(rapid.Byte().Filter(func(b byte) bool { return b < 3 }).Draw(rt, "torrent")), rapid.IntRange(1, 80).Draw(rt, "peer"))
	a.Left = rapid.SampledFrom([]int64{0, 0, 1, 1 << 30, bittorrent.LeftUnknown}).Draw(rt, "left")
	a.Event = bittorrent.Event(rapid.IntRange(0, 4).Draw(rt, "event"))
	a.NumWant = rapid.SampledFrom([]int32{0, 1, 5, 30, 200}).Draw(rt, "numwant")
	a.Families = swarm.Families(rapid.IntRange(1, 3).Draw(rt, "families"))
	if rapid.Bool().Draw(rt, "v6") {
		onIPv6(a)
	}
	h.now = h.now.Add(time.Duration(rapid.IntRange(0, 30).Draw(rt, "seconds")) * time.Second)
	a.Now = h.now

	var r swarm.Reply
	if err := h.store.Announce(context.Background(), a, &r); err != nil {
		rt.Fatalf("Announce: %v", err)
	}
	h.model.announce(a)
	h.checkReply(rt, a, &r)
}

func (h *history) checkReply(rt *rapid.T, a *swarm.Announce, r *swarm.Reply) {
	eligible := h.model.eligible(a)
	for addr := range r.Peers.All() {
		if !eligible[addr] {
			rt.Fatalf("%v was told of %v, twice or wrongly", a.Addr(), addr)
		}
		delete(eligible, addr)
	}
	// The asker's twin on the other family may have been drawn and left out.
	missing := min(int(a.NumWant), r.Peers.Len()+len(eligible)) - r.Peers.Len()
	if missing < 0 || missing > 1 {
		rt.Fatalf("%v wants %d and was told of %d, with %d more to choose from", a.Addr(), a.NumWant, r.Peers.Len(), len(eligible))
	}
	c := h.model.counts(a.InfoHash)
	if r.Complete != c.Complete || r.Incomplete != c.Incomplete || r.Downloaded != c.Downloaded {
		rt.Fatalf("reply counts %d/%d/%d, want %+v", r.Complete, r.Incomplete, r.Downloaded, c)
	}
}

func (h *history) expire(rt *rapid.T) {
	before := h.now.Add(-time.Duration(rapid.IntRange(0, 600).Draw(rt, "age")) * time.Second)
	got, err := h.store.Expire(context.Background(), before)
	if want := h.model.expire(before); err != nil || got != want {
		rt.Fatalf("Expire: %d, %v, want %d", got, err, want)
	}
}

func (h *history) check(rt *rapid.T) {
	hashes := []bittorrent.InfoHash{hash(0), hash(1), hash(2), hash(3)}
	counts := make([]bittorrent.ScrapeCounts, len(hashes))
	if err := h.store.Scrape(context.Background(), hashes, counts); err != nil {
		rt.Fatalf("Scrape: %v", err)
	}
	for i := range hashes {
		if want := h.model.counts(hashes[i]); counts[i] != want {
			rt.Fatalf("scrape of %v: %+v, want %+v", hashes[i], counts[i], want)
		}
	}
	if got, err := h.store.Totals(context.Background()); err != nil || got != h.model.totals() {
		rt.Fatalf("Totals: %+v, %v, want %+v", got, err, h.model.totals())
	}
	seen := 0
	for snapshot, err := range h.store.Swarms(context.Background()) {
		if err != nil {
			rt.Fatalf("Swarms: %v", err)
		}
		seen += len(snapshot.Peers)
	}
	if want := h.model.totals().Peers; seen != want {
		rt.Fatalf("Swarms yielded %d peers, want %d", seen, want)
	}
}
