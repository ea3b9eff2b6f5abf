package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/catalog"
	"waggle/console/client"
	"waggle/store/memory"
	"waggle/swarm"
	"waggle/torrent"
)

func FuzzSwarmCursor(f *testing.F) {
	for i, by := range swarmSorts {
		o := swarmOrder{by: by, descending: i%2 == 0}
		c := bittorrent.ScrapeCounts{Complete: 1, Incomplete: 2, Downloaded: 3}
		k := o.key(bittorrent.InfoHash{1}, &catalog.Transfer{Name: "image \xff.iso", Size: 7, Registered: time.Unix(9, 0)}, &c)
		f.Add(o.cursor(&k), i)
		k = o.key(bittorrent.InfoHash{2}, nil, &c)
		f.Add(o.cursor(&k), i)
	}
	f.Add("", 0)
	f.Add("----", 1)
	f.Fuzz(func(t *testing.T, cursor string, n int) {
		o := swarmOrder{by: swarmSorts[uint(n)%uint(len(swarmSorts))], descending: n%2 == 0}
		k, err := o.parseKey(cursor)
		if err != nil {
			if !errors.Is(err, catalog.ErrCursor) || k != nil {
				t.Errorf("%v, %v", k, err)
			}
			return
		}
		if k == nil {
			return
		}
		again, err := o.parseKey(o.cursor(k))
		if err != nil || *again != *k || len(k.name) > catalog.MaxKey {
			t.Errorf("%+v, then %+v, %v", k, again, err)
		}
	})
}

func FuzzSwarmQuery(f *testing.F) {
	f.Add("ubuntu", "Ubuntu-26.04.ISO", []byte("aaaaaaaaaaaaaaaaaaaa"))
	f.Add("6161", "\xff", []byte("aaaaaaaaaaaaaaaaaaaa"))
	f.Add("É", "été", []byte{})
	f.Fuzz(func(t *testing.T, text, name string, hash []byte) {
		var h bittorrent.InfoHash
		copy(h[:], hash)
		q := newSwarmQuery(text)
		want := strings.ToLower(strings.TrimSpace(text))
		begins := strings.HasPrefix(h.String(), want)
		listed := begins || strings.Contains(strings.ToLower(name), want)
		if got := q.matches(&catalog.Transfer{InfoHash: h, Name: name, Version: torrent.V1}); got != listed {
			t.Errorf("%q finds %q of %v: %v", text, name, h, got)
		}
		if got := q.findsUnlisted() && q.prefix.of(&h); got != begins || got && (h[0] < q.prefix.low[0] || h[0] > q.prefix.high[0]) {
			t.Errorf("%q finds %v: %v", text, h, got)
		}
	})
}

// manySwarms is a catalogue of so many torrents, and a store of so many swarms, of which
// every tenth is not listed, with ten peers each.
func manySwarms(b *testing.B, n int) *api {
	b.Helper()
	store := memory.New(memory.Options{})
	b.Cleanup(func() { _ = store.Close() })
	kept := catalog.NewMemory(1 << 30)
	var changes []catalog.Change
	for i := range n {
		var h bittorrent.InfoHash
		for j := range h {
			h[j] = byte(uint64(i+1) * 0x9e3779b97f4a7c15 >> (8 * (j % 8)))
		}
		h[0], h[1], h[2], h[3] = byte(i), byte(i>>8), byte(i>>16), 7
		r := catalog.Record{Transfer: catalog.Transfer{
			InfoHash: h, Name: fmt.Sprintf("Dataset number %06d of the archive", i*7919%n), File: fmt.Sprintf("dataset-%d.torrent", i), Size: int64(i*7919%n) << 20,
			Version: torrent.V1, Source: catalog.Upload, Registered: time.Unix(1_700_000_000+int64(i*31%n), 0),
		}}
		if i%10 > 0 {
			changes = append(changes, catalog.Change{Record: r})
		}
		for peer := range 10 {
			a := swarm.Announce{From: netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), byte(peer)}), Now: time.Unix(1, 0)}
			a.InfoHash, a.Port, a.Left = h, 1, int64((i*13+peer)%7)
			_ = store.Announce(context.Background(), &a, new(swarm.Reply))
		}
	}
	if err := kept.Apply(b.Context(), changes); err != nil {
		b.Fatal(err)
	}
	c, err := catalog.Open(b.Context(), catalog.Options{Store: kept, MaxTorrents: n})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	return &api{catalog: c, swarms: memory.Shown{Store: store}, walks: make(chan struct{}, walksAtOnce)}
}

// BenchmarkSwarms is a page of 100 of 100,000 swarms with a million peers. Sizes are in the
// order of names, and numbers of peers all the same, which is the worst of their kind. The
// last ones are the page after the catalogue has changed, and the first of all.
func BenchmarkSwarms(b *testing.B) {
	l := &swarmList{api: manySwarms(b, 100_000)}
	for _, q := range []client.SwarmQuery{
		{Sort: "name"},
		{Sort: "name", Order: "desc"},
		{Sort: "registered", Order: "desc"},
		{Sort: "size", Order: "desc"},
		{Sort: "peers", Order: "desc"},
		{Sort: "name", Query: "number 0777"},
		{Sort: "seeders", Query: "archive"},
		{Sort: "name", Query: "0a07"},
		{Sort: "peers", State: "unlisted"},
	} {
		b.Run(fmt.Sprintf("%s,%s,%s,%s", q.Sort, q.Order, q.State, strings.ReplaceAll(q.Query, " ", "_")), func(b *testing.B) {
			benchmarkSwarms(b, l, &q, func() {})
		})
	}
	b.Run("edited", func(b *testing.B) {
		benchmarkSwarms(b, l, &client.SwarmQuery{Sort: "peers", Order: "desc"}, func() { l.sheets.last.version-- })
	})
	b.Run("new", func(b *testing.B) {
		benchmarkSwarms(b, l, &client.SwarmQuery{Sort: "peers", Order: "desc"}, func() { l.sheets.last = nil })
	})
}

func benchmarkSwarms(b *testing.B, l *swarmList, q *client.SwarmQuery, edit func()) {
	b.Helper()
	in := &swarmsRequest{Query: q.Query, Sort: q.Sort, Order: q.Order, State: cmp.Or(q.State, "all")}
	in.Limit = 100
	if _, err := l.list(b.Context(), in); err != nil { // makes the sheet
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		edit()
		if _, err := l.list(b.Context(), in); err != nil {
			b.Fatal(err)
		}
	}
}
