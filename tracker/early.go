package tracker

import (
	"net/netip"
	"sync/atomic"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// Early says what follows where a peer announces a torrent again before it may. Each is a
// number of such announces, of which every one that is in time forgives a half; 0: never.
type Early struct {
	Warned    int // the client is warned, over HTTP
	Shortened int // it is told of few peers
	Refused   int // it is refused until it may announce again

	// PerAddress is how many refusals of that kind there may be within ten minutes, over all
	// peers of an address, before nothing of it is looked at for as long.
	PerAddress int
}

// WarnEarly is what a client is told that announces too early; over HTTP only, since UDP has
// no place for it.
const WarnEarly = "you announce more often than this tracker told you to: it will tell you of fewer peers, and then refuse you"

// fewPeers is how many peers a client is told at most that announces too early.
const fewPeers = 5

// errEarly refuse who announces too early, for one minute, two, and so on.
var errEarly = func() (list [60]bittorrent.Refusal) {
	for i := range list {
		list[i] = bittorrent.Refusal{
			Reason:  "you announce more often than this tracker told you to",
			RetryIn: time.Duration(i+1) * time.Minute,
		}
	}
	return list
}()

// errSilenced refuses whatever comes from an address that was refused too often.
var errSilenced = &bittorrent.Refusal{
	Reason:  "clients at your address announce more often than this tracker told them to",
	RetryIn: silence,
}

// silence is for how long an address is silenced, and within what time its offences count.
const silence = 10 * time.Minute

// offenders are the addresses that announce too early. They are held to a rate as others are
// to that of their requests, in a time that passes more slowly: a burst is [silence].
type offenders struct {
	limiter *limiter
	last    atomic.Int64 // Unix nanoseconds until which there may be any that is silenced
}

// mostOffenders are remembered at a time, in 8 bytes each.
const mostOffenders = 1 << 16

func newOffenders(addresses int, start time.Time) *offenders {
	return &offenders{limiter: newLimiter(addresses, start)}
}

// slow returns the time as offenders count it.
func (o *offenders) slow(now time.Time) ticks {
	return ticksOf(now.Sub(o.limiter.start)) / ticks(silence/burst)
}

// offend counts a refusal, of which there may be so many.
func (o *offenders) offend(ip netip.Addr, now time.Time, most int) {
	if most == 0 || o.limiter.take(ip, o.slow(now), max(1, ticksOf(burst)/ticks(most))) {
		return
	}
	o.limiter.exhaust(ip, o.slow(now))
	o.last.Store(max(o.last.Load(), now.Add(2*silence).UnixNano()))
}

// silenced reports whether nothing of an address is looked at. Where nobody offends, it
// looks at nothing.
func (o *offenders) silenced(ip netip.Addr, now time.Time) bool {
	return now.UnixNano() < o.last.Load() && o.limiter.exhausted(ip, o.slow(now))
}

// judge refuses a peer that announces too early too often, and has others warned, or told
// of few.
func (t *Tracker) judge(s *Settings, a *swarm.Announce, e *encounter, r *swarm.Reply) error {
	at := func(most int) bool { return most > 0 && e.early >= most }
	if !at(s.Early.Warned) && !at(s.Early.Shortened) && !at(s.Early.Refused) || t.limiter.rule.Load().unlimited.contain(a.From) {
		return nil
	}
	if at(s.Early.Refused) {
		t.figures.early.Add(1)
		t.offenders.offend(a.From, a.Now, s.Early.PerAddress)
		return &errEarly[min(int(e.wait/time.Minute), len(errEarly)-1)]
	}
	if at(s.Early.Shortened) {
		t.figures.shortened.Add(1)
		a.NumWant = min(a.NumWant, fewPeers)
	}
	if at(s.Early.Warned) {
		t.figures.warned.Add(1)
		r.Warning = WarnEarly
	}
	return nil
}

// exhaust empties the bucket of an address for twice as long as it takes to fill, and
// exhausted reports that it is as good as empty.
func (l *limiter) exhaust(ip netip.Addr, now ticks) {
	set, tag := l.setOf(ip)
	if place, old := set.find(tag); place != nil {
		place.CompareAndSwap(uint64(old), uint64(newBucket(tag, now+horizon-1)))
	}
}

func (l *limiter) exhausted(ip netip.Addr, now ticks) bool {
	set, tag := l.setOf(ip)
	_, b := set.find(tag)
	return b != 0 && b.spent(now) > ticksOf(burst)
}

func (l *limiter) setOf(ip netip.Addr) (set *bucketSet, tag uint64) {
	hash := l.hash(ip)
	return &l.sets[hash&uint64(len(l.sets)-1)], max(1, hash>>tickBits)
}
