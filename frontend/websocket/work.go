package websocket

import (
	"bytes"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"waggle/bittorrent"
	"waggle/frontend"
	"waggle/swarm"
	"waggle/tracker"
)

// work is what it takes to answer messages. It is used for one connection at a time.
type work struct {
	server   *Server
	now      time.Time // the tracker's, when what is being answered was read
	second   uint32    // the server's, then
	tally    *tally    // of those who use it
	since    time.Time // the same of the first whose answers are not written
	answered int       // messages since then
	ready    []*conn   // that something was pushed to, and that are to be flushed

	reader bytes.Reader
	head   [ws.MaxHeaderSize]byte

	request  message
	announce swarm.Announce
	reply    swarm.Reply
	counts   []bittorrent.ScrapeCounts
	out      []byte // the message that is being made
	whose    []byte // the end of all that is passed on for the asker

	// Of the announce that is being decided.
	asker  *conn
	chosen []*conn // whom its offers go to
	joined bool
	visit  tracker.Visit
}

// tally is a place to count in. Each work has one, so that no two add to the same all the
// time.
type tally struct {
	messages, sent, announces, offers, answers, undelivered, failures atomic.Uint64
	frontend.Latency
}

// newWork returns what is counted in the next place.
func (s *Server) newWork() *work {
	w := &work{server: s, tally: &s.tallies[s.nextTally.Add(1)%tallies]}
	w.visit.Record = func(a *swarm.Announce, r *swarm.Reply) {
		w.chosen, w.joined = s.options.Swarms.announce(w.asker, a, r, w.chosen)
	}
	return w
}

// begin takes the time of what was read.
func (w *work) begin() {
	w.now, w.second = w.server.options.Tracker.Now(), w.server.seconds()
	if w.answered == 0 {
		w.since = w.now
	}
}

// end writes what was sent, and counts the messages that were answered.
func (w *work) end() {
	w.flush()
	w.tally.Add(w.server.options.Tracker.Now().Sub(w.since), w.answered)
	w.answered = 0
}

// send pushes a frame, and notes whom to flush.
func (w *work) send(c *conn, op ws.OpCode, payload []byte) {
	if c.push(op, payload) {
		w.ready = append(w.ready, c)
	}
}

// tell sends the message that was made.
func (w *work) tell(c *conn) {
	w.tally.sent.Add(1)
	w.send(c, ws.OpText, w.out)
}

// flush writes what was sent.
func (w *work) flush() {
	for i, c := range w.ready {
		c.flush()
		w.ready[i] = nil // or it would keep a connection
	}
	w.ready = w.ready[:0]
}

// maxRefused is after how many messages in a row that were refused a client is hung up on.
const maxRefused = 100

// errRefused is why a connection is closed.
const errRefused bittorrent.Error = "too many messages that were refused"

// errMemory is why a connection is closed.
const errMemory bittorrent.Error = "this tracker has no memory for another message now: try again later"

// errPanic is what a client is told where waggle is at fault.
const errPanic bittorrent.Error = "the tracker made a mistake; its log tells the operator more"

// message answers a message. It reports false where nothing more is to be answered.
func (w *work) message(c *conn, text []byte) (more bool) {
	w.tally.messages.Add(1)
	w.answered++
	err := w.answer(c, text)
	if err == nil {
		c.refused = 0
		return true
	}
	w.fail(c, err)
	if c.refused++; c.refused >= maxRefused {
		return w.hangUp(c, ws.StatusPolicyViolation, errRefused)
	}
	return true
}

// answer reads a message and answers it. The error is what to tell the client.
func (w *work) answer(c *conn, text []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			w.server.figures.panics.Add(1)
			w.server.options.Log.Error("a fault of waggle's, please report it", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = errPanic
		}
	}()
	m := &w.request
	err = m.parse(text, w.server.options.MaxScrape)
	if limited := w.server.options.Tracker.Admit(c.from(), w.now); limited != nil {
		return limited
	}
	switch {
	case err != nil:
		return err
	case m.action == scrape:
		return w.scrape(c)
	case m.isAnswer():
		return w.passAnswer(c)
	}
	return w.take(c)
}

// fail tells a client why its message was refused: as browsers sort what they hear by
// action and torrent, with these as far as they are known.
func (w *work) fail(c *conn, why error) {
	w.tally.failures.Add(1)
	m := &w.request
	w.out = append(w.out[:0], '{')
	if m.action == scrape {
		w.out = append(w.out, `"action":"scrape"`...)
	} else {
		w.out = append(w.out, `"action":"announce"`...)
	}
	if m.action == announce && len(m.hashes) > 0 {
		w.out = append(w.out, `,"info_hash":`...)
		w.out = appendBinary(w.out, m.hashes[0][:])
	}
	w.out = append(w.out, `,"failure reason":`...)
	w.out = appendText(w.out, why.Error())
	if refusal, ok := errors.AsType[*bittorrent.Refusal](why); ok && refusal.RetryIn > 0 {
		w.out = append(w.out, `,"retry in":`...)
		w.out = strconv.AppendInt(w.out, int64(refusal.RetryIn/time.Minute), 10)
	}
	w.out = append(w.out, '}')
	w.tell(c)
}

// take has an announce decided, answers it, and passes its offers on.
func (w *work) take(c *conn) error {
	m, a, r := &w.request, &w.announce, &w.reply
	*a = swarm.Announce{From: c.from(), Now: w.now}
	a.InfoHash, a.PeerID = m.hashes[0], m.peer
	a.Uploaded, a.Downloaded, a.Left, a.Event = m.uploaded, m.downloaded, m.left, m.event
	a.NumWant = int32(len(m.offers))
	a.Credentials = c.shown()
	if a.Event == bittorrent.EventCompleted && m.seen&hasLeft == 0 {
		a.Left = 0
	}
	member := membership{a.InfoHash, a.PeerID}
	c.makeRoom(member)
	w.asker, w.chosen, w.joined = c, w.chosen[:0], false
	defer w.forget()
	r.Reset()
	w.tally.announces.Add(1)
	err := w.server.options.Tracker.AnnounceBrowser(w.server.context, a, r, &w.visit)
	switch {
	case w.joined:
		c.join(member)
	case a.Event == bittorrent.EventStopped:
		c.part(member)
	}
	if err != nil {
		return err
	}
	w.reportTo(c)
	w.passOffers()
	return nil
}

// forget lets go of connections that may end.
func (w *work) forget() {
	w.asker = nil
	clear(w.chosen)
	w.chosen = w.chosen[:0]
}

// reportTo answers an announce.
func (w *work) reportTo(c *conn) {
	r := &w.reply
	w.out = append(w.out[:0], `{"action":"announce","info_hash":`...)
	w.out = appendBinary(w.out, w.announce.InfoHash[:])
	w.out = append(w.out, `,"complete":`...)
	w.out = strconv.AppendUint(w.out, uint64(r.Complete), 10)
	w.out = append(w.out, `,"incomplete":`...)
	w.out = strconv.AppendUint(w.out, uint64(r.Incomplete), 10)
	w.out = append(w.out, `,"interval":`...)
	w.out = strconv.AppendInt(w.out, max(1, int64(r.Interval/time.Second)), 10)
	if r.Warning != "" {
		w.out = append(w.out, `,"warning message":`...)
		w.out = appendText(w.out, r.Warning)
	}
	w.out = append(w.out, '}')
	w.tell(c)
}

// passOffers passes each offer on to one of those that were chosen.
func (w *work) passOffers() {
	w.sign()
	for i, to := range w.chosen {
		o := &w.request.offers[i]
		if w.pass(to, `"offer":`, o.body, o.id) {
			w.tally.offers.Add(1)
		}
	}
}

// passAnswer passes an answer on to whom it is for. One that nobody waits for any more is
// dropped: the client could do nothing about it.
func (w *work) passAnswer(c *conn) error {
	m := &w.request
	if !w.server.options.Tracker.Serves(&m.hashes[0]) {
		return nil
	}
	to := w.server.options.Swarms.answers(c, &m.hashes[0], &m.peer, &m.to)
	if to == nil {
		w.tally.undelivered.Add(1)
		return nil
	}
	w.sign()
	if w.pass(to, `"answer":`, m.answer, m.offerID) {
		w.tally.answers.Add(1)
	}
	return nil
}

// sign makes the end of what is passed on, which says whose it is.
func (w *work) sign() {
	w.whose = append(w.whose[:0], `,"peer_id":`...)
	w.whose = appendBinary(w.whose, w.request.peer[:])
	w.whose = append(w.whose, `,"info_hash":`...)
	w.whose = appendBinary(w.whose, w.request.hashes[0][:])
	w.whose = append(w.whose, '}')
}

// pass passes on what the asker has for another peer, and has signed. It reports false where
// too much waits for that one.
func (w *work) pass(to *conn, name string, body, id []byte) (passed bool) {
	w.out = append(w.out[:0], `{"action":"announce",`...)
	w.out = append(w.out, name...)
	w.out = append(w.out, body...)
	w.out = append(w.out, `,"offer_id":`...)
	w.out = append(w.out, id...)
	w.out = append(w.out, w.whose...)
	taken, flush := to.relay(w.out)
	if flush {
		w.ready = append(w.ready, to)
	}
	if !taken {
		w.tally.undelivered.Add(1)
		return false
	}
	w.tally.sent.Add(1)
	return true
}

// scrape answers a scrape.
func (w *work) scrape(c *conn) error {
	w.announce.Credentials = c.shown()
	if err := w.server.options.Tracker.EnterScrape(&w.announce.Credentials, w.now); err != nil {
		return err
	}
	hashes := w.request.hashes
	w.counts = append(w.counts[:0], make([]bittorrent.ScrapeCounts, len(hashes))...)
	if err := w.server.options.Tracker.Scrape(w.server.context, hashes, w.counts); err != nil {
		return err
	}
	w.out = append(w.out[:0], `{"action":"scrape","files":{`...)
	for i := range hashes {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		w.out = appendBinary(w.out, hashes[i][:])
		w.out = append(w.out, `:{"complete":`...)
		w.out = strconv.AppendUint(w.out, uint64(w.counts[i].Complete), 10)
		w.out = append(w.out, `,"incomplete":`...)
		w.out = strconv.AppendUint(w.out, uint64(w.counts[i].Incomplete), 10)
		w.out = append(w.out, `,"downloaded":`...)
		w.out = strconv.AppendUint(w.out, uint64(w.counts[i].Downloaded), 10)
		w.out = append(w.out, '}')
	}
	w.out = append(w.out, `},"flags":{"min_request_interval":`...)
	w.out = strconv.AppendInt(w.out, int64(w.server.options.Tracker.MinInterval()/time.Second), 10)
	w.out = append(w.out, "}}"...)
	w.tell(c)
	return nil
}
