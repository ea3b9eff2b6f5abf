package account

import (
	"crypto/sha256"
	"fmt"
	"math"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// How often an address, and a name, may be wrong: so often in a row, and once more
// after each time that passes.
const (
	wrongInARow = 10
	wrongAgain  = 6 * time.Second
)

// maxRemembered is how many addresses are remembered, and how many names. Whoever
// makes that many others so that an address or a name is forgotten has had to wait for
// as many hashes, by when it would have been forgiven.
const maxRemembered = 10_000

// LimitedError says that an address, or a name, was wrong too often.
type LimitedError struct{ After time.Duration }

// Error says when to try again.
func (e *LimitedError) Error() string {
	return fmt.Sprintf("too many wrong attempts: try again in %d s", e.Seconds())
}

// Seconds returns After in whole ones, rounded up, for Retry-After.
func (e *LimitedError) Seconds() int { return int(math.Ceil(e.After.Seconds())) }

// remembered has, by what was asked, when it will all be forgiven. It forgets what was
// not asked for longest.
type remembered = simplelru.LRU[[sha256.Size]byte, time.Time]

// limits counts those who are wrong.
type limits struct {
	mu               sync.Mutex
	addresses, names *remembered
}

// subject is something that attempts count for.
type subject struct {
	of  *remembered
	key [sha256.Size]byte // a hash, so that a long name takes no more memory
}

func newLimits() *limits {
	addresses, _ := simplelru.NewLRU[[sha256.Size]byte, time.Time](maxRemembered, nil) // fails for no size
	names, _ := simplelru.NewLRU[[sha256.Size]byte, time.Time](maxRemembered, nil)
	return &limits{addresses: addresses, names: names}
}

// address is that of a client; of IPv6 the network of 64 bits, which one host has for
// itself.
func (l *limits) address(ip netip.Addr) subject {
	ip = ip.Unmap().WithZone("")
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	network, _ := ip.Prefix(bits) // the zero prefix is the one of those whose address is not known
	return subject{l.addresses, sha256.Sum256([]byte(network.String()))}
}

func (l *limits) name(name string) subject { return subject{l.names, sha256.Sum256([]byte(name))} }

// token is as a name, which cannot begin so.
func (l *limits) token(id string) subject { return l.name("\x00" + id) }

// take counts an attempt for all of the subjects, or returns for how long it must wait
// and counts it for none.
func (l *limits) take(now time.Time, subjects ...subject) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range subjects {
		if forgiven, ok := s.of.Get(s.key); ok {
			wait = max(wait, forgiven.Sub(now)-(wrongInARow-1)*wrongAgain)
		}
	}
	if wait > 0 {
		return wait
	}
	for _, s := range subjects {
		forgiven, _ := s.of.Get(s.key)
		if forgiven.Before(now) {
			forgiven = now
		}
		s.of.Add(s.key, forgiven.Add(wrongAgain))
	}
	return 0
}

// giveBack takes back an attempt that was not wrong.
func (l *limits) giveBack(subjects ...subject) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range subjects {
		if forgiven, ok := s.of.Peek(s.key); ok {
			s.of.Add(s.key, forgiven.Add(-wrongAgain))
		}
	}
}
