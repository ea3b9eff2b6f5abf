package moving

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"waggle/bittorrent"
	"waggle/catalog"
)

// catalog copies transfers with their .torrents, and the history.
func (c *copying) catalog(ctx context.Context) error {
	known := map[bittorrent.InfoHash]catalog.Record{}
	for r, err := range c.to.Catalog.Records(ctx) {
		if err != nil {
			return fmt.Errorf("reading the other store's catalogue: %w", err)
		}
		known[r.InfoHash] = r
	}
	if err := c.history(ctx, known); err != nil {
		return err
	}
	for r, err := range c.from.Catalog.Records(ctx) {
		if err != nil {
			return fmt.Errorf("reading the catalogue: %w", err)
		}
		if err := c.transfer(ctx, r, known); err != nil {
			return fmt.Errorf("copying the transfer %v: %w", r.InfoHash, err)
		}
		c.rest.Transfers++
		c.report()
	}
	return nil
}

func (c *copying) transfer(ctx context.Context, r catalog.Record, known map[bittorrent.InfoHash]catalog.Record) error {
	theirs, there := known[r.InfoHash]
	if there && !c.o.Overwrite {
		joined := joinTimes(theirs, &r.Transfer)
		if joined == theirs {
			return nil
		}
		if used, ok := c.to.Catalog.(catalog.Shared); ok { // others may have changed it since
			return used.Mark(ctx, []catalog.Record{joined})
		}
		return c.to.Catalog.Apply(ctx, []catalog.Change{{Record: joined}})
	}
	metainfo, err := c.from.Catalog.Torrent(ctx, r.InfoHash)
	if err != nil && !errors.Is(err, catalog.ErrUnknown) { // one of a directory has none
		return err
	}
	err = c.to.Catalog.Apply(ctx, []catalog.Change{{Record: r, Metainfo: metainfo}})
	if errors.Is(err, catalog.ErrConflict) && !c.o.Overwrite {
		return nil // somebody who uses the other store has just registered it
	}
	return err
}

// joinTimes returns a record with the earliest first and the latest last times of two.
// Those of another period are left alone.
func joinTimes(r catalog.Record, other *catalog.Transfer) catalog.Record {
	if !r.Registered.Equal(other.Registered) {
		return r
	}
	r.FirstStarted = earlier(r.FirstStarted, other.FirstStarted)
	r.LastStarted = later(r.LastStarted, other.LastStarted)
	r.FirstCompleted = earlier(r.FirstCompleted, other.FirstCompleted)
	r.LastCompleted = later(r.LastCompleted, other.LastCompleted)
	return r
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// history copies ended periods, the oldest first, or those that have ended since it was
// copied last. Transfers that are there stay. A store that has periods of its own keeps
// those alone: they have no order but the one in which they ended.
func (c *copying) history(ctx context.Context, known map[bittorrent.InfoHash]catalog.Record) error {
	there, _, err := c.to.Catalog.History(ctx, 0, 1)
	if err != nil {
		return fmt.Errorf("reading the other store's history: %w", err)
	}
	var all []catalog.Period // the latest first; a store keeps a bounded number
	for before := int64(0); ; {
		some, last, err := c.from.Catalog.History(ctx, before, page)
		if err != nil {
			return fmt.Errorf("reading the history: %w", err)
		}
		if all = append(all, some...); last == 0 {
			break
		}
		before = last
	}
	all = since(all, there, samePeriod)
	slices.Reverse(all)
	for step := periodsAtOnce; len(all) > 0; {
		some := all[:min(step, len(all))]
		err := c.to.Catalog.Apply(ctx, endings(some, known))
		switch {
		case errors.Is(err, catalog.ErrTooMuch) && step > 1:
			step /= 2
			continue
		case err != nil:
			return fmt.Errorf("writing the history: %w", err)
		}
		all = all[len(some):]
		c.rest.Periods += len(some)
		c.report()
	}
	return nil
}

func samePeriod(a, b *catalog.Period) bool {
	return a.InfoHash == b.InfoHash && a.Registered.Equal(b.Registered) && a.Deactivated.Equal(b.Deactivated) && a.Name == b.Name
}

// periodsAtOnce is how many ended periods are written at a time, if the store takes so
// many.
const periodsAtOnce = 100

// endings returns the changes that put periods in front of the history, and change
// nothing else.
func endings(periods []catalog.Period, known map[bittorrent.InfoHash]catalog.Record) []catalog.Change {
	changes := make([]catalog.Change, 0, len(periods))
	for i := range periods {
		change := catalog.Change{Ended: &periods[i]}
		if r, there := known[periods[i].InfoHash]; there {
			change.Record = r
		} else {
			change.Record.InfoHash, change.Delete = periods[i].InfoHash, true
		}
		changes = append(changes, change)
	}
	return changes
}
