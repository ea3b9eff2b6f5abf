package account

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"waggle/document"
)

// MaxAccounts is how many accounts there are at most.
const MaxAccounts = 10_000

// Errors of accounts. They come wrapped, in words that say what to do.
var (
	ErrUnknown = errors.New("there is no such account")
	ErrExists  = errors.New("there is an account of this name already")
	ErrInvalid = errors.New("not allowed for an account")
	ErrFull    = errors.New("there are as many accounts as there may be")
	ErrLastKey = errors.New("nobody could manage accounts any more")
)

// Account is somebody who may use the console.
type Account struct {
	Name    string // 1 to 64 printable characters, without spaces at its ends
	Role    Role
	Secret  Secret
	Created time.Time
	Changed time.Time // role, secret or expiry; at first Created
	Expires time.Time // zero: never
}

// Secret is what kind of secret an account has.
type Secret string

// The kinds of secrets.
const (
	Password Secret = "password" // of one's own choice
	Token    Secret = "token"    // made by waggle
)

// Options are the settings of [Open]. The zero value keeps accounts in memory.
type Options struct {
	Store  Store            // nil: one in memory. Close closes it
	Hash   Cost             // zero: [DefaultCost]
	Now    func() time.Time // nil: time.Now
	Random io.Reader        // nil: crypto/rand; errors of it are those of Create and Change
	Log    *slog.Logger     // nil: none

	// Refresh is how often a [Shared] store is asked for what others have changed. 0:
	// every second. Less: only by changes and [Accounts.Fresh].
	Refresh time.Duration
}

// Access says how the console may be reached without an account, which decides whether
// the last of them may go.
type Access struct {
	Public    bool // it listens beyond loopback
	TokenFile bool // there is console.token_file, whose holder is an Admin
}

// Accounts says who may do what, and writes down what they did. All methods may be
// called concurrently.
type Accounts struct {
	o        Options
	hasher   hasher
	dummy    string // a hash that nothing has
	limits   *limits
	sessions *sessions
	failures failures

	shared Shared             // the store, if it is one; else nil
	fresh  document.Freshness // of what others change
	lost   atomic.Bool        // sessions could not be looked for, which was logged
	stop   context.CancelFunc
	tasks  sync.WaitGroup

	edit sync.Mutex // held by who changes an account: first the store, then memory

	mu      sync.RWMutex
	byName  map[string]*entry
	byToken map[string]*entry // by TokenID
	access  Access
}

// entry is an account as it is, until it is changed, which makes another entry.
type entry struct {
	record Record // its Hash alone is replaced, under mu
	now    func() time.Time
	gone   atomic.Bool // changed or deleted

	// verified is the SHA-256 of the token, once it has been verified. There is one
	// token alone that an entry can have.
	verified  atomic.Pointer[[32]byte]
	verifying chan struct{} // has one place

	sessions sessionKeys
}

func (e *entry) lasts(now time.Time) bool { return !e.gone.Load() && !e.expired(now) }

func (e *entry) expired(now time.Time) bool {
	return !e.record.Expires.IsZero() && !now.Before(e.record.Expires)
}

// Open reads the accounts of a store. Whoever has them closes them. The error is one of
// the store, or of Random.
func Open(ctx context.Context, o Options) (*Accounts, error) {
	if o.Store == nil {
		o.Store = NewMemory()
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
	o.Hash = cmp.Or(o.Hash, DefaultCost)
	a := &Accounts{
		o: o, hasher: newHasher(), limits: newLimits(), sessions: newSessions(),
		byName: map[string]*entry{}, byToken: map[string]*entry{},
	}
	a.shared, _ = o.Store.(Shared)
	a.fresh.Learned(o.Now())
	var err error
	if a.dummy, err = dummyHash(o.Random, o.Hash); err != nil {
		return nil, err
	}
	records, err := o.Store.Accounts(ctx)
	if err != nil {
		return nil, fmt.Errorf("the accounts cannot be read: %w", err)
	}
	for _, r := range records {
		a.keep(r)
	}
	var running context.Context
	running, a.stop = context.WithCancel(context.Background())
	if a.shared != nil && o.Refresh >= 0 {
		a.o.Refresh = cmp.Or(o.Refresh, time.Second)
		a.tasks.Go(func() { a.follow(running) })
	}
	return a, nil
}

// Close closes the store. Nothing else is called from then on.
func (a *Accounts) Close() error {
	a.stop()
	a.tasks.Wait()
	return a.o.Store.Close()
}

// SetAccess says how the console may be reached; until then, on loopback and without a
// token file.
func (a *Accounts) SetAccess(access Access) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.access = access
}

// Len returns how many accounts there are, also expired ones.
func (a *Accounts) Len() int {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return len(a.byName)
}

// Get returns the account of a name, else [ErrUnknown].
func (a *Accounts) Get(name string) (Account, error) {
	if e := a.find(name); e != nil {
		return e.record.Account, nil
	}
	return Account{}, unknown(name)
}

func unknown(name string) error {
	return fmt.Errorf("%.80q: %w; waggle token list names all", name, ErrUnknown)
}

// List returns a page of the accounts, by the bytes of their names, and whether there
// are more. after is the last name of the page before, "" for the first page; limit is
// from 1.
func (a *Accounts) List(after string, limit int) (page []Account, more bool) {
	a.mu.RLock()
	names := make([]string, 0, len(a.byName))
	for name := range a.byName {
		if name > after {
			names = append(names, name)
		}
	}
	a.mu.RUnlock()
	slices.Sort(names)
	for _, name := range names {
		account, err := a.Get(name)
		if err != nil {
			continue // deleted just now
		}
		if len(page) == limit {
			return page, true
		}
		page = append(page, account)
	}
	return page, false
}

func (a *Accounts) find(name string) *entry {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.byName[name]
}

// keep puts an account in memory, in place of the one of its name.
func (a *Accounts) keep(r Record) {
	e := &entry{record: r, now: a.o.Now, verifying: make(chan struct{}, 1)}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.drop(r.Name)
	a.byName[r.Name] = e
	if r.TokenID != "" {
		a.byToken[r.TokenID] = e
	}
}

// drop removes an account from memory, and ends its sessions and its token. The lock is
// the caller's.
func (a *Accounts) drop(name string) {
	e := a.byName[name]
	if e == nil {
		return
	}
	e.gone.Store(true)
	delete(a.byName, name)
	delete(a.byToken, e.record.TokenID)
}
