package link

import (
	"context"
	"time"

	"waggle/bittorrent"
	"waggle/link/carrier"
	"waggle/link/core"
	"waggle/swarm"
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

	sampled time.Time
	looked  time.Time // at the catalogue
	keptAt  time.Time
	changed bool // counters, since

	keeping   chan error
	isKeeping bool

	heldAt   uint64 // version of the catalogue
	held     map[bittorrent.InfoHash]struct{}
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
		case now := <-ticker.C:
			l.tick(now)
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
	if now.Sub(l.sampled) >= time.Second {
		l.sample(now)
	}
	if now.Sub(l.looked) >= lookEvery {
		l.looked = now
		l.follow(now)
		l.sharing.look(now)
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
	for i := range l.o.Intake.lanes {
		forgotten := l.o.Intake.lanes[i].take(func(c *swarm.Change) {
			l.changed = l.changed || c.Kind == swarm.DownloadCount
			l.node.Local(now, c)
		})
		if forgotten != nil {
			l.recover(i, forgotten)
		}
	}
}

// session is one connection, as the loop has it.
type session struct {
	carried *carrier.Link
	name    string // of the neighbour, as the node has it
	id      core.LinkID
	rights  carrier.Rights
	up      bool
	full    uint64 // messages that the carrier did not take
	files   *exchange
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
	}
}

func (l *Links) open(now time.Time, link *carrier.Link, of string) {
	s := &session{carried: link, rights: link.Rights(), name: of}
	k := l.know(s.name)
	k.display, k.rights = link.Name(), link.Rights()
	l.opening = s
	l.carried[link] = s
	id := l.node.Open(now, l.optionsOf(s))
	if l.opening == s { // nothing was sent, so it has no number yet
		l.number(id)
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

// follow has the node hold the torrents that the catalogue lists.
func (l *Links) follow(now time.Time) {
	if !l.o.Listed || l.o.Catalog.Version() == l.heldAt && l.restored {
		return
	}
	all, version := l.o.Catalog.ByName()
	l.heldAt, l.restored = version, true
	next := make(map[bittorrent.InfoHash]struct{}, len(all))
	for _, t := range all {
		if !t.Active() {
			continue
		}
		for _, h := range t.InfoHashes() {
			next[h] = struct{}{}
			if _, had := l.held[h]; !had {
				l.node.Hold(now, h)
			}
		}
	}
	for h := range l.held {
		if _, has := next[h]; !has {
			l.node.Release(now, h)
		}
	}
	l.held = next
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
	l.life = life
	l.crew = newCrew(l.o.Store, l.o.Tracker)
	if life.was != nil {
		for _, name := range life.was.Came {
			l.know(name).came = true
		}
	}
	now := time.Now()
	l.keptAt = now
	l.node = core.New(now, core.Options{
		Name: l.o.Name, Software: l.o.software(), Origin: life.origin, Counter: life.counter, Former: life.former,
		Lifetime: l.o.Tracker.Lifetime(), MaxPeers: l.o.MaxPeers, Listed: l.o.Listed, Relay: l.isHub(),
	}, host{l})
	l.follow(now)
	l.o.Intake.on.Store(true)
	if err = l.claim(ctx, now); err == nil {
		err = writeState(life.path, l.state(false))
	}
	if err != nil {
		l.o.Intake.on.Store(false)
		l.crew.close()
		l.node, l.crew = nil, nil
	}
	return err
}
