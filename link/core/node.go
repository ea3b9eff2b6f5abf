package core

import (
	"fmt"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// ticks are the units in which a node keeps when a peer was seen, in a second.
const ticks = 10

// headStart is what a node's time begins at, in milliseconds, so that what it is
// told at its start may be older than it.
const headStart = maxAge / ticks * 1000

// Options say what a [Node] is. Origin and Lifetime must be set.
type Options struct {
	// Name and Software are told to neighbours, for their logs; up to 255 bytes.
	Name, Software string

	// Origin is this life of the node: random, and another one at each start.
	Origin Origin

	// Counter is the origin under which completed downloads are counted. A start after
	// a clean end may use that of the life before, with what [Node.Counters] had; any
	// other must not. 0: Origin.
	Counter Origin

	// Former are the origins of lives before, whose peers [Node.Restore] is given: what
	// announced to them is still this node's to insist on. The latest few will do.
	Former []Origin

	// Lifetime is how long a peer lives after its latest announce, 1 s and more: that
	// of the store. Nodes that are linked should have the same.
	Lifetime time.Duration

	// Doubt is by how much earlier than it seems a peer may have announced that
	// [Node.Restore] is given: a store that does not write every announce takes the
	// latest time that it can have been, so that none expires too early.
	Doubt time.Duration

	// MaxPeers is the most peers that the node keeps, of all origins. As many that left
	// are remembered, and as many counters kept. 0: 10 million.
	MaxPeers int

	// Listed: the node holds only the torrents that [Node.Hold] names. Others are not
	// asked for, and dropped, unless Relay says that they go on to the other links.
	Listed bool
	Relay  bool

	// MaxWaiting is the most changes that wait for a link that is slow. 0: 200,000.
	MaxWaiting int

	// CountsKept is how long the completed count of a torrent without peers is kept
	// after it last rose. 0: 30 days, which is the most.
	CountsKept time.Duration
}

// graceTicks is for how long after a lifetime the peers of other origins are kept:
// these remove them at their lifetime, while they live.
const graceTicks = 60 * ticks

// maxCounters is the most origins that count the downloads of a torrent.
const maxCounters = 256

// maxNeighbours is the most links that a node has ever had in a life and still
// knows peers of, those that are open included.
const maxNeighbours = 4096

// Node is what one tracker knows of the peers of all that it is linked with, and
// what it tells them. Its methods must not be called concurrently. All take the
// time: its wall clock makes stamps, and what passed by its monotonic clock, where
// it has one, is what lifetimes and waiting are measured by, so that a clock that
// is set does no harm.
type Node struct {
	table
	o    Options
	host Host

	start    time.Time
	ms       int64  // since start, and headStart
	now      uint32 // the same in ticks
	wall     int64  // Unix milliseconds
	latest   Stamp  // greatest made by the wall clock
	lifetime uint32 // ticks
	countsOf uint32 // ticks that counts are kept

	all        digests
	neighbours []*neighbour // by half the via of entries; the first is nil: here
	byName     map[string]*neighbour
	sessions   []*session // in the order of their opening
	listed     []*session // those that are told of some torrents only
	lastLink   LinkID

	held map[bittorrent.InfoHash]struct{} // Listed only

	live, departed, counters int // entries of each state
	sweepAt                  uint32
	sweptMs                  int64
	full                     bool // said
	figures                  Figures
	pairs                    []uint64   // scratch
	numbers                  []uint32   // scratch
	heard                    change     // scratch
	peer                     swarm.Peer // scratch
	origins                  origins    // scratch
}

// New returns a node without links. It panics if Origin or Lifetime are missing.
func New(now time.Time, o Options, host Host) *Node {
	if o.Origin == 0 || o.Lifetime < time.Second {
		panic(fmt.Sprintf("link: core.New: origin %x, lifetime %v: both must be set", o.Origin, o.Lifetime))
	}
	if o.Counter == 0 {
		o.Counter = o.Origin
	}
	if o.MaxPeers <= 0 {
		o.MaxPeers = 10_000_000
	}
	if o.MaxWaiting <= 0 {
		o.MaxWaiting = 200_000
	}
	const month = 30 * 24 * time.Hour
	if o.CountsKept <= 0 || o.CountsKept > month {
		o.CountsKept = month
	}
	o.Lifetime = min(o.Lifetime, month)
	n := &Node{
		table: newTable(), o: o, host: host, start: now,
		lifetime:   uint32(o.Lifetime * ticks / time.Second),
		countsOf:   uint32(o.CountsKept * ticks / time.Second),
		neighbours: make([]*neighbour, 1),
		byName:     map[string]*neighbour{},
		held:       map[bittorrent.InfoHash]struct{}{},
	}
	n.at(now)
	n.sweptMs = n.ms
	return n
}

// at sets the time of what follows. It does not run backwards.
func (n *Node) at(now time.Time) {
	n.ms = max(n.ms, now.Sub(n.start).Milliseconds()+headStart)
	n.now = uint32(n.ms / (1000 / ticks))
	n.wall = now.UnixMilli()
}

// ago returns the tick that was so many before now.
func (n *Node) ago(age uint64) uint32 {
	if age >= uint64(n.now) {
		return 0
	}
	return n.now - uint32(age)
}

// since returns how many ticks ago one was, or the most that a message says.
func (n *Node) since(tick uint32) uint64 { return min(uint64(n.now-tick), maxAge) }

// Tick does what is due: sends what waits, heartbeats, acknowledgements; ends what
// is silent; forgets what is old. It should be called every 20 to 100 ms: that is
// how long a change waits for others to go with it.
func (n *Node) Tick(now time.Time) {
	n.at(now)
	for _, s := range append([]*session(nil), n.sessions...) {
		n.tend(s)
	}
	n.sweep()
	n.flushAll(1)
}

// Hold says that a listed node holds a torrent from now on. Its neighbours are asked
// for it.
func (n *Node) Hold(now time.Time, h bittorrent.InfoHash) {
	n.at(now)
	if _, ok := n.held[h]; ok || !n.o.Listed {
		return
	}
	n.held[h] = struct{}{}
	if !n.o.Relay {
		n.wantAll(h, interestAdd)
	}
	t := n.lookup(h)
	if t == 0 {
		return
	}
	for i := n.torrent(t).first; i != 0; i = n.entry(i).next {
		if e := n.entry(i); e.state == live && e.via != viaHere {
			n.put(e, h)
		}
	}
	n.completed(t)
}

// Release says that a listed node holds a torrent no more. What others told of it is
// forgotten, unless it is relayed; the store is not told.
func (n *Node) Release(now time.Time, h bittorrent.InfoHash) {
	n.at(now)
	if _, ok := n.held[h]; !ok {
		return
	}
	delete(n.held, h)
	if n.o.Relay {
		return
	}
	n.wantAll(h, interestRemove)
	t := n.lookup(h)
	if t == 0 {
		return
	}
	n.numbers = n.numbers[:0]
	for i := n.torrent(t).first; i != 0; i = n.entry(i).next {
		if e := n.entry(i); e.via != viaHere {
			n.numbers = append(n.numbers, i)
		}
	}
	for _, i := range n.numbers {
		n.forget(i)
	}
}

// holds reports whether the store is to be told of a torrent's peers.
func (n *Node) holds(h *bittorrent.InfoHash) bool {
	if !n.o.Listed {
		return true
	}
	_, ok := n.held[*h]
	return ok
}
