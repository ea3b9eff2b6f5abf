package simulate

import (
	"cmp"
	"slices"
	"time"
)

// How clients choose whom to upload to.
const (
	rechokeEvery    = 10 * time.Second
	optimisticTurns = 3 // rechokes that an optimistic unchoke lasts
)

// rank is a neighbour that wants something, and what speaks for it.
type rank struct {
	edge   int32
	given  float64
	chance uint64
}

// wants reports whether a host has pieces that another lacks.
func wants(to, from *host) bool {
	if to.complete {
		return false
	}
	for i, word := range from.have {
		if word&^to.have[i] != 0 {
			return true
		}
	}
	return false
}

// rechoke has a host choose anew whom it uploads to: while it downloads those that
// gave it most since the last time, and one in turn that it tries; once it is
// complete, any.
func (w *world) rechoke(i int32) {
	h := &w.hosts[i]
	w.ranked = w.ranked[:0]
	for _, e := range h.conns {
		back := &w.edges[e^1]
		r := rank{edge: e, given: back.given, chance: w.random.Uint64()}
		if h.complete {
			r.given = 0
		}
		back.given = 0
		if wants(&w.hosts[w.edges[e].to], h) {
			w.ranked = append(w.ranked, r)
		}
	}
	slices.SortFunc(w.ranked, func(a, b rank) int {
		return cmp.Or(cmp.Compare(b.given, a.given), cmp.Compare(a.chance, b.chance))
	})
	w.chooseOptimistic(h)
	places := w.o.Slots
	if h.optimistic >= 0 {
		places--
	}
	chosen := w.ranked[:min(places, len(w.ranked))]
	for k := len(h.slots) - 1; k >= 0; k-- {
		e := h.slots[k]
		if e != h.optimistic && !slices.ContainsFunc(chosen, func(r rank) bool { return r.edge == e }) {
			w.choke(i, e)
		}
	}
	for _, r := range chosen {
		w.unchoke(i, r.edge)
	}
	if h.optimistic >= 0 {
		w.unchoke(i, h.optimistic)
	}
}

// chooseOptimistic takes the one out of the ranked that is tried.
func (w *world) chooseOptimistic(h *host) {
	h.rechokes++
	at := slices.IndexFunc(w.ranked, func(r rank) bool { return r.edge == h.optimistic })
	if at < 0 || h.rechokes%optimisticTurns == 0 {
		h.optimistic = -1
		best := w.o.Slots - 1
		if len(w.ranked) <= best {
			return // there is room for all
		}
		at = best + w.random.IntN(len(w.ranked)-best)
	}
	h.optimistic = w.ranked[at].edge
	w.ranked = slices.Delete(w.ranked, at, at+1)
}

func (w *world) unchoke(i, e int32) {
	if !w.edges[e].unchoked {
		w.edges[e].unchoked = true
		w.hosts[i].slots = append(w.hosts[i].slots, e)
	}
}

// choke ends the upload of host i over e.
func (w *world) choke(i, e int32) {
	d := &w.edges[e]
	if !d.unchoked {
		return
	}
	d.unchoked = false
	w.rest(e)
	h := &w.hosts[i]
	if h.optimistic == e {
		h.optimistic = -1
	}
	if k := slices.Index(h.slots, e); k >= 0 {
		h.slots = slices.Delete(h.slots, k, k+1)
	}
}

// rest takes what is under way off an edge.
func (w *world) rest(e int32) {
	if d := &w.edges[e]; d.part >= 0 {
		w.hosts[d.to].parts[d.part].workers--
		d.part = -1
	}
}

// serve has a host give whoever it uploads to a piece to fetch, take the slot of
// those that want nothing, and give slots that are free to others that do.
func (w *world) serve(i int32) {
	h := &w.hosts[i]
	if len(h.conns) == 0 || h.missing == w.pieces {
		return
	}
	working := 0
	for k := len(h.slots) - 1; k >= 0; k-- {
		e := h.slots[k]
		switch {
		case w.edges[e].part >= 0 || w.pick(i, e):
			working++
		case !wants(&w.hosts[w.edges[e].to], h):
			w.choke(i, e)
		}
	}
	n := len(h.conns)
	for k := 0; k < min(n, 2*w.o.Slots) && working < w.o.Slots; k++ { // the others have their turn at the next tick
		h.turn++
		e := h.conns[h.turn%n]
		if !w.edges[e].unchoked && !w.hosts[w.edges[e].to].complete && w.pick(i, e) {
			w.unchoke(i, e)
			working++
		}
	}
}
