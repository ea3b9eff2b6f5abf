package catalog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"waggle/bittorrent"
	"waggle/document"
)

// Shared is a store that other trackers write to as well. Its Apply is refused with
// [ErrConflict] where another one has changed one of the same torrents and News has not
// told so yet.
type Shared interface {
	Store

	// News returns what others have changed since Records, or News, was called last, in
	// its order. Where whole is true, that is too much: all is to be read by Records. The
	// catalogue never calls it while it calls Apply or Mark.
	News(ctx context.Context) (news []News, whole bool, err error)

	// Mark writes when transfers started and completed, where their periods are still
	// those of the records: of two times the earlier first one and the later last one
	// stay, whoever wrote them. What is not known there is left out.
	Mark(ctx context.Context, records []Record) error
}

// News is something that another tracker has changed: one record.
type News struct {
	Record Record // has the info hash in any case

	Deleted bool // it is gone
	Marked  bool // only the times of started and completed count, and the period that they are of
}

// Errors of Apply, after which nothing was changed.
var (
	ErrConflict = errors.New("another tracker has changed the catalogue at the same time: try again")
	ErrTooMuch  = errors.New("too much to be changed at a time: try the half of it")
)

// maxTries is how often an edit is planned anew because another tracker was faster.
const maxTries = 16

// Fresh has the catalogue know what others have changed up to some time ago, as the
// clock tells; less than 0: now. It asks the store where it does not know that yet, once,
// by one small request in the common case. Where the store is not [Shared] there is
// nothing to ask. The error is one of the store; then the catalogue is as it was.
func (c *Catalog) Fresh(ctx context.Context, ago time.Duration) error {
	if c.shared == nil {
		return nil
	}
	return c.fresh.Renew(ctx, ago, c.now, &c.edit, c.learn)
}

// Flush writes the starts and completions that wait. Nobody need call it but who may
// be stopped for good at any time, and cannot Close.
func (c *Catalog) Flush(ctx context.Context) error { return c.flush(ctx) }

// follow learns what others change, until ctx ends.
func (c *Catalog) follow(ctx context.Context) {
	learn := func(ctx context.Context) error { return c.Fresh(ctx, 0) }
	document.Follow(ctx, c.o.Refresh, learn, c.o.Log, "torrents")
}

// change has edit make a plan, on what is in the store now, and commits it. Where
// another tracker is faster it begins again. c.edit is held.
func (c *Catalog) change(ctx context.Context, edit func(*plan) error) error {
	for tries := 1; ; tries++ {
		if err := c.learn(ctx); err != nil {
			return err
		}
		p := c.plan()
		if err := edit(p); err != nil {
			return err
		}
		if err := p.commit(ctx); !errors.Is(err, ErrConflict) || tries == maxTries {
			return err
		}
	}
}

// changeOne is change, and returns the transfer whose hash edit returns.
func (c *Catalog) changeOne(ctx context.Context, edit func(*plan) (bittorrent.InfoHash, error)) (Transfer, error) {
	c.edit.Lock()
	defer c.edit.Unlock()
	var h bittorrent.InfoHash
	err := c.change(ctx, func(p *plan) (err error) {
		h, err = edit(p)
		return err
	})
	if err != nil {
		return Transfer{}, err
	}
	return c.index.get(&h).snapshot().Transfer, nil
}

// changeKnown is changeOne for a torrent that there is. The error is [ErrUnknown] where
// there is none.
func (c *Catalog) changeKnown(ctx context.Context, h bittorrent.InfoHash, edit func(*plan, *entry) error) (Transfer, error) {
	return c.changeOne(ctx, func(p *plan) (bittorrent.InfoHash, error) {
		e := c.index.get(&h)
		if e == nil {
			return h, unknown(h)
		}
		return e.record.InfoHash, edit(p, e)
	})
}

// learn takes in what others have changed. c.edit is held.
func (c *Catalog) learn(ctx context.Context) error {
	if c.shared == nil {
		return nil
	}
	began := c.now()
	news, whole, err := c.shared.News(ctx)
	if err == nil && whole {
		err = c.reload(ctx)
	}
	if err != nil {
		return fmt.Errorf("the catalogue cannot be read: %w", err)
	}
	for i := range news {
		c.take(&news[i])
	}
	c.fresh.Learned(began)
	return nil
}

// take installs what another tracker has changed.
func (c *Catalog) take(n *News) {
	r := &n.Record
	old := c.index.get(&r.InfoHash)
	if old != nil && old.record.InfoHash != r.InfoHash {
		old = nil // it is a hybrid that has this hash too
	}
	same := old != nil && old.record.Period == r.Period
	switch {
	case n.Marked:
		if same {
			old.marks.merge(&r.Transfer)
		}
	case n.Deleted:
		if old != nil {
			c.install(planned{entry: old, removed: true})
		}
	case same && old.record.equals(*r):
		old.marks.merge(&r.Transfer)
	case same:
		old.marks.merge(&r.Transfer)
		c.install(planned{entry: &entry{record: *r, marks: old.marks}})
	default:
		c.install(planned{entry: newEntry(*r)})
	}
}

// equals compares records but for what is in marks.
func (r Record) equals(other Record) bool {
	r.setTimes(&Transfer{})
	other.setTimes(&Transfer{})
	return r == other
}

// reload makes memory as the store is.
func (c *Catalog) reload(ctx context.Context) error {
	there := map[bittorrent.InfoHash]struct{}{}
	var all []News
	for r, err := range c.o.Store.Records(ctx) {
		if err != nil {
			return err
		}
		there[r.InfoHash] = struct{}{}
		all = append(all, News{Record: r})
	}
	var gone []*entry
	for _, e := range c.order.entries { // which edits alone change
		if _, ok := there[e.record.InfoHash]; !ok {
			gone = append(gone, e)
		}
	}
	for _, e := range gone {
		c.install(planned{entry: e, removed: true})
	}
	for i := range all {
		c.take(&all[i])
	}
	return nil
}
