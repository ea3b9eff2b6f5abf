package cluster

import (
	"net/netip"
	"time"
)

// Figures count what a node has done.
type Figures struct {
	Committed uint64 // requests
	Heard     uint64 // requests that waited for a master
	Again     uint64 // requests of peers that were committed before
	Refused   uint64 // requests for which there was no room
	Full      uint64 // peers for which there was no room
	Resent    uint64 // requests and commits that were sent again to a member
	Elections uint64 // that this instance took part in
	Bad       uint64 // messages that are none
	Strange   uint64 // messages that are not for this instance as things are: forged, or late
	Took      time.Duration

	timed int64 // requests that Took is of
}

// took takes in how long a request took; Took is an average that follows the last hundred.
func (f *Figures) took(d time.Duration) {
	f.timed++
	f.Took += (d - f.Took) / time.Duration(min(f.timed, 100))
}

// Member is what is shown of an instance.
type Member struct {
	Addr  netip.AddrPort
	ID    ID
	Role  Role
	Heard time.Time // its last keepalive
	State string    // what its master does with it

	Done uint64        // of a slave, to its master: requests that it has recorded
	Lag  time.Duration // of a slave, to its master: until it has recorded one, on average
}

// State is what is shown of a node.
type State struct {
	Role     Role
	ID       ID
	Master   netip.AddrPort // of a slave
	Electing bool
	Serving  bool // it may answer, or its master
	Peers    int  // that are there
	Rows     int
	UnderWay int           // requests
	Ahead    time.Duration // by how much the cluster's time is ahead of this instance's
	Members  []Member
	Figures  Figures
}

// State returns what is shown of the node.
func (n *Node) State() State {
	s := State{
		Role: n.role, ID: n.id, Master: n.master, Electing: n.electing, Serving: n.serving,
		Peers: n.table.live, Rows: n.table.rows, UnderWay: len(n.flying) + len(n.heard), Figures: n.figures,
		Ahead: time.Duration(n.ahead) * time.Microsecond,
	}
	if n.role == Slave {
		s.Serving = n.members[n.master] != nil && n.pull == nil && n.pulled > 0
	}
	for _, m := range n.sorted() {
		is := Member{Addr: m.addr, ID: m.id, Heard: m.heard, Role: Slave}
		switch {
		case m.id == (ID{}):
			is.Role, is.State = Newcomer, "joining"
		case n.role == Slave && m.addr == n.master:
			is.Role = Master
		case n.role == Master:
			is.State = [...]string{"read", "copied to", "equal"}[m.standing]
			is.Done, is.Lag = m.done, m.lag
		}
		s.Members = append(s.Members, is)
	}
	return s
}

// Counts returns the rows that count completed downloads, in this instance's own time: an
// instance that starts again is given them with its rows.
func (n *Node) Counts() (list []Row) {
	n.shiftAll()
	for leaf := range n.table.leaf {
		for _, r := range n.table.leaf[leaf] {
			if r.Count {
				own := *r
				own.First, own.Stamp = r.First-n.ahead, r.Stamp-n.ahead
				list = append(list, own)
			}
		}
	}
	return list
}
