package tracker_test

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"waggle/bittorrent"
	"waggle/store/memory"
	"waggle/tracker"
)

// began is the time at which the trackers of these tests begin.
var began = time.Unix(1_800_000_000, 0)

// limited returns a tracker that holds addresses to a rate.
func limited(rate, addresses int, unlimited ...string) *tracker.Tracker {
	return limitedFrom(func() time.Time { return began }, rate, addresses, unlimited...)
}

func limitedFrom(now func() time.Time, rate, addresses int, unlimited ...string) *tracker.Tracker {
	s := settings
	s.AddressRate = rate
	for _, network := range unlimited {
		s.Unlimited = append(s.Unlimited, netip.MustParsePrefix(network))
	}
	return tracker.New(memory.New(memory.Options{}), s, tracker.Options{
		Now: now, Addresses: addresses,
	})
}

// admitted returns how many of n requests from an address get through at once.
func admitted(tr *tracker.Tracker, ip string, n int, after time.Duration) (count int) {
	for range n {
		if tr.Admit(netip.MustParseAddr(ip), began.Add(after)) == nil {
			count++
		}
	}
	return count
}

func TestAddressMayAskTenSecondsWorthAtOnceAndThenItsRate(t *testing.T) {
	tr := limited(50, 0)
	for _, step := range []struct {
		after time.Duration
		want  int
	}{
		{0, 500},
		{0, 0},
		{20 * time.Millisecond, 1},
		{time.Second, 49},
		{3 * time.Second, 100},
		{3*time.Second + 19*time.Millisecond, 0},
		{time.Minute, 500},
		{time.Hour, 500},
	} {
		if got := admitted(tr, "192.0.2.1", 1000, step.after); got != step.want {
			t.Errorf("after %v: %d requests admitted, want %d", step.after, got, step.want)
		}
	}
	if f := tr.Figures(); f.Limited != 8000-1650 || f.Announces != 0 {
		t.Errorf("figures %+v, want 6,350 requests limited and no announces", f)
	}
}

func TestFloodIsToldToRetry(t *testing.T) {
	tr := limited(1, 0)
	admitted(tr, "192.0.2.1", 10, 0)
	refusal, ok := errors.AsType[*bittorrent.Refusal](tr.Admit(netip.MustParseAddr("192.0.2.1"), began))
	if !ok || refusal.RetryIn != time.Minute || refusal.Reason == "" {
		t.Errorf("got %+v, want a refusal for a minute", refusal)
	}
}

func TestAddressesHaveABucketEachAndIPv6OneForEach64Bits(t *testing.T) {
	tr := limited(1, 1<<12)
	for ip, want := range map[string]int{
		"192.0.2.1": 10, "192.0.2.2": 10, "2001:db8::1": 10, "2001:db8:0:1::1": 10, "2001:db8:0:100::1": 10, "::1:0:0:0:1": 10,
		"32.1.13.184": 10, "184.13.1.32": 10, // the bytes of 2001:db8::
	} {
		if got := admitted(tr, ip, 20, 0); got != want {
			t.Errorf("%s: %d admitted, want %d", ip, got, want)
		}
	}
	for _, ip := range []string{"::ffff:192.0.2.1", "2001:db8::ffff:1", "2001:db8:0:1:ffff:ffff:ffff:ffff"} {
		if got := admitted(tr, ip, 20, 0); got != 0 {
			t.Errorf("%s: %d admitted although its bucket is empty", ip, got)
		}
	}
}

func TestLoopbackAndUnlimitedNetworksAreNotLimited(t *testing.T) {
	tr := limited(1, 0, "10.1.2.0/24", "10.0.0.0/8", "10.1.0.0/16", "192.0.2.7/32", "2001:db8::/32", "::/128")
	for ip, want := range map[string]int{
		"127.0.0.1": 100, "127.255.0.9": 100, "::1": 100, "::": 100, "10.0.0.0": 100, "10.1.2.3": 100, "10.200.0.1": 100,
		"10.255.255.255": 100, "192.0.2.7": 100, "::ffff:10.9.9.9": 100, "2001:db8::1": 100, "2001:db8:ffff::": 100,
		"11.0.0.0": 10, "9.255.255.255": 10, "192.0.2.6": 10, "192.0.2.8": 10, "2001:db9::": 10, "2001:db7::1": 10, "128.0.0.1": 10,
		"0.0.0.1": 10, "255.255.255.255": 10, "ff00::": 10,
	} {
		if got := admitted(tr, ip, 100, 0); got != want {
			t.Errorf("%s: %d admitted, want %d", ip, got, want)
		}
	}
}

func TestRateOfZeroLimitsNobodyAndAReloadCountsAtOnce(t *testing.T) {
	tr := limited(0, 0)
	if got := admitted(tr, "192.0.2.1", 1000, 0); got != 1000 {
		t.Errorf("without a limit: %d of 1000 admitted", got)
	}
	s := settings
	s.AddressRate = 1
	tr.Apply(s)
	if got := admitted(tr, "192.0.2.1", 1000, 0); got != 10 {
		t.Errorf("with a limit of 1: %d admitted, want 10", got)
	}
	s.Unlimited = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	tr.Apply(s)
	if got := admitted(tr, "192.0.2.1", 1000, 0); got != 1000 {
		t.Errorf("in a network without a limit: %d of 1000 admitted", got)
	}
}

// Eight addresses are one set, so that all addresses compete for the same places.
func TestAddressThatIsQuietForLongestGivesWayAndBeginsAnew(t *testing.T) {
	tr := limited(1, 8)
	for i := range 8 { // the first is the busiest, the last has been quiet for longest
		admitted(tr, fmt.Sprintf("192.0.2.%d", i), 10-i, 0)
	}
	admitted(tr, "198.51.100.1", 1, 0)
	if got := admitted(tr, "192.0.2.0", 20, 0); got != 0 {
		t.Errorf("the busiest address began anew: %d admitted", got)
	}
	if got := admitted(tr, "192.0.2.6", 20, 0); got != 6 {
		t.Errorf("a busy address was forgotten: %d admitted, want 6", got)
	}
	if got := admitted(tr, "192.0.2.7", 20, 0); got != 10 {
		t.Errorf("the quietest address: %d admitted, want 10, as it was forgotten", got)
	}
}

func TestManyAddressesTakeNoMoreMemoryAndKeepTheBusyOnesLimited(t *testing.T) {
	tr := limited(1, 1<<10)
	admitted(tr, "192.0.2.1", 10, 0)
	for i := range 1 << 16 {
		ip := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		_ = tr.Admit(ip, began)
	}
	if got := admitted(tr, "192.0.2.1", 10, 0); got != 0 {
		t.Errorf("%d admitted: the busy address was forgotten for quiet ones", got)
	}
}

func TestLimitHoldsWhenManyAskAtTheSameTime(t *testing.T) {
	tr := limited(50, 8)
	var count atomic.Int64
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() { count.Add(int64(admitted(tr, "192.0.2.1", 200, 0))) })
	}
	group.Wait()
	if count.Load() != 500 {
		t.Errorf("%d admitted, want 500", count.Load())
	}
}

func TestRequestWhoseClockLagsDoesNotFillTheBucket(t *testing.T) {
	tr := limited(50, 0)
	admitted(tr, "192.0.2.1", 500, time.Second)
	for _, lag := range []time.Duration{time.Microsecond, time.Millisecond, time.Second} {
		if got := admitted(tr, "192.0.2.1", 500, time.Second-lag); got != 0 {
			t.Errorf("%v late: %d admitted, want 0", lag, got)
		}
	}
}

// Times are kept in 40 bits, which begin anew after 51 days.
func TestAddressThatWasQuietForDaysHasAFullBucket(t *testing.T) {
	for day := range 120 {
		tr := limited(50, 8)
		admitted(tr, "192.0.2.1", 500, 0)
		if got := admitted(tr, "192.0.2.1", 1000, time.Duration(day+1)*24*time.Hour); got != 500 {
			t.Errorf("after %d days: %d admitted, want 500", day+1, got)
		}
	}
}

// One set remembers eight addresses for sure: with no more than these, each has
// what a bucket that is counted in fractions would have.
func TestLimitIsThatOfABucketForEachAddress(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.SampledFrom([]int{1, 5, 50, 250}).Draw(t, "rate")
		tr := limited(rate, 8)
		var full [8]time.Duration // when an address's bucket is full
		var now time.Duration
		for range rapid.IntRange(1, 60).Draw(t, "requests") {
			now += time.Duration(rapid.IntRange(0, 2000).Draw(t, "ms")) * time.Millisecond
			i := rapid.IntRange(0, 7).Draw(t, "address")
			n := rapid.IntRange(1, 12*rate).Draw(t, "n")
			free := 10*time.Second - max(0, full[i]-now)
			want := min(n, int(free*time.Duration(rate)/time.Second))
			full[i] = max(full[i], now) + time.Duration(want)*time.Second/time.Duration(rate)
			if got := admitted(tr, fmt.Sprintf("192.0.2.%d", i), n, now); got != want {
				t.Fatalf("address %d after %v: %d of %d admitted, want %d", i, now, got, n, want)
			}
		}
	})
}

func TestAdmittingAndRefusingAllocatesNothing(t *testing.T) {
	tr := limited(1, 0)
	for _, ip := range []string{"192.0.2.1", "2001:db8::1", "127.0.0.1"} {
		addr := netip.MustParseAddr(ip)
		if n := testing.AllocsPerRun(100, func() {
			_, _ = errors.AsType[*bittorrent.Refusal](tr.Admit(addr, began))
		}); n != 0 {
			t.Errorf("%s: %v allocations, want 0", ip, n)
		}
	}
}

func BenchmarkLimit(b *testing.B) {
	for _, bench := range []struct {
		name                    string
		addresses, asking, rate int
	}{
		{"off", 1 << 20, 1, 0},
		{"one address, refused", 1 << 20, 1, 50},
		{"1,000 addresses", 1 << 20, 1000, 100_000},
		{"1M addresses", 1 << 20, 1 << 20, 100_000},
		{"4M addresses in the place of 1M", 1 << 20, 1 << 22, 100_000},
	} {
		b.Run(bench.name, func(b *testing.B) {
			tr := limitedFrom(time.Now, bench.rate, bench.addresses)
			i, now := uint32(0), time.Now() // which is faster to compute with than began
			b.ReportAllocs()
			for b.Loop() {
				n := i * 2654435761 % uint32(bench.asking)
				i++
				if i%64 == 0 { // a batch
					now = now.Add(time.Microsecond)
				}
				_ = tr.Admit(netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}), now)
			}
		})
	}
}

func BenchmarkLimitIPv6InParallel(b *testing.B) {
	tr := limitedFrom(time.Now, 100_000, 1<<20)
	var workers atomic.Uint32
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		worker, now := byte(workers.Add(1)), time.Now()
		for i := uint16(0); pb.Next(); i++ {
			ip := netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, worker, byte(i >> 8), byte(i)})
			_ = tr.Admit(ip, now)
		}
	})
}
