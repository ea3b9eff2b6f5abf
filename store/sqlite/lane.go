package sqlite

import (
	"math/bits"
	"sync"

	"waggle/bittorrent"
	"waggle/store/memory"
	"waggle/swarm"
)

// lanes is the number of queues between memory and file. A lane has the torrents
// of some shards of the memory store, which follow one another.
const (
	lanes      = 16
	laneShards = memory.Shards / lanes
	allLost    = 1<<laneShards - 1
)

// lane is a bounded queue of rows to be written. Two slices take turns: one is
// filled while the other is written.
type lane struct {
	mu      sync.Mutex
	max     int
	waiting []row
	spare   []row
	gone    []bittorrent.InfoHash // torrents among those that wait, whose roles go too
	lost    uint64                // a bit for each shard whose changes were forgotten: it must be written whole
	cursor  int                   // the shard of the lane that is looked at next for being lost
}

// note is called under the lock of a shard of the memory store. A peer that has
// been written in the period of its announce is not written again.
func (s *Store) note(c *swarm.Change) {
	if c.Kind == swarm.PeerRefreshed && s.every.same(c.Previous, c.Peer.Last, shiftOf(&c.InfoHash, c.Peer.Addr)) {
		return
	}
	shard := memory.ShardOf(c.InfoHash)
	l := &s.lanes[shard/laneShards]
	l.mu.Lock()
	defer l.mu.Unlock()
	if r := l.add(shard % laneShards); r != nil {
		s.fill(r, c)
		if c.Kind == swarm.TorrentGone && s.group != nil {
			l.gone = append(l.gone, c.InfoHash)
		}
	}
}

// fill makes a row of a change.
func (s *Store) fill(r *row, c *swarm.Change) {
	switch c.Kind {
	case swarm.PeerPut, swarm.PeerRefreshed:
		r.atPeer(&c.InfoHash, c.Peer.Addr)
		r.setPeer(&c.InfoHash, &c.Peer, s.details, s.every)
	case swarm.PeerGone:
		r.atPeer(&c.InfoHash, c.Peer.Addr)
	case swarm.DownloadCount:
		r.atTorrent(&c.InfoHash)
		r.setDownloaded(c.Downloaded)
	case swarm.TorrentGone:
		r.atTorrent(&c.InfoHash)
	}
}

// add returns a row to be filled in, or nil where the shard will be written whole
// anyway. l.mu is held.
func (l *lane) add(shard int) *row {
	if l.lost>>shard&1 != 0 {
		return nil
	}
	if len(l.waiting) == l.max {
		l.forget()
		return nil
	}
	l.waiting = append(l.waiting, row{})
	return &l.waiting[len(l.waiting)-1]
}

// forget drops what waits, for the whole lane will be written. l.mu is held.
func (l *lane) forget() { l.waiting, l.gone, l.lost = l.waiting[:0], nil, allLost }

// take returns what waits and begins anew. The rows are the caller's until the next
// take.
func (l *lane) take() (rows []row, gone []bittorrent.InfoHash) {
	l.mu.Lock()
	defer l.mu.Unlock()
	rows, gone = l.waiting, l.gone
	l.waiting, l.spare, l.gone = l.spare[:0], rows, nil
	return rows, gone
}

// takeLost returns a shard of the lane that must be written whole, the one that
// has waited longest. From now on its changes wait in the lane.
func (l *lane) takeLost() (shard int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost == 0 {
		return 0, false
	}
	shard = (l.cursor + bits.TrailingZeros64(bits.RotateLeft64(l.lost, -l.cursor))) % laneShards
	l.lost &^= 1 << shard
	l.cursor = (shard + 1) % laneShards
	return shard, true
}

// holds reports whether there is anything to write.
func (l *lane) holds() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost != 0 || len(l.waiting) > 0
}

func (l *lane) isLost() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost != 0
}

// forgetLanes makes everything be written whole.
func (s *Store) forgetLanes() {
	for i := range s.lanes {
		l := &s.lanes[i]
		l.mu.Lock()
		l.forget()
		l.mu.Unlock()
	}
}
