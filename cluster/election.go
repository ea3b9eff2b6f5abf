package cluster

import (
	"net/netip"
	"slices"
	"time"
)

func sortMembers(list []*member) {
	slices.SortFunc(list, func(a, b *member) int { return a.addr.Compare(b.addr) })
}

// election takes in an ME message. One that comes while all is well is of a member that has
// missed something, perhaps this instance's vote: it is told that again.
func (n *Node) election(from netip.AddrPort, vote ID) bool {
	m := n.members[from]
	if m == nil || m.id == (ID{}) || n.role == Newcomer {
		return false
	}
	m.vote, m.voted = vote, n.now
	if !n.electing {
		if low := n.lowest(); n.settled() && n.masterID() == low {
			if n.now.Sub(m.told) >= n.t.Keepalive/2 {
				m.told = n.now
				n.send(from, appendElection(nil, low))
			}
			return true
		}
		n.startElection("a member votes")
	}
	n.count()
	return true
}

// settled reports whether there is a master that is alive.
func (n *Node) settled() bool {
	return n.role == Master || n.role == Slave && n.members[n.master] != nil
}

// masterID is the ID of the master; zero: there is none.
func (n *Node) masterID() ID {
	if n.role == Master {
		return n.id
	}
	if m := n.members[n.master]; m != nil {
		return m.id
	}
	return ID{}
}

// startElection asks all who should be master. Until it is over no peer is answered.
func (n *Node) startElection(why string) {
	if n.electing {
		return
	}
	n.electing = true
	n.figures.Elections++
	for _, m := range n.members {
		if n.now.Sub(m.voted) > n.t.Keepalive { // one that has just come is of this election
			m.voted = time.Time{}
		}
	}
	n.vote = ID{}
	n.happened(ElectionStarted, netip.AddrPort{}, n.id, why)
	n.cast()
}

// cast sends this instance's vote, at most once in three seconds.
func (n *Node) cast() {
	if !n.voted.IsZero() && n.now.Sub(n.voted) < n.t.Election {
		return
	}
	n.voted, n.vote = n.now, n.lowest()
	n.out = appendElection(n.out[:0], n.vote)
	n.host.Broadcast(n.out)
}

// tickElection starts an election where the master is down or has not the lowest ID, and goes
// on with one. A master that knows of a lower ID does no more until it may vote: there may be
// another one.
func (n *Node) tickElection() {
	switch {
	case n.role == Newcomer:
		return
	case n.electing:
	case !n.settled():
		n.startElection("the master is down")
	case n.lowest() != n.masterID():
		if n.role == Master || n.now.Sub(n.voted) >= n.t.Election {
			n.startElection("the master has not the lowest ID")
		}
	}
	if n.electing {
		n.cast()
		n.count()
	}
}

// count looks whether all have voted, and for whom: for one, or most of them for one.
func (n *Node) count() {
	if !n.electing || n.vote == (ID{}) {
		return
	}
	votes, voters := map[ID]int{n.vote: 1}, 1
	for _, m := range n.members {
		if m.id == (ID{}) {
			continue
		}
		if m.voted.IsZero() {
			return // its vote is waited for, or that it is down
		}
		votes[m.vote]++
		voters++
	}
	for id, each := range votes {
		if 2*each > voters {
			n.elected(id)
			return
		}
	}
	// There is no majority: all vote again.
}

// elected ends an election. One that elects somebody who is not there does not count.
func (n *Node) elected(id ID) {
	if id == n.id {
		n.electing = false
		n.becomeMaster()
		return
	}
	m := n.byID(id)
	if m == nil {
		return
	}
	n.electing = false
	n.becomeSlave(m)
}

func (n *Node) becomeSlave(m *member) {
	if n.role == Slave && n.master == m.addr {
		return
	}
	n.resign()
	n.role, n.master, n.pull = Slave, m.addr, nil
	n.happened(BecameSlave, m.addr, m.id, "")
	n.beNew()
	n.sayReady()
}

// beNew has the master take this slave for a new one: it gives it its time, and asks what it has.
func (n *Node) beNew() {
	n.aligned, n.pull, n.pulled = false, nil, 0
	n.tenure, n.stampOf = n.clusterNow(), Transaction{}
	n.sayPulled()
}

// becomeMaster has this instance learn what its members have, and answer then.
func (n *Node) becomeMaster() {
	if n.role == Master {
		return
	}
	n.shiftAll()
	n.role, n.master, n.pull = Master, netip.AddrPort{}, nil
	n.serving, n.whole, n.took = false, false, n.now
	n.round++
	for _, m := range n.members {
		m.standing, m.since, m.pull = unknown, n.now, nil
	}
	n.happened(BecameMaster, netip.AddrPort{}, n.id, "")
	n.tickPulls()
}

// resign ends a master's work: its requests wait for the next one.
func (n *Node) resign() {
	if n.role != Master {
		return
	}
	n.serving = false
	n.handOver()
	for _, m := range n.members {
		m.standing, m.pull, m.greeting = unknown, nil, nil
	}
}
