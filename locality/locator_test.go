package locality

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a source that answers what it is told to, after a delay.
type fake struct {
	name string

	mu     sync.Mutex
	path   string
	err    error
	delay  time.Duration
	asked  int
	closed bool
}

func (f *fake) String() string { return f.name }

func (f *fake) Locate(ctx context.Context, _ netip.Addr) (string, error) {
	f.mu.Lock()
	f.asked++
	path, err, delay := f.path, f.err, f.delay
	f.mu.Unlock()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	return path, err
}

func (f *fake) Close() error {
	f.closed = true
	return nil
}

// say has the source answer something else from now on.
func (f *fake) say(path string, err error, delay time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.path, f.err, f.delay = path, err, delay
}

func (f *fake) wantAsked(t *testing.T, want int) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.asked != want {
		t.Errorf("%s was asked %d times, want %d", f.name, f.asked, want)
	}
}

// fakeTable is a table of one address.
type fakeTable struct {
	fake
	ip    netip.Addr
	group *Group
}

func (f *fakeTable) Group(ip netip.Addr) *Group {
	if ip == f.ip {
		return f.group
	}
	return nil
}
func (f *fakeTable) Why(netip.Addr) string     { return "line 1" }
func (f *fakeTable) Dated() (time.Time, error) { return time.Time{}, f.err }

var (
	here    = netip.MustParseAddr("192.0.2.1")
	there   = netip.MustParseAddr("192.0.2.2")
	errDown = errors.New("down")
)

// newLocator makes a locator of sources, which the test closes.
func newLocator(t testing.TB, o Options) *Locator {
	t.Helper()
	l, err := New(treeOf(t, "rack"), o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func closeLocator(t testing.TB, l *Locator) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// inBubble runs a test whose time passes when everybody waits.
func inBubble(t *testing.T, o Options, test func(t *testing.T, l *Locator)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := newLocator(t, o)
		defer closeLocator(t, l)
		test(t, l)
	})
}

func (l *Locator) wantLocated(t *testing.T, ip netip.Addr, want string) {
	t.Helper()
	if got := pathOf(l.Locate(t.Context(), ip)); got != want {
		t.Errorf("%v is in %q, want %q", ip, got, want)
	}
}

func (l *Locator) wantCached(t *testing.T, ip netip.Addr, want string, wantKnown bool) {
	t.Helper()
	if g, known := l.Cached(ip, time.Now()); pathOf(g) != want || known != wantKnown {
		t.Errorf("%v is cached in %q, %v, want %q, %v", ip, pathOf(g), known, want, wantKnown)
	}
}

func TestFirstSourceThatKnowsWins(t *testing.T) {
	a, b, c := &fake{name: "a"}, &fake{name: "b", path: "r1"}, &fake{name: "c", path: "r2"}
	inBubble(t, Options{Sources: []Source{a, b, c}}, func(t *testing.T, l *Locator) {
		l.wantCached(t, here, "", false)
		l.wantLocated(t, here, "r1")
		l.wantCached(t, here, "r1", true)
		l.wantLocated(t, netip.AddrFrom16(here.As16()), "r1") // the same address, mapped into IPv6
		a.wantAsked(t, 1)
		b.wantAsked(t, 1)
		c.wantAsked(t, 0)
	})
}

func TestAddressThatNobodyKnowsIsRememberedToo(t *testing.T) {
	a := &fake{name: "a"}
	inBubble(t, Options{Sources: []Source{a}}, func(t *testing.T, l *Locator) {
		l.wantLocated(t, here, "")
		l.wantCached(t, here, "", true)
		l.wantLocated(t, here, "")
		a.wantAsked(t, 1)
	})
}

func TestTableIsAskedInlineInItsPlaceOfTheChain(t *testing.T) {
	tree := treeOf(t, "rack")
	before := &fakeTable{ip: here, group: groupAt(t, tree, "before")}
	after := &fakeTable{ip: there, group: groupAt(t, tree, "after")}
	remote := &fake{name: "remote", path: "remote"}
	inBubble(t, Options{Sources: []Source{before, remote, after}}, func(t *testing.T, l *Locator) {
		l.wantCached(t, here, "before", true)
		remote.wantAsked(t, 0)
		l.wantCached(t, there, "", false) // the remote one comes first
		l.wantLocated(t, there, "remote")
	})
	remote.say("", nil, 0)
	last := &fake{name: "last", path: "last"}
	inBubble(t, Options{Sources: []Source{before, remote, after, last}}, func(t *testing.T, l *Locator) {
		l.wantLocated(t, there, "after")
		l.wantCached(t, there, "after", true)
		last.wantAsked(t, 0)
		after.ip = netip.Addr{} // as after a reload
		l.wantCached(t, there, "", false)
		l.wantLocated(t, there, "last")
		l.wantCached(t, there, "last", true)
	})
}

func TestWithoutSourcesEveryAddressIsKnownToBeNowhere(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, l *Locator) {
		l.wantCached(t, here, "", true)
		l.wantCached(t, netip.Addr{}, "", true)
	})
}

func TestStaleAnswerCountsWhileItIsLookedUpAgain(t *testing.T) {
	a := &fake{name: "a", path: "r1"}
	inBubble(t, Options{Sources: []Source{a}, CacheTime: time.Minute}, func(t *testing.T, l *Locator) {
		l.wantLocated(t, here, "r1")
		a.say("r2", nil, time.Second)
		time.Sleep(time.Minute - time.Second)
		l.wantCached(t, here, "r1", true)
		synctest.Wait()
		a.wantAsked(t, 1)
		time.Sleep(time.Second)
		l.wantCached(t, here, "r1", true)
		l.wantCached(t, here, "r1", true)
		synctest.Wait()
		a.wantAsked(t, 2) // once, though two asked
		time.Sleep(time.Second)
		synctest.Wait()
		l.wantCached(t, here, "r2", true)
		a.wantAsked(t, 2)
	})
}

func TestNobodyWaitsLongerThanTheTimeoutInAll(t *testing.T) {
	slow := &fake{name: "slow", path: "r1", delay: time.Hour}
	slower := &fake{name: "slower", path: "r1", delay: time.Hour}
	inBubble(t, Options{Sources: []Source{slow, slower}}, func(t *testing.T, l *Locator) {
		begun := time.Now()
		l.wantLocated(t, here, "")
		if took := time.Since(begun); took != 2*time.Second {
			t.Errorf("it took %v", took)
		}
		synctest.Wait()
		l.wantCached(t, here, "", true) // so that the next announce does not wait as well
		for i, f := range l.Figures() {
			if f.TimedOut != 1 || f.Asked != 1 || f.LastDuration != time.Second || !strings.Contains(f.LastError, "deadline") {
				t.Errorf("source %d: %+v", i, f)
			}
		}
	})
}

func TestSlowSourceLeavesTimeToTheNext(t *testing.T) {
	slow, good := &fake{name: "slow", delay: time.Hour}, &fake{name: "good", path: "r1", delay: 900 * time.Millisecond}
	inBubble(t, Options{Sources: []Source{slow, good}}, func(t *testing.T, l *Locator) {
		l.wantLocated(t, here, "r1")
	})
}

func TestWhoeverGivesUpEarlierDoesNotEndTheLookUpOfOthers(t *testing.T) {
	a := &fake{name: "a", path: "r1", delay: time.Second}
	inBubble(t, Options{Sources: []Source{a}}, func(t *testing.T, l *Locator) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if g := l.Locate(ctx, here); g != nil {
			t.Error("it is located already")
		}
		l.wantLocated(t, here, "r1")
		a.wantAsked(t, 1)
	})
}

func TestManyAsksForOneAddressShareOneLookUp(t *testing.T) {
	a := &fake{name: "a", path: "r1", delay: time.Second}
	inBubble(t, Options{Sources: []Source{a}}, func(t *testing.T, l *Locator) {
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() { l.wantLocated(t, here, "r1") })
		}
		all.Wait()
		a.wantAsked(t, 1)
	})
}

func TestMoreLookUpsThanTheBoundAreUnlocatedAtOnceAndCounted(t *testing.T) {
	a := &fake{name: "a", path: "r1", delay: time.Second}
	inBubble(t, Options{Sources: []Source{a}, Lookups: 2}, func(t *testing.T, l *Locator) {
		var all sync.WaitGroup
		for i := range byte(2) {
			all.Go(func() { l.wantLocated(t, netip.AddrFrom4([4]byte{10, 0, 0, i}), "r1") })
		}
		synctest.Wait()
		begun := time.Now()
		l.wantLocated(t, here, "")
		if f := l.Lookups(); time.Since(begun) != 0 || f != (LookupFigures{UnderWay: 2, Refused: 1}) {
			t.Errorf("%+v after %v", f, time.Since(begun))
		}
		all.Wait()
		l.wantLocated(t, here, "r1")
	})
}

func TestSourceThatFailsInARowIsLeftOutAndTriedAgain(t *testing.T) {
	dead, good := &fake{name: "dead", err: errDown}, &fake{name: "good", path: "r1"}
	inBubble(t, Options{Sources: []Source{dead, good}, Now: time.Now}, func(t *testing.T, l *Locator) {
		address := byte(0)
		next := func() netip.Addr { address++; return netip.AddrFrom4([4]byte{10, 0, 0, address}) }
		for range 10 {
			l.wantLocated(t, next(), "r1")
		}
		dead.wantAsked(t, 5)
		f := l.Figures()[0]
		if f.Failed != 5 || f.LeftOut != 5 || !f.Resting || f.LastError != "down" || f.LastErrorAt.IsZero() {
			t.Errorf("%+v", f)
		}
		time.Sleep(30 * time.Second)
		l.wantLocated(t, next(), "r1")
		l.wantLocated(t, next(), "r1")
		dead.wantAsked(t, 6) // one try, which fails
		time.Sleep(30 * time.Second)
		dead.say("r2", nil, 0)
		l.wantLocated(t, next(), "r2")
		l.wantLocated(t, next(), "r2")
		if f := l.Figures()[0]; f.Resting || f.Known != 2 {
			t.Errorf("%+v", f)
		}
	})
}

func TestOnlyOneLookUpTriesASourceThatWasLeftOut(t *testing.T) {
	dead := &fake{name: "dead", err: errDown}
	inBubble(t, Options{Sources: []Source{dead}}, func(t *testing.T, l *Locator) {
		for i := range byte(5) {
			l.wantLocated(t, netip.AddrFrom4([4]byte{10, 0, 0, i}), "")
		}
		time.Sleep(30 * time.Second)
		dead.say("r1", nil, time.Second)
		var all sync.WaitGroup
		for i := range byte(9) {
			all.Go(func() { l.Locate(t.Context(), netip.AddrFrom4([4]byte{10, 0, 1, i})) })
		}
		all.Wait()
		dead.wantAsked(t, 6)
		l.wantLocated(t, here, "r1")
	})
}

func TestHostStaysInItsRackWhileItsSourceIsDown(t *testing.T) {
	a, b := &fake{name: "a", path: "r1"}, &fake{name: "b"}
	inBubble(t, Options{Sources: []Source{a, b}}, func(t *testing.T, l *Locator) {
		l.wantLocated(t, here, "r1")
		a.say("", errDown, 0)
		for range 20 {
			time.Sleep(10 * time.Minute)
			l.wantCached(t, here, "r1", true)
			synctest.Wait()
			l.wantCached(t, here, "r1", true)
		}
		b.wantAsked(t, 0)
		if f := l.Explain(t.Context(), here); f.Age != 200*time.Minute || f.Group.Path() != "r1" || f.Source != "a" || !f.Remembered {
			t.Errorf("%+v", f)
		}
		a.say("r2", nil, 0)
		time.Sleep(10 * time.Minute)
		l.wantCached(t, here, "r1", true)
		synctest.Wait()
		l.wantCached(t, here, "r2", true)
	})
}

func TestAnswerOfALaterSourceIsForgottenSoonWhereAnEarlierOneFailed(t *testing.T) {
	a, b := &fake{name: "a", err: errDown}, &fake{name: "b", path: "r2"}
	inBubble(t, Options{Sources: []Source{a, b}}, func(t *testing.T, l *Locator) {
		l.wantLocated(t, here, "r2")
		a.say("r1", nil, 0)
		time.Sleep(time.Minute)
		l.wantCached(t, here, "r2", true)
		synctest.Wait()
		l.wantCached(t, here, "r1", true)
	})
}

func TestRubbishIsUnlocatedAndCounted(t *testing.T) {
	for _, answer := range []string{"site/rack", "\x1b[31m", "", strings.Repeat("x", 1<<20)} {
		a := &fake{name: "a", path: answer}
		if answer == "" {
			a.err = rubbish("it makes no sense")
		}
		inBubble(t, Options{Sources: []Source{a}}, func(t *testing.T, l *Locator) {
			for range 10 {
				l.wantLocated(t, here, "")
				time.Sleep(2 * time.Minute)
				l.wantCached(t, here, "", true)
				synctest.Wait()
			}
			f := l.Figures()[0]
			if f.Rubbish != f.Asked || f.Asked != 11 || f.Resting || f.LastError == "" || len(f.LastError) > 300 {
				t.Errorf("%+v", f)
			}
		})
	}
}

func TestRubbishAfterAGoodAnswerUnlocatesTheHost(t *testing.T) {
	a := &fake{name: "a", path: "r1"}
	inBubble(t, Options{Sources: []Source{a}}, func(t *testing.T, l *Locator) {
		l.wantLocated(t, here, "r1")
		a.say("no/path", nil, 0)
		time.Sleep(10 * time.Minute)
		l.wantCached(t, here, "r1", true)
		synctest.Wait()
		l.wantCached(t, here, "", true)
	})
}

func TestReloadHasWhatIsRememberedLookedUpAnew(t *testing.T) {
	a := &fake{name: "a", path: "r1"}
	subnets := openSubnets(t, treeOf(t, "rack"), "10.0.0.0/8, s1\n")
	inBubble(t, Options{Sources: []Source{subnets, a}}, func(t *testing.T, l *Locator) {
		l.wantLocated(t, here, "r1")
		a.say("r2", nil, 0)
		if err := l.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.wantCached(t, here, "r1", true)
		synctest.Wait()
		l.wantCached(t, here, "r2", true)
		subnets.file += ".gone"
		if err := l.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "no such file") || l.Figures()[0].LastError != err.Error() {
			t.Errorf("%v; %+v", err, l.Figures()[0])
		}
		l.wantCached(t, netip.MustParseAddr("10.0.0.1"), "s1", true)
	})
}

func TestCacheForgetsThoseThatAreNotAskedFor(t *testing.T) {
	a := &fake{name: "a", path: "r1"}
	inBubble(t, Options{Sources: []Source{a}, Addresses: 64 * 4}, func(t *testing.T, l *Locator) {
		for i := range 10_000 {
			l.wantLocated(t, netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), "r1")
			l.wantCached(t, here, "", false)
			if i == 0 {
				l.wantLocated(t, there, "r1")
			}
			l.wantCached(t, there, "r1", true)
		}
		if n := l.Lookups().Remembered; n > 64*4 || n < 64*3 {
			t.Errorf("%d are remembered", n)
		}
	})
}

func TestCloseEndsLookUpsAndClosesSources(t *testing.T) {
	a := &fake{name: "a", path: "r1", delay: time.Hour}
	synctest.Test(t, func(t *testing.T) {
		l := newLocator(t, Options{Sources: []Source{a}})
		begun := time.Now()
		go func() { synctest.Wait(); closeLocator(t, l) }()
		l.wantLocated(t, here, "")
		synctest.Wait()
		l.wantLocated(t, there, "")
		if took := time.Since(begun); took != 0 || !a.closed {
			t.Errorf("it took %v, closed %v", took, a.closed)
		}
	})
}

func TestExplainAsksEverySourceAndSaysWhichAnswerIsInForce(t *testing.T) {
	tree := treeOf(t, "rack")
	table := &fakeTable{fake: fake{name: "table"}, ip: there, group: groupAt(t, tree, "t1")}
	down, a := &fake{name: "down", err: errDown}, &fake{name: "a", path: "r1", delay: time.Second}
	inBubble(t, Options{Sources: []Source{down, a, table}}, func(t *testing.T, l *Locator) {
		f := l.Explain(t.Context(), there)
		if f.Group.Path() != "r1" || f.Source != "a" || f.Remembered || len(f.Answers) != 3 || f.Address != there {
			t.Errorf("%+v", f)
		}
		if !errors.Is(f.Answers[0].Err, errDown) || f.Answers[1].Took != time.Second || f.Answers[2].Group.Path() != "t1" || f.Answers[2].Why != "line 1" {
			t.Errorf("%+v", f.Answers)
		}
		l.wantCached(t, there, "", false) // Explain leaves no trace
		l.wantLocated(t, there, "r1")
		a.say("r2", nil, 0)
		time.Sleep(time.Minute)
		if f := l.Explain(t.Context(), there); f.Group.Path() != "r1" || !f.Remembered || f.Age != time.Minute || f.Answers[1].Group.Path() != "r2" {
			t.Errorf("%+v", f)
		}
		a.say("", nil, 0)
		if f := l.Explain(t.Context(), here); f.Group != nil || f.Source != "" || f.Remembered {
			t.Errorf("%+v", f)
		}
	})
}

func TestOptionsOutOfRangeAreRefused(t *testing.T) {
	tree := treeOf(t, "rack")
	for _, o := range []Options{
		{Sources: make([]Source, 33)}, {LookupTimeout: -1}, {CacheTime: -1}, {CacheUnknown: -1}, {Addresses: -1}, {Lookups: -1},
	} {
		if _, err := New(tree, o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

func TestAskingTheCacheAllocatesNothing(t *testing.T) {
	tree := treeOf(t, "rack")
	a := &fake{name: "a", path: "r1"}
	table := &fakeTable{ip: there, group: groupAt(t, tree, "t1")}
	subnets := openSubnets(t, tree, "10.0.0.0/8, s1\n")
	l := newLocator(t, Options{Sources: []Source{subnets, table, a}})
	defer closeLocator(t, l)
	l.Locate(t.Context(), here)
	now := time.Now()
	in := netip.MustParseAddr("::ffff:10.1.2.3")
	if n := testing.AllocsPerRun(1000, func() {
		l.Cached(here, now)
		l.Cached(there, now)
		l.Cached(in, now)
		l.Cached(here, now.Add(time.Hour)) // stale
		l.Host(here)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkCached(b *testing.B) {
	a := &fake{name: "a", path: "r1"}
	l := newLocator(b, Options{Sources: []Source{a}})
	defer closeLocator(b, l)
	for i := range 100_000 {
		l.Locate(b.Context(), netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
	}
	now := time.Now()
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		i += 7919
		n := i % 100_000
		if _, known := l.Cached(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), now); !known {
			b.Fatal(fmt.Sprint(n))
		}
	}
}
