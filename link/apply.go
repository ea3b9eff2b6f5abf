package link

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// appliers is how many goroutines put into the store what other trackers tell. Each has
// the torrents whose info hashes begin alike, so that what happens to a peer stays in its
// order.
const appliers = 4

// deedsAtOnce is how many deeds are handed over together, and handovers how many such
// batches may wait for an applier. With more, the loop waits, and so do the links.
const (
	deedsAtOnce = 256
	handovers   = 4
)

// deed is one thing to be done to the store.
type deed struct {
	what  what
	hash  bittorrent.InfoHash
	peer  swarm.Peer // put: all of it; remove: its address
	total uint32     // of completed
	done  chan<- struct{}

	number uint64 // of those of its applier, in their order
}

type what uint8

const (
	put what = iota
	remove
	completed
	barrier // all before it is done
)

// applier puts into the store what is told of some torrents.
type applier struct {
	store   Store
	tracker Tracker
	reply   swarm.Reply
	deeds   chan []deed
	pending []deed // the loop's
	places  *places
	races   races
}

// crew are all appliers. Its methods are the loop's.
type crew struct {
	all     [appliers]applier
	workers sync.WaitGroup
	cancel  context.CancelFunc
}

func newCrew(store Store, tracker Tracker) *crew {
	ctx, cancel := context.WithCancel(context.Background())
	c := &crew{cancel: cancel}
	for i := range c.all {
		a := &c.all[i]
		a.store, a.tracker, a.deeds = store, tracker, make(chan []deed, handovers)
		a.places = newPlaces(tracker, &a.races)
		c.workers.Go(func() { a.run(ctx) })
		for range locators {
			c.workers.Go(func() { a.places.run(ctx) })
		}
	}
	return c
}

// close waits until all that was handed over is done. Who is still being located is left
// out.
func (c *crew) close() {
	c.flush()
	for i := range c.all {
		close(c.all[i].deeds)
	}
	c.cancel()
	c.workers.Wait()
}

func (c *crew) of(h *bittorrent.InfoHash) *applier { return &c.all[h[0]%appliers] }

func (c *crew) add(d *deed) {
	a := c.of(&d.hash)
	a.races.hand(d)
	a.pending = append(a.pending, *d)
	if len(a.pending) >= deedsAtOnce {
		a.hand()
	}
}

func (a *applier) hand() {
	if len(a.pending) > 0 {
		a.deeds <- a.pending
		a.pending = make([]deed, 0, deedsAtOnce)
	}
}

func (c *crew) flush() {
	for i := range c.all {
		c.all[i].hand()
	}
}

// settle waits until all that was handed over is done, but for who is being located.
func (c *crew) settle() {
	done := make(chan struct{}, appliers)
	for i := range c.all {
		a := &c.all[i]
		a.pending = append(a.pending, deed{what: barrier, done: done, number: a.races.handed})
		a.hand()
	}
	for range appliers {
		<-done
	}
}

func (a *applier) run(ctx context.Context) {
	for batch := range a.deeds {
		for i := range batch {
			a.do(ctx, &batch[i])
			a.races.done.Store(batch[i].number)
		}
	}
}

func (a *applier) do(ctx context.Context, d *deed) {
	switch d.what {
	case put:
		a.put(ctx, d)
	case remove:
		a.remove(ctx, d)
	case completed:
		a.complete(ctx, d)
	case barrier:
		d.done <- struct{}{}
	}
}

// context.WithoutCancel: what was handed over is done also where all ends.

func (a *applier) put(ctx context.Context, d *deed) {
	announce := announceOf(d, a.tracker.Lifetime())
	if a.places.holds(&announce) {
		return // the newest counts, once it is known where it is
	}
	if !a.tracker.Locate(&announce) && a.places.add(&announce) {
		return
	}
	a.reply.Reset()
	_ = a.tracker.Relay(context.WithoutCancel(ctx), &announce, &a.reply) // a store in memory takes everything
}

func (a *applier) remove(ctx context.Context, d *deed) {
	announce := announceOf(d, a.tracker.Lifetime())
	announce.Event, announce.Now = bittorrent.EventStopped, time.Now()
	a.places.drop(&announce)
	a.reply.Reset()
	_ = a.tracker.Relay(context.WithoutCancel(ctx), &announce, &a.reply) // as above
}

// complete raises the completed count. The store tells nobody of it: what it tells counts
// as a download that was completed here.
func (a *applier) complete(ctx context.Context, d *deed) {
	if !a.tracker.Serves(&d.hash) {
		return
	}
	counts := [1]bittorrent.ScrapeCounts{}
	err := a.store.Scrape(context.WithoutCancel(ctx), []bittorrent.InfoHash{d.hash}, counts[:])
	if err == nil && counts[0].Downloaded < d.total {
		a.store.RestoreDownloaded(d.hash, d.total)
	}
}

// announceOf returns the announce that makes the store have a peer as another tracker has
// it.
func announceOf(d *deed, lifetime time.Duration) swarm.Announce {
	p := &d.peer
	a := swarm.Announce{From: p.Addr.Addr().Unmap(), Now: p.Last, Relayed: lifetime}
	a.InfoHash, a.PeerID, a.Key, a.Port = d.hash, p.ID, p.Key, p.Addr.Port()
	a.Uploaded, a.Downloaded, a.Left = p.Uploaded, p.Downloaded, p.Left
	switch p.Kind {
	case swarm.Seeder:
		a.Left = 0
	case swarm.PartialSeed:
		a.Event = bittorrent.EventPaused
		a.Left = max(a.Left, 1)
	default:
		a.Left = max(a.Left, 1) // some stores do not keep it
	}
	return a
}

// locators is how many peers an applier has located at a time, and placesRoom how many
// may wait for that. More count as unlocated.
const (
	locators   = 8
	placesRoom = 4096 / appliers
)

// places are peers that are recorded once it is known where they are.
type places struct {
	tracker Tracker
	races   *races
	wake    chan struct{}

	mu      sync.Mutex
	waiting map[who]*swarm.Announce // the newest of each
	queue   []who
	reply   swarm.Reply
}

type who struct {
	hash bittorrent.InfoHash
	addr netip.AddrPort
}

func whoOf(a *swarm.Announce) who { return who{a.InfoHash, a.Addr()} }

func newPlaces(tracker Tracker, races *races) *places {
	return &places{tracker: tracker, races: races, wake: make(chan struct{}, 1), waiting: map[who]*swarm.Announce{}}
}

// holds reports whether a peer waits, and takes what is new of it.
func (p *places) holds(a *swarm.Announce) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.waiting[whoOf(a)]
	if old == nil {
		return false
	}
	*old = *a
	return true
}

// add makes a peer wait, and reports false where there is no room.
func (p *places) add(a *swarm.Announce) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) >= placesRoom || len(p.waiting) >= placesRoom {
		return false
	}
	newest := *a
	p.waiting[whoOf(a)] = &newest
	p.queue = append(p.queue, whoOf(a))
	p.ring()
	return true
}

func (p *places) drop(a *swarm.Announce) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waiting, whoOf(a))
}

func (p *places) ring() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// run locates those who wait, until ctx ends.
func (p *places) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		}
		for {
			next, a, ok := p.next()
			if !ok {
				break
			}
			p.tracker.AwaitLocation(ctx, &a)
			if ctx.Err() != nil {
				return
			}
			p.record(ctx, next, &a)
		}
	}
}

// next returns whose turn it is.
func (p *places) next() (next who, a swarm.Announce, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.queue) > 0 {
		next = p.queue[0]
		p.queue = append(p.queue[:0], p.queue[1:]...)
		if newest := p.waiting[next]; newest != nil {
			if len(p.queue) > 0 {
				p.ring() // for another one
			}
			return next, *newest, true
		}
	}
	return next, a, false
}

// record puts a peer into the store that was located. The lock is held meanwhile, so that
// one that leaves, leaves after it.
func (p *places) record(ctx context.Context, of who, located *swarm.Announce) {
	p.mu.Lock()
	defer p.mu.Unlock()
	newest := p.waiting[of]
	if newest == nil {
		return
	}
	delete(p.waiting, of)
	newest.Location = located.Location
	p.races.markLate(&of.hash, of.addr)
	p.reply.Reset()
	_ = p.tracker.Relay(ctx, newest, &p.reply) // a store in memory takes everything
}
