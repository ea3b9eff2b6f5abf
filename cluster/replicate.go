package cluster

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"waggle/bittorrent"
)

// Bounds of what a node holds of requests.
const (
	window      = 1024    // requests that are being committed at a time
	mostWaiting = 1 << 15 // that wait for their turn
	mostHeard   = 1 << 16 // that wait for a master
	mostRecent  = 1 << 17 // that are remembered after they were committed
	mostEarly   = 1 << 13 // DS-ready messages without a request, in a second
	mostOfPeer  = 64      // requests of one peer that wait for each other
	mostInCall  = 1 << 11 // requests that are taken up in one call: it must not hold keepalives up
)

// A commit is one of two phases: all members say DS-ready when they have the request, then the
// master says DS-commit, and all say DS-done; then the peer is answered. Requests of different
// peers are under way at once; those of one peer are committed one after the other.

// transaction is a request that a master commits.
type transaction struct {
	request Request
	id      Transaction
	peer    cursor
	began   time.Time
	fresh   bool // its time is when it was taken up
	answer  bool // this instance answers it
	client  bool // it is of a client of this instance
	spread  bool // others may not have heard it

	askers    []netip.AddrPort // slaves that answer it
	wait      map[netip.AddrPort]*progress
	committed bool
	stamp     stamp         // at: when it was heard, in the cluster's time
	again     time.Time     // when it is sent again
	delay     time.Duration // after that

	followers []*transaction // of the same peer
}

// progress is how far a member is with a request.
type progress struct{ ready, done bool }

// stamp is what a master says of a commit: when the request was heard, and how many downloads
// of the torrent were completed under it, 0 if this is none.
type stamp struct{ at, count int64 }

// origin is how a master came by a request.
type origin struct {
	asker   netip.AddrPort // the slave that answers it; not valid: this instance does
	spread  bool           // others may not have heard it
	client  bool           // it is of a client of this instance
	heardAt int64          // when it was heard, in the cluster's time
}

// propose commits a request.
func (n *Node) propose(r *Request, peer cursor, o origin) {
	id, asker := r.Transaction(), o.asker
	x := n.flying[id]
	switch {
	case x != nil:
	case n.done.has(id):
		n.proposeDone(r, o)
		return
	case n.table.rows+len(n.flying) >= n.o.MaxRows && n.table.get(peer) == nil:
		n.figures.Full++
		n.refuse(r, o, ErrFull)
		return
	case len(n.flying) >= mostWaiting, n.busy[peer] != nil && len(n.busy[peer].followers) >= mostOfPeer:
		n.figures.Refused++
		n.refuse(r, o, ErrBusy)
		return
	default:
		x = &transaction{request: *r, id: id, peer: peer, began: n.now, spread: o.spread}
		if x.stamp.at, x.fresh = o.heardAt, n.isFresh(o.heardAt); x.fresh {
			n.last = max(n.last+1, n.clusterNow())
			x.stamp.at = n.last
		}
		n.flying[id] = x
		defer n.queue(x)
	}
	x.client = x.client || o.client
	if !asker.IsValid() {
		x.answer = true
	} else if !slices.Contains(x.askers, asker) {
		x.askers = append(x.askers, asker)
	}
}

// proposeDone answers a request that was committed before. Where that was under an earlier
// master, which may have died over it, it waits until all have what this one has.
func (n *Node) proposeDone(r *Request, o origin) {
	id := r.Transaction()
	switch {
	case n.whole || n.done.known[id].byAll:
		n.figures.Again++
		if o.asker.IsValid() {
			n.send(o.asker, appendSync(nil, typeDone, id))
		} else {
			n.host.Finished(r, n.later(r))
		}
	case !o.asker.IsValid() && !n.keep(r, o.client, o.heardAt, mostHeard): // an asker asks again
		n.refuse(r, o, ErrBusy)
	}
}

// later tells what is known of a peer that differs from a request of it that was committed before.
func (n *Node) later(r *Request) error {
	row, _, _ := peerOf(r)
	if have := n.table.get(row.cursor()); have != nil && !have.Bare && !have.says(&row) {
		return &Overtaken{*have}
	}
	return nil
}

// refuse tells who waits for a request here that it is not committed.
func (n *Node) refuse(r *Request, o origin, why error) {
	if !o.asker.IsValid() {
		n.host.Finished(r, why)
	}
}

// queue begins a request, or has it wait for its turn.
func (n *Node) queue(x *transaction) {
	if before := n.busy[x.peer]; before != nil {
		before.followers = append(before.followers, x)
		return
	}
	n.busy[x.peer] = x
	if n.begun >= window || len(n.waiting) > 0 {
		n.waiting = append(n.waiting, x)
		return
	}
	n.begin(x)
}

// begin asks the members whether they have a request.
func (n *Node) begin(x *transaction) {
	n.begun++
	x.wait = map[netip.AddrPort]*progress{}
	for _, m := range n.members {
		if m.standing >= told {
			x.wait[m.addr] = &progress{ready: n.wasReady(readiness{x.id, m.addr}, x.request.InfoHash())}
		}
	}
	x.delay = n.t.FirstTry
	x.again = n.now.Add(x.delay)
	if x.spread && len(x.wait) > 0 {
		n.out = x.request.append(n.out[:0], x.stamp.at)
		n.host.Broadcast(n.out)
	}
	n.move(x)
}

// move takes a request as far as it can go.
func (n *Node) move(x *transaction) {
	if !x.committed {
		for _, p := range x.wait {
			if !p.ready {
				return
			}
		}
		n.commitOwn(x)
	}
	for _, p := range x.wait {
		if !p.done {
			return
		}
	}
	n.finish(x)
}

// commitOwn commits a request here, and has the members commit it.
func (n *Node) commitOwn(x *transaction) {
	x.committed = true
	row, event, _ := peerOf(&x.request)
	old := n.table.get(row.cursor())
	switch {
	case old == nil || old.Bare || old.Stamp < x.stamp.at:
	case x.fresh && old.Stamp < x.stamp.at+n.doubt():
		x.stamp.at = old.Stamp + 1 // as far as times can tell it is the later one
	case old.says(&row):
		x.stamp.at = old.Stamp // an earlier master has committed it
	}
	x.stamp.count = n.countOf(&row, event, n.id)
	n.apply(row, x.stamp, n.id)
	n.figures.Committed++
	x.delay = n.t.FirstTry
	x.again = n.now.Add(x.delay)
	if len(x.wait) > 0 {
		n.out = appendStamp(n.out[:0], x.id, x.stamp, n.clusterNow())
		n.host.Broadcast(n.out, appendSync(nil, typeCommit, x.id))
	}
}

// countOf returns how many downloads of a torrent are completed under a master with a request that
// completes one; 0: it completes none.
func (n *Node) countOf(row *Row, event bittorrent.Event, master ID) int64 {
	old := n.table.get(row.cursor())
	if event != bittorrent.EventCompleted || row.Left != 0 || old != nil && !old.Bare && !old.Gone && old.Left == 0 {
		return 0
	}
	count := Row{InfoHash: row.InfoHash, Count: true, PeerID: bittorrent.PeerID(master)}
	if have := n.table.get(count.cursor()); have != nil {
		return have.Left + 1
	}
	return 1
}

// apply commits a row, and a count of a master's.
func (n *Node) apply(row Row, s stamp, master ID) {
	row.First, row.Stamp = s.at, s.at
	n.take(&row)
	if s.count > 0 {
		n.take(&Row{InfoHash: row.InfoHash, Count: true, PeerID: bittorrent.PeerID(master), Left: s.count, First: s.at, Stamp: s.at})
	}
}

// finish ends a request that all have committed, and begins others.
func (n *Node) finish(x *transaction) {
	delete(n.flying, x.id)
	delete(n.busy, x.peer)
	n.begun--
	n.done.add(x.id, fate{x.stamp.at, true})
	n.figures.took(n.now.Sub(x.began))
	for _, asker := range x.askers {
		n.send(asker, appendSync(nil, typeDone, x.id))
	}
	if x.answer {
		n.host.Finished(&x.request, nil)
	}
	if len(x.followers) > 0 {
		next := x.followers[0]
		next.followers = x.followers[1:]
		n.busy[next.peer] = next
		n.waiting = append(n.waiting, next)
	}
	n.takeUp()
}

// takeUp begins requests that wait for their turn.
func (n *Node) takeUp() {
	if n.starting {
		return // the loop below goes on
	}
	n.starting = true
	for i := 0; i < mostInCall && len(n.waiting) > 0 && n.begun < window; i++ {
		next := n.waiting[0]
		n.waiting = n.waiting[1:]
		n.begin(next)
	}
	n.starting = false
}

// ready takes in a DS-ready message. One may come before the request, which the master hears
// later than the slave.
func (n *Node) ready(from netip.AddrPort, id Transaction, hashes []bittorrent.InfoHash) bool {
	x := n.flying[id]
	if n.role != Master || n.members[from] == nil || len(hashes) != 1 {
		return false
	}
	if x == nil {
		if len(n.early[0]) < mostEarly && !n.done.has(id) {
			n.early[0][readiness{id, from}] = hashes[0]
		}
		return true
	}
	if x.wait[from] == nil || hashes[0] != x.request.InfoHash() {
		return false
	}
	x.wait[from].ready = true
	n.move(x)
	return true
}

// readiness is that an instance has a request.
type readiness struct {
	id   Transaction
	from netip.AddrPort
}

// wasReady reports whether a DS-ready has come before its request.
func (n *Node) wasReady(r readiness, h bittorrent.InfoHash) bool {
	for _, early := range n.early {
		if hash, is := early[r]; is {
			delete(early, r)
			return hash == h
		}
	}
	return false
}

// finished takes in a DS-done message: of a member, or of the master, whose word it is that all
// have committed.
func (n *Node) finished(from netip.AddrPort, id Transaction) bool {
	switch {
	case n.role == Master:
		x := n.flying[id]
		if x == nil || !x.committed || x.wait[from] == nil {
			return false
		}
		if m := n.members[from]; m != nil && !x.wait[from].done {
			m.recorded(n.now.Sub(x.began))
		}
		x.wait[from].ready, x.wait[from].done = true, true
		n.move(x)
		return true
	case n.role == Slave && from == n.master:
		p := n.heard[id]
		if p == nil || !p.answer {
			return false
		}
		if !p.committed && !n.hasIt(p) {
			return true // it is not a member yet, and will have it by pulling
		}
		n.forget(id)
		n.host.Finished(&p.request, n.later(&p.request))
		return true
	}
	return false
}

// tickTransactions sends again what was lost, and gives up what no master commits.
func (n *Node) tickTransactions() {
	if n.now.Sub(n.turned) >= n.t.Keepalive {
		n.turned = n.now
		n.early = [2]map[readiness]bittorrent.InfoHash{{}, n.early[0]}
	}
	if n.role == Master && n.serving && !n.electing && len(n.heard) > 0 {
		n.proposeAgain()
	}
	n.takeUp()
	n.saySome()
	if n.now.Sub(n.looked) < n.t.FirstTry/2 {
		return
	}
	n.looked = n.now
	var due []*transaction
	for _, x := range n.flying {
		if x.wait != nil && !n.now.Before(x.again) {
			due = append(due, x)
		}
	}
	sortTransactions(due)
	for _, x := range due {
		x.delay = min(2*x.delay, n.t.Resend)
		x.again = n.now.Add(x.delay)
		n.resend(x)
	}
	n.tickHeard()
}

// resend sends a request to those that have not said DS-ready, or with its DS-commit to those
// that have not said DS-done.
func (n *Node) resend(x *transaction) {
	for _, to := range slices.SortedFunc(maps.Keys(x.wait), netip.AddrPort.Compare) {
		if p := x.wait[to]; p.done || p.ready && !x.committed {
			continue
		}
		n.figures.Resent++
		n.out = x.request.append(n.out[:0], x.stamp.at)
		if !x.committed {
			n.send(to, n.out)
			continue
		}
		n.send(to, n.out, appendStamp(nil, x.id, x.stamp, n.clusterNow()), appendSync(nil, typeCommit, x.id))
	}
}
