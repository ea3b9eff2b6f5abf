package passkey

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"waggle/bittorrent"
	"waggle/document"
)

// Options are the settings of a book. The zero value keeps passkeys in memory.
type Options struct {
	Store    Store // nil: one in memory. It stays open when the book is closed
	Required bool  // nobody announces without one; see [Book.Require]

	// Max bounds how many there are. 0: 1,000,000, which take some 400 MB of memory.
	Max int

	// Waiting bounds the sessions that wait to be written, some 150 bytes each. What more of
	// them tell counts when they announce the next time. 0: 1,000,000.
	Waiting int

	// Rate is how many bytes a second a session can have transferred. 0: any number.
	Rate int64

	// Torrent returns the info hash by which sessions of a torrent are known that has two: clients
	// tell the same under both. It is called concurrently, must not block or allocate, nor keep
	// what it is given. nil: each hash stands for itself.
	Torrent func(*bittorrent.InfoHash) bittorrent.InfoHash

	// Lifetime is how long a peer that is silent counts as being at its torrent. 0: 45 minutes.
	Lifetime time.Duration

	// Refresh is how often a [Shared] store is asked for what others have changed. 0: every
	// second. Less: only by edits and [Book.Fresh].
	Refresh time.Duration

	// WriteEvery is how often what announces tell is written. 0: every second, or every 10
	// seconds where the store is [Shared]. Less: only by [Book.Flush].
	WriteEvery time.Duration

	Now    func() time.Time // nil: time.Now
	Random io.Reader        // nil: crypto/rand; errors of it are those of Create and Renew
	Log    *slog.Logger     // nil: none
}

func (o *Options) setDefaults() {
	if o.Store == nil {
		o.Store = NewMemory()
	}
	o.Max = cmp.Or(max(o.Max, 0), 1_000_000)
	o.Waiting = cmp.Or(max(o.Waiting, 0), 1_000_000)
	o.Lifetime = cmp.Or(o.Lifetime, 45*time.Minute)
	o.Refresh = cmp.Or(o.Refresh, time.Second)
	if o.WriteEvery == 0 {
		o.WriteEvery = time.Second
		if _, shared := o.Store.(Shared); shared {
			o.WriteEvery = 10 * time.Second
		}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// forgetAfter is how long a session that is silent is remembered, in lifetimes of peers: so long
// a client may be away, in a laptop that sleeps, and go on.
const forgetAfter = 32

// Book is all passkeys. Use [Open]. All methods may be called concurrently.
type Book struct {
	o        Options
	required atomic.Bool
	rate     atomic.Int64 // Options.Rate and Options.Lifetime in force
	lifetime atomic.Int64
	index    *index
	waiting  waiting
	figures  figures

	shared Shared             // the store, if it is one; else nil
	fresh  document.Freshness // of what others change

	edit sync.Mutex // held by who changes a passkey: first the store, then memory

	mu      sync.RWMutex
	byID    map[string]*entry
	ordered []*entry // by name and id

	stop   context.CancelFunc
	tasks  sync.WaitGroup
	close  sync.Once
	closed error
}

// entry is one passkey, for as long as it is there.
type entry struct {
	now    atomic.Pointer[Record] // which does not change
	totals atomic.Pointer[Totals] // which do not change
}

func newEntry(p Passkey) *entry {
	e := new(entry)
	e.now.Store(&p.Record)
	e.totals.Store(&p.Totals)
	return e
}

func (e *entry) record() *Record { return e.now.Load() }

func (e *entry) passkey() Passkey { return Passkey{*e.now.Load(), *e.totals.Load()} }

// compare orders entries by name and id.
func (r *Record) compare(name, id string) int {
	return cmp.Or(strings.Compare(r.Name, name), strings.Compare(r.ID, id))
}

// Open reads the passkeys of a store. Whoever has the book closes it, and then the store.
func Open(ctx context.Context, o Options) (*Book, error) {
	o.setDefaults()
	b := &Book{o: o, index: newIndex(), byID: map[string]*entry{}}
	b.waiting.open(o.Waiting)
	b.Require(o.Required)
	b.Bound(o.Rate, o.Lifetime)
	b.shared, _ = o.Store.(Shared)
	began := o.Now()
	for p, err := range o.Store.Passkeys(ctx) {
		if err != nil {
			return nil, fmt.Errorf("the passkeys cannot be read: %w", err)
		}
		e := newEntry(p)
		b.byID[p.ID] = e
		b.ordered = append(b.ordered, e)
	}
	slices.SortFunc(b.ordered, func(x, y *entry) int { return x.record().compare(y.record().Name, y.record().ID) })
	b.index.fill(b.ordered)
	b.fresh.Learned(began)
	var running context.Context
	running, b.stop = context.WithCancel(context.Background())
	if o.WriteEvery > 0 {
		b.tasks.Go(func() { document.WriteBehind(running, o.WriteEvery, b.Flush, o.Log, "figures of passkeys") })
	}
	if b.shared != nil && o.Refresh > 0 {
		b.tasks.Go(func() { b.follow(running) })
	}
	return b, nil
}

// Close writes what announces told and was not written yet. The store stays open. What
// could not be written is an error.
func (b *Book) Close() error {
	b.close.Do(func() {
		b.stop()
		b.tasks.Wait()
		if err := b.Flush(context.Background()); err != nil {
			b.closed = fmt.Errorf("writing what was counted for passkeys last: %w", err)
		}
	})
	return b.closed
}

// Now returns the book's time.
func (b *Book) Now() time.Time { return b.o.Now().UTC().Round(0) }

// Len returns how many passkeys there are, revoked and expired ones included.
func (b *Book) Len() int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return len(b.ordered)
}

func (b *Book) find(id string) *entry {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.byID[id]
}

// keep puts a record in memory, in place of the one with its id.
func (b *Book) keep(r Record, totals *Totals) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.byID[r.ID]
	if e == nil {
		e = newEntry(Passkey{Record: r})
		b.byID[r.ID] = e
		b.insert(e)
		b.index.put(r.Key, e)
	} else if old := e.record(); *old != r {
		if old.Name != r.Name {
			b.remove(old)
			e.now.Store(&r)
			b.insert(e)
		}
		e.now.Store(&r)
		if old.Key != r.Key {
			b.index.put(r.Key, e)
			b.index.drop(old.Key, e)
		}
	}
	if totals != nil {
		e.totals.Store(totals)
	}
}

// lose forgets a passkey.
func (b *Book) lose(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.byID[id]
	if e == nil {
		return
	}
	delete(b.byID, id)
	b.remove(e.record())
	b.index.drop(e.record().Key, e)
}

func (b *Book) insert(e *entry) {
	at, _ := b.place(e.record().Name, e.record().ID)
	b.ordered = slices.Insert(b.ordered, at, e)
}

func (b *Book) remove(r *Record) {
	if at, found := b.place(r.Name, r.ID); found {
		b.ordered = slices.Delete(b.ordered, at, at+1)
	}
}

func (b *Book) place(name, id string) (at int, found bool) {
	return slices.BinarySearchFunc(b.ordered, struct{}{}, func(e *entry, _ struct{}) int { return e.record().compare(name, id) })
}

// Get returns the passkey with an id, else [ErrNone].
func (b *Book) Get(id string) (Passkey, error) {
	if e := b.find(id); e != nil {
		return b.shown(e, b.Now()), nil
	}
	return Passkey{}, none(id)
}

func none(id string) error {
	return fmt.Errorf("%.40q: %w; waggle passkeys list names all", id, ErrNone)
}

// errNoSuchKey does not repeat a secret.
var errNoSuchKey = fmt.Errorf("%w as this one", ErrNone)

// ByKey returns the passkey with a secret, whatever its state, else [ErrNone].
func (b *Book) ByKey(key string) (Passkey, error) {
	if e := b.index.find(key); e != nil {
		return b.shown(e, b.Now()), nil
	}
	return Passkey{}, errNoSuchKey
}

// Owner returns the id and the name of the passkey of an announce; false: it is not known. It
// takes no lock and allocates nothing.
func (b *Book) Owner(key string) (id, name string, known bool) {
	if e := b.index.find(key); e != nil {
		r := e.record()
		return r.ID, r.Name, true
	}
	return "", "", false
}

// isConflict reports whether another tracker was faster.
func isConflict(err error) bool { return errors.Is(err, ErrConflict) }
