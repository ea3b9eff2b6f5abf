package catalog

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/torrent"
)

// large returns a catalogue of n transfers in memory, and their hashes.
func large(t testing.TB, n int) (*Catalog, []bittorrent.InfoHash) {
	t.Helper()
	store := NewMemory(0)
	random := rand.New(rand.NewPCG(1, 2))
	hashes := make([]bittorrent.InfoHash, n)
	changes := make([]Change, n)
	for i := range changes {
		for b := range hashes[i] {
			hashes[i][b] = byte(random.Uint32())
		}
		changes[i].Record.Transfer = Transfer{
			InfoHash: hashes[i], Name: fmt.Sprintf("torrent %d", random.Uint32()), Size: 1, Version: torrent.V1,
			File: fmt.Sprintf("%d.torrent", i), Source: Upload, Registered: start, Profile: profiles[i%len(profiles)],
		}
	}
	apply(t, store, changes...)
	return mustOpen(t, Options{Store: store, MaxTorrents: 1 << 30, Profiles: profiles}), hashes
}

func TestAnnouncesAllocateNothing(t *testing.T) {
	c, hashes := large(t, 1000)
	n := 0
	for what, do := range map[string]func(h *bittorrent.InfoHash){
		"Active":    func(h *bittorrent.InfoHash) { c.Active(h) },
		"Profile":   func(h *bittorrent.InfoHash) { c.Profile(h) },
		"Inactive":  func(h *bittorrent.InfoHash) { c.Inactive(h) },
		"Started":   func(h *bittorrent.InfoHash) { c.Started(h, start) },
		"Completed": func(h *bittorrent.InfoHash) { c.Completed(h, start) },
		"Ask":       func(h *bittorrent.InfoHash) { c.Ask(h, start) },
	} {
		do(&hashes[0])
		allocations := testing.AllocsPerRun(len(hashes), func() {
			n++
			do(&hashes[n%len(hashes)])
		})
		if allocations != 0 {
			t.Errorf("%s: %v allocations", what, allocations)
		}
	}
}

func TestAnnouncesAndEditsAtATimeLoseNothing(t *testing.T) {
	c, hashes := large(t, 100)
	var tasks sync.WaitGroup
	for n := range 4 {
		tasks.Go(func() {
			for i := range 2000 {
				h := &hashes[(i*7+n)%len(hashes)]
				c.Active(h)
				c.Profile(h)
				c.Started(h, start.Add(time.Duration(i)))
				c.Completed(h, start.Add(time.Duration(i)))
				c.Ask(h, start)
				if i%100 == 0 {
					_, _, _ = c.List("", 10, nil)
					c.Named("x")
					c.Asked()
				}
			}
		})
	}
	tasks.Go(func() {
		for i := range 200 {
			h := hashes[i%10]
			if _, err := c.Deactivate(context.Background(), h); err != nil {
				t.Error(err)
			}
			if _, err := c.Activate(context.Background(), h); err != nil {
				t.Error(err)
			}
			if _, err := c.SetProfile(context.Background(), h, c.o.Profiles[i%2]); err != nil {
				t.Error(err)
			}
			mustAdd(t, c, "x.torrent", single("x", i))
			if err := c.flush(context.Background()); err != nil {
				t.Error(err)
			}
		}
	})
	tasks.Wait()
	if err := c.flush(context.Background()); err != nil {
		t.Error(err)
	}
	stored := records(t, c.o.Store)
	for i, h := range hashes {
		got := mustGet(t, c, h)
		if stored[h].Transfer != got {
			t.Errorf("\nin the store %+v\nin memory    %+v", stored[h].Transfer, got)
		}
		// Of the first ten, periods ended meanwhile.
		if i >= 10 && (got.FirstStarted.IsZero() || got.LastCompleted.Before(start.Add(1900))) {
			t.Errorf("marks were lost: %+v", got)
		}
	}
	if got := len(history(t, c)); got != 200 {
		t.Errorf("%d periods in the history", got)
	}
}

func TestFirstAndLastAreTheEarliestAndTheLatest(t *testing.T) {
	c, hashes := large(t, 1)
	for _, seconds := range []int{5, 9, 7} {
		c.Started(&hashes[0], start.Add(time.Duration(seconds)*time.Second))
	}
	got := mustGet(t, c, hashes[0])
	if !got.FirstStarted.Equal(start.Add(5*time.Second)) || !got.LastStarted.Equal(start.Add(9*time.Second)) || !got.FirstCompleted.IsZero() {
		t.Errorf("%+v", got)
	}
}

func BenchmarkActive(b *testing.B) {
	c, hashes := large(b, 100_000)
	unknown := make([]bittorrent.InfoHash, len(hashes))
	for i := range hashes {
		unknown[i] = hashes[i]
		unknown[i][19]++
	}
	for what, hashes := range map[string][]bittorrent.InfoHash{"Known": hashes, "Unknown": unknown} {
		b.Run(what, func(b *testing.B) {
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				c.Active(&hashes[n%len(hashes)])
				n++
			}
		})
		b.Run(what+"Parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for n := rand.Int(); pb.Next(); n++ {
					c.Active(&hashes[n%len(hashes)])
				}
			})
		})
	}
}

func BenchmarkStarted(b *testing.B) {
	c, hashes := large(b, 100_000)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		c.Started(&hashes[n%len(hashes)], start)
		n++
	}
}

// BenchmarkAsk asks for another hash each time.
func BenchmarkAsk(b *testing.B) {
	c, hashes := large(b, 100_000)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		c.Ask(&hashes[n%len(hashes)], start)
		n++
	}
}

// BenchmarkAdd adds torrents to 100,000, in memory and in a file.
func BenchmarkAdd(b *testing.B) {
	b.Run("Memory", func(b *testing.B) {
		c, _ := large(b, 100_000)
		add(b, c)
	})
	b.Run("SQLite", func(b *testing.B) {
		c, _ := large(b, 100_000)
		store := openSQLite(b, filepath.Join(b.TempDir(), "catalog.db"))
		var changes []Change
		for _, r := range records(b, c.o.Store) {
			changes = append(changes, Change{Record: r})
		}
		apply(b, store, changes...)
		add(b, mustOpen(b, Options{Store: store, MaxTorrents: 1 << 30}))
	})
}

func add(b *testing.B, c *Catalog) {
	n := 0
	for b.Loop() {
		n++
		mustAdd(b, c, "x.torrent", single(fmt.Sprint("torrent ", n*7919), n))
	}
}

// BenchmarkDirectory opens a directory of 10,000 torrents for the first time, for the
// second, and looks at it again.
func BenchmarkDirectory(b *testing.B) {
	const torrents = 10_000
	dir := b.TempDir()
	for n := range torrents {
		write(b, dir, fmt.Sprintf("%d.torrent", n), single(fmt.Sprint(n), n))
	}
	later := func() time.Time { return time.Now().Add(time.Hour) }
	open := func(path string) (*SQLite, *Catalog) {
		store, err := OpenSQLite(context.Background(), path)
		if err != nil {
			b.Fatal(err)
		}
		c, err := Open(context.Background(), Options{Store: store, Directory: dir, Poll: time.Hour, Now: later})
		if err != nil || c.Len() != torrents {
			b.Fatal(err, c.Len())
		}
		return store, c
	}
	n := 0
	path := ""
	b.Run("First", func(b *testing.B) {
		for b.Loop() {
			n++
			path = filepath.Join(b.TempDir(), fmt.Sprint(n))
			store, c := open(path)
			mustClose(b, c)
			mustClose(b, store)
		}
	})
	path = filepath.Join(b.TempDir(), "catalog.db")
	store, c := open(path)
	b.Run("Scan", func(b *testing.B) {
		for b.Loop() {
			mustScan(b, c)
		}
	})
	mustClose(b, c)
	mustClose(b, store)
	b.Run("Again", func(b *testing.B) {
		for b.Loop() {
			store, c := open(path)
			mustClose(b, c)
			mustClose(b, store)
		}
	})
}
