package console

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
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

func TestFirstSwarmsAreThoseThatSortingAllWouldFind(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 200 {
		order := swarmOrder{by: swarmSorts[round%len(swarmSorts)], descending: round%2 == 0}
		first := firstSwarms{order: order, limit: 1 + random.IntN(20)}
		var all []swarmKey
		for n := range random.IntN(100) {
			h := bittorrent.InfoHash{byte(random.Uint32()), byte(n)}
			c := bittorrent.ScrapeCounts{Complete: random.Uint32N(3), Incomplete: random.Uint32N(3)}
			if random.IntN(4) == 0 {
				first.seeUnlisted(h, c)
				all = append(all, order.key(h, nil, &c))
				continue
			}
			x := catalog.Transfer{InfoHash: h, Name: fmt.Sprint(random.IntN(5)), Size: random.Int64N(4), Registered: time.Unix(random.Int64N(3), 0)}
			first.see(&x, c)
			all = append(all, order.key(h, &x, &c))
		}
		slices.SortFunc(all, func(a, b swarmKey) int { return order.compare(&a, &b) })
		got := first.list()
		if len(got) != min(first.limit, len(all)) || first.total != len(all) {
			t.Fatalf("%+v: %d of %d, want %d", order, len(got), first.total, len(all))
		}
		for i := range got {
			if got[i].key != all[i] {
				t.Errorf("%+v: %d is %+v, want %+v", order, i, got[i].key, all[i])
			}
		}
	}
}

func TestNamesAreOrderedWithoutRegardToCase(t *testing.T) {
	names := []string{"", "a", "B", "b2", "C", "\xff"}
	for i := range names {
		for j := range names {
			if got := compareNames(names[i], names[j]); got < 0 != (i < j) || got > 0 != (i > j) {
				t.Errorf("%q and %q: %d", names[i], names[j], got)
			}
		}
	}
}

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
		if err != nil || *again != *k || o.compare(again, k) != 0 || len(k.name) > maxKeyName {
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
			InfoHash: h, Name: fmt.Sprintf("Dataset number %d of the archive", i*7919%n), File: fmt.Sprintf("dataset-%d.torrent", i), Size: int64(i) << 20,
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
	return &api{catalog: c, swarms: store, walks: make(chan struct{}, walksAtOnce)}
}

// BenchmarkSwarms is a page of 100 of 100,000 swarms with a million peers.
func BenchmarkSwarms(b *testing.B) {
	a := manySwarms(b, 100_000)
	for _, q := range []client.SwarmQuery{
		{Sort: "name"},
		{Sort: "name", Order: "desc"},
		{Sort: "registered", Order: "desc"},
		{Sort: "peers", Order: "desc"},
		{Sort: "name", Query: "number 777"},
		{Sort: "seeders", Query: "archive"},
		{Sort: "name", Query: "0a07"},
		{Sort: "peers", State: "unlisted"},
	} {
		b.Run(fmt.Sprintf("%s,%s,%s,%s", q.Sort, q.Order, q.State, strings.ReplaceAll(q.Query, " ", "_")), func(b *testing.B) {
			b.ReportAllocs()
			in := &swarmsRequest{Query: q.Query, Sort: q.Sort, Order: q.Order, State: "all"}
			if in.Limit = 100; q.State != "" {
				in.State = q.State
			}
			for b.Loop() {
				if _, err := a.listSwarms(b.Context(), in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
