package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"waggle/bittorrent"
	"waggle/sqlitefile"
	"waggle/swarm"
)

// Restoring is read in parts, by the first byte of the info hash, by a few readers
// that each take the next part. A torrent lies in one part.
const (
	parts      = 256 // of peers
	partsRoles = 16
	maxReaders = 8
)

// reportEvery is how often the log hears of how far restoring is.
const reportEvery = 5 * time.Second

// restoring is the way of a file into memory.
type restoring struct {
	store *Store
	db    *sql.DB
	now   time.Time

	part  atomic.Int32  // the next to be read
	done  atomic.Int32  // parts that have been read
	left  atomic.Int64  // rows that a limit keeps out of memory
	stale atomic.Bool   // a row was written under a shorter period than this store's
	ended chan struct{} // closed at the end

	strays strays
}

// restore fills the memory from the file, and lets SQLite check the file in the
// meantime. It writes nothing. What the file must be brought up to, if anything,
// waits in the lanes then.
func (s *Store) restore(ctx context.Context, path string) error {
	db, err := sqlitefile.OpenToRead(path)
	if err != nil {
		return err
	}
	r := &restoring{store: s, db: db, now: s.now(), ended: make(chan struct{})}
	reported := make(chan struct{})
	go r.report(reported)
	err = r.readAll(ctx)
	close(r.ended)
	<-reported
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	if left := r.left.Load(); left > 0 {
		s.log.Warn("the limits are smaller than what the file holds: the rest is dropped from it", "rows", left)
	}
	if r.left.Load() > 0 || r.stale.Load() {
		s.forgetLanes()
	}
	return nil
}

// readAll reads the peers and checks the file, and then reads the roles, if they are
// kept.
func (r *restoring) readAll(ctx context.Context) error {
	group, working := errgroup.WithContext(ctx)
	group.Go(func() error { return fileKind.CheckPages(working, r.db, "1") })
	group.Go(func() error { return r.inParts(working, parts, r.readPeers) })
	if err := group.Wait(); err != nil || r.store.group == nil {
		return err
	}
	return r.restoreRoles(ctx)
}

// report logs how far reading is, now and then.
func (r *restoring) report(reported chan<- struct{}) {
	defer close(reported)
	ticker := time.NewTicker(reportEvery)
	defer ticker.Stop()
	for {
		select {
		case <-r.ended:
			return
		case <-ticker.C:
			totals, _ := r.store.Totals(context.Background())
			r.store.log.Info("reading back", "percent", 100*r.done.Load()/parts, "peers", totals.Peers)
		}
	}
}

// reader reads a part: the rows from one place up to another.
type reader func(ctx context.Context, c driver.QueryerContext, from, to []byte) error

// inParts reads all rows in so many parts, with some readers.
func (r *restoring) inParts(ctx context.Context, parts int, read reader) error {
	r.part.Store(0)
	group, working := errgroup.WithContext(ctx)
	for range min(runtime.GOMAXPROCS(0), maxReaders) {
		group.Go(func() error { return r.readParts(working, parts, read) })
	}
	return group.Wait()
}

// readParts reads parts until there are no more. It asks the driver itself: package
// sql would take as long for a row as all the rest together.
func (r *restoring) readParts(ctx context.Context, parts int, read reader) error {
	conn, err := r.db.Conn(ctx)
	if err != nil {
		return fileKind.ReadError(ctx, err)
	}
	step := 256 / parts // of the first byte
	for part := int(r.part.Add(1) - 1); part < parts && err == nil; part = int(r.part.Add(1) - 1) {
		from, to := []byte{byte(part * step)}, above([]byte{byte(part*step + step - 1)})
		err = conn.Raw(func(c any) error { return read(ctx, c.(driver.QueryerContext), from, to) })
	}
	return errors.Join(fileKind.ReadError(ctx, err), conn.Close())
}

// readPeers reads the peers of a part.
func (r *restoring) readPeers(ctx context.Context, c driver.QueryerContext, from, to []byte) error {
	defer r.done.Add(1)
	return query(ctx, c, "SELECT place, state FROM swarms WHERE place >= ? AND place < ?", from, to, 2, func(values []driver.Value) error {
		place, _ := values[0].([]byte)
		state, _ := values[1].([]byte)
		return r.row(place, state)
	})
}

// query reads the rows of a part. Their values are see's until it returns.
func query(ctx context.Context, c driver.QueryerContext, text string, from, to []byte, columns int, see func([]driver.Value) error) error {
	rows, err := c.QueryContext(ctx, text, []driver.NamedValue{{Ordinal: 1, Value: from}, {Ordinal: 2, Value: to}})
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	values := make([]driver.Value, columns)
	for n := 0; ; n++ {
		if err := rows.Next(values); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if err := see(values); err != nil {
			return err
		}
	}
}

// row puts a row into memory.
func (r *restoring) row(place, state []byte) error {
	if len(place) < placeTorrent {
		return fmt.Errorf("%w: a place of %d bytes", errRow, len(place))
	}
	h := bittorrent.InfoHash(place)
	if len(place) == placeTorrent {
		downloaded, err := readDownloaded(state)
		if err == nil && !r.store.RestoreDownloaded(h, downloaded) {
			r.left.Add(1)
		}
		return err
	}
	var p swarm.Peer
	until, err := readPeer(place, state, &p)
	if err != nil {
		return err
	}
	if !r.store.written {
		r.setLast(&p, until)
	}
	if unixSeconds(until) < r.store.every.end(unixSeconds(p.Last), shiftOf(&h, p.Addr)) {
		r.stale.Store(true)
	}
	if !r.store.RestorePeer(h, &p) {
		r.left.Add(1)
	}
	return nil
}

// setLast makes the peer last seen at the latest time that it can have been, so
// that none expires for an announce that was not written: at the end of the period
// of the one that was, but not in the future. Where the clock has gone back since,
// it stays as written.
func (r *restoring) setLast(p *swarm.Peer, until time.Time) {
	if until.After(r.now) {
		until = r.now
	}
	if until.After(p.Last) {
		p.Last = until
	}
}
