package tracker

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"waggle/bittorrent"
)

// errFlood refuses whoever asks more often than his address may. A minute is the
// least that BEP 31 can say.
var errFlood = &bittorrent.Refusal{
	Reason:  "your address asks this tracker too often",
	RetryIn: time.Minute,
}

// burst is how long an address may have been quiet to its advantage: it may ask
// ten seconds' worth of requests at once.
const burst = 10 * time.Second

// limiter holds addresses to a rate of requests: each has a bucket, which holds
// [burst] and fills as time passes, and out of which each request takes one
// second divided by the rate. It remembers a fixed number of addresses; one that
// it does not remember has a full bucket. All methods may be called concurrently.
type limiter struct {
	start time.Time
	seed  maphash.Seed
	sets  []bucketSet // 2^n
	rule  atomic.Pointer[rule]

	// Of those that find an address not remembered at the same time, one remembers it.
	newcomers [64]sync.Mutex
}

// rule is what may change while the limiter runs.
type rule struct {
	cost      ticks // of one request; 0: no limit
	unlimited networks
}

// newLimiter returns one that remembers at least so many addresses, in 8 bytes
// each, and lets all pass until it has a rule.
func newLimiter(addresses int, start time.Time) *limiter {
	sets := max(1, (addresses+len(bucketSet{})-1)/len(bucketSet{}))
	l := &limiter{
		start: start,
		seed:  maphash.MakeSeed(),
		sets:  make([]bucketSet, 1<<bits.Len(uint(sets-1))),
	}
	l.rule.Store(new(rule))
	return l
}

// loopback is never limited: whoever asks from there could as well stop the tracker.
var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// bytes returns how many the table takes.
func (l *limiter) bytes() int64 { return int64(len(l.sets)) * int64(unsafe.Sizeof(bucketSet{})) }

// apply replaces the rate, in requests a second, and the networks that it is not
// for. Buckets stay as full as they are.
func (l *limiter) apply(rate int, unlimited []netip.Prefix) {
	r := &rule{unlimited: newNetworks(slices.Concat(loopback, unlimited))}
	if rate > 0 {
		r.cost = max(1, ticksOf(time.Second)/ticks(rate))
	}
	l.rule.Store(r)
}

// allows takes a request out of the bucket of an address, and reports whether it
// may be answered.
func (l *limiter) allows(ip netip.Addr, now time.Time) bool {
	r := l.rule.Load()
	if r.cost == 0 {
		return true
	}
	// Those without a limit are looked for last: the others, who are nearly all, then
	// never pay for them.
	return l.take(ip, ticksOf(now.Sub(l.start)), r.cost) || r.unlimited.contain(ip)
}

// take reports whether the bucket holds the cost, and takes it out if so.
func (l *limiter) take(ip netip.Addr, now, cost ticks) bool {
	hash := l.hash(ip)
	n := hash & uint64(len(l.sets)-1)
	set := &l.sets[n]
	tag := max(1, hash>>tickBits) // 0 is an empty place
	for {
		place, old := set.find(tag)
		if place == nil {
			if l.remember(n, tag, now+cost, now) {
				return true
			}
			continue
		}
		spent := old.spent(now)
		if spent+cost > ticksOf(burst) {
			return false
		}
		if place.CompareAndSwap(uint64(old), uint64(newBucket(tag, now+spent+cost))) {
			return true
		}
	}
}

// remember puts a bucket that will be full at a time into set n. It reports false
// where it has to be tried again: another did so, or took out of the bucket that
// should have given way.
func (l *limiter) remember(n, tag uint64, full, now ticks) bool {
	mu := &l.newcomers[n%uint64(len(l.newcomers))]
	mu.Lock()
	defer mu.Unlock()
	set := &l.sets[n]
	if place, _ := set.find(tag); place != nil {
		return false
	}
	place, old := set.quietest(now)
	return place.CompareAndSwap(uint64(old), uint64(newBucket(tag, full)))
}

// hash spreads addresses so that nobody can choose some that fall together. IPv6
// counts by networks of 64 bits, which is what one customer has at least; IPv4 is
// among those of ::/16, which are nobody's.
func (l *limiter) hash(ip netip.Addr) uint64 {
	if ip = ip.Unmap(); ip.Is4() {
		a := ip.As4()
		return maphash.Comparable(l.seed, 0xffff<<32|uint64(binary.BigEndian.Uint32(a[:])))
	}
	a := ip.As16()
	return maphash.Comparable(l.seed, binary.BigEndian.Uint64(a[:]))
}

// ticks are a time since the limiter began, or a span, in units of 4 µs. They are
// kept in 40 bits, which last for 50 days and then begin anew.
type ticks int64

const (
	tick     = 4 * time.Microsecond
	tickBits = 40
)

func ticksOf(d time.Duration) ticks { return ticks(d / tick) }

// bucket is an address's: 24 bits of its hash, and the 40 bits of when the bucket
// will be full. That is enough of a hash: one address in two million shares its
// bucket with another.
type bucket uint64

func newBucket(tag uint64, full ticks) bucket {
	return bucket(tag<<tickBits | uint64(full)&(1<<tickBits-1))
}

// spent returns how much is missing in the bucket, 0 and up.
func (b bucket) spent(now ticks) ticks { return max(0, horizon-b.age(now)) }

// horizon is further ahead than any bucket is full: clocks of requests that come
// in at the same time may differ. What seems to be beyond it is from long ago.
const horizon = ticks(2 * burst / tick)

// age grows with the time since the bucket is full. At horizon it is just full.
func (b bucket) age(now ticks) ticks {
	return (now + horizon - ticks(b)) & (1<<tickBits - 1)
}

// AddressBytes is what the table takes for each address that is held to a rate.
const AddressBytes = int64(unsafe.Sizeof(bucketSet{})) / int64(len(bucketSet{}))

// bucketSet is where an address may be remembered: one line of a processor's
// cache.
type bucketSet [8]atomic.Uint64

// find returns the bucket with the tag and its place, or nil.
func (s *bucketSet) find(tag uint64) (place *atomic.Uint64, b bucket) {
	for i := range s {
		if b := s[i].Load(); b>>tickBits == tag {
			return &s[i], bucket(b)
		}
	}
	return nil, 0
}

// quietest returns a place that is empty, or the bucket that is full for longest.
func (s *bucketSet) quietest(now ticks) (place *atomic.Uint64, old bucket) {
	oldest := ticks(-1)
	for i := range s {
		b := bucket(s[i].Load())
		if b == 0 {
			return &s[i], b
		}
		if age := b.age(now); age > oldest {
			place, old, oldest = &s[i], b, age
		}
	}
	return place, old
}

// networks are sorted, and none lies within another.
type networks []netip.Prefix

func newNetworks(list []netip.Prefix) networks {
	slices.SortFunc(list, netip.Prefix.Compare) // a network before those within it
	var n networks
	for _, p := range list {
		if len(n) == 0 || !n[len(n)-1].Contains(p.Addr()) {
			n = append(n, p.Masked())
		}
	}
	return n
}

// contain reports whether the address is in one of the networks.
func (n networks) contain(ip netip.Addr) bool {
	i, exact := slices.BinarySearchFunc(n, ip.Unmap(), func(p netip.Prefix, ip netip.Addr) int {
		return p.Addr().Compare(ip)
	})
	return exact || i > 0 && n[i-1].Contains(ip.Unmap())
}
