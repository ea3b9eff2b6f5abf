package cluster

import (
	"cmp"
	"net/netip"
	"slices"
)

// waitFor has all requests that are under way wait for a member, too.
func (n *Node) waitFor(addr netip.AddrPort) {
	for _, x := range n.flying {
		if x.wait != nil && x.wait[addr] == nil {
			x.wait[addr] = &progress{}
			x.again = n.now
		}
	}
}

// notWaitFor does without a member.
func (n *Node) notWaitFor(addr netip.AddrPort) {
	starting := n.starting
	n.starting = true // none begins before all were looked through
	for _, x := range n.underWay() {
		if x.wait[addr] != nil {
			delete(x.wait, addr)
			n.move(x)
		}
	}
	n.starting = starting
	n.takeUp()
}

// underWay returns the requests that have begun, in the order of their beginning.
func (n *Node) underWay() []*transaction {
	list := make([]*transaction, 0, n.begun)
	for _, x := range n.flying {
		if x.wait != nil {
			list = append(list, x)
		}
	}
	sortTransactions(list)
	return list
}

func sortTransactions(list []*transaction) {
	slices.SortFunc(list, func(a, b *transaction) int {
		return cmp.Or(a.began.Compare(b.began), cmp.Compare(a.id.Connection, b.id.Connection), cmp.Compare(a.id.ID, b.id.ID))
	})
}

// handOver keeps what a master has not finished for the next one.
func (n *Node) handOver() {
	list := n.underWay()
	for _, x := range n.flying {
		if x.wait == nil {
			list = append(list, x)
		}
	}
	sortTransactions(list)
	for _, x := range list {
		n.figures.Heard++
		p := &pending{request: x.request, peer: x.peer, heard: x.began, order: n.figures.Heard, answer: x.client, heardAt: x.stamp.at}
		if kept := n.heard[x.id]; kept != nil { // during an election
			p.answer = p.answer || kept.answer
			n.forget(x.id)
		}
		n.heard[x.id] = p
	}
	clear(n.flying)
	clear(n.busy)
	n.waiting, n.begun = nil, 0
}
