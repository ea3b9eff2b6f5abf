package simulate

// rounds is how often what links have left is shared out again among those that can
// use it. What is left after these is little.
const rounds = 6

// network is the links, and what flows over them in a tick. Links are numbered:
// 2h and 2h+1 are host h's, up and down; behind the hosts come the groups' uplinks,
// out and in, in the same way.
type network struct {
	capacity []float64 // bytes a second; infinite uplinks have 0
	left     []float64 // of it, in a tick
	users    []int32   // flows that can use more of a link
	carried  []float64 // bytes of groups' links, all together
	second   []float64 // the same, since their use was counted last
	busy     []int     // seconds above 90 %

	flows []flow
	paths []int32 // the links of each flow, one flow behind the other
	open  []int32 // flows that can still be given more
}

type flow struct {
	from, edge int32
	at, end    int32 // in paths
	rate       float64
}

func newNetwork(w *world) network {
	n := network{capacity: make([]float64, 2*(len(w.hosts)+len(w.nodes)))}
	for i := range w.hosts {
		speed := w.nodes[w.hosts[i].rack].host
		n.capacity[2*i], n.capacity[2*i+1] = float64(speed.Up), float64(speed.Down)
	}
	for i := range w.nodes {
		at := 2 * (len(w.hosts) + i)
		n.capacity[at], n.capacity[at+1] = float64(w.nodes[i].speed.Up), float64(w.nodes[i].speed.Down)
	}
	n.left = make([]float64, len(n.capacity))
	n.users = make([]int32, len(n.capacity))
	n.carried = make([]float64, 2*len(w.nodes))
	n.second = make([]float64, 2*len(w.nodes))
	n.busy = make([]int, 2*len(w.nodes))
	return n
}

// gather lists the flows of a tick and the links that they go over.
func (w *world) gather() {
	n := &w.network
	n.flows, n.paths = n.flows[:0], n.paths[:0]
	for i := range w.hosts {
		for _, e := range w.hosts[i].slots {
			if w.edges[e].part >= 0 {
				w.addFlow(int32(i), e)
			}
		}
	}
}

func (w *world) addFlow(i, e int32) {
	n := &w.network
	to := w.edges[e].to
	f := flow{from: i, edge: e, at: int32(len(n.paths))}
	n.paths = append(n.paths, 2*i, 2*to+1)
	base := int32(len(w.hosts))
	for a, b := w.hosts[i].rack, w.hosts[to].rack; a != b; a, b = w.nodes[a].up, w.nodes[b].up {
		if out := 2 * (base + a); n.capacity[out] > 0 {
			n.paths = append(n.paths, out)
		}
		if in := 2*(base+b) + 1; n.capacity[in] > 0 {
			n.paths = append(n.paths, in)
		}
	}
	f.end = int32(len(n.paths))
	n.flows = append(n.flows, f)
}

// share gives each flow a rate. It approaches max-min fairness, which is about what
// TCP connections of like delay have: in each round all flows that can take more get
// an equal share of what is left of their narrowest link.
func (n *network) share() {
	copy(n.left, n.capacity)
	clear(n.users)
	for _, l := range n.paths {
		n.users[l]++
	}
	n.open = n.open[:0]
	for i := range n.flows {
		n.open = append(n.open, int32(i))
	}
	for range rounds {
		n.raise()
		if n.close(); len(n.open) == 0 {
			return
		}
	}
}

// raise gives each open flow its share.
func (n *network) raise() {
	for _, i := range n.open {
		f := &n.flows[i]
		path := n.paths[f.at:f.end]
		more := n.left[path[0]] / float64(n.users[path[0]])
		for _, l := range path[1:] {
			more = min(more, n.left[l]/float64(n.users[l]))
		}
		n.flows[i].rate += more
	}
	copy(n.left, n.capacity)
	for i := range n.flows {
		f := &n.flows[i]
		for _, l := range n.paths[f.at:f.end] {
			n.left[l] -= f.rate
		}
	}
}

// close takes the flows out that cannot be given more.
func (n *network) close() {
	kept := n.open[:0]
	for _, i := range n.open {
		f := &n.flows[i]
		full := false
		for _, l := range n.paths[f.at:f.end] {
			if n.left[l] < n.capacity[l]/1000 {
				full = true
				break
			}
		}
		if !full {
			kept = append(kept, i)
			continue
		}
		for _, l := range n.paths[f.at:f.end] {
			n.users[l]--
		}
	}
	n.open = kept
}

// transfer moves what flows in a tick. A flow that ends a piece goes on with another.
func (w *world) transfer() {
	seconds := w.tick.Seconds()
	for k := range w.network.flows {
		f := &w.network.flows[k]
		bytes := max(f.rate, 0) * seconds
		for bytes > 0 && (w.edges[f.edge].part >= 0 || w.pick(f.from, f.edge)) {
			d := &w.edges[f.edge]
			p := &w.hosts[d.to].parts[d.part]
			n := min(bytes, p.left)
			p.left -= n
			bytes -= n
			w.move(f.from, f.edge, n)
			if p.left < 1 { // of a byte nothing is left, but of rounding something may be
				part := d.part
				d.part = -1
				w.verify(d.to, part)
			}
		}
	}
}

// move counts bytes.
func (w *world) move(i, e int32, n float64) {
	d := &w.edges[e]
	d.given += n
	d.total += n
	w.hosts[i].gave += n
	w.hosts[d.to].got += n
	w.moved = w.now
	s := &w.network
	for a, b := w.hosts[i].rack, w.hosts[d.to].rack; a != b; a, b = w.nodes[a].up, w.nodes[b].up {
		s.carried[2*a] += n
		s.carried[2*b+1] += n
		s.second[2*a] += n
		s.second[2*b+1] += n
	}
}

// countBusy counts the uplinks that carried more than 90 % of what they can in a
// second that is over.
func (w *world) countBusy() {
	s := &w.network
	for l := range s.second {
		if c := s.capacity[2*len(w.hosts)+l]; c > 0 && s.second[l] > 0.9*c {
			s.busy[l]++
		}
		s.second[l] = 0
	}
}
