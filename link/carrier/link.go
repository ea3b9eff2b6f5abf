package carrier

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Handler is told of links. Of one link it is told in order, one thing at a time: once
// Opened, then Received, then Closed; of several at once. What it is told of a link of
// some name ends before it is told of the next one of that name. The methods may block,
// which slows down whoever sends, and may call a link's methods, but not Close of a
// [Hub] or [Leaf], which wait for them.
type Handler interface {
	Opened(l *Link)
	Received(l *Link, message []byte) // message is the handler's to keep
	Closed(l *Link, why error)
}

var (
	// ErrFull is that the other side has not taken in enough yet of what was sent.
	ErrFull = errors.New("the link is full: the other side takes in less than is sent")

	// ErrClosed is that a link is closed, or is being closed by this side.
	ErrClosed = errors.New("the link is closed")

	// ErrTooLong is that a message is longer than [MaxMessage].
	ErrTooLong = fmt.Errorf("the message is too long for a link: %d bytes are the most", MaxMessage)

	// ErrSilent is that nothing came from the other side for too long.
	ErrSilent = errors.New("the other side has said nothing for too long: it is frozen or overloaded, or the network between is cut; it is tried again")

	errFlood  = &breach{"it sends more than it may", "it sent more than a link may carry before that is taken in"}
	errBeyond = &breach{"it says that it took in more than was sent to it", "it said that it had taken in more than was sent to it"}
)

// breach is that the other side breaks the rules: why, as this side has it, and as the
// other side is told of itself.
type breach struct{ why, told string }

// breachPause is for how long a link is closed then.
const breachPause = time.Minute

// Error says what to do.
func (b *breach) Error() string {
	return b.why + ", as no waggle of this version does: update it there, or drop the link if you do not trust its owner"
}

// farewell is what the other side is told.
func (b *breach) farewell() *control {
	return &control{Words: "this tracker breaks the rules of links: " + b.told + ". The link is closed for a minute; update waggle here", Wait: int(breachPause / time.Second)}
}

// Bye is that the other side closed a link, or refused to open one.
type Bye struct {
	Words string        // its own
	Wait  time.Duration // how long it does not want to be tried again
}

// Error returns the words, and whose they are.
func (b *Bye) Error() string { return "the other side says: " + b.Words }

// pace is how fast a session lives.
type pace struct {
	beat     time.Duration // how often a side says that it is there
	silence  time.Duration // how long it may say nothing
	retry    time.Duration // between two rounds of attempts to reach a hub, and up to half as much more
	refused  time.Duration // the same where the hub or the leaf has refused
	answer   time.Duration // how long a hub may take to answer
	stranger time.Duration // how long a hub waits for TLS, and then for who it is
}

var usual = pace{
	beat: 2 * time.Second, silence: 8 * time.Second, retry: 700 * time.Millisecond, refused: 15 * time.Second,
	answer: 5 * time.Second, stranger: 5 * time.Second,
}

// way is how a session reaches the other side. The functions are safe for use by many
// goroutines.
type way struct {
	publish func(frame []byte) error // may block, until cut is called
	flush   func()                   // waits, not for long, until what was published has left
	hang    func(told bool)          // ends the way, which no other session uses; told: the other side knows
	cut     func()                   // makes publish return
}

// Link is one session with another node. Its methods are safe for use by many
// goroutines, and do not block.
type Link struct {
	name, address string
	rights        Rights
	session       uint64
	life, client  uint64 // of a leaf, on its hub
	began         time.Time

	handler Handler
	pace    pace
	way     way

	wake    chan struct{} // for the writer, of 1
	arrived chan struct{} // for the deliverer, of 1
	done    chan struct{} // closed when the session is over
	gone    chan struct{} // closed when nothing of it is left
	workers sync.WaitGroup

	heard atomic.Int64  // when something came last: nanoseconds since began
	taken atomic.Uint64 // cost of what was taken in
	ready chan struct{} // closed when a welcome came; on a leaf

	mu       sync.Mutex
	waiting  [][]byte // messages to be sent
	accepted uint64   // cost of all that Send took
	released uint64   // cost of what the other side took in
	inbox    []frame  // to be delivered
	held     uint64   // cost of those in inbox, and of the one that is delivered
	busy     bool     // one is delivered
	controls int      // frames other than data within the second that began at counted
	counted  time.Time
	why      error
	farewell *control
}

// Name returns the other node's name.
func (l *Link) Name() string { return l.name }

// Rights returns what the leaf, which is one end of the link, may do. The caller must
// not change them.
func (l *Link) Rights() Rights { return l.rights }

// Send sends a message, which is the link's from then on, after all that were sent
// before. It returns at once: [ErrFull] where the other side is behind (try again when
// something arrives), [ErrTooLong], or [ErrClosed].
func (l *Link) Send(message []byte) error {
	if len(message) > MaxMessage {
		return ErrTooLong
	}
	cost := costOf(message)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.why != nil:
		return ErrClosed
	case l.accepted-l.released+cost > Window:
		return ErrFull
	}
	l.accepted += cost
	l.waiting = append(l.waiting, message)
	signal(l.wake)
	return nil
}

// Close ends the session. The other side is told the words, which its log shows, and
// not to come again before wait, of at most an hour, is over. A closed link stays as it is.
func (l *Link) Close(words string, wait time.Duration) {
	seconds := int((min(max(wait, 0), longest) + time.Second - 1) / time.Second)
	l.end(fmt.Errorf("%w: %s", ErrClosed, words), &control{Words: cut(words, maxWords), Wait: seconds})
}

// end ends the session, once, and tells the other side in words if there are any.
func (l *Link) end(why error, farewell *control) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.why != nil {
		return
	}
	l.why, l.farewell = why, farewell
	l.inbox, l.waiting = nil, nil
	close(l.done)
}

func newLink(name, address string, session uint64, handler Handler, p pace, w way) *Link {
	return &Link{
		name: name, address: address, session: session, handler: handler, pace: p, way: w,
		wake: make(chan struct{}, 1), arrived: make(chan struct{}, 1),
		done: make(chan struct{}), gone: make(chan struct{}), ready: make(chan struct{}),
		began: time.Now(),
	}
}

// start makes the session live, and calls after when nothing of it is left.
func (l *Link) start(after func()) {
	l.hear()
	l.workers.Add(3)
	go l.deliver()
	go l.write()
	go l.watch()
	go func() {
		l.workers.Wait()
		after()
		close(l.gone)
	}()
}

func (l *Link) hear() { l.heard.Store(int64(time.Since(l.began))) }

// watch ends the session when the other side is silent, and sees to it that what ends
// is not held up by what cannot be sent.
func (l *Link) watch() {
	defer l.workers.Done()
	ticker := time.NewTicker(l.pace.silence / 8)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-l.done:
			patience := time.AfterFunc(time.Second, l.way.cut)
			defer patience.Stop()
			l.hangUp()
			return
		}
		if time.Since(l.began)-time.Duration(l.heard.Load()) >= l.pace.silence {
			l.end(ErrSilent, &control{Words: "nothing was heard from you for too long"})
		}
	}
}

// parting returns for how long this side has closed the link, and what it said.
func (l *Link) parting() (wait time.Duration, words string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.farewell == nil {
		return 0, ""
	}
	return l.farewell.wait(), l.farewell.Words
}

// hangUp tells the other side why, and ends the way.
func (l *Link) hangUp() {
	l.mu.Lock()
	farewell := l.farewell
	l.mu.Unlock()
	told := farewell != nil && l.way.publish(newControl(bye, l.session, farewell)) == nil
	if told {
		l.way.flush()
	}
	l.way.hang(told)
}

// isReady reports whether a leaf's session was opened by the hub.
func (l *Link) isReady() bool {
	select {
	case <-l.ready:
		return true
	default:
		return false
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
