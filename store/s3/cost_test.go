package s3

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// counting counts what really goes to the server, by kind.
type counting struct {
	http.RoundTripper
	slow time.Duration // how much longer each takes
	mu   sync.Mutex
	kind map[string]int
}

func newCounting() *counting {
	return &counting{RoundTripper: &http.Transport{MaxIdleConnsPerHost: 64}, kind: map[string]int{}}
}

func (c *counting) RoundTrip(r *http.Request) (*http.Response, error) {
	kind := r.Method
	if r.URL.Query().Has("list-type") {
		kind = "LIST"
	}
	c.mu.Lock()
	c.kind[kind]++
	c.mu.Unlock()
	time.Sleep(c.slow)
	return c.RoundTripper.RoundTrip(r)
}

func (c *counting) CloseIdleConnections() { c.RoundTripper.(*http.Transport).CloseIdleConnections() }

// of returns what some work takes.
func (c *counting) of(work func()) string {
	c.mu.Lock()
	clear(c.kind)
	c.mu.Unlock()
	work()
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprintf("%d GET, %d PUT, %d DELETE, %d LIST", c.kind["GET"], c.kind["PUT"], c.kind["DELETE"], c.kind["LIST"])
}

func TestRequestsOfAnAnnounceAreThoseThatAreDocumented(t *testing.T) {
	c := newCounting()
	o := located(t, versitygw.newPrefix())
	o.Transport, o.PartAge = c, time.Hour
	var s, other *Store
	stop := announced(1, 1)
	stop.Event = bittorrent.EventStopped
	scrape := func(torrent byte) {
		if err := s.Scrape(t.Context(), []bittorrent.InfoHash{announced(torrent, 0).InfoHash}, make([]bittorrent.ScrapeCounts, 1)); err != nil {
			t.Error(err)
		}
	}
	totals := func() {
		if _, err := s.Totals(t.Context()); err != nil {
			t.Error(err)
		}
	}
	clean := func() {
		if n, err := s.Expire(t.Context(), announced(1, 1).Now); n != 0 || err != nil {
			t.Error(n, err)
		}
	}
	for _, step := range []struct {
		what string
		work func()
		want string
	}{
		{"a start", func() { s = open(t, o) }, "2 GET, 6 PUT, 3 DELETE, 2 LIST"},
		{"a start on the same day", func() { other = open(t, o) }, "1 GET, 0 PUT, 0 DELETE, 0 LIST"},
		{"the first of a torrent", func() { do(t, s, announced(1, 1)) }, "1 GET, 1 PUT, 0 DELETE, 0 LIST"},
		{"the second", func() { do(t, s, announced(1, 2)) }, "1 GET, 1 PUT, 0 DELETE, 0 LIST"},
		{"some more, until nobody else is seen to write", func() {
			for n := range trusted - 2 {
				do(t, s, announced(1, n))
			}
		}, "6 GET, 6 PUT, 0 DELETE, 0 LIST"},
		{"from then on", func() { do(t, s, announced(1, 9)) }, "0 GET, 1 PUT, 0 DELETE, 0 LIST"},
		{"a stop of somebody else", func() {
			nobody := announced(1, 500)
			nobody.Event = bittorrent.EventStopped
			do(t, s, nobody)
		}, "1 GET, 0 PUT, 0 DELETE, 0 LIST"},
		{"which nobody suffers from", func() { do(t, s, announced(1, 9)) }, "0 GET, 1 PUT, 0 DELETE, 0 LIST"},
		{"when another tracker wrote", func() {
			do(t, other, announced(1, 10)) // itself 1 GET, 1 PUT
			do(t, s, announced(1, 9))
		}, "2 GET, 3 PUT, 0 DELETE, 0 LIST"},
		{"and then", func() { do(t, s, announced(1, 9)) }, "1 GET, 1 PUT, 0 DELETE, 0 LIST"},
		{"a scrape", func() { scrape(1) }, "1 GET, 0 PUT, 0 DELETE, 0 LIST"},
		{"a stop", func() { do(t, s, stop) }, "1 GET, 1 PUT, 0 DELETE, 0 LIST"},
		{"a stop of nobody", func() { do(t, s, stop) }, "1 GET, 0 PUT, 0 DELETE, 0 LIST"},
		{"totals", totals, "0 GET, 0 PUT, 0 DELETE, 1 LIST"},
		{"totals when another tracker wrote", func() {
			do(t, other, announced(1, 11)) // itself 1 GET, 1 PUT
			totals()
		}, "2 GET, 1 PUT, 0 DELETE, 1 LIST"},
		{"cleaning where nobody is old", clean, "0 GET, 0 PUT, 0 DELETE, 2 LIST"},
		{"an announce by which a swarm is split", func() { do(t, s, announced(2, 999)) }, "0 GET, 10 PUT, 0 DELETE, 0 LIST"},
		{"a scrape of a swarm of eight parts", func() { scrape(2) }, "8 GET, 0 PUT, 0 DELETE, 0 LIST"},
		{"cleaning with a swarm of eight parts", clean, "1 GET, 0 PUT, 0 DELETE, 2 LIST"},
		{"a located peer, the first", func() { do(t, s, at(t, o, "r1", announced(3, 1))) }, "4 GET, 3 PUT, 0 DELETE, 0 LIST"},
		{"a located peer, the second", func() { do(t, s, at(t, o, "r1", announced(3, 2))) }, "3 GET, 3 PUT, 0 DELETE, 0 LIST"},
		{"a located peer again", func() { do(t, s, at(t, o, "r1", announced(3, 2))) }, "2 GET, 2 PUT, 0 DELETE, 0 LIST"},
	} {
		if strings.HasSuffix(step.what, "is split") {
			for n := range 50 {
				do(t, s, announced(2, n))
			}
			s.options.SplitBytes = 1000
		}
		if got := c.of(step.work); got != step.want {
			t.Errorf("%s: %s, want %s", step.what, got, step.want)
		}
	}
}

// at locates an announce in a rack.
func at(t *testing.T, o Options, rack string, a *swarm.Announce) *swarm.Announce {
	t.Helper()
	g, err := o.Group(rack)
	if err != nil {
		t.Fatal(err)
	}
	policy, err := swarm.NewPolicy("strict", 15*time.Second, 5*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	a.Location, a.Policy = g, &policy
	return a
}

func TestRequestsOfAHotSwarmAreShared(t *testing.T) {
	for _, trackers := range []int{1, 4} {
		t.Run(fmt.Sprint(trackers), func(t *testing.T) {
			c := newCounting()
			c.slow = 50 * time.Millisecond // as S3 is; else a busy machine asks too slowly for many to come together
			o := versitygw.newPrefix()
			o.Transport, o.PartAge = c, 0
			var stores []*Store
			for range trackers {
				stores = append(stores, open(t, o))
			}
			const announces, clients = 2048, 128
			began := time.Now()
			requests := c.of(func() {
				var all sync.WaitGroup
				for w := range clients {
					all.Go(func() {
						for range announces / clients {
							do(t, stores[w%trackers], announced(1, rand.IntN(2000)))
						}
					})
				}
				all.Wait()
			})
			var batched, batches, conflicts uint64
			for _, s := range stores {
				f := s.Figures()
				batched, batches, conflicts = batched+f.Batched, batches+f.Batches, conflicts+f.Conflicts
			}
			t.Logf("%d announces in %v: %s; %d in a write, %d conflicts", batched, time.Since(began).Round(time.Millisecond), requests, batched/batches, conflicts)
			if batched != announces/clients*clients || batched < 2*batches { // 64 and 29 as a rule; 3.5 where the machine is so busy that the swarm is split into many parts
				t.Errorf("%d announces are in %d writes", batched, batches)
			}
		})
	}
}
