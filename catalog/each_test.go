package catalog

import (
	"fmt"
	"testing"

	"waggle/bittorrent"
)

// eachWorld is a catalogue of n torrents, every third of which is not active.
func eachWorld(t *testing.T, n int) *Catalog {
	t.Helper()
	c, err := Open(t.Context(), Options{Store: NewMemory(0)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	for i := range n {
		name := fmt.Sprintf("%05d", i*7919%n)
		body := fmt.Appendf(nil, "d4:infod6:lengthi1e4:name5:%s12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee", name)
		added, err := c.Add(t.Context(), name+".torrent", body)
		if err != nil {
			t.Fatal(err)
		}
		if i*7919%n%3 == 0 {
			if _, err := c.Deactivate(t.Context(), added.InfoHash); err != nil {
				t.Fatal(err)
			}
		}
	}
	return c
}

func TestEachShowsWhatListHas(t *testing.T) {
	c := eachWorld(t, 2*eachStep+1)
	for _, active := range []*bool{nil, new(true), new(false)} {
		var want []Transfer
		for after, more := "", true; more; more = after != "" {
			page, next, err := c.List(after, 1000, active)
			if err != nil {
				t.Fatal(err)
			}
			want, after = append(want, page...), next
		}
		n := 0
		c.Each(active, func(x *Transfer) bool {
			if n >= len(want) || *x != want[n] {
				t.Errorf("%d is %+v", n, x)
			}
			n++
			return n < 2*len(want)
		})
		if n != len(want) {
			t.Errorf("%d are shown, want %d", n, len(want))
		}
	}
}

func TestEachEndsWhenNobodyWantsMore(t *testing.T) {
	n := 0
	eachWorld(t, 10).Each(nil, func(*Transfer) bool {
		n++
		return n < 4
	})
	if n != 4 {
		t.Errorf("%d are shown, want 4", n)
	}
}

func TestEachShowsOnceWhatStaysWhateverComesAndGoes(t *testing.T) {
	c := eachWorld(t, 3*eachStep)
	var all []bittorrent.InfoHash
	c.Each(nil, func(x *Transfer) bool {
		all = append(all, x.InfoHash)
		return true
	})
	seen := map[bittorrent.InfoHash]int{}
	var last *entry
	for more := true; more; {
		last, more = c.eachAfter(last, nil, func(x *Transfer) bool {
			seen[x.InfoHash]++
			return true
		})
		// The one that was shown last goes, and so do some before and behind it.
		for i := len(seen) - 2; i < min(len(seen)+1, len(all)); i++ {
			if i%3 > 0 {
				_ = c.Delete(t.Context(), all[i]) // some are gone already
			}
		}
	}
	for _, h := range all {
		if _, err := c.Get(h); err == nil && seen[h] != 1 {
			t.Errorf("%v is shown %d times", h, seen[h])
		}
	}
}
