package carrier

import (
	"time"
)

// mostControls is the most frames other than data that the other side may send in a
// second: one for each quarter of a window that it takes in is usual.
const mostControls = 20_000

// receive takes a frame of this session, and does not block: what is for the handler
// waits in the inbox, which the window bounds.
func (l *Link) receive(f *frame) {
	l.hear()
	if f.kind != data && l.tooMany() {
		l.shutOut(errFlood)
		return
	}
	switch f.kind {
	case data:
		l.put(f)
	case beat:
		l.release(f)
	case bye, refuse:
		l.end(&Bye{Words: f.control.Words, Wait: f.control.wait()}, nil)
	}
}

// shutOut ends the session of somebody who breaks the rules.
func (l *Link) shutOut(why *breach) { l.end(why, why.farewell()) }

func (l *Link) tooMany() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); now.Sub(l.counted) >= time.Second {
		l.counted, l.controls = now, 0
	}
	l.controls++
	return l.controls > mostControls
}

func (l *Link) put(f *frame) {
	l.mu.Lock()
	if l.why != nil {
		l.mu.Unlock()
		return
	}
	if l.held+f.cost() > Window {
		l.mu.Unlock()
		l.shutOut(errFlood)
		return
	}
	l.held += f.cost()
	l.inbox = append(l.inbox, *f)
	l.mu.Unlock()
	signal(l.arrived)
}

// release makes room in the window for what the other side took in, and takes note of
// what it sent, some of which may have been lost.
func (l *Link) release(f *frame) {
	l.mu.Lock()
	beyond := f.position > l.accepted
	if !beyond && f.position > l.released {
		l.released = f.position
	}
	if !beyond && len(l.inbox) == 0 && !l.busy {
		l.taken.Store(f.sent)
	}
	l.mu.Unlock()
	if beyond {
		l.shutOut(errBeyond)
	}
}

// next waits for a frame to deliver, and returns false when the session is over.
func (l *Link) next() (f frame, ok bool) {
	for {
		l.mu.Lock()
		if len(l.inbox) > 0 {
			f, l.inbox[0] = l.inbox[0], frame{}
			l.inbox = l.inbox[1:]
			l.busy = true
			l.mu.Unlock()
			return f, true
		}
		l.inbox = nil
		l.mu.Unlock()
		select {
		case <-l.arrived:
		case <-l.done:
			return f, false
		}
	}
}

// took notes that a frame was taken in, and has that told where it is worth it.
func (l *Link) took(f *frame, told uint64) uint64 {
	taken := f.position + f.cost()
	l.mu.Lock()
	l.taken.Store(taken)
	l.held -= f.cost()
	l.busy = false
	l.mu.Unlock()
	if taken-told < Window/4 {
		return told
	}
	signal(l.wake)
	return taken
}

// deliver hands the handler what arrives.
func (l *Link) deliver() {
	defer l.workers.Done()
	l.handler.Opened(l)
	var whole assembly
	var told uint64
	for {
		f, ok := l.next()
		if !ok {
			break
		}
		if message, ok := whole.add(&f); ok {
			l.handler.Received(l, message)
		}
		told = l.took(&f, told)
	}
	l.handler.Closed(l, l.reason())
}

// reason returns why the session is over, or nil.
func (l *Link) reason() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.why
}

// assembly puts messages together of their pieces. Where a piece was lost it forgets
// the message that it was of.
type assembly struct {
	expected uint64 // position of the next piece
	pieces   []byte
	open     bool // the first piece of a message came, and all that followed
}

func (a *assembly) add(f *frame) (message []byte, whole bool) {
	lost := f.position != a.expected
	a.expected = f.position + f.cost()
	switch f.flags {
	case flagFirst | flagLast:
		a.open, a.pieces = false, nil
		return f.body, true
	case flagFirst:
		if a.open = len(f.body) == pieceSize; a.open { // else it is no piece of ours, and not worth the room
			a.pieces = append(make([]byte, 0, 4*pieceSize), f.body...)
		}
		return nil, false
	}
	if lost || !a.open || len(a.pieces)+len(f.body) > MaxMessage {
		a.open, a.pieces = false, nil
		return nil, false
	}
	a.pieces = append(a.pieces, f.body...)
	if f.flags&flagLast == 0 {
		return nil, false
	}
	message, a.open, a.pieces = a.pieces, false, nil
	return message, true
}

// writer is what is known to the one goroutine that sends.
type writer struct {
	sent    uint64 // cost of all frames
	told    uint64 // what was said to have been taken in
	beaten  time.Time
	scratch []byte
}

// write sends what waits, and beats.
func (l *Link) write() {
	defer l.workers.Done()
	w := writer{scratch: make([]byte, 0, dataHeader+pieceSize)}
	ticker := time.NewTicker(l.pace.beat)
	defer ticker.Stop()
	for {
		if err := l.writeAll(&w); err != nil {
			l.end(err, nil)
			return
		}
		select {
		case <-l.wake:
		case <-ticker.C:
		case <-l.done:
			return
		}
	}
}

func (l *Link) writeAll(w *writer) error {
	for {
		if err := l.beat(w); err != nil {
			return err
		}
		l.mu.Lock()
		messages := l.waiting
		l.waiting = nil
		l.mu.Unlock()
		if len(messages) == 0 {
			return nil
		}
		for _, message := range messages {
			if err := l.writeMessage(w, message); err != nil {
				return err
			}
			if err := l.beat(w); err != nil {
				return err
			}
		}
	}
}

// beat says what was taken in, where that is much, or was not said for a while.
func (l *Link) beat(w *writer) error {
	taken := l.taken.Load()
	if taken-w.told < Window/4 && time.Since(w.beaten) < l.pace.beat*3/4 {
		return nil
	}
	w.told, w.beaten = taken, time.Now()
	w.scratch = appendBeat(w.scratch[:0], l.session, taken, w.sent)
	return l.way.publish(w.scratch)
}

func (l *Link) writeMessage(w *writer, message []byte) error {
	flags, rest := flagFirst, message
	for flags&flagLast == 0 {
		piece := rest[:min(len(rest), pieceSize)]
		rest = rest[len(piece):]
		if len(rest) == 0 {
			flags |= flagLast
		}
		w.scratch = appendData(w.scratch[:0], l.session, w.sent, flags, piece)
		if err := l.way.publish(w.scratch); err != nil {
			return err
		}
		w.sent += uint64(len(piece)) + FrameCost
		flags &^= flagFirst
	}
	return nil
}
