package moving

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"waggle/account"
	"waggle/catalog"
	"waggle/passkey"
	"waggle/swarm"
)

// Kept is what a tracker keeps, wherever that is.
type Kept struct {
	Swarms   swarm.Store   // of one that is copied into, a [swarm.Restorer] too
	Catalog  catalog.Store // nil: there is none
	Accounts account.Store // nil: there are none
	Passkeys passkey.Store // nil: there are none
}

// Result counts what was copied, or looked at.
type Result struct {
	Torrents  int // swarms, those without peers included
	Peers     int
	Transfers int // in the catalogue
	Periods   int // of its history
	Accounts  int
	Entries   int // of the audit log
	Passkeys  int
}

// Options are how to copy.
type Options struct {
	// Overwrite replaces transfers, accounts and passkeys that are there already. Without, they
	// stay, and only the times of a transfer's first and last peers are joined.
	Overwrite bool

	// Progress is called now and then, by any goroutine, one call at a time and never with less
	// than before; nil: nobody is told.
	Progress func(Result)
}

// swarmsAtOnce is how many swarms are written at a time, since a store on a network
// takes milliseconds for each. They have so many peers together at most, or it is one.
const (
	swarmsAtOnce = 32
	peersAtOnce  = 1 << 20
	chunk        = 1000 // peers of a swarm that are copied in one step
)

// Copy copies all that one tracker keeps to where another one does. With an error, what
// was copied stays, and copying again goes on.
func Copy(ctx context.Context, from, to Kept, o Options) (Result, error) {
	c := copying{from: from, to: to, o: o}
	if c.o.Progress == nil {
		c.o.Progress = func(Result) {}
	}
	err := c.swarms(ctx)
	if err == nil && from.Catalog != nil && to.Catalog != nil {
		err = c.catalog(ctx)
	}
	if err == nil && from.Accounts != nil && to.Accounts != nil {
		err = c.accounts(ctx)
	}
	if err == nil && from.Passkeys != nil && to.Passkeys != nil {
		err = c.passkeys(ctx)
	}
	return c.result(), err
}

type copying struct {
	from, to Kept
	o        Options

	torrents, peers atomic.Int64
	rest            Result // but for these two

	telling sync.Mutex // held while the progress is told
}

func (c *copying) result() Result {
	r := c.rest
	r.Torrents, r.Peers = int(c.torrents.Load()), int(c.peers.Load())
	return r
}

func (c *copying) report() {
	c.telling.Lock()
	defer c.telling.Unlock()
	c.o.Progress(c.result())
}

// swarms copies peers and completed counts, some swarms at a time.
func (c *copying) swarms(ctx context.Context) error {
	to, ok := c.to.Swarms.(swarm.Restorer)
	if !ok {
		return errors.New("this store cannot be copied into")
	}
	group, working := errgroup.WithContext(ctx)
	group.SetLimit(swarmsAtOnce)
	room := semaphore.NewWeighted(peersAtOnce)
	for s, err := range c.from.Swarms.Swarms(working) {
		if err != nil {
			if working.Err() != nil && ctx.Err() == nil {
				break // what failed, Wait says
			}
			return errors.Join(fmt.Errorf("reading swarms: %w", err), group.Wait())
		}
		size := min(int64(len(s.Peers)), peersAtOnce)
		if err := room.Acquire(working, size); err != nil {
			return cmp.Or(group.Wait(), err)
		}
		s.Peers = slices.Clone(s.Peers) // which are ours until the next one only
		group.Go(func() error {
			defer room.Release(size)
			return c.swarm(working, to, s)
		})
	}
	return group.Wait()
}

func (c *copying) swarm(ctx context.Context, to swarm.Restorer, s swarm.Snapshot) error {
	peers := s.Peers
	for first := true; first || len(peers) > 0; first = false {
		s.Peers = peers[:min(chunk, len(peers))]
		peers = peers[len(s.Peers):]
		if err := to.Restore(ctx, s); err != nil {
			return fmt.Errorf("writing the swarm of %v: %w", s.InfoHash, err)
		}
		c.peers.Add(int64(len(s.Peers)))
		c.report()
	}
	c.torrents.Add(1)
	return nil
}

// accounts copies accounts, and the audit log.
func (c *copying) accounts(ctx context.Context) error {
	ours, err := c.from.Accounts.Accounts(ctx)
	if err != nil {
		return fmt.Errorf("reading accounts: %w", err)
	}
	theirs, err := c.to.Accounts.Accounts(ctx)
	if err != nil {
		return fmt.Errorf("reading the other store's accounts: %w", err)
	}
	known := map[string]bool{}
	for _, r := range theirs {
		known[r.Name] = true
	}
	for _, r := range ours {
		if known[r.Name] && !c.o.Overwrite {
			continue
		}
		if err := c.to.Accounts.Put(ctx, r); err != nil {
			return fmt.Errorf("writing the account %q: %w", r.Name, err)
		}
		c.rest.Accounts++
	}
	c.report()
	return c.audit(ctx)
}

// page is how many entries are read at a time.
const page = 1000

// audit copies the audit log, or what has come since it was copied last. A store that has
// entries of its own keeps those alone: they have no order but their numbers.
func (c *copying) audit(ctx context.Context) error {
	there, _, err := c.to.Accounts.Entries(ctx, 0, 1)
	if err != nil {
		return fmt.Errorf("reading the other store's audit log: %w", err)
	}
	var all []account.Entry // the latest first; a store keeps a bounded number
	for before, more := int64(0), true; more; {
		var some []account.Entry
		if some, more, err = c.from.Accounts.Entries(ctx, before, page); err != nil {
			return fmt.Errorf("reading the audit log: %w", err)
		}
		if len(some) == 0 {
			break
		}
		all = append(all, some...)
		before = some[len(some)-1].Number
	}
	for _, e := range slices.Backward(since(all, there, sameEntry)) {
		if err := c.to.Accounts.Append(ctx, e); err != nil {
			return fmt.Errorf("writing the audit log: %w", err)
		}
		c.rest.Entries++
		c.report()
	}
	return nil
}

func sameEntry(a, b *account.Entry) bool {
	same := *b
	same.Number, same.Time = a.Number, a.Time
	return *a == same && a.Time.Equal(b.Time)
}

// since returns those of a list, the latest first, that have come since the latest that
// is there already: all where there is none, and none where that one is of another list.
func since[V any](all, there []V, same func(a, b *V) bool) []V {
	if len(there) == 0 {
		return all
	}
	for i := range all {
		if same(&all[i], &there[0]) {
			return all[:i]
		}
	}
	return nil
}
