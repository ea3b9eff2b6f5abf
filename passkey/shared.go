package passkey

import (
	"context"
	"errors"
	"fmt"
	"time"

	"waggle/document"
)

// Shared is a store that other trackers write to as well. Its Apply is refused with
// [ErrConflict] where another one has changed one of the same passkeys and News has not told
// so yet.
type Shared interface {
	Store

	// News returns what others have changed since Passkeys, or News, was called last, in its
	// order. Where whole is true, that is too much: all is to be read by Passkeys. The book
	// never calls it while it calls Apply or Count.
	News(ctx context.Context) (news []News, whole bool, err error)
}

// News is something that another tracker has changed: one passkey.
type News struct {
	Change
	Counted bool // only the totals count
}

// Errors of Apply, after which nothing was changed.
var (
	ErrConflict = errors.New("another tracker has changed a passkey at the same time: try again")
	ErrTooMuch  = errors.New("too much to be changed at a time: make fewer passkeys at once")
)

// maxTries is how often an edit is decided anew because another tracker was faster.
const maxTries = 16

// Fresh has the book know what others have changed up to some time ago, as the clock tells;
// less than 0: now. It asks the store where it does not know that yet, by one small request
// in the common case. Where the store is not [Shared] there is nothing to ask. The error is
// one of the store; then the book is as it was.
func (b *Book) Fresh(ctx context.Context, ago time.Duration) error {
	if b.shared == nil {
		return nil
	}
	return b.fresh.Renew(ctx, ago, b.o.Now, &b.edit, b.learn)
}

// follow learns what others change, until ctx ends.
func (b *Book) follow(ctx context.Context) {
	learn := func(ctx context.Context) error { return b.Fresh(ctx, 0) }
	document.Follow(ctx, b.o.Refresh, learn, b.o.Log, "passkeys")
}

// learn takes in what others have changed. The lock edit is the caller's.
func (b *Book) learn(ctx context.Context) error {
	if b.shared == nil {
		return nil
	}
	began := b.o.Now()
	news, whole, err := b.shared.News(ctx)
	if err == nil && whole {
		err = b.reload(ctx)
	}
	if err != nil {
		return fmt.Errorf("the passkeys cannot be read: %w", err)
	}
	for i := range news {
		n := &news[i]
		if !n.Counted {
			b.install(&n.Change)
		} else if e := b.find(n.Record.ID); e != nil {
			e.totals.Store(n.Totals)
		}
	}
	b.fresh.Learned(began)
	return nil
}

// reload makes memory as the store is.
func (b *Book) reload(ctx context.Context) error {
	there := map[string]Passkey{}
	for p, err := range b.o.Store.Passkeys(ctx) {
		if err != nil {
			return err
		}
		there[p.ID] = p
	}
	b.mu.RLock()
	var gone []string
	for id := range b.byID {
		if _, is := there[id]; !is {
			gone = append(gone, id)
		}
	}
	b.mu.RUnlock()
	for _, id := range gone {
		b.lose(id)
	}
	for _, p := range there {
		b.keep(p.Record, &p.Totals)
	}
	return nil
}
