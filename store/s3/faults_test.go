package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"waggle/bittorrent"
	"waggle/document"
	"waggle/swarm"
)

func TestManyConnectionsThatBreakAtOnceAreNoServerThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFake()
		var broken atomic.Int64
		b.turn = func(context.Context, string, string) error {
			if broken.Add(1) <= 20 { // as where a function was frozen
				return io.EOF
			}
			return nil
		}
		s := b.store(Options{})
		defer func() { _ = s.Close() }()
		if err := s.Scrape(t.Context(), make([]bittorrent.InfoHash, 16), make([]bittorrent.ScrapeCounts, 16)); err != nil || s.Healthy() != nil {
			t.Errorf("%v, %v", err, s.Healthy())
		}
	})
}

func TestProxyWithoutAServerBehindItIsAServerThatIsAway(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "<html>no upstream</html>")
	}))
	defer server.Close()
	o := versitygw.options("prefix")
	o.Endpoint = server.URL
	s := openAnyhow(t, o)
	for n := 0; s.Healthy() == nil; n++ {
		if err := s.Announce(t.Context(), announced(1, 1), new(swarm.Reply)); !errors.Is(err, swarm.ErrBusy) || n > 8 {
			t.Fatalf("announce %d: %v", n, err)
		}
	}
	if f := s.Figures(); f.Throttled != 0 {
		t.Errorf("%+v", f)
	}
}

func TestProxyThatKnowsNoServerSaysNothingOfObjects(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	o := versitygw.options("prefix")
	o.Endpoint = server.URL
	s := openAnyhow(t, o)
	if _, err := s.Documents().Get(t.Context(), "catalogue"); err == nil || errors.Is(err, document.ErrNone) {
		t.Errorf("a document: %v", err)
	}
	if _, _, err := s.Counts(t.Context(), announced(1, 1).InfoHash); err == nil {
		t.Error("a swarm is empty")
	}
}

func TestAskersInAHurryDoNotMakeAServerSeemAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFake()
		b.turn = func(ctx context.Context, _, _ string) error {
			select {
			case <-time.After(200 * time.Millisecond): // slow, and there
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		s := b.store(Options{})
		defer func() { _ = s.Close() }()
		for range 2 * 8 {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			if err := s.Scrape(ctx, make([]bittorrent.InfoHash, 1), make([]bittorrent.ScrapeCounts, 1)); !errors.Is(err, swarm.ErrBusy) {
				t.Fatal(err)
			}
			cancel()
		}
		if s.Healthy() != nil || s.Figures().Failed != 0 {
			t.Errorf("%v, %+v", s.Healthy(), s.Figures())
		}
		do(t, s, announced(1, 1))
	})
}

// TestAskersWhoGoAwayAreBounded has a server that does not answer, and clients that do not
// wait for it.
func TestAskersWhoGoAwayAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFake()
		var answers atomic.Bool
		b.turn = func(ctx context.Context, _, _ string) error {
			if !answers.Load() {
				<-ctx.Done()
			}
			return ctx.Err()
		}
		s := b.store(Options{Waiting: 10})
		refused := 0
		for n := range 1000 {
			ctx, cancel := context.WithCancel(t.Context())
			result := make(chan error)
			go func() { result <- s.Announce(ctx, announced(byte(n%200), n), new(swarm.Reply)) }()
			synctest.Wait()
			cancel()
			if err := <-result; errors.Is(err, swarm.ErrBusy) {
				refused++
			}
		}
		if refused < 1000-2*10 {
			t.Errorf("%d of 1,000 announces were refused: the others wait although nobody waits for them", refused)
		}
		time.Sleep(time.Minute)
		answers.Store(true)
		time.Sleep(time.Minute)
		do(t, s, announced(1, 1))
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestOtherPartsAreAskedForOnceHoweverManyAnnounce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFake()
		s := b.store(Options{SplitBytes: 4 << 10})
		defer func() { _ = s.Close() }()
		for n := range 150 {
			do(t, s, announced(1, n))
		}
		parts := len(b.keys(partPrefix))
		b.turn = func(context.Context, string, string) error {
			time.Sleep(30 * time.Millisecond)
			return nil
		}
		const seconds = 15
		before, end := s.Figures(), time.Now().Add(seconds*time.Second)
		var all sync.WaitGroup
		for n := range 150 {
			a := announced(1, n)
			if at := placeOf(a.Addr()); branch(at.hash(&a.InfoHash), 0) == 3 {
				all.Go(func() {
					for time.Now().Before(end) {
						do(t, s, a)
					}
				})
			}
		}
		all.Wait()
		after := s.Figures()
		puts, gets := after.Put-before.Put, after.Get-before.Get
		if parts != fan || gets > puts/trusted+(fan-1)*(seconds/3+1) {
			t.Errorf("%d GET, %d PUT in %d seconds, in one of %d parts", gets, puts, seconds, parts)
		}
	})
}

func TestObjectThatIsFarTooLargeIsNoServerThatIsAway(t *testing.T) {
	var sent atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(maxBody+1))
		for chunk := make([]byte, 1<<20); ; {
			n, err := w.Write(chunk)
			if sent.Add(int64(n)); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	o := versitygw.options("prefix")
	o.Endpoint = server.URL
	s := openAnyhow(t, o)
	for range 3 {
		if _, _, err := s.Counts(t.Context(), announced(1, 0).InfoHash); !errors.Is(err, errDamaged) {
			t.Error(err)
		}
	}
	if f := s.Figures(); s.Healthy() != nil || f.Get != 3 {
		t.Errorf("%v, %+v", s.Healthy(), f)
	}
	if sent.Load() >= maxBody {
		t.Errorf("%d bytes of it were read", sent.Load())
	}
}

// TestPartThatSomebodyRemovedIsSaid has an object removed by hand, or by a lifecycle rule.
func TestPartThatSomebodyRemovedIsSaid(t *testing.T) {
	b := newFake()
	s := b.store(Options{SplitBytes: 2000, PartAge: -1})
	defer func() { _ = s.Close() }()
	for n := range 100 {
		do(t, s, announced(1, n))
	}
	part := b.keys(partPrefix)[0]
	if err := b.remove(t.Context(), part, ""); err != nil {
		t.Fatal(err)
	}
	before := s.Figures().Get
	failed := 0
	for n := range 100 {
		if err := s.Announce(t.Context(), announced(1, n), new(swarm.Reply)); err != nil {
			if failed++; !errors.Is(err, errDamaged) || !strings.Contains(err.Error(), part) {
				t.Fatal(err)
			}
		}
	}
	if gets := s.Figures().Get - before; failed == 0 || gets > 100*40 {
		t.Errorf("%d announces failed, %d requests", failed, gets)
	}
	if _, _, err := s.Counts(t.Context(), announced(1, 0).InfoHash); !errors.Is(err, errDamaged) {
		t.Errorf("counts: %v", err)
	}
	if whole, err := s.Walk(t.Context(), announced(1, 0).InfoHash, nil, func([]swarm.Peer) bool { return true }); whole || !errors.Is(err, errDamaged) {
		t.Errorf("walk: %v", err)
	}
	snapshot := swarm.Snapshot{InfoHash: announced(1, 0).InfoHash, Downloaded: 5}
	for n := range 100 {
		snapshot.Peers = append(snapshot.Peers, swarm.Peer{Addr: announced(1, n).Addr(), Last: time.Now()})
	}
	if err := s.Restore(t.Context(), snapshot); !errors.Is(err, errDamaged) {
		t.Errorf("restore: %v", err)
	}
}

func TestCleaningGoesOnWhereAnObjectIsNoneOfOurs(t *testing.T) {
	b := newFake()
	s := b.store(Options{Deletes: DeletesConditional, SplitBytes: 2000})
	defer func() { _ = s.Close() }()
	alien := []string{swarmPrefix + "00", swarmPrefix + "01notes", swarmKey(bittorrent.InfoHash{2}), partPrefix + "00/1", partsOf(announced(8, 0).InfoHash) + "notes"}
	for i, key := range alien {
		if _, err := b.put(t.Context(), key, fmt.Append(nil, strings.Repeat("x", 40*(i%2)+i)), ""); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 60 {
		do(t, s, announced(8, n))
	}
	do(t, s, announced(9, 1))
	s.options.Now = nil
	s.now = func() time.Time { return time.Now().Add(10 * leftFor) }
	n, err := s.Expire(t.Context(), announced(1, 0).Now.Add(time.Hour))
	if n != 61 || err == nil {
		t.Errorf("%d peers are forgotten, %v; want 61, and what is wrong", n, err)
	}
	for _, key := range alien {
		if len(b.keys(key)) != 1 {
			t.Errorf("%q was removed", key)
		}
	}
}

func TestCleaningOfASplitSwarmAsksForWhatChanged(t *testing.T) {
	b := newFake()
	s := b.store(Options{SplitBytes: 500})
	defer func() { _ = s.Close() }()
	for n := range 300 {
		do(t, s, announced(1, n))
	}
	for range 2 {
		before := s.Figures()
		if n, err := s.Expire(t.Context(), time.Unix(0, 0)); n != 0 || err != nil {
			t.Fatal(n, err)
		}
		after := s.Figures()
		if gets, lists := after.Get-before.Get, after.List-before.List; gets > 1 || lists != 2 {
			t.Errorf("%d parts take %d GET, %d LIST", len(b.keys(partPrefix)), gets, lists)
		}
	}
}

func TestPeersOfTheFirstSecondAreKept(t *testing.T) {
	b := newFake()
	s := b.store(Options{})
	defer func() { _ = s.Close() }()
	h := announced(1, 0).InfoHash
	snapshot := swarm.Snapshot{InfoHash: h}
	for n, last := range []time.Time{time.Unix(0, 0), time.Unix(100, 0), {}, time.Unix(1<<50, 0), time.Unix(-1<<50, 0)} {
		snapshot.Peers = append(snapshot.Peers, swarm.Peer{Addr: netip.AddrPortFrom(ip4(n), 1), First: last, Last: last})
	}
	if err := s.Restore(t.Context(), snapshot); err != nil {
		t.Fatal(err)
	}
	s.swarms.cache.drop(swarmKey(h))
	if c, _, err := s.Counts(t.Context(), h); err != nil || c.Complete != 5 {
		t.Fatalf("%+v, %v", c, err)
	}
	if n, err := s.Expire(t.Context(), time.Unix(50, 0)); n != 3 || err != nil {
		t.Errorf("%d peers are forgotten, %v; want 3", n, err)
	}
}
