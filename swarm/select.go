package swarm

import "math/rand/v2"

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
// It must not change while [Select] runs.
type View interface {
	// Len returns the number of peers in a group.
	Len(g Group) int
	// Append appends peer i of a group, 0 <= i < Len(g), to r.Peers, with its id if
	// a wants ids and the store keeps them; unless its peer id is the asker's.
	Append(g Group, i int, a *Announce, r *Reply)
}

// Position is where a peer stands in a [View].
type Position struct {
	Group Group
	Index int // negative: not in the swarm
}

// Absent is the position of a peer that is not in the swarm.
var Absent = Position{Index: -1}

// Select appends to r.Peers at most a.NumWant peers of the families that the
// answer has room for, chosen as the package's documentation says, and not the
// asker, which stands at position asker. It takes constant time a peer,
// whatever the size of the swarm, and allocates only where r.Peers is full.
func Select(v View, asker Position, a *Announce, r *Reply, random *rand.Rand) {
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

	takeBoth(v, Seeds4, available, takeSeeds, asker, a, r, random)
	takeBoth(v, Leechers4, available, takeLeechers, asker, a, r, random)
}

// takeBoth selects from the IPv4 group g and the IPv6 group behind it, from each
// in proportion to its size, so that peers of both are equally likely.
func takeBoth(v View, g Group, available [Groups]int, n int, asker Position, a *Announce, r *Reply, random *rand.Rand) {
	if n == 0 {
		return
	}
	n4, n6 := available[g], available[g+1]
	share := n * n4
	take4 := share / (n4 + n6)
	if rest := share % (n4 + n6); rest > 0 && random.IntN(n4+n6) < rest {
		take4++
	}
	take(v, g, n4, take4, asker, a, r, random)
	take(v, g+1, n6, n-take4, asker, a, r, random)
}

// take selects n of the size peers of group g that are not the asker.
func take(v View, g Group, size, n int, asker Position, a *Announce, r *Reply, random *rand.Rand) {
	for s := NewSample(size, n, random); s.Next(); {
		i := s.Index()
		if asker.Group == g && asker.Index >= 0 && i >= asker.Index {
			i++
		}
		v.Append(g, i, a, r)
	}
}

// Sample draws k different numbers out of 0..n-1, each equally likely, in
// constant time and memory a number: one from each of k equal parts of the
// range, which is turned by a random offset first so that no number gains from
// where the parts meet.
type Sample struct {
	random  *rand.Rand
	n, k    int
	drawn   int
	offset  int
	current int
}

// NewSample prepares to draw k of n numbers; k beyond n draws all n.
func NewSample(n, k int, random *rand.Rand) Sample {
	s := Sample{random: random, n: n, k: min(n, k)}
	if s.k > 0 {
		s.offset = random.IntN(n)
	}
	return s
}

// Next draws a number and reports whether there was one left.
func (s *Sample) Next() bool {
	if s.drawn >= s.k {
		return false
	}
	from := s.drawn * s.n / s.k
	to := (s.drawn + 1) * s.n / s.k
	s.drawn++
	s.current = from
	if to-from > 1 {
		s.current += s.random.IntN(to - from)
	}
	if s.current += s.offset; s.current >= s.n {
		s.current -= s.n
	}
	return true
}

// Index returns the number drawn last.
func (s *Sample) Index() int { return s.current }
