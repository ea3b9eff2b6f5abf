package sqlite

import (
	"bytes"
	"context"
	"encoding/binary"
	"math"
	"slices"
	"time"

	"waggle/store/memory"
	"waggle/swarm"
)

// piece is about the number of rows that are compared with the file and written
// together, when a shard is written whole. A torrent is not split for that.
const piece = 1024

// flushEvery writes until ctx ends: the lanes one after the other, each twice in
// the given time, so that what the last flush of a lane has missed is in the file
// within that time.
func (s *Store) flushEvery(ctx context.Context, every time.Duration) {
	defer close(s.done)
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
		for s.lanes[i].holds() {
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

// flushLane writes what waits in a lane, and then the lost ones of its shards, the
// first of them whatever the time and the others until it is over.
func (s *Store) flushLane(i int, limit time.Duration) error {
	began := time.Now()
	if rows := s.lanes[i].take(); len(rows) > 0 {
		if err := s.writer.write(rows); err != nil {
			return err
		}
	}
	for {
		shard, ok := s.lanes[i].takeLost()
		if !ok {
			return nil
		}
		if err := s.writeShard(i*laneShards + shard); err != nil {
			return err
		}
		if time.Since(began) >= limit {
			return nil
		}
	}
}

// writeShard makes the file hold of a shard what memory holds. What changes
// meanwhile waits in the lane, and is written after. The pieces of a shard are
// written one by one, in the order of places: a crash in between leaves the later
// ones as they were.
func (s *Store) writeShard(shard int) error {
	from, end := shardPlaces(shard)
	rows := s.rows[:0]
	for snapshot, err := range s.ShardSwarms(context.Background(), shard) {
		if err != nil {
			return err
		}
		rows = s.appendRows(rows, &snapshot)
		if len(rows) < piece {
			continue
		}
		to := above(snapshot.InfoHash[:])
		if err := s.writer.replace(from, to, rows); err != nil {
			return err
		}
		from, rows = to, rows[:0]
	}
	if cap(rows) <= 16*piece { // else it was a torrent of a size that is not kept in store
		s.rows = rows
	}
	return s.writer.replace(from, end, rows)
}

// appendRows appends the rows of a torrent.
func (s *Store) appendRows(rows []row, snapshot *swarm.Snapshot) []row {
	if snapshot.Downloaded > 0 {
		rows = append(rows, row{})
		r := &rows[len(rows)-1]
		r.atTorrent(&snapshot.InfoHash)
		r.setDownloaded(snapshot.Downloaded)
	}
	for i := range snapshot.Peers {
		rows = append(rows, row{})
		r := &rows[len(rows)-1]
		r.atPeer(&snapshot.InfoHash, snapshot.Peers[i].Addr)
		r.setPeer(&snapshot.Peers[i], s.details, s.every)
	}
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
