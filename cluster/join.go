package cluster

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// joining is what a newcomer knows of its way in.
type joining struct {
	connection uint64
	others     time.Time // when an instance with an ID was heard last
	asked      time.Time
	from       netip.AddrPort // who answers
	assigned   ID
	contents   [20]byte
	triplets   triplets
	came       time.Time // the last triplet that was new
	checked    bool      // since then
	taking     bool      // they are whole, and are put into the table
}

func (j *joining) begin(n *Node) {
	var b [8]byte
	n.host.Random(b[:])
	*j = joining{connection: binary.BigEndian.Uint64(b[:])}
}

// greeting is an answer to HI that is on its way to a newcomer.
type greeting struct {
	connection uint64
	assigned   ID
	table      *snapshot
	next       int       // the first triplet that was not sent yet; beyond the last: all were
	sent       time.Time // when the last part went out
}

// partsAtOnce is how many parts of answers go out in a tick.
const partsAtOnce = 64

// hello takes in a HI message. What it is follows from who is asked: a newcomer gets answers,
// a master requests and confirmations.
func (n *Node) hello(from netip.AddrPort, h *Hello) bool {
	switch {
	case n.electing:
		return false // as the document has it
	case n.role == Master && h.Request:
		return n.greet(from, h.Connection)
	case n.role == Master:
		return n.confirmed(from, h)
	case n.role == Newcomer && !h.Request:
		return n.welcomed(from, h)
	case n.role == Slave && from == n.master && h.Connection == n.joining.connection && h.Assigned == n.id:
		n.confirm(from, h.Contents) // the last one was lost
		return true
	}
	return false
}

// greet answers a newcomer with an ID above all that are known, and all of the table.
func (n *Node) greet(from netip.AddrPort, connection uint64) bool {
	m := n.members[from]
	if m == nil {
		if len(n.members) >= maxMembers {
			return false
		}
		m = &member{addr: from, heard: n.now}
		n.members[from] = m
	}
	if m.id != (ID{}) {
		return false // it has an ID: a message of long ago
	}
	if g := m.greeting; g != nil && g.connection == connection {
		return true // it is being answered
	}
	highest := n.id
	for _, other := range n.members {
		if highest.Less(other.id) {
			highest = other.id
		}
		if other.greeting != nil && highest.Less(other.greeting.assigned) {
			highest = other.greeting.assigned
		}
	}
	var random [idStep / 8]byte
	n.host.Random(random[:])
	g := &greeting{connection: connection, assigned: above(highest, random), table: n.recentSnapshot()}
	m.greeting = g
	n.happened(Joined, from, g.assigned, "")
	n.sendGreeting(m, partsAtOnce)
	return true
}

// sendGreeting sends up to so many parts of an answer, and returns how many are left of them. An
// answer without triplets has one part.
func (n *Node) sendGreeting(m *member, most int) int {
	g := m.greeting
	for ; most > 0 && g.table.whole; most-- {
		part := g.table.triplets[min(g.next*tripletLen, len(g.table.triplets)):]
		part = part[:min(MaxTriplets*tripletLen, len(part))]
		h := Hello{Connection: g.connection, Assigned: g.assigned, Contents: g.table.contents}
		n.out = append(h.append(n.out[:0]), part...)
		n.send(m.addr, n.out)
		g.next += max(len(part)/tripletLen, 1)
		g.sent = n.now
		if g.over() {
			return most - 1
		}
	}
	return most
}

// over reports whether all was sent.
func (g *greeting) over() bool {
	return g.table.whole && g.next*tripletLen >= max(len(g.table.triplets), 1)
}

func (n *Node) confirmed(from netip.AddrPort, h *Hello) bool {
	m := n.members[from]
	if m == nil || m.greeting == nil || len(h.Triplets) > 0 || h.Connection != m.greeting.connection ||
		h.Assigned != m.greeting.assigned || h.Contents != m.greeting.table.contents {
		return false
	}
	m.greeting = nil
	if m.id == (ID{}) {
		m.id, m.standing, m.since = h.Assigned, unknown, n.now
		n.happened(MemberUp, from, m.id, "")
	}
	return true
}

// welcomed takes a part of the answer to a newcomer. Who is known not to be master has none to
// give, and one who is not known yet is no match for the master.
func (n *Node) welcomed(from netip.AddrPort, h *Hello) bool {
	j := &n.joining
	if h.Connection != j.connection || h.Assigned == (ID{}) || n.idOf(from) != n.lowest() && (n.idOf(from) != ID{} || n.fromMaster()) {
		return false
	}
	if j.taking {
		return true
	}
	if j.from != from || j.assigned != h.Assigned || j.contents != h.Contents {
		j.from, j.assigned, j.contents, j.triplets = from, h.Assigned, h.Contents, triplets{}
	}
	for _, t := range h.Triplets {
		if j.triplets.count < n.o.MaxRows && j.triplets.add(t) {
			j.came, j.checked = n.now, false
		}
	}
	if len(h.Triplets) < MaxTriplets {
		n.join()
	}
	return true
}

// idOf returns the ID of a member; zero: it is none, or has none.
func (n *Node) idOf(addr netip.AddrPort) ID {
	if m := n.members[addr]; m != nil {
		return m.id
	}
	return ID{}
}

// fromMaster reports whether it is the master who answers this newcomer.
func (n *Node) fromMaster() bool {
	id := n.idOf(n.joining.from)
	return id != ID{} && id == n.lowest()
}

// join makes a slave of a newcomer that has the whole table.
func (n *Node) join() {
	j := &n.joining
	sum, whole := j.triplets.sum(rowsAtOnce)
	if !whole {
		return // the next tick goes on
	}
	j.checked = true
	switch {
	case sum != j.contents: // some are still on their way, or were lost and will come again
	case !n.fromMaster(): // its first KA message is on its way
		j.came, j.checked = n.now, false
	default:
		j.taking = true
		n.takeTriplets()
	}
}

// takeTriplets puts some of the rows that a newcomer was told of into its table, and makes a slave
// of it with the last.
func (n *Node) takeTriplets() {
	j := &n.joining
	for range rowsAtOnce {
		t, ok := j.triplets.pop()
		if !ok {
			n.joined()
			return
		}
		row := Row{InfoHash: t.InfoHash, Addr: netip.AddrPortFrom(netip.AddrFrom4(t.Host), t.Port), Left: 1, Bare: true}
		if n.table.get(row.cursor()) == nil {
			row.First, row.Stamp = n.clusterNow(), n.clusterNow()
			n.take(&row)
		}
	}
}

func (n *Node) joined() {
	j := &n.joining
	if !n.fromMaster() {
		j.begin(n)
		return
	}
	j.taking = false
	n.id, n.spoke = j.assigned, time.Time{}
	n.becomeSlave(n.members[j.from])
	n.confirm(j.from, j.contents)
	n.tickMembers()
}

func (n *Node) confirm(to netip.AddrPort, contents [20]byte) {
	h := Hello{Connection: n.joining.connection, Assigned: n.id, Contents: contents}
	n.out = h.append(n.out[:0])
	n.send(to, n.out)
}

// tickJoin has a newcomer ask for its way in while it hears others, and make itself master
// when it has heard none for three seconds. A master sends its answers, and again those that
// were not confirmed within ten seconds.
func (n *Node) tickJoin() {
	if n.role == Newcomer {
		n.tickNewcomer()
		return
	}
	if n.role != Master || n.electing {
		return
	}
	if n.snapshot != nil {
		n.snapshot.goOn(&n.table, rowsAtOnce)
	}
	most, asked := partsAtOnce, false
	for _, m := range n.sorted() {
		g := m.greeting
		if g == nil {
			continue
		}
		asked = true
		switch {
		case !g.over():
			most = n.sendGreeting(m, most)
		case n.now.Sub(g.sent) >= n.t.Confirm:
			g.next, g.sent = 0, n.now // the same table, of which the newcomer has some parts
			most = n.sendGreeting(m, most)
		}
	}
	if !asked {
		n.snapshot = nil
	}
}

func (n *Node) tickNewcomer() {
	j := &n.joining
	for _, m := range n.members {
		if m.id != (ID{}) && m.heard.After(j.others) {
			j.others = m.heard
		}
	}
	silent := n.since
	if j.others.After(silent) {
		silent = j.others
	}
	switch {
	case j.taking && n.now.Sub(silent) < n.t.Election:
		n.takeTriplets()
	case j.triplets.summing != nil && n.now.Sub(silent) < n.t.Election:
		n.join()
	case n.now.Sub(silent) >= n.t.Election:
		var b [16]byte
		n.host.Random(b[:])
		n.id, n.spoke = firstID(b), time.Time{}
		n.becomeMaster()
		n.tickMembers()
	case !j.others.IsZero() && n.now.Sub(j.asked) >= n.t.Election:
		j.asked = n.now
		h := Hello{Connection: j.connection, Request: true}
		n.out = h.append(n.out[:0])
		n.host.Broadcast(n.out)
	case !j.checked && !j.came.IsZero() && n.now.Sub(j.came) >= n.t.Keepalive/4:
		n.join()
	}
}
