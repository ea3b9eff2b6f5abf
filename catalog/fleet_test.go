package catalog

import (
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"waggle/bittorrent"
	"waggle/document/documenttest"
	"waggle/torrent"
)

func TestManyTrackersAtOnceLoseNothing(t *testing.T) {
	m := documenttest.NewMemory()
	all := trackers(t, 4, m, Options{Refresh: time.Millisecond, WriteEvery: time.Millisecond})
	const each = 15
	var work sync.WaitGroup
	for n, c := range all {
		work.Go(func() {
			for i := range each {
				up, err := c.Add(background, "a.torrent", single(fmt.Sprint(n, "-", i), n*each+i))
				if err != nil {
					t.Error(err)
					return
				}
				c.Started(&up.InfoHash, start.Add(time.Duration(i)))
				if _, err := c.SetProfile(background, up.InfoHash, "parity"); err != nil {
					t.Error(err)
				}
				if i%3 == 0 {
					if _, err := c.Deactivate(background, up.InfoHash); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	work.Wait()
	for _, c := range all {
		if err := c.Flush(background); err != nil {
			t.Error(err)
		}
	}
	fresh(t, all...)
	for _, c := range all {
		wantAlike(t, all[0], c)
		if c.Len() != 4*each || c.LenActive() != 4*each*2/3 || len(history(t, c)) != 4*each/3 {
			t.Errorf("%d known, %d active, %d ended", c.Len(), c.LenActive(), len(history(t, c)))
		}
	}
	wantWhole(t, all[0])
}

// fleet is several trackers on one store. The model is one record for each torrent.
type fleet struct {
	memory   *documenttest.Memory
	trackers []*Catalog
	known    map[bittorrent.InfoHash]*Transfer // times are what any tracker marked in the period
	ended    []bittorrent.InfoHash
	now      time.Time
}

func TestAnyHistoryOfSeveralTrackersIsThatOfOne(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := &fleet{memory: documenttest.NewMemory(), known: map[bittorrent.InfoHash]*Transfer{}, now: start}
		defer func() {
			for _, c := range f.trackers {
				_ = c.Close()
			}
		}()
		for range rapid.IntRange(2, 3).Draw(rt, "trackers") {
			f.trackers = append(f.trackers, f.open(rt))
		}
		rt.Repeat(map[string]func(*rapid.T){
			"add": f.add, "deactivate": f.deactivate, "activate": f.activate, "delete": f.delete, "profile": f.profile,
			"mark": f.mark, "learn": f.learn, "restart": f.restart,
		})
		f.check(rt)
	})
}

func (f *fleet) open(t rapid.TB) *Catalog {
	return tracker(t, f.memory, Options{Now: func() time.Time { return f.now }, WriteEvery: time.Hour})
}

func (f *fleet) tracker(t *rapid.T) *Catalog {
	f.now = f.now.Add(time.Minute)
	return f.trackers[rapid.IntRange(0, len(f.trackers)-1).Draw(t, "tracker")]
}

func (f *fleet) torrent(t *rapid.T) ([]byte, bittorrent.InfoHash) {
	n := rapid.IntRange(0, 3).Draw(t, "torrent")
	b := single(fmt.Sprint(n), n)
	if n == 3 {
		b = hybrid("3")
	}
	m, err := torrent.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return b, m.InfoHash()
}

func (f *fleet) want(t *rapid.T, err, want error) bool {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
	return err == nil
}

func (f *fleet) add(t *rapid.T) {
	c := f.tracker(t)
	b, h := f.torrent(t)
	var want error
	if f.known[h] != nil {
		want = ErrDuplicate
	}
	up, err := c.Add(background, "a.torrent", b)
	if f.want(t, err, want) {
		f.known[h] = &up
	}
}

func (f *fleet) deactivate(t *rapid.T) {
	c := f.tracker(t)
	_, h := f.torrent(t)
	got, err := c.Deactivate(background, h)
	known := f.known[h]
	if known == nil {
		f.want(t, err, ErrUnknown)
		return
	}
	if f.want(t, err, nil) && known.Active() {
		f.ended = append(f.ended, h)
		known.Deactivated = got.Deactivated
	}
}

func (f *fleet) activate(t *rapid.T) {
	c := f.tracker(t)
	_, h := f.torrent(t)
	_, err := c.Activate(background, h)
	known := f.known[h]
	if known == nil {
		f.want(t, err, ErrUnknown)
		return
	}
	if f.want(t, err, nil) && !known.Active() {
		known.Deactivated = time.Time{}
		known.setTimes(&Transfer{})
	}
}

func (f *fleet) delete(t *rapid.T) {
	c := f.tracker(t)
	_, h := f.torrent(t)
	err := c.Delete(background, h)
	known := f.known[h]
	if known == nil {
		f.want(t, err, ErrUnknown)
		return
	}
	f.want(t, err, nil)
	if known.Active() {
		f.ended = append(f.ended, h)
	}
	delete(f.known, h)
}

func (f *fleet) profile(t *rapid.T) {
	c := f.tracker(t)
	_, h := f.torrent(t)
	profile := drawProfile(t)
	_, err := c.SetProfile(background, h, profile)
	if f.known[h] == nil {
		f.want(t, err, ErrUnknown)
		return
	}
	f.want(t, err, nil)
	f.known[h].Profile = profile
}

// mark marks at one that is up to date, so that the model knows of which period.
func (f *fleet) mark(t *rapid.T) {
	c := f.tracker(t)
	_, h := f.torrent(t)
	fresh(t, c)
	at := start.Add(time.Duration(rapid.IntRange(1, 1000).Draw(t, "at")) * time.Second)
	c.Started(&h, at)
	if known := f.known[h]; known != nil && known.Active() {
		known.mergeTimes(&Transfer{FirstStarted: at, LastStarted: at})
	}
	if rapid.Bool().Draw(t, "completed") {
		c.Completed(&h, at)
		if known := f.known[h]; known != nil && known.Active() {
			known.mergeTimes(&Transfer{FirstCompleted: at, LastCompleted: at})
		}
	}
	if err := c.Flush(background); err != nil {
		t.Fatal(err)
	}
}

func (f *fleet) learn(t *rapid.T) {
	c := f.tracker(t)
	fresh(t, c)
	f.compare(t, c)
}

func (f *fleet) restart(t *rapid.T) {
	n := rapid.IntRange(0, len(f.trackers)-1).Draw(t, "which")
	if err := f.trackers[n].Close(); err != nil {
		t.Fatal(err)
	}
	f.trackers[n] = f.open(t)
	f.compare(t, f.trackers[n])
}

func (f *fleet) compare(t *rapid.T, c *Catalog) {
	t.Helper()
	want := map[bittorrent.InfoHash]Transfer{}
	for h, known := range f.known {
		want[h] = *known
	}
	if got := transfers(t, c); !maps.Equal(got, want) {
		t.Fatalf("have %+v\nwant %+v", got, want)
	}
}

func (f *fleet) check(t *rapid.T) {
	fresh(t, f.trackers...)
	f.trackers = append(f.trackers, f.open(t))
	for _, c := range f.trackers {
		f.compare(t, c)
		page, _, err := c.History(background, "", 1000)
		if err != nil || len(page) != min(1000, len(f.ended)) {
			t.Fatalf("%d ended, want %d, %v", len(page), len(f.ended), err)
		}
		for i, p := range page {
			if p.InfoHash != f.ended[len(f.ended)-1-i] {
				t.Fatalf("period %d is of %v", i, p.InfoHash)
			}
		}
		wantWhole(t, c)
	}
}
