package simulate

import "math/bits"

const (
	// looks is how many pieces are looked at to find a rare one, of those in question.
	looks = 64
	// block is what clients ask each other for: a piece under way is shared with one
	// more neighbour while there are blocks enough for all, in bytes.
	block = 16 << 10
)

// pick chooses what is fetched over e from host i, and reports whether there is
// anything: a piece that was begun and whose neighbours are lost, the rarest of some,
// or a share in one that others have under way.
func (w *world) pick(i, e int32) bool {
	d := &w.edges[e]
	from, to := &w.hosts[i], &w.hosts[d.to]
	begun := int32(-1)
	shared := float64(block)
	for k := range to.parts {
		p := &to.parts[k]
		if p.piece < 0 || !set(from.have, p.piece) {
			continue
		}
		if p.workers == 0 {
			p.workers, d.part = 1, int32(k)
			return true
		}
		if each := p.left / float64(p.workers+1); each > shared {
			begun, shared = int32(k), each
		}
	}
	if piece := w.rarest(from, to); piece >= 0 {
		put(to.taken, piece)
		d.part = to.newPart(part{piece: piece, workers: 1, left: w.pieceSize(piece)})
		return true
	}
	if begun >= 0 {
		to.parts[begun].workers++
		d.part = begun
	}
	return begun >= 0
}

// rarest returns the piece that fewest neighbours have of those that a host lacks
// and another has, or -1. It begins to look at a random place.
func (w *world) rarest(from, to *host) int32 {
	w.salt = w.salt*6364136223846793005 + 1442695040888963407
	start := int((w.salt >> 33) % uint64(w.words))
	best, bestScore, looked := int32(-1), ^uint32(0), 0
	for k := range w.words {
		at := start + k
		if at >= w.words {
			at -= w.words
		}
		for word := from.have[at] &^ to.taken[at]; word != 0; word &= word - 1 {
			piece := int32(at<<6 + bits.TrailingZeros64(word))
			chance := uint32((uint64(piece)+1)*(w.salt|1)>>48) & 0xffff
			if score := uint32(to.rarity[piece])<<16 | chance; score < bestScore {
				best, bestScore = piece, score
			}
			looked++
		}
		if looked >= looks {
			break
		}
	}
	return best
}

func (h *host) newPart(p part) int32 {
	if n := len(h.freeParts); n > 0 {
		k := h.freeParts[n-1]
		h.freeParts = h.freeParts[:n-1]
		h.parts[k] = p
		return k
	}
	h.parts = append(h.parts, p)
	return int32(len(h.parts) - 1)
}

// verify ends a part that is whole: nobody fetches it any more. Others learn of the
// piece at the end of the tick.
func (w *world) verify(i, k int32) {
	h := &w.hosts[i]
	p := h.parts[k]
	h.parts[k] = part{piece: -1}
	h.freeParts = append(h.freeParts, k)
	w.done = append(w.done, finished{i, p.piece})
	if p.workers > 1 {
		for _, e := range h.conns {
			if w.edges[e^1].part == k {
				w.edges[e^1].part = -1
			}
		}
	}
}

// publish lets hosts have the pieces that they fetched in a tick, and their
// neighbours know.
func (w *world) publish() {
	for _, d := range w.done {
		h := &w.hosts[d.host]
		put(h.have, d.piece)
		h.missing--
		for _, e := range h.conns {
			if n := &w.hosts[w.edges[e].to]; !n.complete {
				n.rarity[d.piece]++
			}
		}
		if h.missing == 0 {
			w.complete(d.host)
		}
	}
	w.done = w.done[:0]
}
