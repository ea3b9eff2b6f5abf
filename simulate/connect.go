package simulate

import "math/bits"

// maxPool is how many hosts that it was told of a client remembers.
const maxPool = 200

// told has a host dial those that the tracker told it of.
func (w *world) told(i int32) {
	for addr := range w.reply.Peers.All() {
		if j := hostAt(addr); !w.dial(i, j) {
			w.remember(i, j)
		}
	}
}

// remember puts a host into another's pool, if it lives and has room there.
func (w *world) remember(i, j int32) {
	h := &w.hosts[i]
	if w.hosts[j].state != up || len(h.pool) >= maxPool || h.complete && w.hosts[j].complete {
		return
	}
	for _, k := range h.pool {
		if k == j {
			return
		}
	}
	h.pool = append(h.pool, j)
}

// dial connects two hosts, and reports whether they are connected now.
func (w *world) dial(i, j int32) bool {
	a, b := &w.hosts[i], &w.hosts[j]
	if i == j || w.connected(i, j) {
		return true
	}
	if a.state != up || b.state != up || a.complete && b.complete ||
		len(a.conns) >= w.o.Connections || len(b.conns) >= w.o.Connections {
		return false
	}
	e := w.newPair()
	w.edges[e] = edge{to: j, part: -1}
	w.edges[e+1] = edge{to: i, part: -1}
	a.conns, b.conns = append(a.conns, e), append(b.conns, e+1)
	a.learn(b, 1)
	b.learn(a, 1)
	return true
}

func (w *world) newPair() int32 {
	if n := len(w.free); n > 0 {
		e := w.free[n-1]
		w.free = w.free[:n-1]
		return e
	}
	w.edges = append(w.edges, edge{}, edge{})
	return int32(len(w.edges) - 2)
}

func (w *world) connected(i, j int32) bool {
	if len(w.hosts[j].conns) < len(w.hosts[i].conns) {
		i, j = j, i
	}
	for _, e := range w.hosts[i].conns {
		if w.edges[e].to == j {
			return true
		}
	}
	return false
}

// learn counts the pieces of a neighbour that came, or with -1 of one that left.
func (h *host) learn(of *host, n int) {
	if h.complete || of.missing == len(h.rarity) {
		return
	}
	for i, word := range of.have {
		for ; word != 0; word &= word - 1 {
			h.rarity[i<<6+bits.TrailingZeros64(word)] += uint16(n)
		}
	}
}

// hangUp closes a connection, of which e is one direction. What is under way stays
// with the receiver, to be fetched from others.
func (w *world) hangUp(e int32) {
	e &^= 1
	i, j := w.edges[e+1].to, w.edges[e].to
	for _, d := range [...]int32{e, e + 1} {
		from := w.edges[d^1].to
		w.choke(from, d)
		w.note(from, d)
		conns := w.hosts[from].conns
		for k, c := range conns {
			if c == d {
				conns[k] = conns[len(conns)-1]
				w.hosts[from].conns = conns[:len(conns)-1]
				break
			}
		}
	}
	a, b := &w.hosts[i], &w.hosts[j]
	a.learn(b, -1)
	b.learn(a, -1)
	w.free = append(w.free, e)
}

// note keeps what a closed connection carried across uplinks.
func (w *world) note(from, e int32) {
	if to := w.edges[e].to; w.edges[e].total > 0 && w.hosts[from].rack != w.hosts[to].rack {
		w.crossed = append(w.crossed, crossing{from, to, w.edges[e].total})
	}
}

// quit takes a host away, with all its connections.
func (w *world) quit(i int32) {
	h := &w.hosts[i]
	h.state = gone
	for len(h.conns) > 0 {
		w.hangUp(h.conns[len(h.conns)-1])
	}
	h.pool = nil
}

// dialPool has hosts with room dial those that they could not before.
func (w *world) dialPool() {
	for _, i := range w.order {
		h := &w.hosts[i]
		if h.state != up || len(h.pool) == 0 || len(h.conns) >= w.o.Connections {
			continue
		}
		kept := h.pool[:0]
		for _, j := range h.pool {
			q := &w.hosts[j]
			if q.state == up && (!h.complete || !q.complete) && !w.dial(i, j) {
				kept = append(kept, j)
			}
		}
		h.pool = kept
	}
}
