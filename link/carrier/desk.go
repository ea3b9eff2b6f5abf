package carrier

import (
	"encoding/binary"
	"errors"
	"sync"
	"time"
)

// desk is where a hub attends to one leaf: it has the leaf's session, one at a time.
type desk struct {
	hub  *Hub
	name string
	post func(frame []byte) error // to whoever listens as this leaf
	rush func()                   // waits, not for long, until what was posted has left
	stop func()                   // ends what the desk has for itself; nil: nothing, or not any more

	mu        sync.Mutex
	link      *Link     // nil: none; it stays until its handler knows that it is closed
	began     time.Time // of the last session
	notBefore time.Time // the next one
	whyNot    string    // what the leaf was told then
	shut      bool
	strays    int // cost of what was of no session within the second that began at counted
	counted   time.Time
}

// mostStrays is the most that a leaf may send in a second that is of no session, with
// [FrameCost] for each frame. Of one that has just ended there can be a window; knocks are
// eight small ones.
const mostStrays = 2 * Window

// open returns the session, or nil.
func (d *desk) open() *Link {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.link == nil || d.link.reason() != nil {
		return nil
	}
	return d.link
}

func (d *desk) isShut() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.shut
}

// arrived takes what came from the leaf.
func (d *desk) arrived(b []byte, _ string) {
	d.mu.Lock()
	link := d.link
	d.mu.Unlock()
	if link == nil || len(b) < headerSize || binary.BigEndian.Uint64(b[1:]) != link.session {
		d.stray(b)
		return
	}
	if f, err := parseFrame(b); err == nil && f.kind != knock && f.kind != welcome {
		link.receive(&f)
		return
	}
	d.stray(b)
}

// stray counts what is of no session, and shuts out a leaf that sends much of it. It
// reports whether the leaf may go on.
func (d *desk) stray(b []byte) (fine bool) {
	d.mu.Lock()
	if now := time.Now(); now.Sub(d.counted) >= time.Second {
		d.counted, d.strays = now, 0
	}
	before := d.strays
	d.strays += len(b) + FrameCost
	fine = d.strays <= mostStrays
	link := d.link
	if !fine {
		d.notBefore, d.whyNot = time.Now().Add(breachPause), errFlood.farewell().Words
	}
	d.mu.Unlock()
	if fine {
		return true
	}
	var client uint64
	if link != nil {
		link.shutOut(errFlood) // its own connection is closed when it was told
		client = link.client
	}
	if before <= mostStrays {
		d.tellOff(b)
	}
	if d.hub.inside != nil {
		d.hub.inside.kickAll(d.name, client)
	}
	return false
}

// tellOff says to a leaf that sends too much, by the session that it gave, and to the log
// that it is shut out.
func (d *desk) tellOff(b []byte) {
	if len(b) >= headerSize {
		_ = d.post(newControl(refuse, binary.BigEndian.Uint64(b[1:]), errFlood.farewell())) // who floods may not listen
		d.rush()
	}
	d.hub.turnedAway(d.name, "", errFlood.Error())
}

// knocked answers a leaf that wants a session.
func (d *desk) knocked(b []byte, _ string) {
	if !d.stray(b) {
		return
	}
	f, err := parseFrame(b)
	if err != nil || f.kind != knock {
		return
	}
	leaf, known := d.hub.o.Book.Find(d.name)
	var words string
	var wait time.Duration
	switch {
	case f.control.Version != version:
		words, wait = "the hub and the leaf speak different versions of links: update waggle on the older of the two", time.Minute
	case !known:
		words, wait = "this hub does not know a leaf named "+d.name+": its owner can invite or allow it", time.Minute
	default:
		words, wait = d.decide(&f, &leaf)
	}
	if words != "" {
		d.refuse(&f, words, wait)
	}
}

// decide opens a session, or returns why not, in words; "" is also that the leaf is to
// knock again.
func (d *desk) decide(f *frame, leaf *Invited) (words string, wait time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch link := d.link; {
	case d.shut:
	case link != nil && link.reason() != nil:
		// The handler is told of its end first.
	case link != nil && link.session == f.session:
		d.greet(link)
	case link != nil && (link.life == f.control.Life || d.isGone(link)):
		link.end(errAgain, nil)
	case link != nil:
		return "there is a link with this leaf already: if it has just been restarted it is let in within ten seconds; else two trackers use one invitation, and the other needs one by a name of its own", 3 * time.Second
	case time.Now().Before(d.notBefore):
		return "the hub has closed this link for a while: " + d.whyNot, max(time.Until(d.notBefore), time.Second)
	case !d.isOurs(f.control.Client):
		return "the hub does not see this leaf's connection: it is tried again", time.Second
	case time.Since(d.began) < d.hub.o.pace.beat/2:
		// Whoever comes and goes all the time makes work, and fills logs.
	default:
		d.begin(f, leaf)
	}
	return "", 0
}

var errAgain = errors.New("the leaf came again by another connection")

// refuse tells the leaf and the log.
func (d *desk) refuse(f *frame, words string, wait time.Duration) {
	answer := &control{Words: words, Wait: int((wait + time.Second - 1) / time.Second)}
	_ = d.post(newControl(refuse, f.session, answer)) // it asks again
	d.hub.turnedAway(d.name, d.address(f.control.Client), words)
}

// greet tells the leaf that it has a session; it asks again where that is lost.
func (d *desk) greet(l *Link) {
	_ = d.post(newControl(welcome, l.session, &control{Name: d.hub.o.Name, Rights: &l.rights}))
}

// begin opens a session; d.mu is held.
func (d *desk) begin(f *frame, leaf *Invited) {
	client := f.control.Client
	l := newLink(d.name, d.address(client), f.session, d.hub.o.Handler, d.hub.o.pace, way{
		publish: d.post, flush: d.rush, cut: func() {},
		hang: func(told bool) { d.kick(client, told) },
	})
	l.rights, l.life, l.client = leaf.Rights, f.control.Life, client
	d.link, d.began = l, time.Now()
	d.greet(l)
	l.start(func() { d.over(l) })
	d.hub.o.Log.Info("a leaf has come", "leaf", d.name, "address", l.address)
}

// over makes room for the next session.
func (d *desk) over(l *Link) {
	d.hub.parted(l)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.link = nil
	wait, words := l.parting()
	if until := time.Now().Add(wait); until.After(d.notBefore) {
		d.notBefore, d.whyNot = until, words
	}
}

// connect gives the desk its connection. It returns false where the desk was closed
// meanwhile.
func (d *desk) connect(post func([]byte) error, rush, stop func()) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.post, d.rush, d.stop = post, rush, stop
	return !d.shut
}

// close ends the session and the desk, and waits for both.
func (d *desk) close(words string, wait time.Duration) {
	d.mu.Lock()
	link, stop := d.link, d.stop
	d.shut, d.stop = true, nil
	d.mu.Unlock()
	if link != nil {
		link.Close(words, wait)
		<-link.gone
	}
	if stop != nil {
		stop()
	}
}

// fail ends the session and the desk, which has lost its connection.
func (d *desk) fail(why error) {
	d.mu.Lock()
	link := d.link
	d.shut = true
	d.mu.Unlock()
	if link != nil {
		link.end(why, nil)
		<-link.gone
	}
}

// The rest asks the NATS inside, and takes one outside at its word.

func (d *desk) address(client uint64) string {
	if d.hub.inside == nil {
		return ""
	}
	return d.hub.inside.address(d.name, client)
}

func (d *desk) isOurs(client uint64) bool {
	return d.hub.inside == nil || d.hub.inside.isHere(d.name, client)
}

func (d *desk) isGone(l *Link) bool {
	return d.hub.inside != nil && !d.hub.inside.isHere(d.name, l.client)
}

// kick closes a leaf's connection. One that was told why closes it by itself, and reads
// that before; it is given a moment.
func (d *desk) kick(client uint64, told bool) {
	if d.hub.inside == nil {
		return
	}
	if told {
		d.hub.inside.awaitEnd(d.name, client)
	}
	d.hub.inside.kick(d.name, client)
}
