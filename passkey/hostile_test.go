package passkey

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waggle/bittorrent"
)

func TestSecretThatAnotherHasByNowStaysItsOwn(t *testing.T) {
	w := newWorld(t, NewMemory(), nil)
	old := w.make(t, "anna").Record
	renewed, other := old, Record{ID: strings.Repeat("0", 16), Key: old.Key, Name: "bert"}
	renewed.Key = strings.Repeat("r", 32)
	// As they are read where much has changed elsewhere: in no order.
	w.keep(other, nil)
	w.keep(renewed, nil)
	if p, err := w.ByKey(old.Key); err != nil || p.ID != other.ID {
		t.Errorf("the secret is that of %+v, %v", p, err)
	}
	third := Record{ID: strings.Repeat("1", 16), Key: renewed.Key, Name: "carl"}
	w.keep(third, nil)
	w.lose(renewed.ID)
	if p, err := w.ByKey(third.Key); err != nil || p.ID != third.ID {
		t.Errorf("the secret is that of %+v, %v", p, err)
	}
}

func TestWhatWasToldBeforeASessionBeganCountsOnceWhicheverTrackerIsFaster(t *testing.T) {
	a, b, _ := trackers(t)
	p := a.make(t, "anna")
	must(t, b.Fresh(t.Context(), -1))
	a.tell(t, p.Key, 1, bittorrent.EventStarted, 0, 0)
	a.clock.pass(time.Hour)
	a.tell(t, p.Key, 1, bittorrent.EventNone, 900, 90)
	a.clock.pass(time.Hour)
	a.Announce(a.announce(p.Key, 1, bittorrent.EventNone, 1000, 100)) // waits there
	a.clock.pass(5 * time.Second)
	b.tell(t, p.Key, 1, bittorrent.EventStarted, 0, 0) // the client begins anew, and a balancer sends it elsewhere
	must(t, a.Flush(t.Context()))
	a.clock.pass(time.Hour)
	b.tell(t, p.Key, 1, bittorrent.EventNone, 50, 5)
	b.wantCounted(t, p.ID, 950, 95) // what was late is lost
}

// forgetful is a store that counts, and then fails.
type forgetful struct {
	Store
	fails bool
}

func (s *forgetful) Count(ctx context.Context, told []Counted, rules Rules) ([]*Totals, error) {
	totals, err := s.Store.Count(ctx, told, rules)
	if s.fails && err == nil {
		return nil, errors.New("the answer was lost")
	}
	return totals, err
}

func TestWhatIsWrittenAgainCountsOnce(t *testing.T) {
	for name, openStore := range stores {
		for _, seen := range []bool{true, false} { // the start of the session before
			for _, between := range []time.Duration{0, time.Second, time.Hour} {
				t.Run(fmt.Sprintf("%s, %v, %v", name, seen, between), func(t *testing.T) {
					store := &forgetful{Store: openStore(t)}
					w := newWorld(t, store, nil)
					p := w.make(t, "anna")
					if seen {
						w.tell(t, p.Key, 1, bittorrent.EventStarted, 0, 0)
					} else {
						w.tell(t, p.Key, 1, bittorrent.EventNone, 0, 0)
					}
					w.clock.pass(time.Hour)
					w.tell(t, p.Key, 1, bittorrent.EventNone, 900, 90)
					w.clock.pass(time.Hour)
					w.Announce(w.announce(p.Key, 1, bittorrent.EventNone, 1000, 100))
					w.clock.pass(between)
					w.Announce(w.announce(p.Key, 1, bittorrent.EventStarted, 0, 0))
					store.fails = true
					for range 3 {
						if err := w.Flush(t.Context()); err == nil {
							t.Fatal("the store has not failed")
						}
					}
					store.fails = false
					w.clock.pass(time.Hour)
					w.Announce(w.announce(p.Key, 1, bittorrent.EventNone, 50, 5))
					must(t, w.Flush(t.Context()))
					w.wantCounted(t, p.ID, 1050, 105)
				})
			}
		}
	}
}

// slow is a store that counts nothing, while announces come.
type slow struct {
	Store
	meanwhile func()
}

var errFull = errors.New("the disk is full")

func (s *slow) Count(ctx context.Context, told []Counted, rules Rules) ([]*Totals, error) {
	if s.meanwhile != nil {
		s.meanwhile()
		return nil, errFull
	}
	return s.Store.Count(ctx, told, rules)
}

func TestWhatWaitsIsBoundedHoweverOftenTheStoreFails(t *testing.T) {
	const most = 64 * 3
	store := &slow{Store: NewMemory()}
	w := newWorld(t, store, func(o *Options) { o.Waiting = most })
	p := w.make(t, "anna")
	n := 0
	many := func() {
		for range 1000 {
			n++
			a := w.announce(p.Key, 1, bittorrent.EventNone, 0, 0)
			a.PeerID = bittorrent.PeerID([]byte(fmt.Sprintf("%020d", n)))
			w.Announce(a)
		}
	}
	many()
	store.meanwhile = many
	for round := range 5 {
		if err := w.Flush(t.Context()); !errors.Is(err, errFull) {
			t.Fatal(err)
		}
		if f := w.Figures(); f.Waiting != most {
			t.Errorf("after round %d %d wait, of %d that may", round, f.Waiting, most)
		}
	}
	store.meanwhile = nil
	must(t, w.Flush(t.Context()))
	if f := w.Figures(); f.Waiting != 0 {
		t.Errorf("%d wait", f.Waiting)
	}
	w.tell(t, p.Key, 2, bittorrent.EventStarted, 0, 0)
	w.tell(t, p.Key, 2, bittorrent.EventNone, 7, 0)
	w.wantCounted(t, p.ID, 7, 0)
}

func TestBoundsChangeWhileTheBookIsOpen(t *testing.T) {
	w := newWorld(t, NewMemory(), func(o *Options) { o.Rate = 1000 })
	p := w.make(t, "anna")
	w.tell(t, p.Key, 1, bittorrent.EventStarted, 0, 0)
	w.clock.pass(time.Minute)
	w.tell(t, p.Key, 1, bittorrent.EventNone, 1<<30, 0)
	w.wantCounted(t, p.ID, 0, 0)
	w.Bound(0, time.Hour)
	w.tell(t, p.Key, 1, bittorrent.EventNone, 1<<30, 0)
	w.wantCounted(t, p.ID, 1<<30, 0)
	w.clock.pass(50 * time.Minute)
	if got, err := w.Get(p.ID); err != nil || got.Torrents != 1 {
		t.Errorf("within the new lifetime: %+v, %v", got, err)
	}
	w.Bound(0, time.Minute)
	if got, err := w.Get(p.ID); err != nil || got.Torrents != 0 {
		t.Errorf("silent for longer than the new lifetime: %+v, %v", got, err)
	}
}

func TestFileKeepsTheLatestSessionsOfAPasskey(t *testing.T) {
	s, err := OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "passkeys.db"))
	must(t, err)
	s.most = 4
	w := newWorld(t, s, nil)
	p, other := w.make(t, "anna"), w.make(t, "bert")
	w.tell(t, other.Key, 1, bittorrent.EventStarted, 0, 0)
	for n := range byte(10) {
		w.tell(t, p.Key, n, bittorrent.EventStarted, 0, 0)
		w.clock.pass(time.Second)
	}
	var sessions int
	must(t, s.db.QueryRowContext(t.Context(), "SELECT count(*) FROM sessions").Scan(&sessions))
	if got, err := w.Get(p.ID); err != nil || sessions != 4+1 || got.Torrents != 4 {
		t.Errorf("%d sessions are kept, %+v, %v", sessions, got, err)
	}
	w.tell(t, p.Key, 9, bittorrent.EventNone, 100, 0)
	w.wantCounted(t, p.ID, 100, 0)
	w.tell(t, p.Key, 0, bittorrent.EventNone, 100, 0) // it is met anew
	w.wantCounted(t, p.ID, 100, 0)
	w.tell(t, p.Key, 0, bittorrent.EventNone, 150, 0)
	w.tell(t, other.Key, 1, bittorrent.EventNone, 3, 0)
	w.wantCounted(t, p.ID, 150, 0)
	w.wantCounted(t, other.ID, 3, 0)
}

func TestWhatIsToldUnderBothHashesOfATorrentCountsOnce(t *testing.T) {
	first, second := bittorrent.InfoHash{1}, bittorrent.InfoHash{2}
	w := newWorld(t, NewMemory(), func(o *Options) {
		o.Torrent = func(h *bittorrent.InfoHash) bittorrent.InfoHash {
			if *h == second {
				return first
			}
			return *h
		}
	})
	p := w.make(t, "anna")
	for i, event := range []bittorrent.Event{bittorrent.EventStarted, bittorrent.EventNone, bittorrent.EventStopped} {
		for _, h := range []bittorrent.InfoHash{first, second} {
			a := w.announce(p.Key, 1, event, int64(i)*100, int64(i)*10)
			a.InfoHash = h
			w.Announce(a)
		}
		must(t, w.Flush(t.Context()))
		if got, err := w.Get(p.ID); err != nil || event != bittorrent.EventStopped && got.Torrents != 1 {
			t.Errorf("%+v, %v", got, err)
		}
		w.clock.pass(time.Hour)
	}
	w.wantCounted(t, p.ID, 200, 20)
}
