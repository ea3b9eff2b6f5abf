package access

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"waggle/bittorrent"
)

// seen remembers tokens that were good, of which it has a fixed number.
type seen struct {
	seeds  [2]maphash.Seed
	tokens *lru.Cache[[2]uint64, goodToken]
}

// goodToken is what a token says whose signature was good.
type goodToken struct {
	rules    Rules  // by which it was good
	id       string // of the key
	print    [32]byte
	from, to int64 // Unix seconds between which it is good, at the latest
	hash     bittorrent.InfoHash
	of       bool // it is for that torrent alone
}

func newSeen(tokens int) *seen {
	s := &seen{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
	s.tokens, _ = lru.New[[2]uint64, goodToken](max(tokens, 1)) // it fails for less than one alone
	return s
}

// mark is 128 bits that stand for a token. Nobody can find another with the same.
func (s *seen) mark(token string) [2]uint64 {
	return [2]uint64{maphash.String(s.seeds[0], token), maphash.String(s.seeds[1], token)}
}

// checks bounds how many tokens are checked that were not seen.
type checks struct {
	all       *rate.Limiter
	mu        sync.Mutex
	addresses *lru.Cache[[8]byte, *rate.Limiter]
}

// What is checked at most, of signatures that take some 50 µs each.
const (
	checksPerSecond  = 50 // of an address, of IPv6 of 64 bits of one
	checksAtOnce     = 500
	allChecks        = 5000 // a second
	checkedAddresses = 65536
)

func newChecks() *checks {
	c := &checks{all: rate.NewLimiter(allChecks, allChecks)}
	c.addresses, _ = lru.New[[8]byte, *rate.Limiter](checkedAddresses)
	return c
}

// allow reports whether a token from an address may be checked.
func (c *checks) allow(from netip.Addr, now time.Time) bool {
	var of [8]byte
	if from.Is4() {
		ip := from.As4()
		binary.BigEndian.PutUint32(of[:], 0xffff)
		copy(of[4:], ip[:]) // ::/16 is nobody's
	} else {
		ip := from.As16()
		copy(of[:], ip[:])
	}
	c.mu.Lock()
	one, is := c.addresses.Get(of)
	if !is {
		one = rate.NewLimiter(checksPerSecond, checksAtOnce)
		c.addresses.Add(of, one)
	}
	c.mu.Unlock()
	return one.AllowN(now, 1) && c.all.AllowN(now, 1)
}
