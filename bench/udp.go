package bench

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"syscall"
	"time"

	"waggle/bench/datagram"
	"waggle/bench/population"
	"waggle/bittorrent"
)

// udpWorker loads over UDP: a lane for each of its groups.
type udpWorker struct {
	*common
	sockets datagram.Sockets
	lanes   []*lane
	out     datagram.Packets
	refusal error // why there is no connection id, where something says so
}

// lane is a socket, and the requests that are under way on it.
type lane struct {
	socket     int
	group      *population.Group
	script     population.Script
	random     *rand.Rand // what is scraped
	toScrape   int        // announces until the next scrape
	connection uint64
	connected  int64 // when the connection id came
	asked      int64 // when one was asked for last
	stale      bool  // the tracker may have forgotten the connection id
	slots      []slot
	free       []uint16 // numbers of the slots in which nothing is under way
}

// slot is a request under way. Its number and generation are the transaction id.
type slot struct {
	meant, sent int64
	peer        int32
	generation  uint16
	kind        kind
	hashes      uint8 // of a scrape
}

// kind is what a slot holds.
type kind uint8

const (
	nothing kind = iota
	connect
	announce
	scrape
)

// renewal is how old a connection id may become: half of what it is good for.
const renewal = time.Minute

func newUDPWorker(c *common) (*udpWorker, error) {
	w := &udpWorker{common: c}
	var locals []netip.Addr
	for socket, g := range c.groups {
		locals = append(locals, c.endpoint.source(g.Number()))
		l := &lane{
			socket: socket,
			group:  g,
			random: rand.New(rand.NewPCG(c.options.Seed, uint64(g.Number()))),
			slots:  make([]slot, c.options.Window+1), // one is left for connecting
		}
		for n := range l.slots {
			l.free = append(l.free, uint16(n))
		}
		w.lanes = append(w.lanes, l)
	}
	var err error
	w.sockets, err = datagram.Dial(locals, c.endpoint.addr)
	return w, err
}

func (w *udpWorker) close() error { return w.sockets.Close() }

func (w *udpWorker) run(p *phase) (*tally, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	w.begin(p)
	if err := w.connect(p); err != nil {
		return w.end(), err
	}
	w.begin(p)
	for _, l := range w.lanes {
		l.script, l.toScrape = p.script(l.group), p.scrape
	}
	for {
		heard, err := w.turn(p)
		now := w.now()
		if err == nil {
			err = w.silent(now)
		}
		if err != nil || (w.waiting == 0 && (w.pace.over(now) || w.done())) {
			return w.end(), err
		}
		if heard == 0 {
			if err := w.wait(now); err != nil {
				return w.end(), err
			}
		}
	}
}

// turn takes in what has come, and sends what may be sent.
func (w *udpWorker) turn(p *phase) (heard int, err error) {
	for _, l := range w.lanes {
		n, err := w.receive(l)
		if err != nil {
			return heard, err
		}
		heard += n
	}
	now := w.now()
	for _, l := range w.lanes {
		if err := w.send(l, p, now); err != nil {
			return heard, err
		}
	}
	if err := w.spoof(p, now); err != nil {
		return heard, err
	}
	w.sending(now)
	w.lose(now)
	w.publish()
	return heard, nil
}

// spoof sends what is due of announces with a connection id that nobody has been
// given, by all sockets in turn. Nothing should come back.
func (w *udpWorker) spoof(p *phase, now int64) error {
	if p.spoofed == 0 || w.pace.over(now) {
		return nil
	}
	due := int64(float64(now-w.pace.start) * p.spoofed / float64(time.Second))
	l := w.lanes[int(w.tally.spoofed/datagram.Batch)%len(w.lanes)]
	for ; w.tally.spoofed < due && w.out.Len() < datagram.Batch; w.tally.spoofed++ {
		w.announce.Port = 1
		w.out.End(bittorrent.AppendUDPAnnounce(w.out.Begin(), l.connection+1, 0, &w.announce, ""))
	}
	return w.flush(l)
}

func (w *udpWorker) wait(now int64) error {
	if d := w.pace.patience(now); d > 0 {
		return w.sockets.Wait(d)
	}
	return nil
}

func (w *udpWorker) done() bool {
	for _, l := range w.lanes {
		if !l.script.Done() {
			return false
		}
	}
	return true
}

// connectTries is how many connect requests are sent before nobody is there.
const connectTries = 3

// connect gets each lane a fresh connection id.
func (w *udpWorker) connect(p *phase) error {
	started := w.now()
	w.refusal = nil
	for _, l := range w.lanes {
		l.asked, l.stale = started-int64(w.options.Timeout), true
	}
	for {
		now := w.now()
		missing := false
		for _, l := range w.lanes {
			if _, err := w.receive(l); err != nil {
				return err
			}
			missing = missing || l.stale
			w.renew(l, now)
			if err := w.flush(l); err != nil {
				return err
			}
		}
		if !missing {
			return nil
		}
		if p.stop.Load() || errors.Is(w.refusal, syscall.ECONNREFUSED) || now-started > connectTries*int64(w.options.Timeout) {
			return NoTrackerError{w.endpoint.target.URL, w.refusal}
		}
		w.lose(now)
		if err := w.sockets.Wait(nap); err != nil {
			return err
		}
	}
}

// send sends what a lane has room for, in as many batches as that takes.
func (w *udpWorker) send(l *lane, p *phase, now int64) error {
	w.renew(l, now)
	for {
		for w.out.Len() < datagram.Batch && w.ask(l, p, now) {
		}
		full := w.out.Len() >= datagram.Batch
		if err := w.flush(l); err != nil || !full {
			return err
		}
	}
}

// flush sends what has been asked, if anything.
func (w *udpWorker) flush(l *lane) error {
	if w.out.Len() == 0 {
		return nil
	}
	err := w.sockets.Send(l.socket, &w.out)
	w.out.Reset()
	return err
}

// renew asks for a connection id where that is due.
func (w *udpWorker) renew(l *lane, now int64) {
	due := l.stale || now-l.connected > int64(renewal)
	if !due || now-l.asked < int64(w.options.Timeout) || len(l.free) == 0 {
		return
	}
	l.asked = now
	s, transaction := w.take(l, connect, now, now)
	s.peer = -1
	w.out.End(bittorrent.AppendUDPConnect(w.out.Begin(), transaction))
}

// room tells whether another request may be under way, and still leave a slot for
// connecting.
func (l *lane) room(p *phase) bool {
	return len(l.free) > 1 && len(l.slots)-len(l.free) < p.window
}

// ask appends an announce, and a scrape where one is due. It tells whether it did.
func (w *udpWorker) ask(l *lane, p *phase, now int64) bool {
	if !l.room(p) || l.script.Done() {
		return false
	}
	meant, ok := w.pace.next(now)
	if !ok {
		return false
	}
	peer, ok := l.script.Next(&w.announce)
	if !ok {
		return false
	}
	s, transaction := w.take(l, announce, meant, now)
	s.peer = int32(peer)
	w.tally.sent++
	w.out.End(bittorrent.AppendUDPAnnounce(w.out.Begin(), l.connection, transaction, &w.announce, w.endpoint.announce))
	if p.scrape > 0 {
		l.toScrape--
	}
	if p.scrape > 0 && l.toScrape <= 0 && l.room(p) {
		w.askScrape(l, now)
		l.toScrape = p.scrape
	}
	return true
}

func (w *udpWorker) askScrape(l *lane, now int64) {
	w.hashes = l.group.AppendScrape(w.hashes[:0], l.random)
	s, transaction := w.take(l, scrape, now, now)
	s.peer, s.hashes = -1, uint8(len(w.hashes))
	w.tally.sent++
	w.out.End(bittorrent.AppendUDPScrape(w.out.Begin(), l.connection, transaction, w.hashes))
}

// take takes a free slot. The caller has seen that there is one.
func (w *udpWorker) take(l *lane, k kind, meant, now int64) (*slot, uint32) {
	last := len(l.free) - 1
	n := l.free[last]
	l.free = l.free[:last]
	s := &l.slots[n]
	s.meant, s.sent, s.kind = meant, now, k
	s.generation++
	w.waiting++
	return s, uint32(s.generation)<<16 | uint32(n)
}

func (w *udpWorker) release(l *lane, n int) {
	l.slots[n].kind = nothing
	l.free = append(l.free, uint16(n))
	w.waiting--
}

// receive takes in a batch of what has come to a lane.
func (w *udpWorker) receive(l *lane) (int, error) {
	n, err := w.sockets.Receive(l.socket)
	if errors.Is(err, syscall.ECONNREFUSED) {
		w.refusal, err = err, nil
	}
	if n == 0 || err != nil {
		return 0, err
	}
	now := w.now()
	for i := range n {
		w.hear(l, w.sockets.Packet(i), now)
	}
	w.tally.heard = now
	return n, nil
}

// hear finds the request to an answer, and checks the one against the other.
func (w *udpWorker) hear(l *lane, packet []byte, now int64) {
	r, err := bittorrent.ParseUDPResponse(packet)
	if err != nil {
		w.tally.late++ // whatever it was, nobody waits for it
		return
	}
	n := int(uint16(r.TransactionID))
	if n >= len(l.slots) || l.slots[n].kind == nothing || l.slots[n].generation != uint16(r.TransactionID>>16) {
		w.tally.late++
		return
	}
	s := l.slots[n]
	w.release(l, n)
	switch s.kind {
	case connect:
		w.heardConnect(l, r, now)
	case announce:
		err = w.heardAnnounce(r, s.meant, now)
	case scrape:
		err = w.heardScrape(r, int(s.hashes), s.meant, now)
	}
	if err != nil {
		l.stale = l.stale || now-l.connected > int64(time.Second)
		w.tally.fail(err)
	}
}

func (w *udpWorker) heardConnect(l *lane, r bittorrent.UDPResponse, now int64) {
	id, err := r.ConnectionID()
	if err != nil {
		w.refusal = fmt.Errorf("connect: %w", err)
		w.tally.note(w.refusal)
		return
	}
	l.connection, l.connected, l.stale = id, now, false
}

func (w *udpWorker) heardAnnounce(r bittorrent.UDPResponse, meant, now int64) error {
	if err := r.Announce(w.endpoint.addr.Addr().Is6(), &w.response); err != nil {
		return fmt.Errorf("announce: %w", err)
	}
	if err := w.checkPeers(); err != nil {
		return fmt.Errorf("announce: %w", err)
	}
	w.tally.announces++
	w.tally.answered(meant, now)
	return nil
}

func (w *udpWorker) heardScrape(r bittorrent.UDPResponse, hashes int, meant, now int64) error {
	var err error
	if w.counts, err = r.AppendScrapeCounts(w.counts[:0]); err != nil {
		return fmt.Errorf("scrape: %w", err)
	}
	if len(w.counts) != hashes {
		return fmt.Errorf("scrape: %d torrents in an answer where %d were asked for", len(w.counts), hashes)
	}
	w.tally.scrapes++
	w.tally.answered(meant, now)
	return nil
}

// lose gives up what has not been answered in time.
func (w *udpWorker) lose(now int64) {
	if !w.timeToLook(now) {
		return
	}
	for _, l := range w.lanes {
		for n := range l.slots {
			if s := &l.slots[n]; s.kind != nothing && now-s.sent > int64(w.options.Timeout) {
				w.lost(l, n, now)
			}
		}
	}
}

func (w *udpWorker) lost(l *lane, n int, now int64) {
	s := l.slots[n]
	w.release(l, n)
	switch s.kind {
	case connect:
		return
	case announce:
		l.script.Lost(int(s.peer))
	}
	w.tally.timeouts++
	// A tracker that was started again drops what comes with an old connection id.
	l.stale = l.stale || now-l.connected > int64(2*w.options.Timeout)
}
