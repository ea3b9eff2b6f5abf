package cluster

import "time"

// shift is on its way where the cluster's time has become another one, until all rows have been
// moved to it. Meanwhile this instance is not aligned, so no commit has it put rows in.
type shift struct {
	on bool
	by int64 // microseconds
	at place // the next row to move
}

// align takes over the master's time, and moves the rows to it, where it differs by more than
// a message takes.
func (n *Node) align(at int64) {
	if n.shift.on {
		return
	}
	by := at - n.clusterNow()
	if max(by, -by) < n.t.Keepalive.Microseconds() {
		n.beAligned()
		return
	}
	n.ahead += by
	n.last = max(n.last+by, 0)
	for _, p := range n.heard {
		p.heardAt += by
	}
	n.happened(Aligned, n.master, n.id, time.Duration(by*1000).String())
	n.aligned, n.shift = false, shift{on: true, by: by}
	n.goOnShifting(rowsAtOnce)
	if !n.shift.on {
		n.beAligned()
	}
}

// beAligned has the master told of what waits for it, and when that was heard.
func (n *Node) beAligned() {
	if !n.aligned {
		n.aligned = true
		n.sayReady()
	}
}

// goOnShifting moves so many rows to another time. When all have been, the master's next word
// finds this instance aligned.
func (n *Node) goOnShifting(most int) {
	if n.shift.on {
		n.shift.at, n.shift.on = n.table.shift(n.shift.at, most, n.shift.by)
	}
}

// shiftAll has all rows in one time now.
func (n *Node) shiftAll() { n.goOnShifting(n.table.rows) }
