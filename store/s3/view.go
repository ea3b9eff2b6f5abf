package s3

import (
	"context"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"waggle/swarm"
)

// chance has selectors, each for one announce at a time.
type chance struct {
	mu   sync.Mutex
	seed [2]uint64
	free []*swarm.Selector
}

func newChance(seed [2]uint64) *chance { return &chance{seed: seed} }

// choose selects for an announce.
func (c *chance) choose(v *view, asker swarm.Position, a *swarm.Announce, r *swarm.Reply) {
	s := c.take()
	s.Select(v, asker, a, r)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.free = append(c.free, s)
}

func (c *chance) take() *swarm.Selector {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.free); n > 0 {
		s := c.free[n-1]
		c.free = c.free[:n-1]
		return s
	}
	c.seed[1]++
	s := swarm.NewSelector(c.seed[0], c.seed[1])
	return &s
}

// view shows the parts of a swarm as one: of each kind those of the first part, of the
// second, and so on. Parts that are not in memory are read when they are picked from:
// then whoever left since it was counted is left out of the answer.
type view struct {
	ctx   context.Context
	store *Store
	parts []part
	nodes []*node // of the parts; nil: not in memory
	all   sum

	runs [swarm.Groups][]run
}

// run is the peers of a group that are of one kind and in one part.
type run struct {
	from, to    uint32 // their numbers in the group
	part, group int
}

// newView makes a view of parts, of which one is in memory: n, at a key.
func newView(ctx context.Context, s *Store, parts []part, key string, n *node) *view {
	v := &view{ctx: ctx, store: s, parts: parts, nodes: make([]*node, len(parts))}
	for i := range parts {
		p := &parts[i]
		if p.key == key && n.branches == nil {
			v.nodes[i], p.sum = n, n.sum()
		} else if k := s.swarms.cache.get(p.key); k != nil && k.etag == p.etag {
			v.nodes[i] = k.value
		}
		v.all.add(&p.sum)
	}
	for family := range 2 {
		seeds, leechers := swarm.Seeds4+swarm.Group(family), swarm.Leechers4+swarm.Group(family)
		v.line(seeds, groupsOf(swarm.Seeder, family))
		v.line(seeds, groupsOf(swarm.PartialSeed, family))
		v.line(leechers, groupsOf(swarm.Leecher, family))
	}
	return v
}

func groupsOf(k swarm.Kind, family int) int { return 2*int(k) + family }

// line appends the peers of all parts that are of a kind and family to a group.
func (v *view) line(g swarm.Group, group int) {
	from := uint32(v.Len(g))
	for i := range v.parts {
		if n := v.parts[i].counts[group]; n > 0 {
			v.runs[g] = append(v.runs[g], run{from, from + n, i, group})
			from += n
		}
	}
}

// Len is documented at [swarm.View].
func (v *view) Len(g swarm.Group) int {
	if n := len(v.runs[g]); n > 0 {
		return int(v.runs[g][n-1].to)
	}
	return 0
}

// Seeders is documented at [swarm.View].
func (v *view) Seeders(g swarm.Group) int { return int(v.all.counts[groupsOf(swarm.Seeder, int(g&1))]) }

// position returns where a peer of a part that is in memory stands.
func (v *view) position(at *place) swarm.Position {
	for part, n := range v.nodes {
		if n == nil {
			continue
		}
		group, i, known := n.find(at)
		if !known {
			continue
		}
		g := swarm.Seeds4
		if group >= groupsOf(swarm.Leecher, 0) {
			g = swarm.Leechers4
		}
		g += swarm.Group(at.family())
		for _, r := range v.runs[g] {
			if r.part == part && r.group == group {
				return swarm.Position{Group: g, Index: int(r.from) + i}
			}
		}
	}
	return swarm.Absent
}

// Append is documented at [swarm.View].
func (v *view) Append(g swarm.Group, picks []uint32, a *swarm.Announce, r *swarm.Reply) {
	v.load(g, picks)
	for _, pick := range picks {
		run := v.runOf(g, pick)
		n := v.nodes[run.part]
		if n == nil || int(pick-run.from) >= len(n.peers[run.group]) {
			continue
		}
		p := &n.peers[run.group][pick-run.from]
		switch {
		case p.id == a.PeerID:
		case a.WithIDs:
			r.Peers.AppendWithID(p.at.addr(), p.id)
		default:
			r.Peers.Append(p.at.addr())
		}
	}
}

func (v *view) runOf(g swarm.Group, pick uint32) *run {
	i, _ := slices.BinarySearchFunc(v.runs[g], pick+1, func(r run, end uint32) int { return int(int64(r.to) - int64(end)) })
	return &v.runs[g][i]
}

// load reads the parts that are picked from. One that cannot be read tells of nobody.
func (v *view) load(g swarm.Group, picks []uint32) {
	missing := map[int]bool{}
	for _, pick := range picks {
		if part := v.runOf(g, pick).part; v.nodes[part] == nil {
			missing[part] = true
		}
	}
	if len(missing) == 0 {
		return
	}
	reading, ctx := errgroup.WithContext(v.ctx)
	reading.SetLimit(readAtOnce)
	for part := range missing {
		reading.Go(func() error {
			if k, err := v.store.swarms.read(ctx, v.parts[part].key); err == nil && k.value.branches == nil {
				v.nodes[part] = k.value
			}
			return nil
		})
	}
	_ = reading.Wait() // nothing fails
}
