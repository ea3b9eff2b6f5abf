package dynamodb

import (
	"context"
	"slices"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"

	"waggle/bittorrent"
)

// mostKnown is how many torrents are remembered, at some 300 bytes each.
const mostKnown = 1 << 16

// cache remembers heads of torrents for seconds.
type cache struct {
	age     time.Duration
	reading singleflight.Group

	mu      sync.Mutex
	changes uint64 // that were learnt of
	known   *lru.Cache[bittorrent.InfoHash, *entry]
}

// entry is what is remembered of a torrent. The torrent is never changed, but replaced.
type entry struct {
	*torrent
	learnt    uint64 // number of the latest change
	second    int64  // in which announces are being counted
	announces int
	rate      int // announces of the second before
}

func newCache(age time.Duration) *cache {
	known, err := lru.New[bittorrent.InfoHash, *entry](mostKnown)
	if err != nil {
		panic(err) // the size is above 0
	}
	return &cache{age: age, known: known}
}

// torrent returns what is known of a torrent, which is asked for if that is too old.
func (s *Store) torrent(ctx context.Context, h bittorrent.InfoHash) (*torrent, error) {
	c := s.cache
	old := c.get(h)
	if old != nil && c.age > 0 && s.now().Sub(old.read) < c.age {
		return old, nil
	}
	guess := 1
	if old != nil {
		guess = old.shards()
	}
	if c.age < 0 {
		return s.ask(ctx, h, guess)
	}
	result, err, _ := c.reading.Do(string(h[:]), func() (any, error) { return s.ask(ctx, h, guess) })
	if err != nil {
		return nil, err
	}
	return result.(*torrent), nil
}

func (s *Store) ask(ctx context.Context, h bittorrent.InfoHash, guess int) (*torrent, error) {
	ctx, cancel := s.bounded(ctx) // others wait for the answer as well
	defer cancel()
	t, err := s.readTorrent(ctx, h, guess)
	if err == nil {
		s.cache.put(h, t)
	}
	return t, err
}

func (c *cache) get(h bittorrent.InfoHash) *torrent {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.known.Get(h); ok {
		return e.torrent
	}
	return nil
}

// put takes in what was asked for. What was learnt of since it was asked for stays.
func (c *cache) put(h bittorrent.InfoHash, t *torrent) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.known.Get(h)
	if !ok {
		c.known.Add(h, &entry{torrent: t})
		return
	}
	if e.learnt > t.began && e.shards() == t.shards() {
		for i := range t.heads {
			if e.heads[i].version > t.heads[i].version {
				t.heads[i] = e.heads[i]
			}
		}
	}
	e.torrent = t
}

// learn takes in a head of a shard as a change of it left it.
func (c *cache) learn(k headKey, h head) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes++
	e, ok := c.known.Get(k.hash)
	if !ok || int(k.shard) >= e.shards() {
		return
	}
	e.learnt = c.changes
	changed := *e.torrent
	changed.heads = slices.Clone(e.heads)
	changed.heads[k.shard] = h
	e.torrent = &changed
}

// begin is called before a torrent is asked for.
func (c *cache) begin() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changes
}

// forget makes the next announce ask.
func (c *cache) forget(h bittorrent.InfoHash) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known.Remove(h)
}

// announced counts an announce, and returns how many there were in the second before.
func (c *cache) announced(h bittorrent.InfoHash, now time.Time) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.known.Get(h)
	if !ok {
		return 0
	}
	if second := now.Unix(); second != e.second {
		e.rate = 0
		if second == e.second+1 {
			e.rate = e.announces
		}
		e.second, e.announces = second, 0
	}
	e.announces++
	return e.rate
}
