package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"

	"waggle/locality"
	"waggle/roster"
	"waggle/store/memory"
	"waggle/swarm"
)

// Options are the settings of a store. The zero value works.
type Options struct {
	// Memory is for the store in memory; its KeepRoles is the journal's, and its Changed is
	// called after the journal has heard of a change.
	Memory memory.Options

	// Group returns the innermost group of a path, at start, where roles and leases of
	// located peers are read back. Whose path is an error has no role any more. It is
	// called concurrently. nil: no peer has a location, and roles are not kept.
	Group func(path string) (*locality.Group, error)

	// FlushEvery bounds what a kill can lose. 0: one second.
	FlushEvery time.Duration

	// RefreshEvery is how often a peer is written that only announces again, in
	// whole seconds: after a restart its figures may be older by as much, and it may
	// stay as much longer than its lifetime. 0: with every announce.
	RefreshEvery time.Duration

	// AsWritten has a restart take peers as seen when they were written, and not as late as they
	// can have been: others know better, and compare times. Some may expire early by RefreshEvery.
	AsWritten bool

	// MaxLane bounds the changes that wait in one of the 16 lanes. 0: 16,384,
	// which at 101 bytes each is 26 MB if all are full, and as much being written.
	MaxLane int

	// Log is told of how far reading a large file is, of failed transactions, and
	// of their end. nil: nobody is.
	Log *slog.Logger

	// Now is the clock at start, for when peers were seen last. nil: time.Now.
	Now func() time.Time
}

// Store is a [swarm.Store] in memory that is kept in a file. Use [Open].
type Store struct {
	*memory.Store
	db      *sql.DB
	lock    *flock.Flock
	log     *slog.Logger
	now     func() time.Time
	details bool   // rows have details
	every   period // of Options.RefreshEvery
	written bool   // Options.AsWritten
	lanes   [lanes]lane
	group   func(path string) (*locality.Group, error)

	writer    *writer             // these are of the flush that is under way, or the next
	rows      []row               // of a shard that is written whole
	peers     []swarm.Peer        // of one of its torrents
	members   []memberRow         // some that changed
	records   []roster.Record     // and what they were made of
	rolesLost [memory.Shards]bool // in the file they are not what they are in memory

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
// Errors are [sqlitefile.ErrForeign], [sqlitefile.ErrNewer], [sqlitefile.ErrDamaged],
// [sqlitefile.ErrInUse], or one of the operating system; each names the path and the
// remedy, and leaves the file as it was.
func Open(ctx context.Context, path string, o Options) (*Store, error) {
	lock, err := fileKind.Lock(path)
	if err != nil {
		return nil, err
	}
	s := newStore(o)
	if err := s.open(ctx, path); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), s.Store.Close(), lock.Unlock())
	}
	s.lock = lock
	every := o.FlushEvery
	if every <= 0 {
		every = time.Second
	}
	var flushing context.Context
	flushing, s.stop = context.WithCancel(context.Background())
	s.writer.pace = pace{hurry: flushing.Done()}
	go s.flushEvery(flushing, every)
	return s, nil
}

// newStore returns a store without a file.
func newStore(o Options) *Store {
	s := &Store{
		log: o.Log, now: o.Now, details: o.Memory.Details,
		every: period(max(o.RefreshEvery/time.Second, 0)), written: o.AsWritten, group: o.Group,
		peers: make([]swarm.Peer, 0, memory.WalkStep),
		done:  make(chan struct{}),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	for i := range s.lanes {
		s.lanes[i].max = o.MaxLane
		if o.MaxLane <= 0 {
			s.lanes[i].max = 1 << 14
		}
	}
	o.Memory.Changed, o.Memory.KeepRoles = s.tell(o.Memory.Changed), o.Group != nil
	s.Store = memory.New(o.Memory)
	return s
}

// tell returns what the journal and another listener hear changes by.
func (s *Store) tell(other func(*swarm.Change)) func(*swarm.Change) {
	if other == nil {
		return s.note
	}
	return func(c *swarm.Change) {
		s.note(c)
		other(c)
	}
}

// open reads the file into memory, and only then opens it to be written.
func (s *Store) open(ctx context.Context, path string) error {
	fresh, err := fileKind.Check(path)
	if err != nil {
		return err
	}
	if !fresh {
		if err := s.restore(ctx, path); err != nil {
			return err
		}
	}
	if s.db, err = openToWrite(ctx, path); err != nil {
		return err
	}
	if s.group == nil {
		err = s.forgetRoles(ctx)
	}
	if err == nil {
		s.writer, err = newWriter(ctx, s.db, s.group != nil)
	}
	if err != nil {
		return errors.Join(err, s.db.Close())
	}
	return nil
}

// forgetRoles drops roles from the file where they are not kept: who was a member may
// be something else by the time that they are kept again.
func (s *Store) forgetRoles(ctx context.Context) error {
	result, err := s.db.ExecContext(ctx, "DELETE FROM members")
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err == nil && n > 0 {
		s.log.Warn("peers have lost their roles, for locality is off", "peers", n)
	}
	return nil
}

// Healthy reports whether the file has all but the latest changes.
func (s *Store) Healthy() bool { return !s.failing.Load() }

// Close writes what is left and closes the file and the memory. What could not be
// written is an error.
func (s *Store) Close() error {
	s.close.Do(func() {
		s.stop()
		<-s.done
		err := s.flush()
		if err != nil {
			err = fmt.Errorf("writing the last changes: %w", err)
		}
		s.closed = errors.Join(err, s.writer.close(), s.db.Close(), s.Store.Close(), s.lock.Unlock())
	})
	return s.closed
}
