package cluster

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"waggle/bittorrent"
)

// pending is a request that waits for a master to commit it.
type pending struct {
	request   Request
	peer      cursor
	heard     time.Time
	heardAt   int64 // in the cluster's time
	order     uint64
	answer    bool // of a client that this instance answers
	committed bool
	bare      bool // a DS-commit came without its time
	again     time.Time
	delay     time.Duration
}

// peerOf returns where the row of a request's peer stands; false where it is no request that
// can be recorded.
func peerOf(r *Request) (row Row, event bittorrent.Event, ok bool) {
	var a bittorrent.AnnounceRequest
	if _, err := bittorrent.ParseUDPAnnounce(r.Packet[:], &a); err != nil || r.Transaction().Action != bittorrent.ActionAnnounce {
		return row, 0, false
	}
	ip := r.Source.Addr().Unmap().WithZone("")
	if !ip.IsValid() || ip.IsUnspecified() || ip.IsMulticast() {
		return row, 0, false
	}
	return Row{
		InfoHash: a.InfoHash, Addr: netip.AddrPortFrom(ip, a.Port), PeerID: a.PeerID,
		Left: a.Left, Downloaded: a.Downloaded, Uploaded: a.Uploaded, Key: a.Key,
		Paused: a.Event == bittorrent.EventPaused, Gone: a.Event == bittorrent.EventStopped,
	}, a.Event, true
}

// Heard takes in a request that a peer has sent to all instances. A master commits and answers
// it; a slave says that it has it.
func (n *Node) Heard(now time.Time, r *Request) {
	n.enter(now)
	row, _, ok := peerOf(r)
	switch {
	case !ok:
		n.figures.Bad++
	case n.role == Newcomer || now.Before(n.deaf):
	case n.role == Master && n.serving && !n.electing:
		n.propose(r, row.cursor(), origin{heardAt: n.clusterNow()})
	default:
		n.keep(r, false, n.clusterNow(), mostHeard)
	}
}

// Propose has a request committed that a client has sent to this instance alone. Finished is
// called for it once.
func (n *Node) Propose(now time.Time, r *Request) {
	n.enter(now)
	row, _, ok := peerOf(r)
	switch {
	case !ok:
		n.figures.Bad++
		n.host.Finished(r, errMessage)
	case now.Before(n.deaf):
		n.host.Finished(r, ErrNobody)
	case n.role == Master && n.serving && !n.electing:
		n.propose(r, row.cursor(), origin{spread: true, client: true, heardAt: n.clusterNow()})
	default:
		if !n.keep(r, true, n.clusterNow(), mostHeard) {
			n.host.Finished(r, ErrBusy)
		}
	}
}

// forwarded takes a request that came through another instance: from the master, or from a
// slave whose client it is.
func (n *Node) forwarded(from netip.AddrPort, r *Request, heardAt int64) bool {
	m := n.members[from]
	row, _, ok := peerOf(r)
	switch {
	case !ok || m == nil || m.id == (ID{}) || n.electing || heardAt > n.clusterNow()+n.doubt():
		return false
	case n.role == Master && n.serving && !n.isFresh(heardAt) && n.overtaken(&pending{request: *r, heardAt: heardAt}, -n.doubt()):
		return true // its slave gives it up once it knows what this one does
	case n.role == Master && n.serving:
		n.propose(r, row.cursor(), origin{asker: from, spread: true, heardAt: heardAt})
		return true
	case n.role == Slave && from == n.master && n.aligned:
		// The master waits for it, and has this many under way at most, and an earlier one.
		return n.keep(r, false, heardAt, mostHeard+2*window)
	}
	return false
}

// keep remembers a request for the master that is, or comes, unless there are as many already. It
// reports whether there was room.
func (n *Node) keep(r *Request, answer bool, heardAt int64, most int) bool {
	id := r.Transaction()
	p := n.heard[id]
	if p == nil {
		if len(n.heard) >= most {
			n.figures.Refused++
			return false
		}
		n.figures.Heard++
		row, _, _ := peerOf(r)
		p = &pending{request: *r, peer: row.cursor(), heard: n.now, heardAt: heardAt, order: n.figures.Heard}
		n.heard[id] = p
	}
	p.heardAt = min(p.heardAt, heardAt)
	p.answer = p.answer || answer
	n.offer(p)
	return true
}

// forget lets a request go.
func (n *Node) forget(id Transaction) {
	if p := n.heard[id]; p != nil && n.turns[p.peer] == p {
		delete(n.turns, p.peer)
	}
	delete(n.heard, id)
}

// isTurn reports whether the master may be told what a request of a client is: those of one peer go
// one after the other, so that one that is lost and sent again is not taken for the later one.
func (n *Node) isTurn(p *pending) bool {
	first := n.turns[p.peer]
	if first == nil {
		n.turns[p.peer] = p
		return true
	}
	return first == p
}

// offer tells the master of a request: that it is here, or what it is.
func (n *Node) offer(p *pending) {
	if n.role != Slave || n.electing || !n.master.IsValid() {
		return
	}
	if p.answer && n.aligned && n.isTurn(p) {
		if n.overtaken(p, n.doubt()) {
			n.forget(p.request.Transaction())
			return
		}
		p.delay = min(max(2*p.delay, n.t.FirstTry), n.t.Resend)
		p.again = n.now.Add(p.delay)
		n.out = p.request.append(n.out[:0], p.heardAt)
		n.send(n.master, n.out)
	}
	if !p.committed {
		n.out = appendSync(n.out[:0], typeReady, p.request.Transaction(), p.request.InfoHash())
		n.send(n.master, n.out)
	}
}

// sayReady tells a new master of all requests that wait; when they were heard it can tell once it
// has the master's time.
func (n *Node) sayReady() {
	n.unsaid = n.inOrder()
	for _, p := range n.unsaid {
		p.committed, p.delay = false, 0
	}
	n.saySome()
}

// saySome tells the master of some of the requests that it was not told of yet.
func (n *Node) saySome() {
	if n.role != Slave {
		n.unsaid = nil
	}
	for i := 0; i < mostInCall && len(n.unsaid) > 0 && !n.electing; i++ {
		p := n.unsaid[0]
		n.unsaid = n.unsaid[1:]
		switch id := p.request.Transaction(); {
		case n.heard[id] != p:
		case p.answer && n.overtaken(p, -n.doubt()):
			n.forget(id)
		default:
			n.offer(p)
		}
	}
}

func (n *Node) inOrder() []*pending {
	list := make([]*pending, 0, len(n.heard))
	for _, p := range n.heard {
		list = append(list, p)
	}
	sortPending(list)
	return list
}

func sortPending(list []*pending) {
	slices.SortFunc(list, func(a, b *pending) int { return cmp.Compare(a.order, b.order) })
}

// proposeAgain has a master commit what was waiting for one, some in each call.
func (n *Node) proposeAgain() {
	var list []*pending
	for _, p := range n.inOrder() {
		id := p.request.Transaction()
		if f, done := n.done.known[id]; done && !n.whole && !f.byAll {
			continue // it goes on waiting
		}
		n.forget(id)
		if list = append(list, p); len(list) == mostInCall {
			break
		}
	}
	list = slices.DeleteFunc(list, func(p *pending) bool { return n.overtaken(p, -n.doubt()) })
	for _, p := range list {
		row, _, _ := peerOf(&p.request)
		n.propose(&p.request, row.cursor(), origin{spread: true, client: p.answer, heardAt: p.heardAt})
	}
}

// doubt is by how much the times of members may differ, in microseconds.
func (n *Node) doubt() int64 { return n.t.Keepalive.Microseconds() }

// isFresh reports whether a request was heard so lately that the master's own time counts.
func (n *Node) isFresh(heardAt int64) bool { return n.clusterNow()-heardAt < n.doubt() }

// overtaken reports whether a request that waited may be older than what is known of its peer, and
// tells its client so: times differ, by doubt at most. Nobody was told that it is done, so its peer
// asks again if it still wants to know.
func (n *Node) overtaken(p *pending, doubt int64) bool {
	row, _, _ := peerOf(&p.request)
	old := n.table.get(row.cursor())
	is := old != nil && !old.Bare && old.Stamp >= p.heardAt+doubt && !old.says(&row) && !n.done.has(p.request.Transaction())
	if is && p.answer {
		n.host.Finished(&p.request, ErrNobody)
	}
	return is
}

// tickHeard offers again what is not answered, and gives up what no master commits.
func (n *Node) tickHeard() {
	var due []*pending
	for _, p := range n.heard {
		if n.now.Sub(p.heard) >= n.t.Request || p.answer && !n.now.Before(p.again) {
			due = append(due, p)
		}
	}
	sortPending(due)
	offers := 0
	for _, p := range due {
		if n.now.Sub(p.heard) < n.t.Request {
			if offers++; offers <= mostInCall {
				n.offer(p)
			}
			continue
		}
		n.forget(p.request.Transaction())
		if p.answer {
			n.host.Finished(&p.request, ErrNobody)
		}
	}
	if offers > mostInCall {
		n.looked = time.Time{} // the next tick goes on
	}
}
