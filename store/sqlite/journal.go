package sqlite

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
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

// maxTransaction is the number of rows after which a transaction is committed
// and another begun: under a heavy load the first lanes need not wait for the
// last.
const maxTransaction = 10_000

func (s *Store) flushLanes(ctx context.Context) error {
	w, err := newWriter(ctx, s.db)
	if err != nil {
		return err
	}
	defer w.end()
	for i := range s.lanes {
		changes, lost := s.lanes[i].take()
		if lost {
			err = s.writeLane(w, byte(i))
		} else {
			err = w.writeAll(changes, &s.order)
		}
		if err == nil && w.rows >= maxTransaction {
			err = w.begin()
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
	const shards = memory.Shards / lanes
	if err := w.deleteRange(lane<<4, lane<<4|0xf); err != nil {
		return err
	}
	for i := range shards {
		for snapshot, err := range s.ShardSwarms(w.ctx, int(lane)*shards+i) {
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

// writer is a transaction and its statements.
type writer struct {
	ctx       context.Context
	db        *sql.DB
	tx        *sql.Tx
	rows      int // written in this transaction
	putPeer   *sql.Stmt
	dropPeer  *sql.Stmt
	putCount  *sql.Stmt
	dropCount *sql.Stmt
}

func newWriter(ctx context.Context, db *sql.DB) (*writer, error) {
	w := &writer{ctx: ctx, db: db}
	return w, w.begin()
}

// begin commits the transaction, if there is one, and begins the next.
func (w *writer) begin() (err error) {
	if w.tx != nil {
		if err := w.tx.Commit(); err != nil {
			return err
		}
	}
	w.rows = 0
	if w.tx, err = w.db.BeginTx(w.ctx, nil); err != nil {
		return err
	}
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
		if *s.to, err = w.tx.PrepareContext(w.ctx, s.text); err != nil {
			return errors.Join(err, w.tx.Rollback())
		}
	}
	return nil
}

// end gives up what was not committed.
func (w *writer) end() {
	if w.tx != nil {
		_ = w.tx.Rollback() // which fails where it was
	}
}

// writeAll writes changes in the order of the tables' keys, which touches each
// page once, and of several changes of one row the last only. order is memory
// that is used again.
func (w *writer) writeAll(changes []swarm.Change, order *[]int32) error {
	*order = (*order)[:0]
	for i := range changes {
		*order = append(*order, int32(i))
	}
	slices.SortFunc(*order, func(i, j int32) int {
		return cmp.Or(compareRows(&changes[i], &changes[j]), cmp.Compare(i, j))
	})
	for n, i := range *order {
		if n+1 < len(*order) && compareRows(&changes[i], &changes[(*order)[n+1]]) == 0 {
			continue
		}
		if err := w.write(&changes[i]); err != nil {
			return err
		}
	}
	return nil
}

// compareRows orders changes by the row that they change. A row of torrents has
// no address, and comes first.
func compareRows(a, b *swarm.Change) int {
	return cmp.Or(bytes.Compare(a.InfoHash[:], b.InfoHash[:]), a.Peer.Addr.Compare(b.Peer.Addr))
}

func (w *writer) write(c *swarm.Change) error {
	switch c.Kind {
	case swarm.PeerPut:
		return w.put(c.InfoHash, &c.Peer)
	case swarm.PeerGone:
		return w.exec(w.dropPeer, c.InfoHash[:], c.Peer.Addr.Addr().String(), c.Peer.Addr.Port())
	case swarm.DownloadCount:
		return w.exec(w.putCount, c.InfoHash[:], c.Downloaded)
	case swarm.TorrentGone:
		return w.exec(w.dropCount, c.InfoHash[:])
	}
	return fmt.Errorf("unknown kind of change %d", c.Kind)
}

func (w *writer) put(h bittorrent.InfoHash, p *swarm.Peer) error {
	return w.exec(w.putPeer, h[:], p.Addr.Addr().String(), p.Addr.Port(), p.ID[:], p.Key, p.Kind,
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
	return w.exec(w.putCount, s.InfoHash[:], s.Downloaded)
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

func (w *writer) exec(s *sql.Stmt, args ...any) error {
	w.rows++
	_, err := s.ExecContext(w.ctx, args...)
	return err
}
