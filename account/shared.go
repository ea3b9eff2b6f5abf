package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"waggle/document"
)

// Shared is a store that other trackers write to as well. Its Put and Remove are refused
// with [ErrConflict] where another one has changed an account, any of them, and News has
// not told so yet: which account must stay depends on all of them.
type Shared interface {
	Store

	// News returns what others have changed since Accounts, or News, was called last, in
	// its order. Where whole is true, that is too much: all is to be read by Accounts.
	News(ctx context.Context) (news []News, whole bool, err error)

	// Sessions returns those of an account of this name, in the order of their
	// beginnings, also ended ones.
	Sessions(ctx context.Context, name string) ([]SavedSession, error)

	// ChangeSessions puts those in their place that change makes of them, whatever others
	// do at the same time. change may be called several times. None are forgotten. The
	// error is [ErrConflict] where others are faster all the time.
	ChangeSessions(ctx context.Context, name string, change func([]SavedSession) []SavedSession) error
}

// News is something that another tracker has changed: one account.
type News struct {
	Name    string
	Record  Record // if it is not removed
	Removed bool
}

// SavedSession is a session that any tracker goes on with.
type SavedSession struct {
	Sum     string    `json:"sum"`     // SHA-256 of the cookie, in hexadecimal digits
	Changed time.Time `json:"changed"` // Account.Changed when it began: any change ends it
	Began   time.Time `json:"began"`
	Used    time.Time `json:"used"` // to some minutes
}

// ErrConflict says that another tracker was faster. Nothing was changed.
var ErrConflict = errors.New("another tracker has changed an account at the same time: try again")

// maxTries is how often a change is decided anew because another tracker was faster.
const maxTries = 16

// Fresh has accounts be as others have changed them up to some time ago, as the clock
// tells; less than 0: now. It asks the store where that is not known yet, once, by one
// small request in the common case. Where the store is not [Shared] there is nothing to
// ask. The error is one of the store; then all is as it was.
func (a *Accounts) Fresh(ctx context.Context, ago time.Duration) error {
	if a.shared == nil {
		return nil
	}
	return a.fresh.Renew(ctx, ago, a.o.Now, &a.edit, a.learn)
}

// follow learns what others change, until ctx ends.
func (a *Accounts) follow(ctx context.Context) {
	learn := func(ctx context.Context) error { return a.Fresh(ctx, 0) }
	document.Follow(ctx, a.o.Refresh, learn, a.o.Log, "accounts")
}

// decide has change decide and write, on what is in the store now. Where another tracker
// is faster it begins again. The lock edit is the caller's.
func (a *Accounts) decide(ctx context.Context, change func() error) error {
	for tries := 1; ; tries++ {
		if err := a.learn(ctx); err != nil {
			return err
		}
		if err := change(); !errors.Is(err, ErrConflict) || tries == maxTries {
			return err
		}
	}
}

// learn takes in what others have changed. The lock edit is the caller's.
func (a *Accounts) learn(ctx context.Context) error {
	if a.shared == nil {
		return nil
	}
	began := a.o.Now()
	news, whole, err := a.shared.News(ctx)
	if err == nil && whole {
		err = a.reload(ctx)
	}
	if err != nil {
		return fmt.Errorf("the accounts cannot be read: %w", err)
	}
	for _, n := range news {
		if n.Removed {
			a.lose(n.Name)
		} else {
			a.take(n.Record)
		}
	}
	a.fresh.Learned(began)
	return nil
}

// reload makes memory as the store is.
func (a *Accounts) reload(ctx context.Context) error {
	records, err := a.o.Store.Accounts(ctx)
	if err != nil {
		return err
	}
	there := make(map[string]struct{}, len(records))
	for _, r := range records {
		there[r.Name] = struct{}{}
		a.take(r)
	}
	a.mu.RLock()
	var gone []string
	for name := range a.byName {
		if _, ok := there[name]; !ok {
			gone = append(gone, name)
		}
	}
	a.mu.RUnlock()
	for _, name := range gone {
		a.lose(name)
	}
	return nil
}

// take puts in memory what another tracker has written. A hash that it has computed anew
// ends nothing.
func (a *Accounts) take(r Record) {
	a.mu.Lock()
	e := a.byName[r.Name]
	same := e != nil && e.record.Changed.Equal(r.Changed) && e.record.Created.Equal(r.Created)
	if same {
		e.record.Hash = r.Hash
	}
	a.mu.Unlock()
	if !same {
		a.keep(r)
	}
}

// lose forgets what another tracker has removed.
func (a *Accounts) lose(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.drop(name)
}
