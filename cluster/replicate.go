package cluster

import (
	"cmp"
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

// pending is a request that waits for a master to commit it.
type pending struct {
	request   Request
	heard     time.Time
	heardAt   int64 // in the cluster's time
	order     uint64
	answer    bool // of a client that this instance answers
	committed bool
	bare      bool // a DS-commit came without its time
	again     time.Time
	delay     time.Duration
}

// recent remembers the last requests that were committed.
type recent struct {
	known map[Transaction]struct{}
	ring  []Transaction
	next  int
}

func (r *recent) init() { r.known = map[Transaction]struct{}{} }

func (r *recent) add(t Transaction) {
	if _, is := r.known[t]; is {
		return
	}
	r.known[t] = struct{}{}
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
		n.keep(r, false, n.clusterNow())
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
		if !n.keep(r, true, n.clusterNow()) {
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
	case n.role == Master && n.serving:
		n.propose(r, row.cursor(), origin{asker: from, spread: true, heardAt: heardAt})
		return true
	case n.role == Slave && from == n.master && n.aligned:
		return n.keep(r, false, heardAt)
	}
	return false
}

// keep remembers a request for the master that is, or comes. It reports whether there was room.
func (n *Node) keep(r *Request, answer bool, heardAt int64) bool {
	id := r.Transaction()
	p := n.heard[id]
	if p == nil {
		if len(n.heard) >= mostHeard {
			n.figures.Refused++
			return false
		}
		n.figures.Heard++
		p = &pending{request: *r, heard: n.now, heardAt: heardAt, order: n.figures.Heard}
		n.heard[id] = p
	}
	p.heardAt = min(p.heardAt, heardAt)
	p.answer = p.answer || answer
	n.offer(p)
	return true
}

// offer tells the master of a request: that it is here, or what it is.
func (n *Node) offer(p *pending) {
	if n.role != Slave || n.electing || !n.master.IsValid() {
		return
	}
	if p.answer && n.late(p) {
		delete(n.heard, p.request.Transaction())
		return
	}
	if p.answer && n.aligned {
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

// sayReady tells a new master of all requests that wait.
func (n *Node) sayReady() {
	for _, p := range n.inOrder() {
		p.committed = false
		n.offer(p)
	}
}

func (n *Node) inOrder() []*pending {
	list := make([]*pending, 0, len(n.heard))
	for _, p := range n.heard {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b *pending) int { return cmp.Compare(a.order, b.order) })
	return list
}

// proposeAgain has a master commit what was waiting for one. Where the peer was seen since,
// others may have committed the request, or a later one: nobody was told that it is done, so
// its peer asks again if it still wants to know.
func (n *Node) proposeAgain() {
	list := n.inOrder()
	clear(n.heard)
	list = slices.DeleteFunc(list, n.late)
	for _, p := range list {
		row, _, _ := peerOf(&p.request)
		n.propose(&p.request, row.cursor(), origin{spread: true, client: p.answer, heardAt: p.heardAt})
	}
}

// doubt is by how much the times of members may differ, in microseconds.
func (n *Node) doubt() int64 { return n.t.Keepalive.Microseconds() }

// isFresh reports whether a request was heard so lately that the master's own time counts.
func (n *Node) isFresh(heardAt int64) bool { return n.clusterNow()-heardAt < n.doubt() }

// late reports whether a request that waited is not to be committed any more, and tells its
// client so.
func (n *Node) late(p *pending) bool {
	row, _, _ := peerOf(&p.request)
	old := n.table.get(row.cursor())
	is := old != nil && !old.Bare && old.Stamp >= p.heardAt+n.doubt() && !n.done.has(p.request.Transaction())
	if is && p.answer {
		n.host.Finished(&p.request, ErrNobody)
	}
	return is
}

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
	case x == nil && n.done.has(id):
		n.figures.Again++
		if asker.IsValid() {
			n.send(asker, appendSync(nil, typeDone, id))
		} else {
			n.host.Finished(r, nil)
		}
		return
	case x == nil && n.table.rows+len(n.flying) >= n.o.MaxRows && n.table.get(peer) == nil:
		n.figures.Full++
		if !asker.IsValid() {
			n.host.Finished(r, ErrFull)
		}
		return
	case x == nil && len(n.flying) >= mostWaiting:
		n.figures.Refused++
		if !asker.IsValid() {
			n.host.Finished(r, ErrBusy)
		}
		return
	case x == nil:
		x = &transaction{request: *r, id: id, peer: peer, began: n.now, spread: o.spread}
		if x.stamp.at = o.heardAt; n.isFresh(o.heardAt) {
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

// queue begins a request, or has it wait for its turn.
func (n *Node) queue(x *transaction) {
	if before := n.busy[x.peer]; before != nil {
		before.followers = append(before.followers, x)
		return
	}
	n.busy[x.peer] = x
	if n.begun >= window {
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
	if old != nil && !old.Bare && old.Stamp >= x.stamp.at && old.Stamp < x.stamp.at+n.doubt() {
		x.stamp.at = old.Stamp + 1 // as far as times can tell it is the later one
	}
	if event == bittorrent.EventCompleted && row.Left == 0 && (old == nil || old.Bare || old.Gone || old.Left > 0) {
		count := Row{InfoHash: row.InfoHash, Count: true, PeerID: bittorrent.PeerID(n.id)}
		x.stamp.count = 1
		if c := n.table.get(count.cursor()); c != nil {
			x.stamp.count = c.Left + 1
		}
	}
	n.apply(row, x.stamp, n.id)
	n.figures.Committed++
	x.delay = n.t.FirstTry
	x.again = n.now.Add(x.delay)
	if len(x.wait) > 0 {
		n.host.Broadcast(appendStamp(nil, x.id, x.stamp, n.clusterNow()), appendSync(nil, typeCommit, x.id))
	}
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
	n.done.add(x.id)
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
	if n.starting {
		return // the loop below goes on
	}
	n.starting = true
	for len(n.waiting) > 0 && n.begun < window {
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
		delete(n.heard, id)
		n.host.Finished(&p.request, nil)
		return true
	}
	return false
}

// hasIt reports whether a pull has brought what a request of before asked for.
func (n *Node) hasIt(p *pending) bool {
	row, _, _ := peerOf(&p.request)
	have := n.table.get(row.cursor())
	return have != nil && !have.Bare && have.Stamp >= p.heardAt-n.doubt()
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
	switch {
	case p == nil && !n.done.has(id):
		return true // the master sends the request again
	case p == nil || p.committed:
	case s.at == 0 && !n.foreign(p), s.at > 0 && !n.aligned:
		return true // its time was lost, or is not this instance's yet
	default:
		row, event, _ := peerOf(&p.request)
		if s.at == 0 {
			s = n.guess(&row, event)
		}
		n.apply(row, s, n.masterID())
		n.done.add(id)
		n.figures.Committed++
		if p.committed = true; !p.answer {
			delete(n.heard, id)
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
func (n *Node) guess(row *Row, event bittorrent.Event) (s stamp) {
	n.last = max(n.last+1, n.clusterNow())
	s.at = n.last
	old := n.table.get(row.cursor())
	if event == bittorrent.EventCompleted && row.Left == 0 && (old == nil || old.Bare || old.Gone || old.Left > 0) {
		c := Row{InfoHash: row.InfoHash, Count: true, PeerID: bittorrent.PeerID(n.masterID())}
		s.count = 1
		if have := n.table.get(c.cursor()); have != nil {
			s.count = have.Left + 1
		}
	}
	return s
}

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
	for _, x := range n.underWay() {
		if x.wait[addr] != nil {
			delete(x.wait, addr)
			n.move(x)
		}
	}
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
		n.heard[x.id] = &pending{
			request: x.request, heard: x.began, order: n.figures.Heard, answer: x.client,
			heardAt: x.stamp.at,
		}
	}
	clear(n.flying)
	clear(n.busy)
	n.waiting, n.begun = nil, 0
}

// tickTransactions sends again what was lost, and gives up what no master commits.
func (n *Node) tickTransactions() {
	if n.now.Sub(n.turned) >= n.t.Keepalive {
		n.turned = n.now
		n.early = [2]map[readiness]bittorrent.InfoHash{{}, n.early[0]}
	}
	if n.role == Master {
		if n.serving && !n.electing && len(n.heard) > 0 {
			n.proposeAgain()
		}
		for _, x := range n.underWay() {
			if !n.now.Before(x.again) {
				x.delay = min(2*x.delay, n.t.Resend)
				x.again = n.now.Add(x.delay)
				n.resend(x)
			}
		}
		return
	}
	if n.now.Sub(n.looked) < n.t.FirstTry/2 {
		return
	}
	n.looked = n.now
	for _, p := range n.inOrder() {
		id := p.request.Transaction()
		switch {
		case n.now.Sub(p.heard) >= n.t.Request:
			delete(n.heard, id)
			if p.answer {
				n.host.Finished(&p.request, ErrNobody)
			}
		case p.answer && !n.now.Before(p.again):
			n.offer(p)
		}
	}
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
