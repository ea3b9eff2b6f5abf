package cluster

import (
	"net/netip"
	"time"
)

// maxMembers bounds the IP-ID table: who has the secret may be that many.
const maxMembers = 256

// standing is how far a member is, to its master.
type standing uint8

const (
	unknown standing = iota // the master does not know yet what rows it has
	told                    // it has none that the master lacks; it is waited for in transactions
	equal                   // it lacks none that the master had
)

// member is a row of the IP-ID table.
type member struct {
	addr  netip.AddrPort
	id    ID // zero: none yet
	heard time.Time

	vote  ID
	voted time.Time // zero: not in this election
	told  time.Time // when it was last told of this instance's vote alone

	standing standing
	since    time.Time // when it came to its standing
	pull     *puller   // of its rows, by the master
	asked    time.Time // when it was told to pull
	round    uint32    // the number of that pull
	tenure   int64     // since when it is this master's slave, as it says

	greeting *greeting // the answer to its HI

	ours, foreign bool // it sends messages of waggle's own; it does not

	done uint64        // requests that it said to this master that it has recorded
	lag  time.Duration // that took, from when the master took them up
}

// recorded takes in that a member has recorded a request; lag is an average of the last hundred.
func (m *member) recorded(after time.Duration) {
	m.done++
	m.lag += (after - m.lag) / time.Duration(min(m.done, 100))
}

// keepalive takes in a KA message.
func (n *Node) keepalive(from netip.AddrPort, id ID) {
	m := n.members[from]
	if m == nil {
		if len(n.members) >= maxMembers {
			n.figures.Strange++
			return
		}
		m = &member{addr: from}
		n.members[from] = m
	}
	m.heard = n.now
	switch {
	case id == ID{} || m.id == id:
	case n.role != Newcomer && id == n.id:
		n.happened(Alone, from, id, "another instance has the same ID")
		n.host.Broadcast(append(header(nil, typeBye), n.id[:]...))
		n.restart()
		fallthrough
	default:
		for _, other := range n.members { // it has another address now
			if other != m && other.id == id {
				n.remove(other, "its ID has another address now")
			}
		}
		n.endPull(m)
		m.id, m.standing, m.since = id, unknown, n.now
		n.happened(MemberUp, from, id, "")
	}
	if m.id != (ID{}) && id == (ID{}) && n.now.Sub(m.since) > n.t.Keepalive/2 { // not overtaken by the first with an ID
		n.lose(m, "it has started anew")
		m.id = ID{}
	}
}

// remove forgets a member.
func (n *Node) remove(m *member, why string) {
	delete(n.members, m.addr)
	n.lose(m, why)
}

// lose does without a member in what goes on.
func (n *Node) lose(m *member, why string) {
	if m.id != (ID{}) {
		n.happened(MemberDown, m.addr, m.id, why)
	}
	n.endPull(m)
	m.standing, m.voted, m.greeting = unknown, time.Time{}, nil
	n.notWaitFor(m.addr)
	if n.role == Slave && m.addr == n.master {
		n.master = netip.AddrPort{}
		n.pull = nil
	}
}

func (n *Node) bye(from netip.AddrPort, id ID) bool {
	m := n.members[from]
	if m == nil || m.id != id {
		return false
	}
	n.remove(m, "it says that it leaves")
	return true
}

// tickMembers sends a KA message each second, and looks who is down: two KA messages of it
// have not come, and it is half of one late.
func (n *Node) tickMembers() {
	if n.now.Sub(n.spoke) >= n.t.Keepalive {
		n.spoke = n.now
		n.out = appendKeepalive(n.out[:0], n.id)
		n.host.Broadcast(n.out)
		if n.role == Slave && n.pulled == 0 && n.master.IsValid() {
			n.sayPulled()
		}
	}
	for _, m := range n.sorted() {
		if n.now.Sub(m.heard) > 2*n.t.Keepalive+n.t.Keepalive/2 {
			n.remove(m, "two keepalives of it did not come")
		}
	}
}

// sorted returns all members by address, so that what happens depends on no map's order.
func (n *Node) sorted() []*member {
	list := make([]*member, 0, len(n.members))
	for _, m := range n.members {
		list = append(list, m)
	}
	sortMembers(list)
	return list
}

// lowest returns the lowest ID of all, this instance's own included.
func (n *Node) lowest() ID {
	low := n.id
	for _, m := range n.members {
		if m.id != (ID{}) && (low == ID{} || m.id.Less(low)) {
			low = m.id
		}
	}
	return low
}

// byID returns the member with an ID.
func (n *Node) byID(id ID) *member {
	for _, m := range n.members {
		if m.id == id {
			return m
		}
	}
	return nil
}
