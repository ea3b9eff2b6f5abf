package reach

import (
	"container/heap"
	"hash/maphash"
	"net/netip"
	"time"

	"waggle/bittorrent"
)

// Paces of attempts.
const (
	addressGap = 5 * time.Second        // between two to one IP address; of IPv6, 64 bits count
	networkGap = 200 * time.Millisecond // between two to a network: 24 bits of IPv4, 48 of IPv6
	longest    = 30 * time.Second       // that an attempt waits; what would wait for longer is left out
	mostWait   = 4096                   // attempts
	targets    = 1 << 14                // addresses and networks that are told apart; others are slower than they might be
)

// attempt is one that is to be made.
type attempt struct {
	addr netip.AddrPort
	hash bittorrent.InfoHash
	due  time.Time
}

// schedule spreads attempts over time. It is for one goroutine.
type schedule struct {
	seed     maphash.Seed
	gap      time.Duration // between any two
	free     time.Time     // when the next may be made
	byTarget []time.Time   // by the hash of an address or network: when the next to it may be
	waiting  attempts
}

func newSchedule() *schedule {
	return &schedule{seed: maphash.MakeSeed(), byTarget: make([]time.Time, targets)}
}

// add has an attempt wait for its turn, and reports whether there is one soon.
func (s *schedule) add(a attempt, now time.Time) bool {
	address, network := s.slot(a.addr.Addr(), 32, 64), s.slot(a.addr.Addr(), 24, 48)
	a.due = now
	for _, free := range []time.Time{s.free, *address, *network} {
		if free.After(a.due) {
			a.due = free
		}
	}
	if a.due.Sub(now) > longest || len(s.waiting) >= mostWait {
		return false
	}
	if s.free.Before(now) {
		s.free = now
	}
	s.free = s.free.Add(s.gap)
	*address, *network = a.due.Add(addressGap), a.due.Add(networkGap)
	heap.Push(&s.waiting, a)
	return true
}

func (s *schedule) slot(ip netip.Addr, bits4, bits6 int) *time.Time {
	bits := bits6
	if ip.Is4() {
		bits = bits4
	}
	network, _ := ip.Prefix(bits) // of as many bits as there are
	return &s.byTarget[maphash.Comparable(s.seed, network)%targets]
}

// next returns when the next attempt is due; false: none waits.
func (s *schedule) next() (due time.Time, ok bool) {
	if len(s.waiting) == 0 {
		return due, false
	}
	return s.waiting[0].due, true
}

func (s *schedule) take() attempt { return heap.Pop(&s.waiting).(attempt) }

// attempts is a heap, the earliest first.
type attempts []attempt

func (a attempts) Len() int           { return len(a) }
func (a attempts) Less(i, j int) bool { return a[i].due.Before(a[j].due) }
func (a attempts) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *attempts) Push(x any)        { *a = append(*a, x.(attempt)) }

func (a *attempts) Pop() any {
	last := len(*a) - 1
	x := (*a)[last]
	*a = (*a)[:last]
	return x
}
