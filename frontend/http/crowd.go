package http

import (
	"net/netip"
	"sync"
)

// crowd counts the connections of each address that last, so that nobody takes all places.
// Those that are answered where they are accepted are not among them. Of an IPv6 address the
// first 64 bits count, which is what one customer has at least.
type crowd struct {
	most int // of one address; 0: any number

	mu sync.Mutex
	of map[netip.Prefix]int
}

// enter counts a connection, and returns whom it counts for; false: there are too many.
func (c *crowd) enter(from netip.Addr) (whom netip.Prefix, ok bool) {
	bits := 64
	if from.Is4() {
		bits = 32
	}
	whom, err := from.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{}, true // nobody knows where it comes from
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of[whom] >= c.most {
		return netip.Prefix{}, false
	}
	if c.of == nil {
		c.of = map[netip.Prefix]int{}
	}
	c.of[whom]++
	return whom, true
}

// leave ends the count of a connection; the zero prefix counts for nobody.
func (c *crowd) leave(whom netip.Prefix) {
	if !whom.IsValid() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of[whom]--; c.of[whom] <= 0 {
		delete(c.of, whom)
	}
}

// enter counts a connection from an address. Those of proxies are of many clients, and some
// addresses have no limit.
func (s *Server) enter(from netip.Addr) (whom netip.Prefix, ok bool) {
	if s.crowd.most <= 0 || s.isProxy(from) || contains(*s.trusted.Load(), from) || s.options.Unlimited != nil && s.options.Unlimited(from) {
		return netip.Prefix{}, true
	}
	if whom, ok = s.crowd.enter(from); !ok {
		s.figures.crowded.Add(1)
	}
	return whom, ok
}
