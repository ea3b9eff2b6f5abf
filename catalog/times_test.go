package catalog

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/document/documenttest"
)

func TestTimesOfSeveralTrackersAreMerged(t *testing.T) {
	m := documenttest.NewMemory()
	all := trackers(t, 3, m, Options{})
	a, b, c := all[0], all[1], all[2]
	up := mustAdd(t, a, "a.torrent", single("a", 1))
	fresh(t, all...)
	h := &up.InfoHash
	at := func(minutes int) time.Time { return start.Add(time.Duration(minutes) * time.Minute) }
	b.Started(h, at(5))
	a.Started(h, at(3))
	b.Started(h, at(9))
	a.Completed(h, at(7))
	for _, c := range []*Catalog{b, a} {
		if err := c.Flush(background); err != nil {
			t.Fatal(err)
		}
	}
	// An edit of one who does not know the times takes none back.
	if _, err := c.SetProfile(background, *h, "parity"); err != nil {
		t.Fatal(err)
	}
	fresh(t, all...)
	for _, c := range append(all, trackers(t, 1, m, Options{})...) {
		got := mustGet(t, c, *h)
		if !got.FirstStarted.Equal(at(3)) || !got.LastStarted.Equal(at(9)) || !got.FirstCompleted.Equal(at(7)) || !got.LastCompleted.Equal(at(7)) || got.Profile != "parity" {
			t.Errorf("have %+v", got)
		}
	}
}

func TestTimesOfAnEndedPeriodAreNotThoseOfTheNext(t *testing.T) {
	m := documenttest.NewMemory()
	both := trackers(t, 2, m, Options{})
	a, b := both[0], both[1]
	up := mustAdd(t, a, "a.torrent", single("a", 1))
	fresh(t, b)
	b.Started(&up.InfoHash, start)
	for _, edit := range []func(context.Context, bittorrent.InfoHash) (Transfer, error){a.Deactivate, a.Activate} {
		if _, err := edit(background, up.InfoHash); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Flush(background); err != nil { // it has not heard of the end yet
		t.Fatal(err)
	}
	fresh(t, a, b)
	for _, c := range append(both, trackers(t, 1, m, Options{})...) {
		if got := mustGet(t, c, up.InfoHash); !got.FirstStarted.IsZero() || !got.LastStarted.IsZero() || !got.Active() {
			t.Errorf("the new period has %+v", got)
		}
	}
}

func TestTimesThatWereWrittenAndNotToldAreToldLater(t *testing.T) {
	m := documenttest.NewMemory()
	fails := ""
	store := &documenttest.Faulty{Store: m, Fault: func(verb, name string) documenttest.Fault {
		if fails != "" && strings.HasPrefix(verb+" "+name, fails) {
			return documenttest.Refused
		}
		return documenttest.None
	}}
	a, b := trackers(t, 1, store, Options{})[0], trackers(t, 1, m, Options{})[0]
	one, two := mustAdd(t, a, "1.torrent", single("1", 1)), mustAdd(t, a, "2.torrent", single("2", 2))
	for n, request := range []string{"put catalog/change/", "put catalog/head", "put catalog/row/" + two.InfoHash.String()} {
		at := start.Add(time.Duration(n) * time.Minute)
		a.Started(&one.InfoHash, at)
		a.Started(&two.InfoHash, at)
		fails = request
		if err := a.Flush(background); !errors.Is(err, documenttest.ErrFault) {
			t.Fatal(request, err)
		}
		fails = ""
		if err := a.Flush(background); err != nil {
			t.Fatal(request, err)
		}
		fresh(t, b)
		for _, h := range []bittorrent.InfoHash{one.InfoHash, two.InfoHash} {
			if got := mustGet(t, b, h); !got.FirstStarted.Equal(start) || !got.LastStarted.Equal(at) {
				t.Errorf("%s fails, and it has %+v", request, got)
			}
		}
	}
}
