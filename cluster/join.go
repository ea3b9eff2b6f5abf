package cluster

import (
	"encoding/binary"
	"net/netip"
	"slices"
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
	triplets   map[Triplet]struct{}
	came       time.Time // the last triplet that was new
	checked    bool      // since then
}

func (j *joining) begin(n *Node) {
	var b [8]byte
	n.host.Random(b[:])
	*j = joining{connection: binary.BigEndian.Uint64(b[:]), triplets: map[Triplet]struct{}{}}
}

// greeting is an answer to HI that is on its way to a newcomer.
type greeting struct {
	connection uint64
	assigned   ID
	contents   [20]byte
	triplets   []Triplet
	next       int       // the first that was not sent yet; beyond the last: all were
	sent       time.Time // when the last part went out
}

// partsAtOnce is how many parts of an answer go out in a tick.
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
	g := &greeting{connection: connection, assigned: above(highest, random)}
	g.triplets, g.contents = n.table.triplets()
	m.greeting = g
	n.happened(Joined, from, g.assigned, "")
	n.sendGreeting(m)
	return true
}

// sendGreeting sends some parts of an answer. One without triplets has one part.
func (n *Node) sendGreeting(m *member) {
	g := m.greeting
	for range partsAtOnce {
		part := g.triplets[min(g.next, len(g.triplets)):]
		part = part[:min(MaxTriplets, len(part))]
		h := Hello{Connection: g.connection, Assigned: g.assigned, Contents: g.contents, Triplets: part}
		n.out = h.append(n.out[:0])
		n.send(m.addr, n.out)
		g.next += max(len(part), 1)
		g.sent = n.now
		if g.next >= len(g.triplets) {
			return
		}
	}
}

func (n *Node) confirmed(from netip.AddrPort, h *Hello) bool {
	m := n.members[from]
	if m == nil || m.greeting == nil || len(h.Triplets) > 0 || h.Connection != m.greeting.connection ||
		h.Assigned != m.greeting.assigned || h.Contents != m.greeting.contents {
		return false
	}
	m.greeting = nil
	if m.id == (ID{}) {
		m.id, m.standing, m.since = h.Assigned, unknown, n.now
		n.happened(MemberUp, from, m.id, "")
	}
	return true
}

// welcomed takes a part of the answer to a newcomer.
func (n *Node) welcomed(from netip.AddrPort, h *Hello) bool {
	j := &n.joining
	if h.Connection != j.connection || h.Assigned == (ID{}) {
		return false
	}
	if j.from != from || j.assigned != h.Assigned || j.contents != h.Contents {
		j.from, j.assigned, j.contents, j.triplets = from, h.Assigned, h.Contents, map[Triplet]struct{}{}
	}
	for _, t := range h.Triplets {
		if _, is := j.triplets[t]; !is && len(j.triplets) < n.o.MaxRows {
			j.triplets[t] = struct{}{}
			j.came, j.checked = n.now, false
		}
	}
	if len(h.Triplets) < MaxTriplets {
		n.join()
	}
	return true
}

// join makes a slave of a newcomer that has the whole table.
func (n *Node) join() {
	j := &n.joining
	list := make([]Triplet, 0, len(j.triplets))
	for t := range j.triplets {
		list = append(list, t)
	}
	slices.SortFunc(list, Triplet.compare)
	j.checked = true
	if contentsOf(list) != j.contents {
		return // some are still on their way, or were lost and will come again
	}
	master := n.members[j.from]
	if master == nil || master.id == (ID{}) {
		j.came, j.checked = n.now, false // its first KA message is on its way
		return
	}
	for _, t := range list {
		row := Row{InfoHash: t.InfoHash, Addr: netip.AddrPortFrom(netip.AddrFrom4(t.Host), t.Port), Left: 1, Bare: true}
		if n.table.get(row.cursor()) == nil {
			row.First, row.Stamp = n.clusterNow(), n.clusterNow()
			n.take(&row)
		}
	}
	j.triplets = nil
	n.id, n.spoke = j.assigned, time.Time{}
	n.becomeSlave(master)
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
	for _, m := range n.sorted() {
		g := m.greeting
		switch {
		case g == nil:
		case g.next < len(g.triplets):
			n.sendGreeting(m)
		case n.now.Sub(g.sent) >= n.t.Confirm:
			g.next = 0
			n.sendGreeting(m)
		}
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
