package cluster

import (
	"net/netip"
	"slices"
	"time"
)

// Tables that may differ are made equal by pulling: who lacks something asks for digests from
// the root down, and for the rows of the leaves where they differ. Who is asked keeps no state.
// A new master pulls from all members first, and has them pull from it then.

// atOnce is how many questions of a pull are under way.
const atOnce = 32

// puller asks one instance for what this one lacks.
type puller struct {
	from   netip.AddrPort
	number uint32 // of this pull, so that no answer to an earlier one is taken for one to this
	todo   []question
	open   []question // asked
	came   bool       // something was new
}

type question struct {
	node  uint32
	after cursor
	asked time.Time
}

func (n *Node) newPuller(from netip.AddrPort) *puller {
	n.pulls++
	p := &puller{from: from, number: n.pulls, todo: []question{{}}}
	n.ask(p)
	return p
}

// over reports whether all was asked and answered.
func (p *puller) over() bool { return len(p.todo)+len(p.open) == 0 }

// ask asks what may be asked now, and again what was lost.
func (n *Node) ask(p *puller) {
	for i := range p.open {
		if q := &p.open[i]; n.now.Sub(q.asked) >= n.t.FirstTry {
			n.askOne(p, q)
		}
	}
	for len(p.todo) > 0 && len(p.open) < atOnce {
		q := p.todo[len(p.todo)-1]
		p.todo = p.todo[:len(p.todo)-1]
		n.askOne(p, &q)
		p.open = append(p.open, q)
	}
}

func (n *Node) askOne(p *puller, q *question) {
	q.asked = n.now
	a := ask{pull: p.number, node: q.node, after: q.after}
	if n.role == Master {
		a.now = n.clusterNow()
	}
	n.out = a.append(n.out[:0])
	n.send(p.from, n.out)
}

// asked answers a member with digests or rows.
func (n *Node) asked(from netip.AddrPort, a *ask) bool {
	switch m := n.members[from]; {
	case m == nil || m.id == (ID{}):
		return false
	case n.role == Slave && from == n.master && a.now > 0:
		if n.align(a.now); !n.aligned {
			return true // it asks again
		}
	case n.role == Master && a.now == 0:
	default: // one of the two does not know yet who is master, and their times may differ
		return false
	}
	if a.node < leafBase {
		d := n.table.digests(a.node)
		n.out = appendDigests(n.out[:0], a.pull, a.node, &d)
	} else {
		r := rows{pull: a.pull, node: a.node, after: a.after}
		r.list, r.more = n.table.after(int(a.node-leafBase), &a.after, maxRows)
		n.out = r.append(n.out[:0])
	}
	n.send(from, n.out)
	return true
}

// pullOf returns the pull from an instance that has a number, if it goes on.
func (n *Node) pullOf(from netip.AddrPort, number uint32) *puller {
	p := n.pull
	if m := n.members[from]; m != nil && n.role == Master {
		p = m.pull
	}
	if p == nil || p.from != from || p.number != number {
		return nil
	}
	return p
}

// answered takes a question off those that are open.
func (p *puller) answered(node uint32, after cursor) bool {
	i := slices.IndexFunc(p.open, func(q question) bool { return q.node == node && q.after == after })
	if i < 0 {
		return false
	}
	p.open = slices.Delete(p.open, i, i+1)
	return true
}

func (n *Node) digests(from netip.AddrPort, pull, node uint32, theirs *[fanOut]uint64) bool {
	p := n.pullOf(from, pull)
	if p == nil || !p.answered(node, cursor{}) {
		return false
	}
	ours := n.table.digests(node)
	for i := range ours {
		if ours[i] == theirs[i] {
			continue
		}
		child := 1 + uint32(i)
		if node > 0 {
			child = leafBase + (node-1)*fanOut + uint32(i)
		}
		p.todo = append(p.todo, question{node: child})
	}
	n.goOn(p)
	return true
}

func (n *Node) rowsCame(from netip.AddrPort, r *rows) bool {
	p := n.pullOf(from, r.pull)
	if p == nil || !p.answered(r.node, r.after) {
		return false
	}
	for i := range r.list {
		if n.take(&r.list[i]) {
			p.came = true
		}
	}
	if r.more {
		p.todo = append(p.todo, question{node: r.node, after: r.list[len(r.list)-1].cursor()})
	}
	n.goOn(p)
	return true
}

// mostAhead is how far ahead of this instance's time of the cluster a row may be.
const mostAhead = time.Minute

// take puts a row of another instance into the table, unless it is too old, of a time that
// is not yet, or there is no room. It reports whether it was new.
func (n *Node) take(r *Row) bool {
	n.shiftAll()
	age := n.clusterNow() - r.Stamp
	if age < -mostAhead.Microseconds() || !r.Count && age > n.o.Lifetime.Microseconds() {
		return false
	}
	if n.table.rows >= n.o.MaxRows && n.table.get(r.cursor()) == nil {
		n.figures.Full++
		return false
	}
	n.last = max(n.last, r.Stamp)
	if !n.table.put(r) {
		return false
	}
	if r.Count {
		n.host.Completed(r.InfoHash, n.table.completed(r.InfoHash))
	} else {
		n.changed(r)
	}
	return true
}

// goOn asks more, or follows up on a pull that is over.
func (n *Node) goOn(p *puller) {
	n.ask(p)
	if !p.over() {
		return
	}
	if p == n.pull {
		n.sayPulled()
		n.pull = nil
		return
	}
	m := n.members[p.from]
	n.endPull(m)
	n.round++
	m.standing, m.since, m.asked, m.round = told, n.now, time.Time{}, n.round
	n.waitFor(m.addr)
	n.tickPulls()
}

// endPull ends what the master pulls from a member, or breaks it off. What came of it the
// others lack, too.
func (n *Node) endPull(m *member) {
	p := m.pull
	if m.pull = nil; p == nil || !p.came {
		return
	}
	n.round++
	for _, other := range n.members {
		if other.standing != unknown {
			other.standing, other.asked, other.round = told, time.Time{}, n.round
		}
	}
}

// patience is how many keepalives long a new master waits for what members have.
const patience = 6

// tickPulls goes on with pulls.
func (n *Node) tickPulls() {
	if n.pull != nil {
		n.ask(n.pull)
	}
	if n.role != Master || n.electing {
		return
	}
	missing, lacking := false, false // they may have what this one lacks, and may lack what it has
	for _, m := range n.sorted() {
		switch {
		case m.id == (ID{}):
		case m.standing == unknown:
			missing, lacking = true, lacking || m.ours
			if m.pull == nil {
				m.pull = n.newPuller(m.addr)
			} else {
				n.ask(m.pull)
			}
		case m.standing == told:
			lacking = true
			if !n.serving || n.now.Sub(m.asked) < n.t.FirstTry {
				continue
			}
			m.asked = n.now
			n.out = appendPull(n.out[:0], typePull, m.round, n.clusterNow(), m.tenure)
			n.send(m.addr, n.out)
		}
	}
	if !n.serving && (!missing || n.now.Sub(n.took) >= patience*n.t.Keepalive) {
		n.serving = true // and the tick proposes what waits
	}
	n.whole = n.whole || n.serving && !lacking
}

// sayPulled tells the master how far this slave is: in round 0 that it is its slave since a
// time, and was another's before, or a master; so it may have what the master lacks.
func (n *Node) sayPulled() {
	n.out = appendPull(n.out[:0], typePulled, n.pulled, n.clusterNow(), n.tenure)
	n.send(n.master, n.out)
}

// toPull has a slave pull from its master.
func (n *Node) toPull(from netip.AddrPort, round uint32, at, tenure int64) bool {
	if n.role != Slave || from != n.master || n.electing {
		return false
	}
	n.align(at)
	switch {
	case !n.aligned: // it says so again
	case tenure != n.tenure:
		n.pulled = 0
		n.sayPulled()
	case n.pull == nil && n.pulled == round:
		n.sayPulled()
	case n.pulled != round:
		n.pulled = round
		n.pull = n.newPuller(from)
	}
	return true
}

// hasPulled takes in how far a slave is.
func (n *Node) hasPulled(from netip.AddrPort, round uint32, tenure int64) bool {
	m := n.members[from]
	switch {
	case m == nil || m.id == (ID{}) || n.role != Master:
		return false
	case m.tenure != tenure:
		m.tenure = tenure
		n.distrust(m)
		return true
	case m.standing != told || round != m.round:
		return false
	}
	m.standing, m.since = equal, n.now
	return true
}

// distrust has a master ask a member anew for what it has.
func (n *Node) distrust(m *member) {
	n.endPull(m)
	m.standing, m.since = unknown, n.now
	n.notWaitFor(m.addr)
	n.tickPulls()
}
