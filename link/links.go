package link

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"waggle/bittorrent"
	"waggle/link/carrier"
	"waggle/link/core"
)

// tickEvery is how often the node is told the time, and how long a change waits for
// others to go with it.
const tickEvery = 25 * time.Millisecond

// inboxRoom is how many messages of links wait for the loop. With more, those who
// received them wait, and then those who send.
const inboxRoom = 64

// Links are those of a tracker with others. All methods may be called concurrently.
type Links struct {
	o        Options
	book     *carrier.Book
	inbox    chan arrival
	commands chan func()
	stopping chan struct{} // closed: the loop ends
	stopped  chan struct{} // closed: it has
	once     sync.Once
	began    time.Time

	// Who may change which links there are, one at a time.
	edit   sync.Mutex
	closed bool

	mu   sync.Mutex // of these
	hub  *carrier.Hub
	leaf *carrier.Leaf

	loop // of its goroutine alone, but before it runs
}

// Open links a tracker with those that Options and the directory name: it listens where
// leaves are to join, and dials the hub that was joined. Who is not there is tried until
// Close. What the store has is claimed before. Without any link, nothing runs but a
// clock, until [Links.Invite] or [Links.Join].
func Open(ctx context.Context, o Options) (*Links, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	book, err := carrier.OpenBook(o.Directory)
	if err != nil {
		return nil, err
	}
	joined, err := carrier.Joined(o.Directory)
	if err != nil {
		return nil, err
	}
	l := &Links{
		o: o, book: book, began: time.Now(),
		inbox: make(chan arrival, inboxRoom), commands: make(chan func()),
		stopping: make(chan struct{}), stopped: make(chan struct{}),
	}
	l.init(l)
	if o.Listen != "" || o.Outside != nil || joined != nil {
		if err := l.begin(ctx); err != nil {
			l.sharing.close()
			return nil, err
		}
	}
	go l.run()
	if err := l.connect(joined); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// connect opens the links that there are to be at the start.
func (l *Links) connect(joined *carrier.Invitation) error {
	if l.isHub() {
		o := carrier.HubOptions{
			Book: l.book, Name: l.o.Name, Listen: l.o.Listen, Outside: l.o.Outside, Handler: handler{l: l}, Log: l.o.Log,
		}
		hub, err := carrier.NewHub(o)
		if err != nil {
			return fmt.Errorf("link.listen: %w", err)
		}
		l.mu.Lock()
		l.hub = hub
		l.mu.Unlock()
	}
	if joined != nil || l.o.Outside != nil && !l.o.OutsideHub {
		return l.dial(joined)
	}
	return nil
}

func (l *Links) isHub() bool {
	return l.o.Listen != "" || l.o.Outside != nil && l.o.OutsideHub
}

// dial begins to keep the link to the hub open; nil: over the NATS that is there already.
func (l *Links) dial(joined *carrier.Invitation) error {
	o := carrier.LeafOptions{Handler: handler{l: l, hub: true}, Log: l.o.Log}
	if joined != nil {
		o.Invitation = joined
	} else {
		o.Outside, o.Name = l.o.Outside, l.o.Name
	}
	l.mu.Lock() // until it is there, for the loop, which hears of its link
	defer l.mu.Unlock()
	leaf, err := carrier.NewLeaf(o)
	if err != nil {
		return fmt.Errorf("the hub cannot be joined: %w", err)
	}
	l.leaf = leaf
	return nil
}

// ends returns the two ends that this tracker has, either of which may be nil.
func (l *Links) ends() (*carrier.Hub, *carrier.Leaf) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hub, l.leaf
}

// Close says goodbye on all links, does what was told until then, and keeps what the
// next start needs. The store must be open still. The error is that of writing.
func (l *Links) Close() (err error) {
	l.once.Do(func() {
		l.edit.Lock()
		l.closed = true
		l.edit.Unlock()
		_ = l.do(func() { l.tick(time.Now()) })
		hub, leaf := l.ends()
		if leaf != nil {
			leaf.Close()
		}
		if hub != nil {
			hub.Close()
		}
		l.o.Intake.on.Store(false)
		close(l.stopping)
		<-l.stopped
		err = l.end()
	})
	return err
}

// errClosed is that there are no links any more.
var errClosed = errors.New("this tracker is stopping")

// do has the loop do something, and waits until it is done.
func (l *Links) do(f func()) error {
	done := make(chan struct{})
	select {
	case l.commands <- func() { defer close(done); f() }:
		<-done
		return nil
	case <-l.stopped:
		return errClosed
	}
}

// Digest returns a number that two linked trackers have in common if they know the same of
// a torrent.
func (l *Links) Digest(h bittorrent.InfoHash) (digest uint64) {
	_ = l.do(func() {
		if l.node != nil {
			digest = l.node.Digest(h)
		}
	})
	return digest
}

// figures returns those of the node, and of its links.
func (l *Links) figures() (f core.Figures, links map[string]*known) {
	links = map[string]*known{}
	_ = l.do(func() {
		if l.node == nil {
			return
		}
		now, waiting := time.Now(), l.o.Intake.waiting()
		f = l.node.Figures()
		l.sample(now)
		for name, k := range l.known {
			k.lag, k.waiting = k.gauge.delay(now)+k.figures.Lag, k.figures.Waiting+waiting
			links[name] = k.copy()
		}
	})
	return f, links
}
