package carrier

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"
)

// ownPrefix begins the subjects of the NATS inside a hub.
const ownPrefix = "waggle"

// HubOptions are what a hub needs. Either Listen or Outside is given.
type HubOptions struct {
	Book *Book  // the leaves that may come; beside it is the hub's key
	Name string // of this hub, for its leaves

	Listen  string   // host:port for the NATS inside; no host: all addresses; port 0: a free one
	Outside *Outside // a NATS that is there already

	Handler Handler
	Log     *slog.Logger     // nil: the default one
	Now     func() time.Time // what certificates and the book go by; nil: time.Now
	Dial    Dial             // for Outside; nil: a [net.Dialer]'s

	pace        pace // of tests, as is
	connections int  // which 0 makes the usual ones
}

func (o *HubOptions) fill() error {
	if err := CheckName(o.Name); err != nil {
		return err
	}
	if (o.Listen == "") == (o.Outside == nil) {
		return errors.New("a hub has an address to listen on, or the URL of a NATS")
	}
	if o.Outside != nil {
		if err := o.Outside.Check(); err != nil {
			return err
		}
	}
	o.Log, o.Now, o.Dial = orUsual(o.Log, o.Now, o.Dial)
	o.pace, o.connections = cmp.Or(o.pace, usual), cmp.Or(o.connections, maxConnections)
	return nil
}

// Hub has links to all leaves that come. It is safe for use by many goroutines.
type Hub struct {
	o      HubOptions
	inside *inside // nil over a NATS that is there already
	cancel context.CancelFunc
	works  sync.WaitGroup
	said   *said // of leaves, and of the hub itself
	shown  *said // of strangers, who must not keep the others out of the log

	mu      sync.Mutex
	desks   map[string]*desk
	trouble map[string]Status // by the leaf's name: why it is not there
	outside error             // why there is no connection to the NATS outside
	stopped bool
}

// NewHub begins to take links. Errors are of the options, of the key beside the book,
// or that the address cannot be listened on. A NATS outside may be there or not: it is
// tried until [Hub.Close].
func NewHub(o HubOptions) (*Hub, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	h := &Hub{
		o: o, cancel: cancel, said: newSaid(time.Now, time.Minute), shown: newSaid(time.Now, time.Minute),
		desks: make(map[string]*desk), trouble: make(map[string]Status),
	}
	if o.Outside == nil {
		if err := h.listen(); err != nil {
			cancel()
			return nil, err
		}
	} else {
		h.works.Go(func() { h.keepOutside(ctx) })
	}
	h.works.Go(func() { h.look(ctx) })
	return h, nil
}

// Addr returns where the hub listens, or nil over a NATS that was there already.
func (h *Hub) Addr() net.Addr {
	if h.inside == nil {
		return nil
	}
	return h.inside.server.Addr()
}

// Close ends all links, tells the leaves, and waits until nothing is left of the hub.
func (h *Hub) Close() {
	h.mu.Lock()
	h.stopped = true
	h.mu.Unlock()
	h.cancel()
	var desks sync.WaitGroup
	for _, d := range h.allDesks() {
		desks.Go(func() { d.close("the hub stops", 0) })
	}
	desks.Wait()
	if h.inside != nil {
		h.inside.server.Shutdown()
		h.inside.server.WaitForShutdown()
	}
	h.works.Wait()
}

// Reset closes the link of a leaf, which comes again at once. It reports whether there
// was one.
func (h *Hub) Reset(name string) bool {
	link := h.Link(name)
	if link != nil {
		link.Close("the link is reset at the hub", 0)
	}
	return link != nil
}

// Revoke strikes a leaf out of the book and closes its link at once.
func (h *Hub) Revoke(name string) error {
	if err := h.o.Book.Revoke(name); err != nil {
		return err
	}
	h.check()
	return nil
}

// Link returns the open link of a leaf, or nil.
func (h *Hub) Link(name string) *Link {
	h.mu.Lock()
	d := h.desks[name]
	h.mu.Unlock()
	if d == nil {
		return nil
	}
	return d.open()
}

// Links returns how the links of all leaves in the book are, by name.
func (h *Hub) Links() []Status {
	var all []Status
	for _, leaf := range h.o.Book.All() {
		s := Status{Name: leaf.Name, State: Absent}
		if link := h.Link(leaf.Name); link != nil {
			s.State, s.Link, s.Address, s.Since = Active, link, link.address, link.began
		} else {
			h.fillStatus(&s)
		}
		all = append(all, s)
	}
	return all
}

// fillStatus writes why a leaf is not there.
func (h *Hub) fillStatus(s *Status) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if trouble, ok := h.trouble[s.Name]; ok {
		*s = trouble
	}
	if h.outside != nil {
		s.State, s.Why = Split, h.outside.Error()
	}
}

// turnedAway takes note of somebody who was refused, and says so in the log, but not
// the same all the time. A stranger has no name.
func (h *Hub) turnedAway(name, address, words string) {
	said := h.shown
	if name != "" {
		said = h.said
		h.note(Status{Name: name, State: Refused, Why: words, Address: address, Since: h.o.Now()})
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	if said.fresh(host + " " + name + " " + words) {
		h.o.Log.Warn("a link was refused", "leaf", name, "address", address, "why", words)
	}
}

// note keeps why a leaf of the book is not there.
func (h *Hub) note(s Status) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, known := h.o.Book.Find(s.Name); known {
		h.trouble[s.Name] = s
	}
}

// parted takes note of why a link was closed.
func (h *Hub) parted(l *Link) {
	why := l.reason()
	s := Status{Name: l.name, State: Split, Why: why.Error(), Address: l.address, Since: h.o.Now()}
	pause, _ := l.parting()
	level := slog.LevelWarn
	var farewell *Bye
	if errors.As(why, &farewell) {
		s.Why, pause = "the leaf says: "+farewell.Words, farewell.Wait
	}
	switch {
	case pause > 0:
		s.State = Refused // somebody must do something
	case farewell != nil, errors.Is(why, ErrClosed):
		level = slog.LevelInfo
	}
	h.note(s)
	h.o.Log.Log(context.Background(), level, "the link of a leaf is closed", "leaf", l.name, "address", l.address, "why", s.Why)
}

// look looks after what changes by itself, every half beat, until ctx ends.
func (h *Hub) look(ctx context.Context) {
	ticker := time.NewTicker(h.o.pace.beat / 2)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			h.check()
		}
	}
}

// check closes the links of leaves that were struck out, or got other rights, or whose
// connection is gone.
func (h *Hub) check() {
	if err := h.o.Book.Refresh(); err != nil && h.said.fresh(err.Error()) {
		h.o.Log.Error("the book of leaves cannot be read; those that were in it may still come", "error", err)
	}
	for _, d := range h.allDesks() {
		leaf, known := h.o.Book.Find(d.name)
		link := d.open()
		switch {
		case !known:
			h.strike(d.name)
		case link != nil && !link.rights.equal(&leaf.Rights):
			link.Close("the rights of this link were changed at the hub", 0)
		}
	}
	if h.inside != nil {
		h.inside.sweep(h)
	}
}

// strike closes the desk of a leaf that is in the book no more. It does not wait, as the
// handler may be the one who calls.
func (h *Hub) strike(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.trouble, name)
	d := h.desks[name]
	if h.stopped || d == nil || d.isShut() {
		return
	}
	h.works.Go(func() {
		d.close("the invitation was revoked: ask the hub's owner for another", 2*time.Second)
		h.dropDesk(d)
	})
}

// session returns which connection has the session of a leaf, also one that ends; 0: none.
func (h *Hub) session(name string) uint64 {
	h.mu.Lock()
	d := h.desks[name]
	h.mu.Unlock()
	if d == nil {
		return 0
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.link == nil {
		return 0
	}
	return d.link.client
}

func (h *Hub) allDesks() []*desk {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []*desk
	for _, d := range h.desks {
		all = append(all, d)
	}
	return all
}

func (h *Hub) dropDesk(d *desk) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.desks[d.name] == d {
		delete(h.desks, d.name)
	}
}
