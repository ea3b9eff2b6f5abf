package core

// waiting are the entries that changed and that a link was not told of yet, each
// once, however often it changed.
type waiting struct {
	queue []uint32
	head  int
	bits  []uint64 // two an entry: it waits, and all of it is to be told
	n     int
}

func (w *waiting) at(i uint32) (word *uint64, shift uint) {
	at := int(i >> 5)
	for at >= len(w.bits) {
		w.bits = append(w.bits, make([]uint64, max(64, len(w.bits)))...)
	}
	return &w.bits[at], uint(i&31) * 2
}

// size is how much room those that wait take: those that were dropped included.
func (w *waiting) size() int { return len(w.queue) - w.head }

// add lets an entry wait, and reports whether it did not before.
func (w *waiting) add(i uint32, whole bool) bool {
	word, shift := w.at(i)
	if whole {
		*word |= 2 << shift
	}
	if *word&(1<<shift) != 0 {
		return false
	}
	*word |= 1 << shift
	w.queue = append(w.queue, i)
	w.n++
	return true
}

// drop lets an entry wait no more.
func (w *waiting) drop(i uint32) {
	if int(i>>5) >= len(w.bits) {
		return
	}
	word, shift := w.at(i)
	if *word&(1<<shift) != 0 {
		w.n--
	}
	*word &^= 3 << shift
}

// next takes out the one that waits for longest; 0: none waits.
func (w *waiting) next() (i uint32, whole bool) {
	for w.head < len(w.queue) {
		i = w.queue[w.head]
		w.head++
		word, shift := w.at(i)
		state := *word >> shift & 3
		if state&1 == 0 {
			continue // it was dropped
		}
		*word &^= 3 << shift
		w.n--
		if w.head >= 4096 && w.head*2 >= len(w.queue) {
			w.queue = w.queue[:copy(w.queue, w.queue[w.head:])]
			w.head = 0
		}
		return i, state&2 != 0
	}
	w.queue, w.head = w.queue[:0], 0
	return 0, false
}

// clear lets nothing wait.
func (w *waiting) clear() { *w = waiting{} }

// flight is a message that was sent and not acknowledged.
type flight struct {
	seq  uint32
	size int32
	at   int64 // ms
}

// flights are those of a session, in order.
type flights struct {
	all      []flight
	head     int
	bytes    int
	progress int64 // ms: the latest acknowledgement, or the first of what flies
}

func (f *flights) add(seq uint32, size int, now int64) {
	if f.head == len(f.all) {
		f.all, f.head, f.progress = f.all[:0], 0, now
	}
	f.all = append(f.all, flight{seq: seq, size: int32(size), at: now})
	f.bytes += size
}

// land takes out what was acknowledged, and returns for how many milliseconds the
// latest of that flew; negative: there was none.
func (f *flights) land(ack uint32, now int64) (took int64) {
	took = -1
	for f.head < len(f.all) && f.all[f.head].seq <= ack {
		f.bytes -= int(f.all[f.head].size)
		took = now - f.all[f.head].at
		f.progress = now
		f.head++
	}
	return took
}

func (f *flights) empty() bool { return f.head == len(f.all) }
