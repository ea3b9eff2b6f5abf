package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"sync"
	"time"

	"waggle/bittorrent"
	"waggle/store/memory"
	"waggle/swarm"
)

// lanes is the number of queues between memory and file.
const lanes = 16

// lane is a bounded queue of changes. Two slices take turns: one is filled while
// the other is written.
type lane struct {
	mu      sync.Mutex
	max     int
	waiting []swarm.Change
	spare   []swarm.Change
	lost    bool // changes were forgotten: write the lane's torrents whole
}

// note is called under the lock of a shard of the memory store.
func (s *Store) note(c *swarm.Change) { s.lanes[c.InfoHash[0]>>4].add(c) }

func (l *lane) add(c *swarm.Change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.lost:
	case len(l.waiting) == l.max:
		l.waiting, l.lost = l.waiting[:0], true
	default:
		l.waiting = append(l.waiting, *c)
	}
}

// take returns what waits, and whether the lane was lost, and begins anew. The
// slice is the caller's until the next take.
func (l *lane) take() (changes []swarm.Change, lost bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	changes, lost = l.waiting, l.lost
	l.waiting, l.spare, l.lost = l.spare[:0], changes, false
	return changes, lost
}

func (l *lane) holds() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost || len(l.waiting) > 0
}

// forget makes the next flush write the lane whole.
func (l *lane) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting, l.lost = l.waiting[:0], true
}

// flushEvery writes until ctx ends. It logs when writing begins to fail and when
// it works again, not each time in between.
func (s *Store) flushEvery(ctx context.Context, every time.Duration) {
	defer close(s.done)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		switch err := s.flush(); {
		case err != nil && !s.failing.Swap(true):
			s.log.Error("the journal cannot be written: announces go on, but would not survive a restart", "error", err)
		case err == nil && s.failing.Swap(false):
			s.log.Info("the journal is written again; nothing that is still alive was lost")
		}
	}
}

// flush writes everything that waits in one transaction. Where it fails,
// everything is written whole the next time.
func (s *Store) flush() error {
	if !s.waiting() {
		return nil
	}
	err := s.flushLanes(context.Background())
	if err != nil {
		s.forgetLanes()
	}
	return err
}

// forgetLanes makes the next flush write everything whole.
func (s *Store) forgetLanes() {
	for i := range s.lanes {
		s.lanes[i].forget()
	}
}

// waiting reports whether there is anything to write.
func (s *Store) waiting() bool {
	for i := range s.lanes {
		if s.lanes[i].holds() {
			return true
		}
	}
	return false
}

func (s *Store) flushLanes(ctx context.Context) error {
	w, err := newWriter(ctx, s.db)
	if err != nil {
		return err
	}
	defer func() { _ = w.tx.Rollback() }()
	for i := range s.lanes {
		changes, lost := s.lanes[i].take()
		if lost {
			err = s.writeLane(w, byte(i))
		} else {
			err = w.writeAll(changes)
		}
		if err != nil {
			return err
		}
	}
	return w.tx.Commit()
}

// writeLane replaces all torrents of a lane by what memory holds. What changes
// meanwhile waits in the lane, and is written again by the next flush.
func (s *Store) writeLane(w *writer, lane byte) error {
	const shardsPerLane = memory.Shards / lanes
	first := lane * shardsPerLane
	if err := w.deleteRange(first, first+shardsPerLane-1); err != nil {
		return err
	}
	for i := range shardsPerLane {
		for snapshot, err := range s.ShardSwarms(w.ctx, first+byte(i)) {
			if err != nil {
				return err
			}
			if err := w.putSwarm(&snapshot); err != nil {
				return err
			}
		}
	}
	return nil
}

// writer is one transaction and its statements.
type writer struct {
	ctx       context.Context
	tx        *sql.Tx
	putPeer   *sql.Stmt
	dropPeer  *sql.Stmt
	putCount  *sql.Stmt
	dropCount *sql.Stmt
}

func newWriter(ctx context.Context, db *sql.DB) (*writer, error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	w := &writer{ctx: ctx, tx: tx}
	for _, s := range []struct {
		to   **sql.Stmt
		text string
	}{
		{&w.putPeer, `INSERT OR REPLACE INTO contents (sha1, host, port, peer_id, key, kind,
			uploaded, downloaded, remaining, first_seen, last_seen) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`},
		{&w.dropPeer, "DELETE FROM contents WHERE sha1 = ? AND host = ? AND port = ?"},
		{&w.putCount, "INSERT OR REPLACE INTO torrents (sha1, downloaded) VALUES (?, ?)"},
		{&w.dropCount, "DELETE FROM torrents WHERE sha1 = ?"},
	} {
		if *s.to, err = tx.PrepareContext(ctx, s.text); err != nil {
			_ = tx.Rollback()
			return nil, err
		}
	}
	return w, nil
}

func (w *writer) writeAll(changes []swarm.Change) error {
	for i := range changes {
		if err := w.write(&changes[i]); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) write(c *swarm.Change) error {
	switch c.Kind {
	case swarm.PeerPut:
		return w.put(c.InfoHash, &c.Peer)
	case swarm.PeerGone:
		return exec(w.ctx, w.dropPeer, c.InfoHash[:], c.Peer.Addr.Addr().String(), c.Peer.Addr.Port())
	case swarm.DownloadCount:
		return exec(w.ctx, w.putCount, c.InfoHash[:], c.Downloaded)
	case swarm.TorrentGone:
		return exec(w.ctx, w.dropCount, c.InfoHash[:])
	}
	return fmt.Errorf("unknown kind of change %d", c.Kind)
}

func (w *writer) put(h bittorrent.InfoHash, p *swarm.Peer) error {
	return exec(w.ctx, w.putPeer, h[:], p.Addr.Addr().String(), p.Addr.Port(), p.ID[:], p.Key, p.Kind,
		p.Uploaded, p.Downloaded, p.Left, p.First.Unix(), p.Last.Unix())
}

func (w *writer) putSwarm(s *swarm.Snapshot) error {
	for i := range s.Peers {
		if err := w.put(s.InfoHash, &s.Peers[i]); err != nil {
			return err
		}
	}
	if s.Downloaded == 0 {
		return nil
	}
	return exec(w.ctx, w.putCount, s.InfoHash[:], s.Downloaded)
}

// deleteRange removes the torrents whose first byte is within first and last.
func (w *writer) deleteRange(first, last byte) error {
	from := []byte{first}
	to := append([]byte{last}, bytes.Repeat([]byte{0xff}, len(bittorrent.InfoHash{}))...)
	for _, text := range []string{
		"DELETE FROM contents WHERE sha1 BETWEEN ? AND ?",
		"DELETE FROM torrents WHERE sha1 BETWEEN ? AND ?",
	} {
		if _, err := w.tx.ExecContext(w.ctx, text, from, to); err != nil {
			return err
		}
	}
	return nil
}

func exec(ctx context.Context, s *sql.Stmt, args ...any) error {
	_, err := s.ExecContext(ctx, args...)
	return err
}
