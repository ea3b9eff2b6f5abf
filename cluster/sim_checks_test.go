package cluster

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// parts are the instances that run, by those that reach each other.
func (w *world) parts() (parts [][]*instance) {
next:
	for _, i := range w.nodes {
		if !i.up || i.paused != nil {
			continue
		}
		for p := range parts {
			if !w.cut[[2]int{i.index, parts[p][0].index}] {
				parts[p] = append(parts[p], i)
				continue next
			}
		}
		parts = append(parts, []*instance{i})
	}
	return parts
}

// masters returns the numbers of those who answer.
func (w *world) masters(list []*instance) (masters []int) {
	for _, i := range list {
		if i.up && i.node.role == Master && !i.node.electing {
			masters = append(masters, i.index+1)
		}
	}
	return masters
}

// quiet is how long it takes until no connected part has two masters.
const quiet = 3 * time.Second

// watch lets time pass, and fails where a part that was left in peace for three seconds has two
// masters. There is none where messages are lost, or while one that is new listens for others.
func (w *world) watch(d time.Duration) {
	w.t.Helper()
	for end := w.now.Add(d); w.now.Before(end); {
		w.run(min(tickEvery, end.Sub(w.now)))
		if w.loss > 0 || slices.ContainsFunc(w.nodes, func(i *instance) bool { return i.up && i.node.role == Newcomer }) {
			w.disturbed = w.now
		}
		if w.now.Sub(w.disturbed) < quiet+2*tickEvery+w.delay {
			continue
		}
		for _, part := range w.parts() {
			if m := w.masters(part); len(m) > 1 {
				w.fail("masters: %v", m)
			}
		}
	}
}

// wantSettled fails unless each part has one master that all follow and equal tables, and lacks
// nothing.
func (w *world) wantSettled() {
	w.t.Helper()
	for _, part := range w.parts() {
		w.wantOne(part)
		w.wantAcks(part)
	}
}

// wantOne fails unless there is one master that all follow, and all tables are equal.
func (w *world) wantOne(part []*instance) {
	w.t.Helper()
	masters := w.masters(part)
	if len(masters) != 1 {
		w.fail("masters: %v", masters)
	}
	m := w.nodes[masters[0]-1]
	for _, i := range part {
		if i == m {
			continue
		}
		if i.node.role != Slave || i.node.master != m.addr || i.node.electing {
			w.fail("%d is a %v of %v, electing: %v", i.index+1, i.node.role, i.node.master, i.node.electing)
		}
		if !m.node.id.Less(i.node.id) {
			w.fail("the master's ID is not the lowest")
		}
		if err := equalTables(&m.node.table, &i.node.table); err != nil {
			w.fail("%d and %d: %v", m.index+1, i.index+1, err)
		}
	}
}

var errUnequal = errors.New("tables differ")

// equalTables compares all rows, and looks whether digests and figures are those of the rows.
func equalTables(a, b *table) error {
	for leaf := range leaves {
		for _, pair := range [][2]*table{{a, b}, {b, a}} {
			sum := uint64(0)
			for _, r := range pair[0].leaf[leaf] {
				sum ^= r.digest()
				other := pair[1].get(r.cursor())
				if other == nil || other.digest() != r.digest() {
					return fmt.Errorf("%w: %+v and %+v", errUnequal, *r, other)
				}
			}
			if sum != pair[0].digest[leaf] {
				return fmt.Errorf("%w: the digest of leaf %d is none of its rows", errUnequal, leaf)
			}
		}
	}
	if a.rows != b.rows || a.live != b.live {
		return fmt.Errorf("%w: %d rows and %d, %d peers and %d", errUnequal, a.rows, b.rows, a.live, b.live)
	}
	return nil
}

// wantAcks fails if a part lacks what a peer was told is done, though one of it that had it has
// lived since.
func (w *world) wantAcks(part []*instance) {
	w.t.Helper()
	for k := range w.acks {
		a := &w.acks[k]
		for _, h := range a.holders {
			i := w.nodes[h[0]]
			if !i.up || i.life != h[1] || i.paused != nil || w.cut[[2]int{i.index, part[0].index}] {
				continue
			}
			for _, other := range part {
				if !other.holds(&a.request) {
					row, _, _ := peerOf(&a.request)
					w.fail("%d has %+v, but not request %d of peer %d, which %d of the same life had", other.index+1,
						other.node.table.get(row.cursor()), sequenceOf(&a.request), w.clientOf(&a.request).index+1, i.index+1)
				}
			}
		}
	}
}
