package dynamodb_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"testing"
	"time"

	"waggle/store/dynamodb"
	"waggle/swarm"
)

func openAll(t *testing.T, o dynamodb.Options, n int) (stores []*dynamodb.Store) {
	for range n {
		stores = append(stores, open(t, o))
	}
	return stores
}

func TestSixtyFourWritersOfOneSwarmLoseNobody(t *testing.T) {
	t.Parallel()
	for _, trackers := range []int{1, 2, 4} {
		stores := openAll(t, newTable(t), trackers)
		writersLoseNobody(t, stores)
	}
}

// writersLoseNobody has each writer take three peers through their lives, each announce
// at another tracker, and wants what is left to be there once and counted once.
func writersLoseNobody(t *testing.T, stores []*dynamodb.Store) {
	t.Helper()
	h := hash(1)
	writers(64, func(w int) {
		at := w
		say := func(a *swarm.Announce) {
			at++
			if err := stores[at%len(stores)].Announce(t.Context(), a, new(swarm.Reply)); err != nil {
				t.Errorf("announce: %v", err)
			}
		}
		for i := range 3 {
			n := 3*w + i
			say(leecher(h, n))
			if i > 0 {
				say(completed(h, n))
				say(completed(h, n)) // it did not hear the answer
			}
			if i > 1 {
				say(stop(h, n))
				say(stop(h, n))
			}
		}
	})
	for _, s := range stores {
		agree(t, s, h, 128)
		if n := len(peersOf(t, s, h)); n != 128 {
			t.Errorf("%d peers, want 128", n)
		}
	}
}

// TestAnnouncesOfOnePeerAtOnceAreCountedOnce has many trackers announce the same few
// peers as one kind and another, all at once.
func TestAnnouncesOfOnePeerAtOnceAreCountedOnce(t *testing.T) {
	stores := openAll(t, newTable(t), 2)
	writers(16, func(w int) {
		random := rand.New(rand.NewPCG(uint64(w), 1))
		for range 12 {
			a := leecher(hash(1), random.IntN(3))
			switch random.IntN(3) {
			case 0:
				a.Left = 0
			case 1:
				a = stop(hash(1), random.IntN(3))
			}
			if err := stores[w%2].Announce(t.Context(), a, new(swarm.Reply)); err != nil {
				t.Error(err)
			}
		}
	})
	agree(t, stores[0], hash(1), 0)
}

func TestTrackersOfOneTableSeeEachOthersPeers(t *testing.T) {
	o := newTable(t)
	o.HeadAge = -1
	stores := openAll(t, o, 4)
	for n := range 20 {
		r := do(t, stores[n%4], leecher(hash(1), n))
		if r.Peers.Len() != n || r.Incomplete != uint32(n+1) {
			t.Fatalf("peer %d is told of %d peers and of %d leechers", n, r.Peers.Len(), r.Incomplete)
		}
	}
	r := do(t, stores[0], completed(hash(1), 3))
	if again := do(t, stores[1], completed(hash(1), 3)); r.Downloaded != 1 || again.Downloaded != 1 || again.Complete != 1 {
		t.Errorf("%+v, %+v", r, again)
	}
}

// TestTrackersThatExpireAtOnceEachPeerIsCountedByOne has one announce meanwhile.
func TestTrackersThatExpireAtOnceCountEachPeerOnce(t *testing.T) {
	t.Parallel()
	stores := openAll(t, newTable(t), 2)
	for n := range 60 {
		do(t, stores[n%2], leecher(hash(byte(n%2)), n))
	}
	var gone [3]int
	writers(3, func(w int) {
		if w < 2 {
			gone[w] = expire(t, stores[w], start.Add(time.Minute))
			return
		}
		for n := range 20 {
			a := leecher(hash(0), 2*n)
			a.Now = start.Add(time.Hour)
			if err := stores[0].Announce(t.Context(), a, new(swarm.Reply)); err != nil {
				t.Error(err)
			}
		}
	})
	left := peersOf(t, stores[0], hash(0))
	late := 0
	for _, p := range left {
		if p.First.Equal(p.Last) {
			late++ // was purged before it came back
		}
	}
	if gone[0]+gone[1] != 40+late || len(left) != 20 {
		t.Errorf("%v were purged, %d of them came back, and %d are left; want 40 and those who came back, and 20", gone, late, len(left))
	}
	agree(t, stores[1], hash(0), 0)
}

func TestPeerThatIsOnTimeIsNotPurged(t *testing.T) {
	o := newTable(t)
	s, p := open(t, o), newProxy(t)
	slow := open(t, p.through(o))
	do(t, s, leecher(hash(1), 1))
	do(t, s, leecher(hash(1), 2))
	p.do(func(operation, _ string) fault {
		if operation == "DeleteItem" { // between reading the peers and purging them
			a := leecher(hash(1), 1)
			a.Now = start.Add(time.Hour)
			do(t, s, a)
		}
		return none
	})
	if n := expire(t, slow, start.Add(time.Minute)); n != 1 {
		t.Errorf("%d peers were purged, want the one that was late", n)
	}
	agree(t, s, hash(1), 0)
}

// TestShortPagesAreReadOn has a server that answers with fewer peers than there are.
func TestShortPagesAreReadOn(t *testing.T) {
	limit := regexp.MustCompile(`"Limit":\d+`)
	o := newTable(t)
	o.Transport = transport(func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		short := limit.ReplaceAll(body, []byte(`"Limit":3`))
		r = r.Clone(r.Context())
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(short)), int64(len(short))
		r.Header.Del("Content-Length")
		return http.DefaultTransport.RoundTrip(r)
	})
	s := open(t, o)
	for n := range 20 {
		do(t, s, leecher(hash(1), n))
	}
	if n := do(t, s, leecher(hash(1), 0)).Peers.Len(); n != 19 {
		t.Errorf("told of %d peers, want 19", n)
	}
}

// TestLargeSwarmsAreToldOfEverybody has a swarm that is not read whole. Whom an answer
// has is then less even than in small ones, and what that costs is the same in swarms of
// any size, as docs/dynamodb.md says.
func TestLargeSwarmsAreToldOfEverybody(t *testing.T) {
	t.Parallel()
	o := newTable(t)
	o.Whole, o.HeadAge = 100, time.Hour
	s := open(t, o)
	const leechers, seeders, rounds = 400, 3, 200
	writers(8, func(w int) {
		for n := w; n < leechers+seeders; n += 8 {
			a := leecher(hash(1), n)
			if n >= leechers {
				a.Left = 0
			}
			a.NumWant = 0
			if err := s.Announce(t.Context(), a, new(swarm.Reply)); err != nil {
				t.Error(err)
			}
		}
	})
	cost := costOf(s, func() { do(t, s, leecher(hash(1), 0)) })
	const least, most = 1 + 1 + 2, 1 + 1 + 2*2 // the write, the seeders, and two windows, of which each may come to the end
	if cost.requests < least || cost.requests > most || cost.read > float64(cost.requests-1)/2 {
		t.Errorf("%+v for 50 of %d peers", cost, leechers+seeders)
	}
	told := map[netip.AddrPort]int{}
	for range rounds {
		r := do(t, s, leecher(hash(1), 0))
		if r.Peers.Len() != 50 {
			t.Fatalf("told of %d peers, want 50", r.Peers.Len())
		}
		one := map[netip.AddrPort]bool{}
		for addr := range r.Peers.All() {
			told[addr]++
			one[addr] = true
		}
		if len(one) != 50 || !one[seeder(hash(1), leechers).Addr()] || one[leecher(hash(1), 0).Addr()] {
			t.Fatal("told of a peer twice, of itself, or not of a seeder")
		}
	}
	var times []int
	for n := 1; n < leechers; n++ {
		times = append(times, told[leecher(hash(1), n).Addr()])
	}
	slices.Sort(times)
	const mean = rounds * 47 / leechers // 23
	if least, most := times[0], times[len(times)-1]; least < mean/5 || most > 4*mean {
		t.Errorf("leechers were told of %d to %d times, %d on the average", least, most, mean)
	}
}
