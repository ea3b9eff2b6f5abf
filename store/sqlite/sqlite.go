package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"

	"waggle/bittorrent"
	"waggle/store/memory"
	"waggle/swarm"
)

// Options are the settings of a store. The zero value works.
type Options struct {
	// Memory is for the store in memory; its Changed is the journal's.
	Memory memory.Options

	// FlushEvery is the time between transactions, and so what a kill can lose. 0:
	// one second.
	FlushEvery time.Duration

	// MaxLane bounds the changes that wait in one of the 16 lanes. 0: 16,384,
	// which at 168 bytes each is 44 MB if all are full, and as much being written.
	MaxLane int

	// Log is told of failed transactions, and of their end. nil: nobody is.
	Log *slog.Logger
}

// Store is a [swarm.Store] in memory that is kept in a file. Use [Open].
type Store struct {
	*memory.Store
	db    *sql.DB
	lock  *flock.Flock
	lanes [lanes]lane
	log   *slog.Logger
	order []int32 // of the flush that is under way
	left  int     // rows that a limit kept out of memory at start

	stop    context.CancelFunc
	done    chan struct{}
	failing atomic.Bool
	close   sync.Once
	closed  error
}

var _ swarm.Store = (*Store)(nil)

// Open opens or creates the file at path, reads it, and keeps it until Close.
// The folder is created where it is missing. Beside the file, and as long as the
// store is open, lies path.lock, which keeps a second process out.
//
// Errors are [ErrForeign], [ErrNewer], [ErrDamaged], [ErrInUse], or one of the
// operating system; each names the path and the remedy, and leaves the file as
// it was.
func Open(ctx context.Context, path string, o Options) (*Store, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, fmt.Errorf("the folder of the database: %w", err)
	}
	lock, err := lockFile(path)
	if err != nil {
		return nil, err
	}
	s, err := open(ctx, path, o)
	if err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	s.lock = lock
	every := o.FlushEvery
	if every <= 0 {
		every = time.Second
	}
	var flushing context.Context
	flushing, s.stop = context.WithCancel(context.Background())
	go s.flushEvery(flushing, every)
	return s, nil
}

func lockFile(path string) (*flock.Flock, error) {
	lock := flock.New(path + ".lock")
	locked, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("%s.lock: %w", path, err)
	}
	if !locked {
		return nil, fmt.Errorf("%s: %w: stop that one, or give this one a store of its own", path, ErrInUse)
	}
	return lock, nil
}

func open(ctx context.Context, path string, o Options) (*Store, error) {
	fresh, err := checkHeader(path)
	if err != nil {
		return nil, err
	}
	db, err := openDatabase(ctx, path, fresh)
	if err != nil {
		return nil, err
	}
	s := &Store{db: db, log: o.Log, done: make(chan struct{})}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	for i := range s.lanes {
		s.lanes[i].max = o.MaxLane
		if o.MaxLane <= 0 {
			s.lanes[i].max = 1 << 14
		}
	}
	o.Memory.Changed = s.note
	s.Store = memory.New(o.Memory)
	if err := s.read(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), db.Close())
	}
	if s.left > 0 {
		s.log.Warn("the limits are smaller than what the file holds: the rest is dropped from it", "rows", s.left)
		s.forgetLanes()
	}
	return s, nil
}

// Healthy reports whether the latest transaction was written.
func (s *Store) Healthy() bool { return !s.failing.Load() }

// Close writes what is left and closes the file. What could not be written is an
// error.
func (s *Store) Close() error {
	s.close.Do(func() {
		s.stop()
		<-s.done
		err := s.flush()
		if err != nil {
			err = fmt.Errorf("writing the last changes: %w", err)
		}
		s.closed = errors.Join(err, s.db.Close(), s.lock.Unlock())
	})
	return s.closed
}

// read fills the memory from the file.
func (s *Store) read(ctx context.Context) error {
	if err := s.readPeers(ctx); err != nil {
		return err
	}
	rows, err := s.db.QueryContext(ctx, "SELECT sha1, downloaded FROM torrents")
	if err != nil {
		return damaged(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var sha1 sql.RawBytes
		var downloaded uint32
		if err := rows.Scan(&sha1, &downloaded); err != nil {
			return damaged(err)
		}
		if len(sha1) != len(bittorrent.InfoHash{}) {
			return damaged(errors.New("an info hash in torrents is not of 20 bytes"))
		}
		if !s.RestoreDownloaded(bittorrent.InfoHash(sha1), downloaded) {
			s.left++
		}
	}
	return readError(ctx, rows.Err())
}

func (s *Store) readPeers(ctx context.Context) error {
	rows, err := s.db.QueryContext(ctx, `SELECT sha1, host, port, peer_id, key, kind,
		uploaded, downloaded, remaining, first_seen, last_seen FROM contents`)
	if err != nil {
		return damaged(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := s.readPeer(rows); err != nil {
			return damaged(err)
		}
	}
	return readError(ctx, rows.Err())
}

func readError(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	return damaged(err)
}

func (s *Store) readPeer(rows *sql.Rows) error {
	var (
		sha1, id    sql.RawBytes
		host        string
		port        uint16
		p           swarm.Peer
		first, last int64
	)
	if err := rows.Scan(&sha1, &host, &port, &id, &p.Key, &p.Kind,
		&p.Uploaded, &p.Downloaded, &p.Left, &first, &last); err != nil {
		return err
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return err
	}
	if len(sha1) != len(bittorrent.InfoHash{}) || len(id) != len(bittorrent.PeerID{}) || p.Kind > swarm.Leecher {
		return fmt.Errorf("a row of contents for %s is out of range", host)
	}
	p.ID, p.Addr = bittorrent.PeerID(id), netip.AddrPortFrom(ip, port)
	p.First, p.Last = time.Unix(first, 0), time.Unix(last, 0)
	if !s.RestorePeer(bittorrent.InfoHash(sha1), &p) {
		s.left++
	}
	return nil
}
