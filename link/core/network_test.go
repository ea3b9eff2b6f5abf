package core_test

import (
	"slices"
	"time"

	"waggle/link/core"
)

// wire is a link: a connection that is made again whenever it is gone.
type wire struct {
	w         *world
	ends      [2]*end
	cut       bool          // nothing connects
	delay     time.Duration // one way
	perSecond int           // bytes; 0: any number
	number    int           // of the connection
	connected bool
}

// end is one end of a wire.
type end struct {
	wire    *wire
	tracker *tracker
	o       core.LinkOptions
	link    core.LinkID
	other   *end
	silent  bool // what it sends gets lost
	free    time.Duration
	arrived time.Duration
	bytes   int
}

var open = core.LinkOptions{Receive: true, Send: true, FilesIn: true, FilesOut: true}

// join links two trackers. The options are of each one's own end.
func (w *world) join(a, b *tracker, oa, ob core.LinkOptions) *wire {
	oa.Name, ob.Name = b.o.Name, a.o.Name
	wi := &wire{w: w, delay: 5 * time.Millisecond}
	wi.ends[0] = &end{wire: wi, tracker: a, o: oa}
	wi.ends[1] = &end{wire: wi, tracker: b, o: ob}
	wi.ends[0].other, wi.ends[1].other = wi.ends[1], wi.ends[0]
	w.wires = append(w.wires, wi)
	w.after(0, wi.dial)
	return wi
}

func (wi *wire) dial() {
	if wi.cut || wi.connected || wi.ends[0].tracker.frozen || wi.ends[1].tracker.frozen {
		wi.again()
		return
	}
	wi.connected = true
	wi.number++
	number := wi.number
	for _, e := range wi.ends {
		e.free, e.arrived, e.link = 0, 0, 0
	}
	for _, e := range wi.ends {
		if !wi.connected || wi.number != number {
			return
		}
		// Open may send, so the link must be known before it returns.
		e.link = core.LinkID(len(e.tracker.ends) + 1)
		e.tracker.ends[e.link] = e
		if got := e.tracker.node.Open(e.tracker.now(), e.o); got != e.link {
			wi.w.t.Fatalf("link %d, want %d", got, e.link)
		}
	}
}

func (wi *wire) again() {
	if !wi.connected {
		wi.w.after(500*time.Millisecond+time.Duration(wi.w.rng.IntN(1000))*time.Millisecond, func() {
			if !wi.connected {
				wi.dial()
			}
		})
	}
}

// hangUp ends a connection that one of its ends has closed: the other learns of it
// after what was sent, if anything gets through.
func (wi *wire) hangUp(closer *end) {
	if !wi.connected {
		return
	}
	number := wi.number
	wi.w.after(wi.delay*2, func() {
		if wi.connected && wi.number == number {
			wi.shut(closer)
		}
	})
}

// shut ends the connection; but tells not the end that knows.
func (wi *wire) shut(but *end) {
	if !wi.connected {
		return
	}
	wi.connected = false
	for _, e := range wi.ends {
		if e.link != 0 {
			if e != but {
				e.tracker.node.Shut(e.tracker.now(), e.link)
			}
			e.tracker.ends[e.link] = nil
			e.link = 0
		}
	}
	wi.again()
}

func (e *end) send(message []byte) {
	wi, w := e.wire, e.wire.w
	e.bytes += len(message)
	if e.silent || w.rng.Float64() < w.weather.loss {
		return
	}
	at := max(w.elapsed, e.free)
	if wi.perSecond > 0 {
		at += time.Duration(len(message)) * time.Second / time.Duration(wi.perSecond)
		e.free = at
	}
	at += wi.delay
	copies := 1
	if w.rng.Float64() < w.weather.twice {
		copies = 2
	}
	if w.rng.Float64() < w.weather.late {
		at += time.Duration(w.rng.IntN(300)) * time.Millisecond
	} else {
		at = max(at, e.arrived)
		e.arrived = at
	}
	number := wi.number
	for range copies {
		w.after(at-w.elapsed, func() { e.other.receive(number, message) })
	}
}

func (e *end) receive(number int, message []byte) {
	if !e.wire.connected || e.wire.number != number || e.link == 0 {
		return
	}
	if e.tracker.frozen {
		e.wire.w.after(time.Second, func() { e.receive(number, message) })
		return
	}
	// The node must not keep what it was lent.
	lent := slices.Clone(message)
	e.tracker.node.Receive(e.tracker.now(), e.link, lent)
	for i := range lent {
		lent[i] = 0xa5
	}
}
