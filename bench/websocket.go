package bench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"runtime"

	"waggle/bench/population"
	"waggle/bench/stream"
	"waggle/bittorrent"
)

// webSocketWorker loads over WebSocket: a connection for each peer of its groups, all of
// which answer the offers that they are told of.
type webSocketWorker struct {
	*common
	streams   stream.Streams
	scripts   []population.Script // of each group
	browsers  []*browser          // by number; nil where a group has no such peer
	next      int                 // the group whose turn it is
	toScrape  int                 // announces until the next scrape
	window    int                 // announces under way at most
	open      int                 // connections
	phase     *phase
	finished  bool // has done its part of the phase
	random    *rand.Rand
	masker    *masker
	handshake *handshake
	offers    [][20]byte // of the announce that is written

	in, out []byte // what is read from, and written to, a connection in one go
}

// browser is a peer, whether it is connected or not.
type browser struct {
	number   int
	group    int
	peer     int
	open     bool
	agreed   bool // the handshake is over
	infoHash bittorrent.InfoHash
	peerID   bittorrent.PeerID
	left     int64
	event    bittorrent.Event

	asked       bool // an announce waits for its reply
	meant, sent int64
	scrapes     int // that wait for a reply
	owed        int // replies to announces that were given up

	in      []byte // read, and no whole frame yet
	out     []byte // to be written
	message []byte // the parts of a message that has more
	inParts bool
}

// Faults of a tracker that speaks WebSocket.
var (
	errClosed    = errors.New("a connection that the tracker closed")
	errStranger  = errors.New("an offer or an answer of another torrent")
	errOwnOffer  = errors.New("an offer that came back to who made it")
	errReply     = errors.New("a reply without counts, interval or the info hash that was asked for")
	errNoReply   = errors.New("a reply that nobody asked for")
	errWithoutID = errors.New("an offer or an answer without its peer_id and offer_id")
	errNoOffer   = errors.New("an answer to an offer that this peer has not made")
)

// linger is how long nothing must come before a phase is taken to be over: offers may
// still be relayed when all announces have their replies.
const linger = 5 * nap

func newWebSocketWorker(c *common) (*webSocketWorker, error) {
	random := rand.New(rand.NewPCG(c.options.Seed, uint64(c.groups[0].Number())))
	w := &webSocketWorker{
		common:    c,
		scripts:   make([]population.Script, len(c.groups)),
		random:    random,
		masker:    newMasker(random),
		handshake: newHandshake(c.endpoint, random),
		in:        make([]byte, 256<<10),
	}
	var locals []netip.Addr
	most := 0
	for _, g := range c.groups {
		locals = append(locals, c.endpoint.source(g.Number()))
		most = max(most, g.Len())
	}
	w.browsers = make([]*browser, most*len(c.groups))
	for i, g := range c.groups {
		for peer := range g.Len() {
			number := peer*len(c.groups) + i
			w.browsers[number] = &browser{number: number, group: i, peer: peer}
		}
	}
	var err error
	w.streams, err = stream.Dial(len(w.browsers), locals, c.endpoint.addr)
	return w, err
}

func (w *webSocketWorker) close() error { return w.streams.Close() }

func (w *webSocketWorker) run(p *phase) (*tally, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	w.phase, w.finished = p, false
	defer w.finish()
	w.begin(p)
	if err := knock(w.common); err != nil {
		return w.end(), err
	}
	w.begin(p)
	for i, g := range w.groups {
		w.scripts[i] = p.script(g)
	}
	w.toScrape, w.window = p.scrape, p.window
	for busy := w.now(); ; {
		now := w.now()
		heard := w.tally.messagesOut
		err := w.turn(p, now)
		if w.waiting == 0 && (w.pace.over(now) || done(w.scripts)) {
			w.finish()
		}
		if p.busy.Load() > 0 || w.tally.messagesOut != heard {
			busy = now
		}
		patience := int64(linger)
		if p.answering.Load() > 0 {
			patience = int64(w.options.Timeout)
		}
		if err != nil || now-busy >= patience {
			w.tally.open = w.open
			return w.end(), err
		}
	}
}

// finish says that this worker has done its part of a phase. It goes on answering offers
// until all have.
func (w *webSocketWorker) finish() {
	if !w.finished {
		w.finished = true
		w.phase.busy.Add(-1)
	}
}

// turn sends what may be sent, and takes in what comes.
func (w *webSocketWorker) turn(p *phase, now int64) error {
	w.send(p, now)
	w.sending(now)
	w.lose(now)
	w.publish()
	if err := w.silent(now); err != nil {
		return err
	}
	return w.streams.Wait(w.pace.patience(now), w.ready)
}

// send has peers announce, as long as anything may be sent. A peer that still waits for a
// reply does not announce again; where that is most of them, others have a turn later.
func (w *webSocketWorker) send(p *phase, now int64) {
	for tries := 0; tries < w.window && w.waiting < w.window && w.pace.ready(now); tries++ {
		group := w.next
		w.next = (w.next + 1) % len(w.groups)
		if w.scripts[group].Done() {
			continue
		}
		peer, ok := w.scripts[group].Next(&w.announce)
		if !ok {
			continue
		}
		b := w.browsers[peer*len(w.groups)+group]
		if b.asked {
			w.scripts[group].Lost(peer)
			continue
		}
		meant, ok := w.pace.next(now)
		if !ok {
			w.scripts[group].Lost(peer)
			return
		}
		w.ask(b, p, meant, now)
	}
}

// ask has a peer announce, once it is connected; or scrape, where that is due.
func (w *webSocketWorker) ask(b *browser, p *phase, meant, now int64) {
	b.infoHash, b.peerID = w.announce.InfoHash, w.announce.PeerID
	b.left, b.event = w.announce.Left, w.announce.Event
	b.asked, b.meant, b.sent = true, meant, now
	w.tally.sent++
	w.waiting++
	if p.scrape > 0 {
		w.toScrape--
	}
	if b.open {
		w.say(b, p.scrape > 0 && w.toScrape <= 0)
		if w.toScrape <= 0 {
			w.toScrape = p.scrape
		}
		return
	}
	if err := w.streams.Open(b.number); err != nil {
		w.broken(b, err)
		return
	}
	b.open = true
	w.open++
	w.write(b, w.handshake.request)
}

// say writes the announce of a peer, and a scrape behind it.
func (w *webSocketWorker) say(b *browser, scrapes bool) {
	a := bittorrent.AnnounceRequest{InfoHash: b.infoHash, PeerID: b.peerID, Left: b.left, Event: b.event}
	w.offers = w.offers[:0]
	for range w.options.Offers {
		w.offers = append(w.offers, offerID(b.number, b.meant, w.random.Uint64()))
	}
	w.out = appendAnnounce(w.masker.begin(w.out[:0]), &a, w.offers)
	w.out = w.masker.end(w.out, 0, text)
	w.tally.messagesIn++
	if scrapes {
		w.hashes = w.groups[b.group].AppendScrape(w.hashes[:0], w.random)
		start := len(w.out)
		w.out = w.masker.end(appendScrape(w.masker.begin(w.out), w.hashes), start, text)
		w.tally.messagesIn++
		w.tally.sent++
		w.waiting++
		b.scrapes++
	}
	w.write(b, w.out)
}

// offerID returns the id of an offer: whose it is, and when it was meant to be sent. Like
// real ones it is twenty bytes of any value, so that JSON has escapes and long code points
// to write.
func offerID(browser int, meant int64, random uint64) (id [20]byte) {
	binary.BigEndian.PutUint64(id[:], random)
	binary.BigEndian.PutUint64(id[8:], uint64(meant)^random*spreading)
	binary.BigEndian.PutUint32(id[16:], uint32(browser)^uint32(random))
	return id
}

// spreading makes a number look like another random one.
const spreading = 0x9e3779b97f4a7c15

// readOfferID returns what offerID was given.
func readOfferID(id [20]byte) (browser int, meant int64) {
	random := binary.BigEndian.Uint64(id[:])
	return int(binary.BigEndian.Uint32(id[16:]) ^ uint32(random)), int64(binary.BigEndian.Uint64(id[8:]) ^ random*spreading)
}

// write writes what fits; the rest goes out when there is room.
func (w *webSocketWorker) write(b *browser, what []byte) {
	if len(b.out) > 0 {
		b.out = append(b.out, what...)
		what = b.out
	}
	n, err := w.streams.Write(b.number, what)
	switch left := what[n:]; {
	case err != nil:
		w.fault(b, err)
	case len(left) == 0:
		b.out = nil
	case len(b.out) > 0:
		b.out = b.out[:copy(b.out, left)]
	default:
		b.out = append(b.out, left...)
	}
}

// fault is the end of a connection that the network tells of.
func (w *webSocketWorker) fault(b *browser, err error) {
	if errors.Is(err, io.EOF) {
		err = errClosed
	}
	w.broken(b, err)
}

// broken gives up a connection, and what is under way on it.
func (w *webSocketWorker) broken(b *browser, err error) {
	if b.asked {
		w.tally.fail(err)
		w.lost(b)
	} else {
		w.tally.note(err)
	}
	for ; b.scrapes > 0; b.scrapes-- {
		w.tally.fail(err)
		w.waiting--
	}
	w.shut(b)
	w.broke = true
}

// shut closes a connection, of which nothing is left.
func (w *webSocketWorker) shut(b *browser) {
	if b.open {
		w.streams.Shut(b.number)
		w.open--
	}
	b.open, b.agreed, b.inParts, b.owed = false, false, false, 0
	b.in, b.out, b.message = nil, nil, nil
}

func (w *webSocketWorker) lost(b *browser) {
	b.asked = false
	w.waiting--
	w.scripts[b.group].Lost(b.peer)
}

// ready writes what is left to be written, and takes in what has come.
func (w *webSocketWorker) ready(number int) {
	b := w.browsers[number]
	if b.open && len(b.out) > 0 {
		w.write(b, nil)
	}
	if !b.open {
		return
	}
	kept := copy(w.in, b.in)
	n, err := w.streams.Read(number, w.in[kept:])
	if err != nil {
		w.fault(b, err)
		return
	}
	left, err := w.hearAll(b, w.in[:kept+n])
	if err != nil {
		w.broken(b, err)
		return
	}
	if !b.open {
		return
	}
	if len(left) == 0 {
		b.in = nil
		return
	}
	if b.in = append(b.in[:0], left...); kept+n == len(w.in) && len(left) == len(w.in) {
		w.in = append(w.in, make([]byte, len(w.in))...) // a frame that is larger
	}
}

// hearAll takes all that is whole, and returns what is left.
func (w *webSocketWorker) hearAll(b *browser, in []byte) (left []byte, err error) {
	if !b.agreed {
		used, err := w.handshake.read(in)
		if used == 0 || err != nil {
			return in, err
		}
		in, b.agreed = in[used:], true
		if b.asked {
			w.say(b, false)
		}
	}
	w.out = w.out[:0]
	for b.open {
		f, used, err := readFrame(in)
		if err != nil {
			return nil, err
		}
		if used == 0 {
			break
		}
		in = in[used:]
		if err := w.take(b, f); err != nil {
			return nil, err
		}
	}
	if b.open && len(w.out) > 0 {
		w.write(b, w.out)
	}
	return in, nil
}

// take takes a frame, and appends to w.out what is to be said to it.
func (w *webSocketWorker) take(b *browser, f frame) error {
	switch {
	case f.kind == closing:
		return errClosed
	case f.kind == ping:
		start := len(w.out)
		w.out = w.masker.end(append(w.masker.begin(w.out), f.payload...), start, pong)
		return nil
	case f.kind == pong:
		return nil
	case b.inParts != (f.kind == continuation):
		return errParts
	case f.last && !b.inParts:
		return w.hear(b, f.payload)
	case len(b.message)+len(f.payload) > maxBody:
		return errLong
	}
	b.message, b.inParts = append(b.message, f.payload...), true
	if !f.last {
		return nil
	}
	message := b.message
	b.message, b.inParts = nil, false
	return w.hear(b, message)
}

// hear takes a message. An error is the end of the connection: nothing of what comes
// behind it can be trusted.
func (w *webSocketWorker) hear(b *browser, message []byte) error {
	now := w.now()
	w.broke = false
	w.tally.heard = now
	w.tally.messagesOut++
	var s signal
	if err := s.parse(message); err != nil {
		return err
	}
	switch {
	case s.offer != nil || s.answer != nil:
		return w.hearPeer(b, &s, now)
	case is(s.action, "scrape"):
		w.hearScrape(b, &s, now)
	default:
		w.hearReply(b, &s, now)
	}
	return nil
}

// hearPeer takes what another peer has sent by way of the tracker.
func (w *webSocketWorker) hearPeer(b *browser, s *signal, now int64) error {
	if hash, ok := parseBinary(s.infoHash); !ok || hash != b.infoHash {
		return errStranger
	}
	peer, ok1 := parseBinary(s.peerID)
	id, ok2 := parseBinary(s.offerID)
	switch {
	case !ok1 || !ok2:
		return errWithoutID
	case peer == b.peerID:
		return errOwnOffer
	case s.offer != nil:
		w.tally.peers++
		start := len(w.out)
		w.out = w.masker.end(appendAnswer(w.masker.begin(w.out), b.infoHash, b.peerID, s), start, text)
		w.tally.messagesIn++
		w.phase.answering.Add(1)
		return nil
	}
	w.phase.answering.Add(-1)
	browser, meant := readOfferID(id)
	if browser != b.number || meant > now {
		return errNoOffer
	}
	w.tally.met(meant, now)
	return nil
}

// hearReply takes the reply to an announce.
func (w *webSocketWorker) hearReply(b *browser, s *signal, now int64) {
	switch {
	case b.owed > 0:
		b.owed--
		w.tally.late++
		return
	case !b.asked:
		w.tally.note(errNoReply)
		return
	}
	b.asked = false
	w.waiting--
	hash, ok := parseBinary(s.infoHash)
	switch {
	case s.failure != nil:
		w.tally.fail(fmt.Errorf("announce: refused: %s", s.failure))
	case !ok || hash != b.infoHash || s.complete == nil || s.interval == nil:
		w.tally.fail(errReply)
	default:
		w.tally.announces++
		w.tally.answered(b.meant, now)
	}
}

// hearScrape takes the reply to a scrape, which nothing but its order tells from others.
func (w *webSocketWorker) hearScrape(b *browser, s *signal, now int64) {
	if b.scrapes == 0 {
		w.tally.late++
		return
	}
	b.scrapes--
	w.waiting--
	if s.files == nil {
		w.tally.fail(fmt.Errorf("scrape: refused: %s", s.failure))
		return
	}
	w.tally.scrapes++
	w.tally.answered(b.sent, now)
}

// lose gives up what has not been replied to in time. The connection stays: a reply that
// comes after all is told from that to the next announce by their order.
func (w *webSocketWorker) lose(now int64) {
	if !w.timeToLook(now) {
		return
	}
	for _, b := range w.browsers {
		if b == nil || now-b.sent <= int64(w.options.Timeout) {
			continue
		}
		for ; b.scrapes > 0; b.scrapes-- {
			w.tally.timeouts++
			w.waiting--
		}
		if !b.asked {
			continue
		}
		w.tally.timeouts++
		w.lost(b)
		if b.agreed {
			b.owed++
		} else {
			w.shut(b) // and connects anew
		}
	}
}
