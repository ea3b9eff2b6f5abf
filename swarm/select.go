package swarm

import (
	"math/bits"
	"math/rand/v2"
)

// Group is a run of a swarm's peers that selection treats alike: those of one
// family that download, or those that do not.
type Group uint8

// The groups. Those with seeds hold seeders and partial seeds.
const (
	Seeds4 Group = iota
	Seeds6
	Leechers4
	Leechers6
	Groups
)

// family returns the family of a group's peers.
func (g Group) family() Families { return IPv4 << (g & 1) }

// View is what selection sees of a swarm: its groups, each a numbered sequence.
// It must not change while it is selected from.
type View interface {
	// Len returns the number of peers in a group.
	Len(g Group) int
	// Seeders returns how many of a group of seeds are seeders: they come first, and
	// partial seeds after them.
	Seeders(g Group) int
	// Append appends peers of a group, 0 <= pick < Len(g), to r.Peers, with their
	// ids if a wants ids and the store keeps them; all but those whose peer id is
	// the asker's.
	Append(g Group, picks []uint32, a *Announce, r *Reply)
}

// Position is where a peer stands in a [View].
type Position struct {
	Group Group
	Index int // negative: not in the swarm
}

// Absent is the position of a peer that is not in the swarm.
var Absent = Position{Index: -1}

// Selector selects peers, from one swarm at a time. Use [NewSelector].
type Selector struct {
	random rand.PCG
	picks  []uint32
}

// NewSelector returns a selector whose choices follow from the seed.
func NewSelector(seed1, seed2 uint64) Selector {
	return Selector{random: *rand.NewPCG(seed1, seed2)}
}

// Select appends to r.Peers at most a.NumWant peers of the families that the
// answer has room for, chosen as the package's documentation says, and not the
// asker, which stands at position asker. It takes constant time a peer,
// whatever the size of the swarm, and allocates only where r.Peers is full.
func (s *Selector) Select(v View, asker Position, a *Announce, r *Reply) {
	var available [Groups]int
	for g := range Groups {
		if a.Families&g.family() != 0 {
			available[g] = v.Len(g)
		}
	}
	if asker.Index >= 0 && available[asker.Group] > 0 {
		available[asker.Group]--
	}
	want := int(max(a.NumWant, 0))
	seeds := available[Seeds4] + available[Seeds6]
	leechers := available[Leechers4] + available[Leechers6]
	if a.Kind() != Leecher {
		seeds = 0
	}
	takeSeeds := min(seeds, max((want+1)/2, want-leechers))
	takeLeechers := min(leechers, want-takeSeeds)

	c := choice{s, v, asker, a, r}
	c.takeBoth(Seeds4, available[Seeds4], available[Seeds6], takeSeeds)
	c.takeBoth(Leechers4, available[Leechers4], available[Leechers6], takeLeechers)
}

// choice is one selection.
type choice struct {
	*Selector
	view  View
	asker Position
	a     *Announce
	r     *Reply
}

// takeBoth selects n from the n4 peers of the IPv4 group g and the n6 of the IPv6
// group behind it, from each in proportion to its size, so that peers of both are
// equally likely.
func (c *choice) takeBoth(g Group, n4, n6, n int) {
	switch {
	case n == 0:
		return
	case n6 == 0:
		c.take(g, n4, n)
		return
	}
	share := n * n4
	take4 := share / (n4 + n6)
	if rest := share % (n4 + n6); rest > 0 && c.below(n4+n6) < rest {
		take4++
	}
	c.take(g, n4, take4)
	c.take(g+1, n6, n-take4)
}

// take selects k of the n peers of group g that are not the asker.
func (c *choice) take(g Group, n, k int) {
	if k == 0 {
		return
	}
	c.Sample(n, k)
	if c.asker.Group == g && c.asker.Index >= 0 {
		for i := range c.picks {
			if c.picks[i] >= uint32(c.asker.Index) {
				c.picks[i]++
			}
		}
	}
	c.view.Append(g, c.picks, c.a, c.r)
}

// Sample draws k different numbers out of 0..n-1, each equally likely, in
// constant time and memory a number: one from each of k equal parts of the
// range, which is turned by a random offset first so that no number gains from
// where the parts meet. With k of n or more it returns all, with k of 0 or less
// none. n is below 2^31; the numbers are valid until the next call. That 2^32 is no
// multiple of n/k favours some by less than n/k in 2^32.
func (s *Selector) Sample(n, k int) []uint32 {
	s.picks = s.picks[:0]
	if k <= 0 {
		return nil
	}
	if k >= n {
		for i := range n {
			s.picks = append(s.picks, uint32(i))
		}
		return s.picks
	}
	// Part i begins at floor(i*n/k): whole+1 long where the rest has added up to k,
	// whole long elsewhere.
	whole, rest := n/k, n%k
	offset := s.below(n)
	var chance uint64 // two draws of 32 bits
	for from, carry := 0, 0; from < n; {
		length := whole
		if carry += rest; carry >= k {
			carry -= k
			length++
		}
		if chance >>= 32; len(s.picks)%2 == 0 {
			chance = s.random.Uint64()
		}
		pick := from + int(chance&(1<<32-1)*uint64(length)>>32) + offset
		if pick >= n {
			pick -= n
		}
		s.picks = append(s.picks, uint32(pick))
		from += length
	}
	return s.picks
}

// below returns a random number from 0 to n-1, n > 0. That 2^64 is no multiple of
// n favours some by less than n in 2^64.
func (s *Selector) below(n int) int {
	if n == 1 {
		return 0
	}
	high, _ := bits.Mul64(s.random.Uint64(), uint64(n))
	return int(high)
}
