package catalog

import (
	"sync"
	"time"

	"waggle/bittorrent"
)

// Request is a hash that was asked for, and that is not active.
type Request struct {
	InfoHash    bittorrent.InfoHash
	First, Last time.Time // UTC
	Count       uint64
}

// Ask remembers that an unknown or inactive hash was asked for. There is room for
// 4,096; the one that was not asked for longest goes first. Once the hash is active
// it is forgotten. Ask allocates nothing but while it fills up for the first time.
func (c *Catalog) Ask(h *bittorrent.InfoHash, now time.Time) { c.asked.ask(h, now.UnixNano()) }

// Asked returns what was asked for, the latest first.
func (c *Catalog) Asked() []Request { return c.asked.list() }

// maxAsked is how many hashes are remembered.
const maxAsked = 4096

// asked is a ring of requests, doubly linked by their numbers: request 0 is no
// request, and stands between the latest and the oldest.
type asked struct {
	mu       sync.Mutex
	numbers  map[bittorrent.InfoHash]uint16
	requests []request
	free     []uint16 // numbers of those that were forgotten
}

type request struct {
	hash         bittorrent.InfoHash
	newer, older uint16
	first, last  int64 // Unix nanoseconds
	count        uint64
}

func (a *asked) ask(h *bittorrent.InfoHash, now int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n, known := a.numbers[*h]
	if known {
		a.unlink(n)
	} else {
		n = a.take()
		a.numbers[*h] = n
		a.requests[n] = request{hash: *h, first: now, last: now}
	}
	r := &a.requests[n]
	r.count++
	r.last = max(r.last, now)
	a.link(n)
}

// take returns a number for a new request.
func (a *asked) take() uint16 {
	if a.numbers == nil {
		a.numbers = make(map[bittorrent.InfoHash]uint16, maxAsked)
		a.requests = make([]request, 1, maxAsked+1)
	}
	if last := len(a.free) - 1; last >= 0 {
		n := a.free[last]
		a.free = a.free[:last]
		return n
	}
	if len(a.requests) <= maxAsked {
		a.requests = append(a.requests, request{})
		return uint16(len(a.requests) - 1)
	}
	oldest := a.requests[0].newer
	a.unlink(oldest)
	delete(a.numbers, a.requests[oldest].hash)
	return oldest
}

// link puts request n in front.
func (a *asked) link(n uint16) {
	latest := a.requests[0].older
	a.requests[n].newer, a.requests[n].older = 0, latest
	a.requests[latest].newer = n
	a.requests[0].older = n
	if latest == 0 {
		a.requests[0].newer = n
	}
}

func (a *asked) unlink(n uint16) {
	r := &a.requests[n]
	a.requests[r.newer].older = r.older
	a.requests[r.older].newer = r.newer
}

func (a *asked) forget(h bittorrent.InfoHash) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n, known := a.numbers[h]; known {
		a.unlink(n)
		delete(a.numbers, h)
		a.free = append(a.free, n)
	}
}

func (a *asked) list() []Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := make([]Request, 0, len(a.numbers))
	if len(a.numbers) == 0 {
		return list
	}
	for n := a.requests[0].older; n != 0; n = a.requests[n].older {
		r := &a.requests[n]
		list = append(list, Request{r.hash, fromUnixNano(r.first), fromUnixNano(r.last), r.count})
	}
	return list
}
