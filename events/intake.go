package events

import (
	"sync"
	"sync/atomic"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// lanes is the number of queues of the intake. A lane has the torrents whose info hashes begin alike, so
// that the events of one stay in their order.
const lanes = 16

// laneRoom is how many events may wait in a lane, some 230 bytes each; laneFull is when the stream is
// woken before its next tick.
const (
	laneRoom = 2048
	laneFull = laneRoom / 4
)

// Bytes of a passkey and of a client's name that are kept. Longer ones are cut.
const (
	passkeyRoom = 64
	agentRoom   = 64
)

// kind is what an event tells. Those below expired are the events of the protocol.
type kind uint8

const (
	expired   kind = 128 + iota // the peer was silent for too long
	forgotten                   // it made room for others at a limit, or could not be connected to
)

// slot is an event in the queue. It has no pointers, so that the collector does not look at it. Its texts
// have their lengths in their first bytes.
type slot struct {
	at         int64 // Unix nanoseconds
	last       int64 // of a peer that is gone: its last announce, Unix seconds; 0: nobody knows
	uploaded   int64 // negative: nobody knows, nor the other two
	downloaded int64
	left       int64
	hash       bittorrent.InfoHash
	id         bittorrent.PeerID
	ip         [16]byte
	port       uint16
	kind       kind
	passkey    [1 + passkeyRoom]byte
	agent      [1 + agentRoom]byte
}

// lane is a bounded queue. Two slices take turns: one is filled while the other is read.
type lane struct {
	mu      sync.Mutex
	waiting []slot
	spare   []slot
	lost    uint64 // since they were taken
}

// intake takes in events without waiting.
type intake struct {
	lanes [lanes]lane
	wake  chan struct{}
	taken atomic.Uint64
}

func newIntake() *intake {
	in := &intake{wake: make(chan struct{}, 1)}
	for i := range in.lanes {
		in.lanes[i].waiting, in.lanes[i].spare = make([]slot, 0, laneRoom), make([]slot, 0, laneRoom)
	}
	return in
}

// add returns a slot to be filled in, in a lane that is locked until added is called; nil: there is
// no room, and the lane is not locked.
func (in *intake) add(h *bittorrent.InfoHash) (*lane, *slot) {
	l := &in.lanes[h[0]%lanes]
	l.mu.Lock()
	if len(l.waiting) == laneRoom {
		l.lost++
		l.mu.Unlock()
		return nil, nil
	}
	l.waiting = l.waiting[:len(l.waiting)+1]
	return l, &l.waiting[len(l.waiting)-1]
}

func (in *intake) added(l *lane) {
	full := len(l.waiting) == laneFull
	l.mu.Unlock()
	in.taken.Add(1)
	if full {
		select {
		case in.wake <- struct{}{}:
		default:
		}
	}
}

// announce takes in an announce.
func (in *intake) announce(a *swarm.Announce) {
	l, s := in.add(&a.InfoHash)
	if s == nil {
		return
	}
	s.at, s.last = a.Now.UnixNano(), 0
	s.uploaded, s.downloaded, s.left = a.Uploaded, a.Downloaded, a.Left
	s.hash, s.id, s.ip, s.port, s.kind = a.InfoHash, a.PeerID, a.From.As16(), a.Port, kind(a.Event)
	s.passkey[0] = byte(copy(s.passkey[1:], a.Credentials.Passkey))
	s.agent[0] = byte(copy(s.agent[1:], a.Credentials.Agent))
	in.added(l)
}

// gone takes in a peer that the store has forgotten.
func (in *intake) gone(c *swarm.Change, at time.Time) {
	l, s := in.add(&c.InfoHash)
	if s == nil {
		return
	}
	p := &c.Peer
	s.at, s.last = at.UnixNano(), max(p.Last.Unix(), 0)
	s.uploaded, s.downloaded, s.left = p.Uploaded, p.Downloaded, p.Left
	if p.ID == (bittorrent.PeerID{}) { // the store keeps no details
		s.uploaded = -1
	}
	s.hash, s.id, s.ip, s.port, s.kind = c.InfoHash, p.ID, p.Addr.Addr().As16(), p.Addr.Port(), expired
	if c.GivenUp {
		s.kind = forgotten
	}
	s.passkey[0], s.agent[0] = 0, 0
	in.added(l)
}

// take hands what waits in each lane to see, until it returns, and returns how many events there
// was no room for. It is for one goroutine.
func (in *intake) take(see func(*slot)) (lost uint64) {
	for i := range in.lanes {
		l := &in.lanes[i]
		l.mu.Lock()
		l.waiting, l.spare = l.spare, l.waiting
		lost += l.lost
		l.lost = 0
		l.mu.Unlock()
		for j := range l.spare {
			see(&l.spare[j])
		}
		l.spare = l.spare[:0]
	}
	return lost
}
