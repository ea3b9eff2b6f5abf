package catalog

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"waggle/bittorrent"
)

func TestRequestsAreCountedUntilTheirTorrentIsActive(t *testing.T) {
	c := mustOpen(t, Options{})
	if got := c.Asked(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	both := hybrid("both")
	other := bittorrent.InfoHash{1}
	c.Ask(&other, start)
	transfer := mustAdd(t, mustOpen(t, Options{}), "x.torrent", both)
	m := transfer.InfoHashes()
	c.Ask(&m[0], start.Add(time.Second))
	c.Ask(&m[1], start.Add(2*time.Second))
	c.Ask(&other, start.Add(3*time.Second))
	want := []Request{
		{other, start, start.Add(3 * time.Second), 2},
		{m[1], start.Add(2 * time.Second), start.Add(2 * time.Second), 1},
		{m[0], start.Add(time.Second), start.Add(time.Second), 1},
	}
	if got := c.Asked(); !slices.Equal(got, want) {
		t.Errorf("\nhave %+v\nwant %+v", got, want)
	}
	mustAdd(t, c, "both.torrent", both)
	if got := c.Asked(); !slices.Equal(got, want[:1]) {
		t.Errorf("\nhave %+v\nwant %+v", got, want[:1])
	}
}

func TestTheLongestUnaskedGoesFirst(t *testing.T) {
	var a asked
	hash := func(n int) *bittorrent.InfoHash { return &bittorrent.InfoHash{byte(n), byte(n >> 8)} }
	for n := range maxAsked {
		a.ask(hash(n), int64(n+1))
	}
	a.ask(hash(0), maxAsked+1)
	for n := range 10 {
		a.ask(hash(maxAsked+n), maxAsked+2)
	}
	list := a.list()
	if len(list) != maxAsked || len(a.requests) != maxAsked+1 {
		t.Fatalf("%d are remembered, in %d", len(list), len(a.requests))
	}
	for n := range 20 {
		there := slices.ContainsFunc(list, func(r Request) bool { return r.InfoHash == *hash(n) })
		if want := n == 0 || n > 10; there != want {
			t.Errorf("%d is there: %v", n, there)
		}
	}
}

func TestAskedAgreesWithAModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var a asked
		var model []Request // the latest last
		for now := range rapid.IntRange(1, 200).Draw(rt, "steps") {
			h := bittorrent.InfoHash{rapid.Byte().Draw(rt, "hash") % 8}
			at := slices.IndexFunc(model, func(r Request) bool { return r.InfoHash == h })
			r := Request{InfoHash: h, First: fromUnixNano(int64(now + 1))}
			if at >= 0 {
				r = model[at]
				model = slices.Delete(model, at, at+1)
			}
			if rapid.Bool().Draw(rt, "forget") {
				a.forget(h)
				continue
			}
			a.ask(&h, int64(now+1))
			r.Last = fromUnixNano(int64(now + 1))
			r.Count++
			model = append(model, r)
		}
		got := a.list()
		slices.Reverse(got)
		if !slices.Equal(got, model) {
			rt.Fatalf("\nhave %+v\nwant %+v", got, model)
		}
	})
}
