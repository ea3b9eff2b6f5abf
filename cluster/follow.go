package cluster

import (
	"net/netip"

	"waggle/bittorrent"
)

// recent remembers the last requests that were committed.
type recent struct {
	known map[Transaction]fate
	ring  []Transaction
	next  int
}

// fate is what became of a request: the time of its commit, and whether all have committed it, as
// far as this instance knows.
type fate struct {
	at    int64
	byAll bool
}

func (r *recent) init() { r.known = map[Transaction]fate{} }

func (r *recent) add(t Transaction, f fate) {
	_, is := r.known[t]
	r.known[t] = f
	if is {
		return
	}
	if len(r.ring) < mostRecent {
		r.ring = append(r.ring, t)
		return
	}
	delete(r.known, r.ring[r.next])
	r.ring[r.next] = t
	r.next = (r.next + 1) % mostRecent
}

func (r *recent) has(t Transaction) bool {
	_, is := r.known[t]
	return is
}

// takeStamp takes the time of a commit, which comes right before it. A master that goes by
// another time than it did was not master meanwhile: this slave is a new one to it.
func (n *Node) takeStamp(from netip.AddrPort, id Transaction, s stamp, now int64) bool {
	if n.role != Slave || from != n.master {
		return false
	}
	if by := now - n.clusterNow(); n.aligned && max(by, -by) > 2*n.t.Keepalive.Microseconds() {
		n.beNew()
	}
	n.stampOf, n.stamp = id, s
	return true
}

// commit takes in a DS-commit message.
func (n *Node) commit(from netip.AddrPort, id Transaction) bool {
	if n.role != Slave || from != n.master {
		return false
	}
	p, s := n.heard[id], stamp{}
	if n.stampOf == id {
		s = n.stamp
	}
	was, known := n.done.known[id]
	same := known && (s.at == 0 || s.at == was.at) // else another master has committed it anew
	switch {
	case p == nil && !same:
		return true // the master sends the request again
	case p == nil || p.committed && same:
	case s.at == 0 && !n.foreign(p), s.at > 0 && !n.aligned:
		return true // its time was lost, or is not this instance's yet
	default:
		row, event, _ := peerOf(&p.request)
		if s.at == 0 {
			s = n.guess(&row, event)
		}
		n.apply(row, s, n.masterID())
		n.done.add(id, fate{at: s.at})
		n.figures.Committed++
		if p.committed = true; !p.answer {
			n.forget(id)
		}
	}
	n.send(from, appendSync(nil, typeDone, id))
	return true
}

// foreign reports whether the master is another's program, which sends no stamps: it has sent
// nothing of waggle's own, and the same DS-commit twice.
func (n *Node) foreign(p *pending) bool {
	m := n.members[n.master]
	if m == nil || m.ours {
		return false
	}
	m.foreign = m.foreign || p.bare
	p.bare = true
	return m.foreign
}

// guess makes the stamp of a commit whose master does not send any: it is another's program.
func (n *Node) guess(row *Row, event bittorrent.Event) stamp {
	n.last = max(n.last+1, n.clusterNow())
	return stamp{n.last, n.countOf(row, event, n.masterID())}
}

// hasIt reports whether a pull has brought what a request of before asked for.
func (n *Node) hasIt(p *pending) bool {
	row, _, _ := peerOf(&p.request)
	have := n.table.get(row.cursor())
	return have != nil && !have.Bare && (have.says(&row) || have.Stamp >= p.heardAt+n.doubt())
}
