package link

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// lanes is the number of queues between the store and the node. A lane has the torrents
// whose info hashes begin alike, so that the changes of one stay in their order.
const lanes = 16

// laneRoom is how many changes may wait in a lane, and for how many torrents completed
// downloads are remembered where they are more. laneFull is when the loop is woken
// before its next tick.
const (
	laneRoom = 16384
	laneFull = laneRoom / 4
)

// lane is a bounded queue of changes. Two slices take turns: one is filled while the other
// is read.
type lane struct {
	mu        sync.Mutex
	waiting   []swarm.Change
	since     time.Time // when the first of them came
	spare     []swarm.Change
	lost      bool                           // changes were forgotten
	completed map[bittorrent.InfoHash]uint32 // downloads among those
}

// Intake takes in what changes in a store, for [Links]. It is made before the store,
// and costs that next to nothing until there are links.
type Intake struct {
	lanes   [lanes]lane
	on      atomic.Bool
	spacing int64 // seconds
	wake    chan struct{}
	moves   [1 << 16]atomic.Uint64 // a bit for some peers each: another tracker told of one of them
}

// NewIntake returns an intake for a store whose peers live so long after their latest
// announce. A peer of which nothing but figures and time has changed is passed on once
// in a sixth of that.
func NewIntake(lifetime time.Duration) *Intake {
	return &Intake{spacing: max(int64(lifetime/(6*time.Second)), 1), wake: make(chan struct{}, 1)}
}

// Changed is told of each change of the store, under the lock of its swarm: it is for
// memory.Options.Changed. It does not wait. What was relayed comes back here, and is not
// passed on again.
func (in *Intake) Changed(c *swarm.Change) {
	isPut := c.Kind == swarm.PeerPut || c.Kind == swarm.PeerRefreshed
	switch {
	case !in.on.Load() || c.GivenUp || c.Kind == swarm.TorrentGone:
		return
	case c.Relayed && isPut:
		in.moveAway(c)
		return
	case c.Relayed:
		return
	case c.Kind == swarm.PeerRefreshed && in.isRecent(c) && !in.movesBack(c):
		return
	}
	l := in.laneOf(&c.InfoHash)
	l.mu.Lock()
	waiting := l.add(c)
	l.mu.Unlock()
	if waiting == laneFull {
		in.ring()
	}
}

func (l *lane) add(c *swarm.Change) (waiting int) {
	if len(l.waiting) == laneRoom {
		l.lose()
	}
	if !l.lost {
		if len(l.waiting) == 0 {
			l.since = time.Now()
		}
		l.waiting = append(l.waiting, *c)
	} else if c.Kind == swarm.DownloadCount {
		l.complete(&c.InfoHash)
	}
	return len(l.waiting)
}

// lose forgets what waits, but for completed downloads, which nobody can ask for again.
func (l *lane) lose() {
	l.lost = true
	for i := range l.waiting {
		if c := &l.waiting[i]; c.Kind == swarm.DownloadCount {
			l.complete(&c.InfoHash)
		}
	}
	l.waiting = l.waiting[:0]
}

func (l *lane) complete(h *bittorrent.InfoHash) {
	if l.completed == nil {
		l.completed = map[bittorrent.InfoHash]uint32{}
	}
	if _, known := l.completed[*h]; known || len(l.completed) < laneRoom {
		l.completed[*h]++
	}
}

// isRecent reports whether two announces of a peer are in one stretch of the spacing.
// Stretches begin at another second for each peer, so that not all are passed on at once.
func (in *Intake) isRecent(c *swarm.Change) bool {
	was, is := c.Previous.Unix(), c.Peer.Last.Unix()
	if is-was >= in.spacing {
		return false
	}
	phase := phaseOf(c.Peer.Addr) % in.spacing
	return (was+phase)/in.spacing == (is+phase)/in.spacing
}

func phaseOf(a netip.AddrPort) int64 { return int64(mixAddr(a) >> 33) }

func mixAddr(a netip.AddrPort) uint64 {
	b := a.Addr().As16()
	x := binary.LittleEndian.Uint64(b[8:]) ^ uint64(a.Port())<<48
	return x * 0x9e3779b97f4a7c15
}

// mixPeer returns a number that few peers have in common.
func mixPeer(h *bittorrent.InfoHash, a netip.AddrPort) uint64 {
	x := (mixAddr(a) ^ binary.LittleEndian.Uint64(h[4:])) * 0xbf58476d1ce4e5b9
	return x ^ x>>32
}

// moveAway remembers that another tracker told of a peer: it is this one's again with its
// next announce here, however soon that comes. The bit may be of others too, one
// announce of which is passed on needlessly then.
func (in *Intake) moveAway(c *swarm.Change) {
	word, bit := in.moveOf(c)
	if word.Load()&bit == 0 {
		word.Or(bit)
	}
}

// movesBack reports whether another tracker told of a peer last, and forgets it.
func (in *Intake) movesBack(c *swarm.Change) bool {
	word, bit := in.moveOf(c)
	return word.Load()&bit != 0 && word.And(^bit)&bit != 0
}

func (in *Intake) moveOf(c *swarm.Change) (word *atomic.Uint64, bit uint64) {
	x := mixPeer(&c.InfoHash, c.Peer.Addr)
	return &in.moves[x>>6%uint64(len(in.moves))], 1 << (x & 63)
}

func (in *Intake) laneOf(h *bittorrent.InfoHash) *lane { return &in.lanes[h[0]%lanes] }

func (in *Intake) ring() {
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

// waiting returns how many changes wait; of what was forgotten, as many as a lane has room
// for.
func (in *Intake) waiting() (n int) {
	for i := range in.lanes {
		l := &in.lanes[i]
		l.mu.Lock()
		if n += len(l.waiting); l.lost {
			n += laneRoom
		}
		l.mu.Unlock()
	}
	return n
}

// lost is what a lane that was too full has forgotten.
type lost struct {
	completed map[bittorrent.InfoHash]uint32
}

// take gives see what waits in a lane, and returns since when the first of it did, zero
// where nothing does, and what was forgotten, or nil. It is for one goroutine.
func (l *lane) take(see func(*swarm.Change)) (since time.Time, _ *lost) {
	l.mu.Lock()
	some := l.waiting
	if len(some) > 0 {
		since = l.since
	}
	var forgotten *lost
	if l.lost {
		forgotten = &lost{completed: l.completed}
	}
	l.lost, l.completed = false, nil
	l.waiting, l.spare = l.spare[:0], nil
	l.mu.Unlock()
	for i := range some {
		see(&some[i])
	}
	l.mu.Lock()
	l.spare = some[:0]
	l.mu.Unlock()
	return since, forgotten
}
