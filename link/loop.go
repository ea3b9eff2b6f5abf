package link

import (
	"context"
	"time"

	"waggle/bittorrent"
	"waggle/link/carrier"
	"waggle/link/core"
	"waggle/swarm"
	"waggle/wholefile"
)

// loop is what one goroutine owns: the node, and all that is told to it and by it.
type loop struct {
	links    *Links
	node     *core.Node // nil: there is no link yet
	crew     *crew      // nil where the node is
	sessions map[core.LinkID]*session
	carried  map[*carrier.Link]*session
	opening  *session // whose number is not known yet
	known    map[string]*known
	life     *life
	sharing  *sharing
	toldTree []far

	lifetime time.Duration // of peers

	sampled  time.Time
	compared time.Time // the store was, and the log says so
	looked   time.Time // at the catalogue
	keptAt   time.Time
	changed  bool // counters, since

	drained time.Time // the first change came then of those that the node was told of since the last tick; zero: none
	gauging bool      // a change is followed that has not left

	keeping   chan error
	isKeeping bool

	heldAt   uint64                           // version of the catalogue
	held     map[bittorrent.InfoHash]struct{} // listed trackers: what is active; others: what is not
	restored bool
}

func (p *loop) init(l *Links) {
	p.links = l
	p.sessions, p.carried = map[core.LinkID]*session{}, map[*carrier.Link]*session{}
	p.known = map[string]*known{}
	p.held = map[bittorrent.InfoHash]struct{}{}
	p.sharing = newSharing(l)
	p.keeping = make(chan error, 1)
}

// arrival is what a link tells.
type arrival struct {
	link    *carrier.Link
	what    arrived
	message []byte
	of      string // the neighbour, as the node has it
}

type arrived uint8

const (
	opened arrived = iota
	received
	parted
)

// handler hands the loop what links tell, and waits until there is room for it. It is of
// the leaves, or of the hub.
type handler struct {
	l   *Links
	hub bool
}

func (h handler) Opened(link *carrier.Link) {
	of := link.Name()
	if h.hub {
		of = hubKey
	}
	h.tell(arrival{link: link, what: opened, of: of})
}

func (h handler) Received(link *carrier.Link, message []byte) {
	h.tell(arrival{link: link, what: received, message: message})
}

func (h handler) Closed(link *carrier.Link, _ error) {
	h.tell(arrival{link: link, what: parted})
}

func (h handler) tell(a arrival) {
	select {
	case h.l.inbox <- a:
	case <-h.l.stopped:
	}
}

// run is the loop.
func (l *Links) run() {
	defer close(l.stopped)
	ticker := time.NewTicker(time.Hour)
	defer ticker.Stop()
	ticking := false
	for {
		if !ticking && l.node != nil {
			ticking = true
			ticker.Reset(tickEvery)
		}
		select {
		case <-l.stopping:
			return
		case f := <-l.commands:
			f()
		case a := <-l.inbox:
			l.arrived(&a)
		case <-l.o.Intake.wake:
			l.drain()
		case <-ticker.C:
			l.tick(time.Now()) // the ticker's own time is that of when it should have ticked
		}
		if l.crew != nil {
			l.crew.flush()
		}
	}
}

func (l *Links) tick(now time.Time) {
	if l.node == nil {
		return
	}
	l.drain()
	l.node.Tick(now)
	l.gauge(now)
	if now.Sub(l.sampled) >= time.Second {
		l.sample(now)
	}
	if now.Sub(l.looked) >= lookEvery {
		l.looked = now
		l.follow(now)
		l.sharing.look(now)
		l.lookAtTrackers(now)
	}
	l.sharing.pump(now)
	if now.Sub(l.keptAt) >= keepEvery {
		l.keep(now)
	}
}

// end does what is left when the loop has ended.
func (l *Links) end() error {
	if l.node != nil {
		l.drain()
		l.crew.close()
	}
	l.sharing.close()
	return l.keepAtEnd()
}

// drain tells the node what has changed in the store.
func (l *Links) drain() {
	if l.node == nil {
		return
	}
	now := time.Now()
	l.crew.beforeLanes()
	for i := range l.o.Intake.lanes {
		began, forgotten := l.o.Intake.lanes[i].take(func(c *swarm.Change) { l.local(now, c) })
		if l.drained.IsZero() || !began.IsZero() && began.Before(l.drained) {
			l.drained = began
		}
		if forgotten != nil {
			l.recover(i, forgotten)
		}
	}
}

// local takes in a change of the store.
func (l *Links) local(now time.Time, c *swarm.Change) {
	l.changed = l.changed || c.Kind == swarm.DownloadCount
	races := l.crew.mayRace(c)
	if c.Kind == swarm.PeerGone && now.Sub(c.Peer.Last) >= l.o.Tracker.Lifetime()-2*time.Second { // stores keep whole seconds
		c.Peer.Last = now.Add(-l.lifetime) // for the node, which does not hear of it where lifetimes are made shorter
		races = false                      // it has said nothing
	}
	l.node.Local(now, c)
	if races {
		l.crew.settleRace(c)
	}
}

// session is one connection, as the loop has it.
type session struct {
	carried *carrier.Link
	name    string // of the neighbour, as the node has it
	id      core.LinkID
	rights  carrier.Rights
	up      bool
	healed  bool                // once
	any     bittorrent.InfoHash // that may cross the link, for messages about many or none
	files   *exchange

	hasTold      bool // of trackers
	toldTrackers []byte
}

// arrived takes what a link tells.
func (l *Links) arrived(a *arrival) {
	now := time.Now()
	s := l.carried[a.link]
	switch {
	case a.what == opened:
		l.open(now, a.link, a.of)
	case s == nil:
		// The node has closed it.
	case a.what == received:
		l.node.Receive(now, s.id, a.message)
	default:
		l.sample(now)
		l.forget(s)
		l.node.Shut(now, s.id)
		l.withdraw(now, s.name)
	}
}

func (l *Links) open(now time.Time, link *carrier.Link, of string) {
	if !l.isThere(of) {
		link.Close("the link was dropped", 0) // while this was on its way to the loop
		return
	}
	s := &session{carried: link, rights: link.Rights(), name: of}
	k := l.know(s.name)
	k.display, k.rights = link.Name(), link.Rights()
	l.withdraw(now, of)
	l.opening = s
	l.carried[link] = s
	o := l.optionsOf(s)
	if len(o.Torrents) > 0 {
		s.any = o.Torrents[0]
	}
	id := l.node.Open(now, o)
	if l.opening == s { // nothing was sent, so it has no number yet
		l.number(id)
	}
}

// isThere reports whether a neighbour, as the node has it, is to be linked still.
func (l *Links) isThere(name string) bool {
	if name == hubKey {
		_, leaf := l.ends()
		return leaf != nil
	}
	_, known := l.book.Find(name)
	return known
}

// withdraw forgets the peers that a leaf told of which may not do so any more. While it is
// connected, that waits until it is not: it is to come again with its new rights.
func (l *Links) withdraw(now time.Time, name string) {
	leaf, known := l.book.Find(name)
	if l.node == nil || !known || leaf.Rights.Send {
		return
	}
	for _, f := range l.node.Links() {
		if f.Name == name && f.Peers > 0 && f.Link == 0 {
			peers := l.node.Revoke(now, name)
			l.o.Log.Info("a leaf may not tell of peers any more: those that it told of are forgotten", "leaf", name, "peers", peers)
		}
	}
}

// number gives the session that is being opened its number.
func (l *Links) number(id core.LinkID) *session {
	s := l.opening
	if s != nil {
		s.id = id
		l.sessions[id] = s
		l.opening = nil
	}
	return s
}

func (l *Links) session(id core.LinkID) *session {
	if s := l.sessions[id]; s != nil {
		return s
	}
	return l.number(id)
}

func (l *Links) forget(s *session) {
	delete(l.sessions, s.id)
	delete(l.carried, s.carried)
	l.sharing.end(s)
}

// follow has the node hold the torrents that the catalogue lists, where only those are
// served; else it sees to it that those which are served again have their peers.
func (l *Links) follow(now time.Time) {
	if l.o.Catalog == nil || l.o.Catalog.Version() == l.heldAt && l.restored {
		return
	}
	all, version := l.o.Catalog.ByName()
	l.heldAt, l.restored = version, true
	next := map[bittorrent.InfoHash]struct{}{}
	for _, t := range all {
		if t.Active() != l.o.Listed {
			continue
		}
		for _, h := range t.InfoHashes() {
			next[h] = struct{}{}
			if _, had := l.held[h]; !had && l.o.Listed {
				l.node.Hold(now, h)
			}
		}
	}
	for h := range l.held {
		if _, has := next[h]; has {
			continue
		}
		if l.o.Listed {
			l.node.Release(now, h)
		} else {
			l.putAgain(h)
		}
	}
	l.held = next
}

// putAgain gives the store what others told of a torrent while that was not served, which
// the tracker left out.
func (l *Links) putAgain(h bittorrent.InfoHash) {
	for p := range l.node.Peers(h) {
		if p.Origin != l.life.origin {
			l.crew.add(&deed{what: put, hash: h, peer: p.Peer})
		}
	}
	if total := l.node.Total(h); total > 0 {
		l.crew.add(&deed{what: completed, hash: h, total: total})
	}
}

// begin makes the node, and claims what the store has. It is called before the loop
// runs, or by it.
func (l *Links) begin(ctx context.Context) error {
	if l.node != nil {
		return nil
	}
	life, err := openLife(l.o.Directory, l.o.Log)
	if err != nil {
		return err
	}
	l.life, l.lifetime = life, l.o.Tracker.Lifetime()
	l.crew = newCrew(l.o.Store, l.o.Tracker)
	if life.was != nil {
		l.remember(life.was)
	}
	now := time.Now()
	l.keptAt = now
	l.node = core.New(now, core.Options{
		Name: l.o.Name, Software: l.o.Software, Origin: life.origin, Counter: life.counter, Former: life.former,
		Lifetime: l.lifetime, Doubt: l.o.Doubt, MaxPeers: l.o.MaxPeers, Listed: l.o.Listed, Relay: l.isHub(),
	}, host{l})
	l.follow(now)
	l.o.Intake.on.Store(true)
	if err = l.claim(ctx, now); err == nil {
		l.catchUp(ctx, now)
		err = wholefile.Write(life.path, l.state(false).encode())
	}
	if err != nil {
		l.o.Intake.on.Store(false)
		l.crew.close()
		l.node, l.crew, l.life = nil, nil, nil
		l.held, l.restored = nil, false
	}
	return err
}

// remember takes in what a life before knew of neighbours.
func (l *Links) remember(was *state) {
	for _, name := range was.Came {
		l.know(name).came = true
	}
	for name, at := range was.Agreed {
		l.know(name).agreed = time.Unix(at, 0)
	}
	l.sharing.remember(was)
}
