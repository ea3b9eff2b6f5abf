package cluster

import "container/heap"

// inOrder goes through so many rows of all leaves that come after a cursor in the order of rows,
// and moves the cursor to the last one. It reports whether there are more. The table may change
// between calls.
func (t *table) inOrder(after *cursor, most int, each func(*Row)) (more bool) {
	var m merge
	for leaf := range t.leaf {
		at, row := t.seek(leaf, after)
		if row != nil {
			at++
		}
		if rest := t.leaf[leaf][at:]; len(rest) > 0 {
			m = append(m, run{rest[0].cursor(), rest})
		}
	}
	heap.Init(&m)
	for ; most > 0 && len(m) > 0; most-- {
		first := &m[0]
		*after = first.at
		each(first.rows[0])
		if first.rows = first.rows[1:]; len(first.rows) == 0 {
			heap.Pop(&m)
			continue
		}
		first.at = first.rows[0].cursor()
		heap.Fix(&m, 0)
	}
	return len(m) > 0
}

// run is rows of a leaf, in their order, and the place of the first.
type run struct {
	at   cursor
	rows []*Row
}

// merge is a heap of runs: that with the first row comes first.
type merge []run

func (m merge) Len() int           { return len(m) }
func (m merge) Less(i, j int) bool { return m[i].at.before(&m[j].at) }
func (m merge) Swap(i, j int)      { m[i], m[j] = m[j], m[i] }
func (m *merge) Push(any)          {} // there are only fewer

func (m *merge) Pop() any {
	last := len(*m) - 1
	*m = (*m)[:last]
	return nil
}
