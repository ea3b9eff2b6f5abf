package bench

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"runtime"

	"waggle/bench/population"
	"waggle/bench/stream"
	"waggle/bittorrent"
)

// httpWorker loads over HTTP: a number of connections, dealt out to its groups.
type httpWorker struct {
	*common
	streams  stream.Streams
	scripts  []population.Script // of each group
	conns    []*conn
	idle     []*conn    // with room for another request
	spare    []*conn    // memory for them
	random   *rand.Rand // what is scraped
	toScrape int        // announces until the next scrape
	closing  bool       // the server closes behind every answer, whatever it is asked for

	announceHead, scrapeHead, tail []byte // of a request, around the query
}

// conn is a connection, or the place of one that is not open.
type conn struct {
	number int
	group  int
	open   bool
	idle   bool    // is among the idle ones
	ending bool    // the last answer has come, and the end has not
	since  int64   // when it began to end
	out    []byte  // to be written
	in     []byte  // read, and not taken for an answer yet
	asked  []asked // in the order in which they will be answered
	had    int     // answers, since it was opened
}

// asked is a request under way.
type asked struct {
	meant, sent int64
	peer        int
	kind        kind
}

// Faults of a server that answers.
var (
	errUnasked = errors.New("an answer that nobody asked for")
	errOpen    = errors.New("a connection that the server leaves open, having said that it would close it")
)

func newHTTPWorker(c *common) (*httpWorker, error) {
	w := &httpWorker{
		common:       c,
		scripts:      make([]population.Script, len(c.groups)),
		random:       rand.New(rand.NewPCG(c.options.Seed, uint64(c.groups[0].Number()))),
		announceHead: []byte("GET " + c.endpoint.announce),
		scrapeHead:   []byte("GET " + c.endpoint.scrape),
		tail:         []byte(" HTTP/1.1\r\nHost: " + c.endpoint.host + "\r\nUser-Agent: waggle-bench\r\n"),
	}
	if c.options.Connection == OneAnnounce {
		w.tail = append(w.tail, "Connection: close\r\n"...)
	}
	w.tail = append(w.tail, lineEnd...)
	var locals []netip.Addr
	for _, g := range c.groups {
		locals = append(locals, c.endpoint.source(g.Number()))
	}
	for n := range max(c.options.Connections, len(c.groups)) {
		w.conns = append(w.conns, &conn{
			number: n,
			group:  n % len(c.groups),
			in:     make([]byte, 0, 4096),
		})
	}
	var err error
	w.streams, err = stream.Dial(len(w.conns), locals, c.endpoint.addr)
	return w, err
}

func (w *httpWorker) close() error { return w.streams.Close() }

func (w *httpWorker) run(p *phase) (*tally, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	w.begin(p)
	if err := knock(w.common); err != nil {
		return w.end(), err
	}
	w.begin(p)
	for i, g := range w.groups {
		w.scripts[i] = p.script(g)
	}
	w.toScrape = p.scrape
	for _, c := range w.conns {
		w.rest(c)
	}
	for {
		now := w.now()
		err := w.turn(p, now)
		if err != nil || (w.waiting == 0 && (w.pace.over(now) || done(w.scripts))) {
			w.shutAll()
			return w.end(), err
		}
	}
}

// knock looks whether anyone is there at all.
func knock(c *common) error {
	visitor, err := net.DialTimeout("tcp", c.endpoint.addr.String(), connectTries*c.options.Timeout) //nolint:noctx // the time-out ends it
	if err != nil {
		return NoTrackerError{c.endpoint.target.URL, err}
	}
	return visitor.Close()
}

// turn sends what may be sent, and takes in what comes.
func (w *httpWorker) turn(p *phase, now int64) error {
	w.send(p, now)
	w.sending(now)
	w.lose(now)
	w.publish()
	if err := w.silent(now); err != nil {
		return err
	}
	return w.streams.Wait(w.pace.patience(now), w.ready)
}

// shutAll leaves nothing open for the next phase, in which the server may long have
// closed it.
func (w *httpWorker) shutAll() {
	for _, c := range w.conns {
		if c.open {
			w.shut(c)
		}
	}
}

// room tells whether another request may be sent.
func (w *httpWorker) room(c *conn) bool {
	switch {
	case c.ending:
		return false
	case w.options.Connection == OneAnnounce, w.closing:
		return !c.open && len(c.asked) == 0
	}
	return len(c.asked) < w.options.Pipeline
}

// rest puts a connection among the idle ones, where it has room.
func (w *httpWorker) rest(c *conn) {
	if !c.idle && w.room(c) {
		c.idle = true
		w.idle = append(w.idle, c)
	}
}

// send gives idle connections something to ask, as long as anything may be sent.
func (w *httpWorker) send(p *phase, now int64) {
	if !w.pace.ready(now) {
		return
	}
	rested := w.idle
	w.idle = w.spare[:0]
	w.spare = rested
	for _, c := range rested {
		c.idle = false
		for w.room(c) && w.ask(c, p, now) {
		}
		if len(c.out) > 0 {
			w.write(c)
		}
		w.rest(c)
	}
}

// ask appends an announce, or a scrape where one is due, to what is to be written. It
// tells whether it did.
func (w *httpWorker) ask(c *conn, p *phase, now int64) bool {
	if p.scrape > 0 && w.toScrape <= 0 && !w.pace.over(now) {
		w.toScrape = p.scrape
		w.hashes = w.groups[c.group].AppendScrape(w.hashes[:0], w.random)
		c.out = bittorrent.AppendHTTPScrape(append(c.out, w.scrapeHead...), w.hashes)
		w.asks(c, asked{now, now, -1, scrape})
		return true
	}
	if w.scripts[c.group].Done() {
		return false
	}
	meant, ok := w.pace.next(now)
	if !ok {
		return false
	}
	peer, ok := w.scripts[c.group].Next(&w.announce)
	if !ok {
		return false
	}
	w.toScrape--
	c.out = bittorrent.AppendHTTPAnnounce(append(c.out, w.announceHead...), &w.announce)
	w.asks(c, asked{meant, now, peer, announce})
	return true
}

// asks completes a request, and remembers it.
func (w *httpWorker) asks(c *conn, a asked) {
	c.out = append(c.out, w.tail...)
	c.asked = append(c.asked, a)
	w.tally.sent++
	w.waiting++
}

// write writes what fits; the rest goes out when there is room.
func (w *httpWorker) write(c *conn) {
	if !c.open {
		if err := w.streams.Open(c.number); err != nil {
			w.broken(c, err)
			return
		}
		c.open = true
	}
	n, err := w.streams.Write(c.number, c.out)
	if err != nil {
		w.fault(c, err)
		return
	}
	c.out = c.out[:copy(c.out, c.out[n:])]
}

// fault is what to do about the end of a connection that no answer has told of.
func (w *httpWorker) fault(c *conn, err error) {
	switch {
	case c.had > 0 && len(c.in) == 0:
		w.closed(c)
	case errors.Is(err, io.EOF):
		w.broken(c, errCut)
	default:
		w.broken(c, err)
	}
}

// broken gives up what is under way on a connection.
func (w *httpWorker) broken(c *conn, err error) {
	for _, a := range c.asked {
		w.tally.fail(err)
		w.lost(c, a)
	}
	if len(c.asked) == 0 {
		w.tally.note(err)
	}
	w.shut(c)
	w.broke = true
}

// closed takes back requests that crossed the end of a connection: the server closed
// it after an answer, and has read nothing of them.
func (w *httpWorker) closed(c *conn) {
	w.closing = w.closing || (c.had == 1 && len(c.asked) > 0)
	for _, a := range c.asked {
		w.tally.sent--
		w.lost(c, a)
		if a.kind == announce {
			w.pace.sent--
		}
	}
	w.shut(c)
}

func (w *httpWorker) lost(c *conn, a asked) {
	w.waiting--
	if a.kind == announce {
		w.scripts[c.group].Lost(a.peer)
	}
}

// shut closes a connection, of which nothing is left.
func (w *httpWorker) shut(c *conn) {
	if c.open {
		w.streams.Shut(c.number)
	}
	c.open, c.ending, c.had = false, false, 0
	c.out, c.in, c.asked = c.out[:0], c.in[:0], c.asked[:0]
	w.rest(c)
}

// ready writes what is left of the requests, and takes in what has come.
func (w *httpWorker) ready(number int) {
	c := w.conns[number]
	if c.open && len(c.out) > 0 {
		w.write(c)
	}
	if !c.open {
		return
	}
	if len(c.in) == cap(c.in) {
		c.in = append(c.in, 0)[:len(c.in)]
	}
	n, err := w.streams.Read(number, c.in[len(c.in):cap(c.in)])
	ended := errors.Is(err, io.EOF)
	if err != nil && (!ended || len(c.in) == 0) {
		w.fault(c, err)
		return
	}
	c.in = c.in[:len(c.in)+n]
	err = w.hearAll(c, ended)
	switch {
	case err != nil:
		w.broken(c, err)
	case ended && c.open:
		w.shut(c)
	default:
		w.rest(c)
	}
}

// hearAll takes all answers that are whole.
func (w *httpWorker) hearAll(c *conn, ended bool) error {
	now := w.now()
	left := c.in
	for len(c.asked) > 0 {
		answer, used, err := readAnswer(left, ended)
		if err != nil {
			return err
		}
		if used == 0 {
			break
		}
		left = left[used:]
		w.hear(c, answer, now)
		if answer.last || w.closing {
			c.ending, c.since = true, now
			if len(c.asked) > 0 {
				w.closed(c)
				return nil
			}
		}
	}
	if len(c.asked) == 0 && len(left) > 0 {
		return errUnasked
	}
	c.in = c.in[:copy(c.in, left)]
	return nil
}

// hear checks the answer to the first of the requests.
func (w *httpWorker) hear(c *conn, answer httpAnswer, now int64) {
	c.had++
	a := c.asked[0]
	c.asked = c.asked[:copy(c.asked, c.asked[1:])]
	w.waiting--
	w.broke = false
	w.tally.heard = now
	if err := w.check(a.kind, answer); err != nil {
		w.tally.fail(err)
		return
	}
	if a.kind == announce {
		w.tally.announces++
	} else {
		w.tally.scrapes++
	}
	w.tally.answered(a.meant, now)
}

func (w *httpWorker) check(k kind, answer httpAnswer) error {
	if answer.status != http.StatusOK {
		return fmt.Errorf("status %d", answer.status)
	}
	if k == scrape {
		if _, _, err := bittorrent.ParseHTTPScrapeResponse(answer.body, w.hashes[0]); err != nil {
			return fmt.Errorf("scrape: %w", err)
		}
		return nil
	}
	if err := bittorrent.ParseHTTPAnnounceResponse(answer.body, &w.response); err != nil {
		return fmt.Errorf("announce: %w", err)
	}
	return w.checkPeers()
}

// lose gives up connections on which an answer, or the end, has not come in time.
func (w *httpWorker) lose(now int64) {
	if !w.timeToLook(now) {
		return
	}
	limit := int64(w.options.Timeout)
	for _, c := range w.conns {
		switch {
		case len(c.asked) > 0 && now-c.asked[0].sent > limit:
			for _, a := range c.asked {
				w.tally.timeouts++
				w.lost(c, a)
			}
			w.shut(c)
		case c.ending && now-c.since > limit:
			w.tally.note(errOpen)
			w.shut(c)
		}
	}
}
