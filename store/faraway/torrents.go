package faraway

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dchest/siphash"
	"golang.org/x/sync/errgroup"

	"waggle/bittorrent"
	"waggle/swarm"
)

// TorrentLimit is by what a store gives up torrents that have no peers, and are kept for
// their completed count only, where it has more torrents than it may. Its fields are not
// changed once it is used.
type TorrentLimit struct {
	Most   int     // torrents, in the store; 0: no limit
	Totals *Totals // are told how many there are

	// Runs is how many parts the torrents lie in, of which each is listed by itself. RunOf
	// is which one a torrent lies in.
	Runs  int
	RunOf func(bittorrent.InfoHash) int

	// List shows the torrents of a run as they are now, and whether they have peers. GiveUp
	// forgets one, unless it has peers by now, and reports whether it is not there any more.
	List   func(ctx context.Context, run int, see func(h bittorrent.InfoHash, peers bool)) error
	GiveUp func(ctx context.Context, h bittorrent.InfoHash) (gone bool, err error)

	Key [2]uint64 // of where is begun; the same for all trackers of a store
}

// enough is up to how many torrents there may be after an expiry: room is left for those
// that come before the next one.
func (l *TorrentLimit) enough() int { return l.Most * 15 / 16 }

// TorrentCount is how many torrents whoever goes through all of a store sees.
type TorrentCount struct {
	limit *TorrentLimit
	began time.Time
	came  came
	runs  []seen
}

// seen is what was seen of a run.
type seen struct{ torrents, idle atomic.Int64 } // idle: those without peers

// Count is called before a store is gone through.
func (l *TorrentLimit) Count() *TorrentCount {
	return &TorrentCount{limit: l, began: l.Totals.o.Now(), came: l.Totals.newcomers(), runs: make([]seen, l.Runs)}
}

// Saw is told of each torrent once, and whether it has peers. It may be called concurrently.
func (c *TorrentCount) Saw(h bittorrent.InfoHash, peers bool) {
	run := &c.runs[c.limit.RunOf(h)]
	run.torrents.Add(1)
	if !peers {
		run.idle.Add(1)
	}
}

// End is called when all torrents were seen. Where they are more than 15 of 16 that the
// limit allows, it gives up those without peers, until they are not. It begins at a place
// that is another one every ten minutes, and the same for all trackers: where several give
// up at once they come by what others did, and do not give up as many each. What is left
// by one that dies, others give up when they expire.
func (c *TorrentCount) End(ctx context.Context) error {
	there := 0
	for run := range c.runs {
		there += int(c.runs[run].torrents.Load())
	}
	if c.limit.Most > 0 && there > c.limit.enough() {
		t := &thinning{TorrentLimit: c.limit, there: there, place: c.limit.place(c.began)}
		if err := t.all(ctx, c.runs); err != nil {
			return err
		}
		there = t.there
	}
	c.limit.Totals.hasTorrents(there, c.began, c.came)
	return nil
}

// samePlace is for how long trackers begin at the same place.
const samePlace = 10 * time.Minute

func (l *TorrentLimit) place(now time.Time) (h bittorrent.InfoHash) {
	one, two := siphash.Hash128(l.Key[0], l.Key[1], binary.BigEndian.AppendUint64(nil, uint64(now.Unix()/int64(samePlace/time.Second))))
	binary.BigEndian.PutUint64(h[:], one)
	binary.BigEndian.PutUint64(h[8:], two)
	return h
}

// thinning is torrents being given up.
type thinning struct {
	*TorrentLimit
	place       bittorrent.InfoHash // from where on
	there, gone int                 // torrents, as far as is known, and how many of them were given up
	wrong       error               // with the first one that could not be
}

// all goes through the runs in which there were torrents to give up.
func (t *thinning) all(ctx context.Context, runs []seen) (err error) {
	first := t.RunOf(t.place)
	for n := 0; n < t.Runs && t.there > t.enough() && err == nil; n++ {
		run := (first + n) % t.Runs
		if saw := &runs[run]; saw.idle.Load() > 0 {
			err = t.run(ctx, run, t.there-int(saw.torrents.Load()))
		}
	}
	if t.gone > 0 {
		t.Totals.o.Log.Info("torrents without peers were given up, for the limit of torrents", "torrents", t.gone, "left", t.there, "limit", t.Most)
	}
	if err == nil {
		err = t.wrong
	}
	return err
}

// Bounds of what is known of a run at a time, and of what is done at once.
const (
	mostIdle      = 1 << 14
	givenUpAtOnce = 8
)

// run gives up torrents of a run, where the others have so many.
func (t *thinning) run(ctx context.Context, run, others int) error {
	for {
		all, idle, err := t.idle(ctx, run)
		if err != nil {
			return err
		}
		whole, before := len(idle) < mostIdle, t.gone
		for t.there = others + all; t.there > t.enough() && len(idle) > 0; {
			some := idle[:min(len(idle), t.there-t.enough())]
			if err := t.giveUp(ctx, some); err != nil {
				return err
			}
			idle = idle[len(some):]
		}
		if whole || t.there <= t.enough() || t.gone == before {
			return nil
		}
	}
}

// idle returns how many torrents a run has, and some of those without peers: in the order
// of info hashes from the place on, then those before it.
func (t *thinning) idle(ctx context.Context, run int) (all int, idle []bittorrent.InfoHash, err error) {
	var before []bittorrent.InfoHash
	err = t.List(ctx, run, func(h bittorrent.InfoHash, peers bool) {
		all++
		list := &idle
		if bytes.Compare(h[:], t.place[:]) < 0 {
			list = &before
		}
		if !peers && len(*list) < mostIdle {
			*list = append(*list, h)
		}
	})
	idle = slices.Concat(idle, before)
	return all, idle[:min(len(idle), mostIdle)], err
}

// giveUp gives up some torrents, several at once. One that fails keeps no others from it,
// unless the server does not answer.
func (t *thinning) giveUp(ctx context.Context, some []bittorrent.InfoHash) error {
	var mu sync.Mutex
	giving, inGiving := errgroup.WithContext(ctx)
	giving.SetLimit(givenUpAtOnce)
	for _, h := range some {
		if inGiving.Err() != nil {
			break
		}
		giving.Go(func() error {
			gone, err := t.GiveUp(inGiving, h)
			mu.Lock()
			defer mu.Unlock()
			if gone {
				t.gone, t.there = t.gone+1, t.there-1
			}
			switch {
			case err == nil:
			case errors.Is(err, swarm.ErrBusy):
				return err
			case t.wrong == nil:
				t.wrong = fmt.Errorf("torrent %v: %w", h, err)
			}
			return nil
		})
	}
	if err := giving.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}
