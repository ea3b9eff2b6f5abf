package s3

import (
	"math"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// cache has what objects held, those that were wanted last, in so many bytes.
type cache[C content[C]] struct {
	mu     sync.Mutex
	all    *simplelru.LRU[string, *kept[C]]
	weight int
	most   int
}

func newCache[C content[C]](most int) *cache[C] {
	c := &cache[C]{most: most}
	c.all, _ = simplelru.NewLRU(math.MaxInt, func(key string, k *kept[C]) { c.weight -= weightOf(key, k) }) // it fails where there is no room
	return c
}

// weightOf is about how many bytes an entry takes.
func weightOf[C content[C]](key string, k *kept[C]) int {
	const entry = 256
	return entry + len(key) + k.value.weight()
}

func (c *cache[C]) get(key string) *kept[C] {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, _ := c.all.Get(key)
	return k
}

// put keeps an object, unless a later look at it is kept already. One that is too large
// for the whole cache is not kept.
func (c *cache[C]) put(key string, k *kept[C]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if had, has := c.all.Peek(key); has {
		if had.asked.After(k.asked) {
			return
		}
		c.all.Remove(key)
	}
	if weightOf(key, k) > c.most {
		return
	}
	c.all.Add(key, k)
	for c.weight += weightOf(key, k); c.weight > c.most; {
		c.all.RemoveOldest()
	}
}

func (c *cache[C]) drop(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all.Remove(key)
}

// disturb has an object asked for before it is written next.
func (c *cache[C]) disturb(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k, has := c.all.Peek(key); has {
		was := *k
		was.calm = 0
		c.all.Add(key, &was)
	}
}
