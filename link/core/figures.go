package core

import (
	"iter"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// Figures are those of a node.
type Figures struct {
	Torrents int // with peers, or with downloads counted
	Peers    int // live, of all origins
	Owned    int // of them, that announced here latest
	Departed int // remembered, to know older news of them
	Counters int // of completed downloads, one an origin and torrent
	Local    uint64
	Insisted uint64 // times that a clock that is ahead was contradicted
	Expired  uint64 // peers of other origins that were not heard of for a lifetime and a minute
	Refused  uint64 // changes from the future
	NoRoom   uint64 // changes that were left out for MaxPeers
}

// Heal is a healing that has ended.
type Heal struct {
	Age     time.Duration // since its end
	Took    time.Duration
	Entries int // that were missing here

	at int64
}

// Traffic is what a connection has brought and taken.
type Traffic struct {
	BytesIn, BytesOut     uint64
	ChangesIn, ChangesOut uint64 // of batches
	Listed, ListedIn      uint64 // entries that were listed for healing
	Gaps                  uint64 // times that messages were lost
	Garbled               uint64 // messages that could not be read
	Overflows             uint64 // times that too much waited
	Mismatches            uint64 // heartbeats whose digests differed
	Refused               uint64 // changes that the link may not bring
	Capped                uint64 // changes beyond the most peers
	Heals                 uint64
	LastHeal              Heal
	Theirs                int           // peers that the other end says it has
	Lag                   time.Duration // until the latest message was acknowledged

	BatchBytes uint64 // of BytesOut, of batches
}

func (f *Traffic) lag(ms int64) { f.Lag = time.Duration(ms) * time.Millisecond }

// LinkFigures is what a node knows of a link that has been connected in its life.
type LinkFigures struct {
	Name      string
	Link      LinkID // 0: not connected
	Up        bool   // both ends have greeted
	Healing   bool
	Peers     int           // live, that came through it, in any life of its other end
	Waiting   int           // changes that were not sent yet
	Flying    int           // bytes that were not acknowledged yet
	For       time.Duration // connected
	Their     string        // what it calls itself
	Software  string
	Origin    Origin        // of its latest life; 0: none yet
	ClockSkew time.Duration // its clock before ours

	Traffic
}

// Figures returns those of the node. They cost a look at each link.
func (n *Node) Figures() Figures {
	f := n.figures
	f.Torrents, f.Peers, f.Departed, f.Counters = n.torrentOf.used, n.live, n.departed, n.counters
	f.Owned = n.live
	for _, to := range n.neighbours[1:] {
		f.Owned -= to.peers
	}
	return f
}

// Links returns what is known of each link, in the order of their first connections.
func (n *Node) Links() []LinkFigures {
	all := make([]LinkFigures, 0, len(n.neighbours))
	for _, to := range n.neighbours[1:] {
		f := LinkFigures{Name: to.name, Peers: to.peers, Origin: to.origin}
		if s := to.session; s != nil {
			f.Link, f.Up, f.Healing, f.Waiting, f.Flying = s.id, s.up, s.heal.active, s.waiting.n, s.flying.bytes
			f.For = time.Duration(n.ms-s.opened) * time.Millisecond
			f.Their, f.Software = s.hello.name, s.hello.software
			f.ClockSkew = time.Duration(s.skew) * time.Millisecond
			f.Traffic = s.figures
			if f.Heals > 0 {
				f.LastHeal.Age = time.Duration(n.ms-f.LastHeal.at) * time.Millisecond
			}
		}
		all = append(all, f)
	}
	return all
}

// Digest returns a number that two nodes have in common if they have the same peers
// of a torrent, by the same announces, and the same counters.
func (n *Node) Digest(h bittorrent.InfoHash) uint64 {
	t := n.lookup(h)
	if t == 0 {
		return 0
	}
	_, all, _ := n.sum(t, viaHere)
	return all
}

// DigestOfAll is that of all torrents.
func (n *Node) DigestOfAll() uint64 { return n.all.root() }

// Held is a peer as a node has it.
type Held struct {
	swarm.Peer
	Origin Origin
	Stamp  Stamp
	Link   string // that it came through; empty: it announced here, or in a life before
}

// Peers yields the live peers of a torrent, in no order that means anything.
func (n *Node) Peers(h bittorrent.InfoHash) iter.Seq[Held] {
	return func(yield func(Held) bool) {
		t := n.lookup(h)
		if t == 0 {
			return
		}
		for i := n.torrent(t).first; i != 0; i = n.entry(i).next {
			e := n.entry(i)
			if e.state != live {
				continue
			}
			p := Held{Origin: e.origin, Stamp: e.stamp, Peer: swarm.Peer{
				ID: e.id, Addr: e.addrPort(), Key: e.key, Kind: e.kind,
				Uploaded: e.uploaded, Downloaded: e.downloaded, Left: e.left,
				Last: time.UnixMilli(n.wall).Add(-time.Duration(n.now-e.seen) * time.Second / ticks),
			}}
			if to := n.broughtBy(e); to != nil {
				p.Link = to.name
			}
			if !yield(p) {
				return
			}
		}
	}
}

// Torrents returns the info hashes with a first byte of all torrents that anything is known
// of, in no order.
func (n *Node) Torrents(first byte) []bittorrent.InfoHash {
	hashes := make([]bittorrent.InfoHash, 0, len(n.buckets[first]))
	for _, t := range n.buckets[first] {
		hashes = append(hashes, n.torrent(t).hash)
	}
	return hashes
}

// Total returns how many downloads of a torrent all origins have seen completed.
func (n *Node) Total(h bittorrent.InfoHash) uint32 {
	if t := n.lookup(h); t != 0 {
		return uint32(min(n.torrent(t).total, 1<<32-1))
	}
	return 0
}

// Counter is how many downloads of a torrent an origin has seen completed.
type Counter struct {
	Hash   bittorrent.InfoHash
	Origin Origin
	Count  uint32
}

// Counters yields all counters, for the file that a clean end leaves.
func (n *Node) Counters() iter.Seq[Counter] {
	return func(yield func(Counter) bool) {
		for i := uint32(1); i <= n.topEntry; i++ {
			e := n.entry(i)
			if e.state == counts && !yield(Counter{Hash: n.torrent(e.torrent).hash, Origin: e.origin, Count: uint32(e.stamp)}) {
				return
			}
		}
	}
}
