package catalog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"waggle/bittorrent"
	"waggle/document"
	"waggle/torrent"
)

// Errors of a catalogue. They are wrapped in words that name the torrent or file
// and the remedy. A broken torrent is [torrent.ErrMalformed].
var (
	ErrUnknown   = errors.New("no such torrent")
	ErrDuplicate = errors.New("the torrent is known already")
	ErrName      = errors.New("not a name for a .torrent file")
	ErrFull      = errors.New("the catalogue is full")
	ErrTooLarge  = errors.New("the .torrent is too large")
	ErrCursor    = errors.New("not a cursor of this list")
	ErrGone      = errors.New("the .torrent is gone from the directory")
	ErrProfile   = errors.New("no such profile")
	ErrElsewhere = errors.New("the .torrent is in a directory that another tracker watches")
)

// Source tells where a torrent came from.
type Source uint8

// The sources of torrents.
const (
	Directory Source = iota + 1 // a file in the watched directory
	Upload                      // given to Add; its bytes are in the store
)

// String returns "directory" or "upload".
func (s Source) String() string {
	switch s {
	case Directory:
		return "directory"
	case Upload:
		return "upload"
	}
	return "unknown"
}

// Transfer is a torrent that is, or was, being distributed. Times are UTC; zero is
// not yet. First and last started and completed are of the present period, or of
// the last one where it is not active.
type Transfer struct {
	InfoHash   bittorrent.InfoHash   // as trackers know it: of version 1, or the first 20 bytes of version 2
	InfoHashV2 bittorrent.InfoHashV2 // whole; zero if Version is torrent.V1
	Name       string                // of the folder or the only file, as it stands in the torrent: perhaps not UTF-8
	Size       int64                 // bytes of all files
	Private    bool                  // BEP 27
	Version    torrent.Version
	File       string // base name of the .torrent
	Source     Source
	Profile    string // which of Options.Profiles it has for itself; "": none

	Registered     time.Time // for the first time
	FirstStarted   time.Time
	LastStarted    time.Time
	FirstCompleted time.Time
	LastCompleted  time.Time
	Deactivated    time.Time // zero: active
}

// Active reports whether the torrent is distributed now.
func (t *Transfer) Active() bool { return t.Deactivated.IsZero() }

// InfoHashes returns each hash under which the torrent has a swarm: two for a
// hybrid (BEP 52), InfoHash first, else InfoHash alone.
func (t *Transfer) InfoHashes() []bittorrent.InfoHash {
	if t.Version == torrent.Hybrid {
		return []bittorrent.InfoHash{t.InfoHash, t.InfoHashV2.Truncated()}
	}
	return []bittorrent.InfoHash{t.InfoHash}
}

// Period is a part of a transfer's history: the transfer as it was when it was
// deactivated. Deactivated is its date.
type Period struct{ Transfer }

// Options are the settings of a catalogue. Store must be given.
type Options struct {
	// Store keeps the catalogue. It stays open when the catalogue is closed.
	Store Store

	// Directory is watched for .torrent files, not those in folders below it. "":
	// none is, and torrents that came from one are deactivated, unless the store is
	// [Shared]: then others may watch it. Trackers that share a store watch one and the
	// same directory, on a network file system, or none.
	Directory string

	// MaxTorrents bounds the torrents, active or not. Those whose files are gone from
	// the directory make room for others. 0: 100,000, which take some 60 MB of memory.
	MaxTorrents int

	// MaxBytes bounds one .torrent. 0, and at most: torrent.MaxFileSize.
	MaxBytes int64

	// Profiles are the names that a transfer's profile may have: of policies that say
	// which peers are told of which. The catalogue keeps them, and knows no more.
	Profiles []string

	// Poll is how often the whole directory is looked at, which takes some 3 µs a
	// file. Where the system tells of changes they are seen within a fraction of a
	// second; network file systems tell nothing of what others do. 0: 15 seconds.
	Poll time.Duration

	// Refresh is how often a [Shared] store is asked for what others have changed. 0:
	// every second. Less: only by edits and [Catalog.Fresh].
	Refresh time.Duration

	// WriteEvery is how often starts and completions are written. 0: every second, or
	// every 10 seconds where the store is [Shared].
	WriteEvery time.Duration

	// Log is told of torrents that come and go, of files that are none, and of a
	// directory or store that fails. nil: nobody is.
	Log *slog.Logger

	// Now is the clock. nil: time.Now.
	Now func() time.Time

	notify notify // in place of the system's notifications, for tests
	looked func() // called after each look at the directory, for tests
}

func (o *Options) setDefaults() {
	if o.MaxTorrents <= 0 {
		o.MaxTorrents = 100_000
	}
	if o.MaxBytes <= 0 || o.MaxBytes > torrent.MaxFileSize {
		o.MaxBytes = torrent.MaxFileSize
	}
	if o.Poll <= 0 {
		o.Poll = 15 * time.Second
	}
	_, shared := o.Store.(Shared)
	switch {
	case o.WriteEvery > 0:
	case shared:
		o.WriteEvery = 10 * time.Second
	default:
		o.WriteEvery = time.Second
	}
	if o.Refresh == 0 {
		o.Refresh = time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.notify == nil {
		o.notify = newWatcher
	}
	if o.looked == nil {
		o.looked = func() {}
	}
}

// Catalog is the catalogue. Use [Open]. Its methods may be called concurrently.
type Catalog struct {
	o      Options
	index  index  // by hash, for announces
	order  order  // by name, for lists
	behind behind // starts and completions that are not written yet
	asked  asked

	shared Shared             // the store, if it is one; else nil
	fresh  document.Freshness // of what others change

	news *slog.Logger // of torrents that come and go

	edit  sync.Mutex // of whoever changes the catalogue; held while the store writes
	files files      // of the directory; under edit

	stop   context.CancelFunc
	tasks  sync.WaitGroup
	close  sync.Once
	closed error
}

// Open reads the store, looks at the directory once, and begins to watch it. It
// fails if the store fails or the directory cannot be read. Files in the directory
// that are no torrents are logged and left out.
func Open(ctx context.Context, o Options) (*Catalog, error) {
	o.setDefaults()
	c := &Catalog{o: o, news: slog.New(slog.DiscardHandler)}
	c.shared, _ = o.Store.(Shared)
	if err := c.load(ctx); err != nil {
		return nil, fmt.Errorf("reading the catalogue: %w", err)
	}
	c.resetFiles()
	// Watch before looking, so that nothing changes unseen between the two.
	watcher := c.startWatcher()
	if err := c.scan(ctx); err != nil {
		if watcher != nil {
			err = errors.Join(err, watcher.Close())
		}
		return nil, err
	}
	c.news = o.Log
	var running context.Context
	running, c.stop = context.WithCancel(context.Background())
	c.tasks.Go(func() {
		document.WriteBehind(running, c.o.WriteEvery, c.flush, c.o.Log, "starts and completions of torrents")
	})
	if o.Directory != "" {
		c.tasks.Go(func() { c.watch(running, watcher) })
	}
	if c.shared != nil && o.Refresh > 0 {
		c.tasks.Go(func() { c.follow(running) })
	}
	return c, nil
}

// load reads the store into memory.
func (c *Catalog) load(ctx context.Context) error {
	began := c.now()
	var all []*entry
	for r, err := range c.o.Store.Records(ctx) {
		if err != nil {
			return err
		}
		all = append(all, newEntry(r))
	}
	c.index.fill(all)
	c.order.fill(all)
	c.fresh.Learned(began)
	return nil
}

// Close stops watching and writes the starts and completions that wait. The store
// stays open. What could not be written is an error.
func (c *Catalog) Close() error {
	c.close.Do(func() {
		c.stop()
		c.tasks.Wait()
		if err := c.flush(context.Background()); err != nil {
			c.closed = fmt.Errorf("writing the last starts and completions: %w", err)
		}
	})
	return c.closed
}

func (c *Catalog) now() time.Time { return c.o.Now().UTC().Round(0) }

// Active reports whether the torrent with this hash is distributed. Either hash of
// a hybrid will do. It takes no lock and allocates nothing.
func (c *Catalog) Active(h *bittorrent.InfoHash) bool {
	s := c.index.find(h)
	return s != nil && s.active
}

// Inactive reports whether the torrent with this hash is known and not distributed.
// It takes no lock and allocates nothing.
func (c *Catalog) Inactive(h *bittorrent.InfoHash) bool {
	e := c.index.get(h)
	return e != nil && !e.record.Active()
}

// Identity returns the one hash that stands for the torrent with this one: of a hybrid that of
// version 1, and of what is not known the hash itself. It takes no lock and allocates nothing.
func (c *Catalog) Identity(h *bittorrent.InfoHash) bittorrent.InfoHash {
	if e := c.index.get(h); e != nil {
		return e.record.InfoHash
	}
	return *h
}

// Get returns the transfer with this hash, either one of a hybrid. The error is
// [ErrUnknown].
func (c *Catalog) Get(h bittorrent.InfoHash) (Transfer, error) {
	e := c.index.get(&h)
	if e == nil {
		return Transfer{}, unknown(h)
	}
	return e.snapshot().Transfer, nil
}

func unknown(h bittorrent.InfoHash) error {
	return fmt.Errorf("%v: %w: upload it, or put its .torrent into the directory", h, ErrUnknown)
}

// Torrent returns the bytes of the .torrent, which are the caller's own: those
// that were uploaded, or the file as it stands in the directory. The error is
// [ErrUnknown], [ErrGone], [ErrElsewhere], or one of the store or the file.
func (c *Catalog) Torrent(ctx context.Context, h bittorrent.InfoHash) ([]byte, error) {
	e := c.index.get(&h)
	if e == nil {
		return nil, unknown(h)
	}
	t := &e.record.Transfer
	var b []byte
	var err error
	if t.Source == Upload {
		b, err = c.o.Store.Torrent(ctx, t.InfoHash)
	} else {
		b, err = c.readFile(t.File)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.File, err)
	}
	m, err := torrent.Parse(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.File, err)
	}
	if !slices.Contains(m.InfoHashes(), h) {
		return nil, fmt.Errorf("%s: %w: another torrent is in its place", t.File, ErrGone)
	}
	return b, nil
}
