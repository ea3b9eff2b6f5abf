package core

import (
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// Local takes in a change of the node's own store: a peer announced here, stopped,
// or expired; a download was completed.
//
// What a Put or Remove of the [Host] did to the store must not come back as a
// change. A peer that the store made room by forgetting must not come as PeerGone
// either, since that tells all trackers that it left. That a store forgets a peer
// of another tracker at the end of its lifetime is no news, and left out: by the Last
// of the peer that it forgot, where PeerGone has it, or by what is known here.
//
// A Put or Remove that is on its way to the store while a peer announces or stops there
// does not come before that in the store, as it does here: whoever drives the Node then
// has the store be as it said last.
//
// DownloadCount adds one to what was counted here; how many the store says there
// are is not looked at. TorrentGone is left out: counts are kept for their time.
func (n *Node) Local(now time.Time, c *swarm.Change) {
	n.at(now)
	switch c.Kind {
	case swarm.PeerPut, swarm.PeerRefreshed:
		n.localPut(now, c.InfoHash, &c.Peer, sure)
	case swarm.PeerGone:
		n.localGone(c)
	case swarm.DownloadCount:
		n.localCount(c.InfoHash)
	}
	n.flushAll(eager)
}

// Restore takes in a peer that the store has kept from a life before, wherever it had
// announced. What any linked tracker knows of it counts for more, since nobody knows
// here what has become of it meanwhile; but for what is known to be older.
func (n *Node) Restore(now time.Time, h bittorrent.InfoHash, p *swarm.Peer) {
	n.at(now)
	n.localPut(now, h, p, weak)
	n.flushAll(eager)
}

// claim is how sure a node is of what its store says.
type claim bool

const (
	sure claim = true
	weak claim = false
)

// weakMilli is how much older the stamp of a weak claim is than its announce, in
// milliseconds: whatever the clocks, older than that of any announce that counts.
const weakMilli = 2 * maxAhead

func (n *Node) localPut(now time.Time, h bittorrent.InfoHash, p *swarm.Peer, by claim) {
	if p.Addr.Port() == 0 || !p.Addr.Addr().IsValid() || p.Kind > swarm.Leecher {
		return
	}
	addr, port := p.Addr.Addr().As16(), p.Addr.Port()
	t := n.lookup(h)
	i := n.find(t, &addr, port)
	age := max(now.Sub(p.Last), 0)
	if p.Last.IsZero() || by == sure && age < 2*time.Second {
		age = 0 // stores keep whole seconds
	}
	w := change{
		what: whatPut, kind: p.Kind, origin: n.o.Origin, age: uint64(age * ticks / time.Second), id: p.ID, key: p.Key,
		left: max(p.Left, 0), uploaded: max(p.Uploaded, 0), downloaded: max(p.Downloaded, 0),
	}
	if w.age > uint64(n.lifetime) || by == weak && i != 0 && n.entry(i).seen >= n.ago(w.age) {
		return
	}
	if i == 0 {
		if n.isFull() {
			n.noRoom()
			return
		}
		w.addr, w.port = addr, port
		i = n.add(&t, h, &w)
	}
	if made := n.wall - age.Milliseconds(); by == sure {
		w.stamp = n.newStamp(made, n.entry(i).stamp)
	} else {
		w.stamp = max(stampOf(made-weakMilli), n.entry(i).stamp+1)
	}
	n.figures.Local++
	n.take(i, &w, viaHere)
	n.entry(i).kept = by == weak
}

// localGone buries a peer that stopped here, or that announced here and expired.
func (n *Node) localGone(c *swarm.Change) {
	if !c.Peer.Addr.Addr().IsValid() || c.Peer.Addr.Port() == 0 {
		return
	}
	addr := c.Peer.Addr.Addr().As16()
	i := n.find(n.lookup(c.InfoHash), &addr, c.Peer.Addr.Port())
	if i == 0 {
		return
	}
	e := n.entry(i)
	silent := n.now - e.seen
	expired := silent+2*ticks >= n.lifetime
	if last := c.Peer.Last; !last.IsZero() && time.UnixMilli(n.wall).Sub(last) >= n.o.Lifetime-2*time.Second {
		expired = true // by the clock of the store, whatever came over a link since
	}
	if e.state != live || expired && e.via != viaHere {
		return
	}
	n.figures.Local++
	if expired {
		n.bury(i, uint64(silent))
	} else {
		n.bury(i, 0)
	}
}

// bury tells all that a peer is gone, in the name of this node. silent is for how
// many ticks nothing was heard of it: whoever heard of it later knows better.
func (n *Node) bury(i uint32, silent uint64) {
	w := change{what: whatGone, origin: n.o.Origin, older: silent}
	w.stamp = n.newStamp(n.wall, n.entry(i).stamp)
	n.take(i, &w, viaHere)
}

// buryAndRemove buries a peer, and has the store forget it.
func (n *Node) buryAndRemove(i uint32, silent uint64) {
	n.bury(i, silent)
	e := n.entry(i)
	if h := n.torrent(e.torrent).hash; n.holds(&h) {
		n.host.Remove(h, e.addrPort())
	}
}

// localCount counts a download that was completed here.
func (n *Node) localCount(h bittorrent.InfoHash) {
	t := n.lookup(h)
	addr := counterAddr(n.o.Counter)
	count := Stamp(1)
	if i := n.find(t, &addr, 0); i != 0 {
		count = n.entry(i).stamp + 1
	}
	n.figures.Local++
	n.count(h, n.o.Counter, count)
}

// Count says that an origin has seen so many downloads of a torrent completed: what
// [Node.Counters] returned in a life before, or, under an origin that no node uses,
// what was counted before there were links. Less than is known changes nothing.
func (n *Node) Count(now time.Time, h bittorrent.InfoHash, o Origin, count uint32) {
	n.at(now)
	if o != 0 && count != 0 {
		n.count(h, o, Stamp(count))
	}
	n.flushAll(eager)
}

func (n *Node) count(h bittorrent.InfoHash, o Origin, count Stamp) {
	w := change{what: whatCount, origin: o, stamp: min(count, 1<<32-1), addr: counterAddr(o)}
	t := n.lookup(h)
	i := n.find(t, &w.addr, 0)
	if i != 0 && n.entry(i).stamp >= w.stamp {
		return
	}
	if i == 0 {
		i = n.add(&t, h, &w) // however many others have brought
	}
	n.take(i, &w, viaHere)
}
