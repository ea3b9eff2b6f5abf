package locality

import (
	"sync"
	"sync/atomic"
	"time"
)

// address is an address as the cache knows it: an IPv4 one is mapped into IPv6.
type address = [16]byte

// entry is what remote sources answered for an address.
type entry struct {
	said
	asked   instant // when it was said
	expires instant // when it is to be asked again
	epoch   uint32  // of the cache as it was asked
	source  int8    // the place in the chain of the source that knew; -1: none
	walked  int8    // how many sources of the chain were asked: those after it have not been
	used    bool    // the address was asked for lately; it belongs to the slot, which has no room of its own for it
}

// instant is a time in nanoseconds since 1970, a third the size of a time.Time.
type instant int64

func instantOf(t time.Time) instant { return instant(t.UnixNano()) }

// since is how long after an earlier instant a time is.
func since(earlier instant, now time.Time) time.Duration {
	return time.Duration(instantOf(now) - earlier)
}

// cache remembers entries of a bounded number of addresses. At the bound, one that has not been
// asked for lately makes room (the clock algorithm: each that is asked for has one round of grace).
type cache struct {
	shards [cacheShards]cacheShard
	epoch  atomic.Uint32
}

const cacheShards = 64

type cacheShard struct {
	mu    sync.Mutex
	max   int
	where map[address]int32 // index in slots
	slots []slot
	hand  int
}

// slot is an address that is remembered.
type slot struct {
	key address
	entry
	again instant // when it may next be queued to be asked again
}

// newCache makes a cache of at most limit addresses, at least one a shard.
func newCache(limit int) *cache {
	c := new(cache)
	for i := range c.shards {
		c.shards[i].max = max(limit/cacheShards, 1)
		c.shards[i].where = make(map[address]int32)
	}
	return c
}

func (c *cache) shard(key address) *cacheShard {
	// FNV-1a, so that the hosts of a subnet, whose last bytes differ, are spread.
	h := uint32(2166136261)
	for _, b := range key {
		h = (h ^ uint32(b)) * 16777619
	}
	return &c.shards[(h^h>>16)%cacheShards]
}

// get is the entry of an address. stale says that it should be asked anew, to one caller per pause
// at most.
func (c *cache) get(key address, now time.Time, pause time.Duration) (e entry, ok, stale bool) {
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.where[key]
	if !ok {
		return entry{}, false, false
	}
	kept := &s.slots[i]
	kept.used = true
	at := instantOf(now)
	if at < kept.expires && kept.epoch == c.epoch.Load() || at < kept.again {
		return kept.entry, true, false
	}
	kept.again = at + instant(pause)
	return kept.entry, true, true
}

// peek is the entry of an address, as though nobody had asked.
func (c *cache) peek(key address) (e entry, ok bool) {
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.where[key]
	if !ok {
		return entry{}, false
	}
	return s.slots[i].entry, true
}

// put remembers what was answered for an address.
func (c *cache) put(key address, e entry) {
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.where[key]
	switch {
	case ok:
	case len(s.slots) < s.max:
		i = int32(len(s.slots))
		s.slots = append(s.slots, slot{})
	default:
		i = s.free()
		delete(s.where, s.slots[i].key)
	}
	s.where[key], s.slots[i] = i, slot{key: key, entry: e}
}

// free is the slot of an address that makes room.
func (s *cacheShard) free() int32 {
	for s.slots[s.hand].used {
		s.slots[s.hand].used = false
		s.hand = (s.hand + 1) % len(s.slots)
	}
	i := s.hand
	s.hand = (s.hand + 1) % len(s.slots)
	return int32(i)
}

// expire has all entries asked anew when they are next asked for.
func (c *cache) expire() { c.epoch.Add(1) }

// size is how many addresses are remembered.
func (c *cache) size() int {
	n := 0
	for i := range c.shards {
		c.shards[i].mu.Lock()
		n += len(c.shards[i].slots)
		c.shards[i].mu.Unlock()
	}
	return n
}
