package sqlite

import (
	"bytes"
	"context"
	"encoding/binary"
	"math"
	"runtime"
	"slices"
	"time"

	"waggle/bittorrent"
	"waggle/store/memory"
	"waggle/swarm"
)

// piece is about the number of rows that are compared with the file and written
// together, when a shard is written whole: of small torrents, or of a part of a
// big one.
const piece = 1024

// flushEvery writes until ctx ends: the lanes one after the other, each twice in
// the given time, so that what the last flush of a lane has missed is in the file
// within that time.
func (s *Store) flushEvery(ctx context.Context, every time.Duration) {
	defer close(s.done)
	runtime.LockOSThread() // and never unlock: the thread ends with the goroutine
	lowerThread()
	turn := max(every/(2*lanes), 1)
	ticker := time.NewTicker(turn)
	defer ticker.Stop()
	for i := 0; ; i = (i + 1) % lanes {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		s.writer.pace.began = time.Now()
		if err := s.flushLane(i, turn); err != nil {
			s.reportFailure(err)
			s.writer.pace.rest(every)
		} else if s.failing.Load() && !s.behind() {
			s.failing.Store(false)
			s.log.Info("the journal is written again; nothing that is still alive was lost")
		}
	}
}

// reportFailure logs when writing begins to fail, not each time that it does.
func (s *Store) reportFailure(err error) {
	s.forgetLanes()
	if !s.failing.Swap(true) {
		s.log.Error("the journal cannot be written: announces go on, but would not survive a restart", "error", err)
	}
}

// flush writes everything that waits, at once and without rest.
func (s *Store) flush() error {
	s.writer.pace = pace{}
	for i := range s.lanes {
		for more := true; more; more = s.lanes[i].holds() {
			if err := s.flushLane(i, math.MaxInt64); err != nil {
				return err
			}
		}
	}
	return nil
}

// behind reports whether there is anything to be written whole.
func (s *Store) behind() bool {
	for i := range s.lanes {
		if s.lanes[i].isLost() {
			return true
		}
	}
	return false
}

// flushLane writes what waits in a lane, the roles that changed, and then the lost ones
// of its shards, the first of them whatever the time and the others until it is over.
func (s *Store) flushLane(i int, limit time.Duration) error {
	began := time.Now()
	rows, gone := s.lanes[i].take()
	if err := s.writer.write(rows); err != nil {
		return err
	}
	if s.group != nil {
		if err := s.writeTorrentRoles(gone); err != nil {
			return err
		}
		if err := s.flushRoles(i, began, limit); err != nil {
			return err
		}
	}
	for {
		shard, ok := s.lanes[i].takeLost()
		if !ok {
			return nil
		}
		if err := s.writeLost(i*laneShards + shard); err != nil {
			return err
		}
		if time.Since(began) >= limit {
			return nil
		}
	}
}

// writeLost makes the file hold of a shard what memory holds.
func (s *Store) writeLost(shard int) error {
	if err := s.writeShard(shard); err != nil || s.group == nil {
		return err
	}
	return s.writeShardRoles(shard)
}

// writeShard makes the file hold of a shard the peers that memory holds. What changes
// meanwhile waits in the lane, and is written after. The pieces of a shard are
// written one by one, in the order of places: a crash in between leaves the later
// ones as they were.
func (s *Store) writeShard(shard int) error {
	from, end := shardPlaces(shard)
	rows := s.rows[:0]
	defer func() { s.rows = rows[:0] }()
	for _, h := range s.Torrents(shard) {
		counts, ok := s.Counts(h)
		if !ok {
			continue
		}
		downloaded, peers := counts.Downloaded, int(counts.Complete+counts.Incomplete)
		if len(rows)+peers > 2*piece {
			if err := s.writer.replace(from, h[:], rows); err != nil {
				return err
			}
			from, rows = h[:], rows[:0]
		}
		rows = appendTorrent(rows, &h, downloaded)
		var err error
		if peers > 2*piece {
			from, rows, err = s.writeParts(from, rows, &h, peers)
		} else {
			rows = s.appendPeers(rows, &h, nil, nil)
		}
		if err != nil {
			return err
		}
	}
	return s.writer.replace(from, end, rows)
}

// appendTorrent appends the row of a torrent, if it has one.
func appendTorrent(rows []row, h *bittorrent.InfoHash, downloaded uint32) []row {
	if downloaded == 0 {
		return rows
	}
	var r row
	r.atTorrent(h)
	r.setDownloaded(downloaded)
	return append(rows, r)
}

// writeParts writes a big torrent in parts, by addresses, so that it takes little
// more memory than a piece does. It goes through all peers for each part. rows are
// those before the torrent's peers, from a place on; it returns what is left to be
// written, and from where.
func (s *Store) writeParts(from []byte, rows []row, h *bittorrent.InfoHash, peers int) ([]byte, []row, error) {
	for _, bound := range s.bounds(h, peers) {
		rows = s.appendPeers(rows, h, from, bound)
		if err := s.writer.replace(from, bound, rows); err != nil {
			return nil, nil, err
		}
		from, rows = bound, rows[:0]
	}
	return from, s.appendPeers(rows, h, from, nil), nil
}

// maxParts is the most parts of a torrent, each of which takes a walk through all
// its peers.
const maxParts = 64

// bounds returns places that divide a torrent of so many peers into parts of about
// a piece each, or of more if it is that big, judging by some of the peers.
func (s *Store) bounds(h *bittorrent.InfoHash, peers int) (bounds [][]byte) {
	parts := min(peers/piece, maxParts)
	var some []row
	n, each := 0, max(peers/(parts*8), 1)
	s.Walk(*h, s.peers, func(of []swarm.Peer) bool {
		for ; n < len(of); n += each {
			some = append(some, row{})
			some[len(some)-1].atPeer(h, of[n].Addr)
		}
		n -= len(of)
		return true
	})
	slices.SortFunc(some, func(a, b row) int { return compareRows(&a, &b) })
	for part := 1; part < parts; part++ {
		if at := part * len(some) / parts; at > 0 && compareRows(&some[at], &some[at-1]) != 0 {
			bounds = append(bounds, bytes.Clone(some[at].key()))
		}
	}
	return bounds
}

// appendPeers appends the rows of a torrent's peers from one place up to another;
// nil: from the first, or up to the last.
func (s *Store) appendPeers(rows []row, h *bittorrent.InfoHash, from, to []byte) []row {
	var at row
	s.Walk(*h, s.peers, func(some []swarm.Peer) bool {
		for i := range some {
			at.atPeer(h, some[i].Addr)
			if bytes.Compare(at.key(), from) >= 0 && (to == nil || bytes.Compare(at.key(), to) < 0) {
				at.setPeer(h, &some[i], s.details, s.every)
				rows = append(rows, at)
			}
		}
		s.writer.pace.step()
		return true
	})
	return rows
}

// shardPlaces returns the least place of a shard, and one above its places.
func shardPlaces(shard int) (from, end []byte) {
	const step = 1 << 16 / memory.Shards // of the first two bytes of an info hash
	from = binary.BigEndian.AppendUint16(nil, uint16(shard*step))
	return from, above(binary.BigEndian.AppendUint16(nil, uint16(shard*step+step-1)))
}

// above returns what is greater than all places that begin with a prefix.
func above(prefix []byte) []byte {
	return append(slices.Clip(prefix), bytes.Repeat([]byte{0xff}, place6)...)
}
