package carrier

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// LeafOptions are what a leaf needs. Either Invitation or Outside is given.
type LeafOptions struct {
	Invitation *Invitation // of the hub that was joined: see [Joined]

	Outside *Outside // the NATS where the hub is found
	Name    string   // of this leaf there

	Handler Handler
	Log     *slog.Logger     // nil: the default one
	Now     func() time.Time // what certificates are held against; nil: time.Now
	Dial    Dial             // nil: a [net.Dialer]'s

	pace    pace // of tests, as is
	version int  // which 0 makes the usual one
}

func (o *LeafOptions) fill() error {
	switch {
	case (o.Invitation == nil) == (o.Outside == nil):
		return errors.New("a leaf has an invitation, or the URL of a NATS and a name")
	case o.Outside != nil:
		if err := errors.Join(CheckName(o.Name), o.Outside.Check()); err != nil {
			return err
		}
	default:
		o.Name = o.Invitation.Name
	}
	o.Log, o.Now, o.Dial = orUsual(o.Log, o.Now, o.Dial)
	o.pace, o.version = cmp.Or(o.pace, usual), cmp.Or(o.version, version)
	return nil
}

func orUsual(log *slog.Logger, now func() time.Time, dial Dial) (*slog.Logger, func() time.Time, Dial) {
	if now == nil {
		now = time.Now
	}
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	return cmp.Or(log, slog.Default()), now, dial
}

// State is how a link is.
type State string

// The states of a link.
const (
	Connecting State = "connecting" // it was not open yet
	Active     State = "active"     // it is open
	Split      State = "split"      // it was open, and is tried again
	Refused    State = "refused"    // somebody must do something: Status.Why says what
	Absent     State = "absent"     // on a hub: the leaf has not come since the hub started
)

// Status is how a link is, for people.
type Status struct {
	Name    string // of the other node; on a leaf "" until it is known
	State   State
	Why     string    // what is in the way, in words; "" where nothing is
	Address string    // of the other node, where it is known; of a leaf the one that was tried last
	Since   time.Time // of the state
	Link    *Link     // nil unless it is active
}

// Leaf keeps a link to a hub open, for as long as it lives. It is safe for use by many
// goroutines.
type Leaf struct {
	o      LeafOptions
	life   uint64
	cancel context.CancelFunc
	done   chan struct{}
	again  chan struct{} // to try at once
	said   *said

	good string // the address that did last, "" before any did; of run

	mu     sync.Mutex
	status Status
}

// NewLeaf begins to keep a link open. Errors are of the options alone: what is wrong
// with the hub, [Leaf.Status] and the log say.
func NewLeaf(o LeafOptions) (*Leaf, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &Leaf{
		o: o, life: number(), cancel: cancel, done: make(chan struct{}), again: make(chan struct{}, 1),
		said: newSaid(time.Now, 10*time.Minute), status: Status{State: Connecting, Since: o.Now()},
	}
	if o.Invitation != nil {
		l.status.Name = o.Invitation.Hub
	}
	go l.run(ctx)
	return l, nil
}

// number returns one that nobody else has.
func number() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return max(binary.BigEndian.Uint64(b[:]), 1)
}

// Status returns how the link is.
func (l *Leaf) Status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.status
}

// Reset closes the link, if it is open, and tries to open it at once.
func (l *Leaf) Reset() {
	if link := l.Status().Link; link != nil {
		link.Close("the link is reset there", 0)
	}
	signal(l.again)
}

// Close ends the link, tells the hub, and waits until nothing of it is left.
func (l *Leaf) Close() {
	l.cancel()
	<-l.done
}

// try opens a session at an address, and returns when it is over, or could not be opened.
// Parting is for how long this side has closed it.
func (l *Leaf) try(ctx context.Context, address string) (opened bool, parting time.Duration, err error) {
	w, err := l.open(ctx, address)
	if err != nil {
		return false, 0, explain(err)
	}
	link, err := l.knock(ctx, w, address)
	if err != nil {
		w.close()
		return false, 0, explain(err)
	}
	l.isOpen(link)
	link.start(func() {})
	select {
	case <-ctx.Done():
		link.Close("the leaf stops", 0)
	case <-w.closed:
		link.end(explain(w.fault()), nil)
	case <-link.done:
	}
	<-link.gone
	parting, _ = link.parting()
	return true, parting, link.reason()
}

func (l *Leaf) isOpen(link *Link) {
	l.good = link.address
	l.mu.Lock()
	l.status = Status{Name: link.Name(), State: Active, Address: link.address, Since: l.o.Now(), Link: link}
	l.mu.Unlock()
	l.said.forget()
	l.o.Log.Info("the link to the hub is open", "hub", link.Name(), "address", link.address)
}

func (l *Leaf) open(ctx context.Context, address string) (*wire, error) {
	if l.o.Outside != nil {
		return l.o.Outside.open(ctx, l.o.Dial, l.o.pace)
	}
	in := l.o.Invitation
	pair, err := nkeys.FromSeed([]byte(in.seed.reveal()))
	if err != nil {
		return nil, ErrInvitation
	}
	defer pair.Wipe()
	public, err := pair.PublicKey()
	if err != nil {
		return nil, ErrInvitation
	}
	var mu sync.Mutex
	var unverified error
	config := tlsToHub(in.Pin, l.o.Now, func(err error) {
		mu.Lock()
		defer mu.Unlock()
		unverified = err
	})
	w, err := openWire(ctx, l.o.Dial, "tls://"+address, l.o.pace.answer,
		nats.Nkey(public, pair.Sign), nats.Secure(config), nats.TLSHandshakeFirst())
	mu.Lock()
	defer mu.Unlock()
	if err != nil && unverified != nil {
		return nil, unverified
	}
	return w, err
}

func (l *Leaf) subject(of string) string {
	prefix := ownPrefix
	if l.o.Outside != nil {
		prefix = l.o.Outside.prefix()
	}
	return prefix + "." + of + "." + l.o.Name
}

// knock asks the hub for a session until it answers.
func (l *Leaf) knock(ctx context.Context, w *wire, address string) (*Link, error) {
	link := newLink("", address, number(), l.o.Handler, l.o.pace, w.way(l.subject("up")))
	answers := make(chan frame, 1)
	_, err := w.hear(l.subject("down"), func(b []byte, _ string) {
		f, err := parseFrame(b)
		if err != nil || f.session != link.session {
			return
		}
		if f.kind == welcome || f.kind == refuse && !link.isReady() {
			select {
			case answers <- f:
			default:
			}
			return
		}
		link.receive(&f)
	})
	if err != nil {
		return nil, err
	}
	client, _ := w.nc.GetClientID() // a server without them needs none
	question := newControl(knock, link.session, &control{Version: l.o.version, Life: l.life, Client: client})
	f, err := l.ask(ctx, w, question, answers)
	if err != nil {
		return nil, err
	}
	if f.kind == refuse {
		return nil, &Bye{Words: f.control.Words, Wait: f.control.wait()}
	}
	if f.control.Rights == nil || f.control.Name == "" {
		return nil, &Refusal{"the hub's welcome cannot be understood: update waggle there"}
	}
	link.name, link.rights = f.control.Name, *f.control.Rights
	close(link.ready)
	return link, nil
}

// ask publishes a question, again and again, until there is an answer.
func (l *Leaf) ask(ctx context.Context, w *wire, question []byte, answers <-chan frame) (f frame, err error) {
	patience := time.NewTimer(l.o.pace.answer)
	defer patience.Stop()
	again := time.NewTicker(l.o.pace.answer / 40)
	defer again.Stop()
	for {
		if err := w.nc.Publish(l.subject("knock"), question); err != nil {
			return f, w.fault()
		}
		select {
		case f := <-answers:
			return f, nil
		case <-again.C:
		case <-patience.C:
			return f, fmt.Errorf("%s is reached, and no hub answers by it: is the hub running, and does it know this leaf as %s?", l.where(), l.o.Name)
		case <-w.closed:
			return f, w.fault()
		case <-ctx.Done():
			return f, ctx.Err()
		}
	}
}

func (l *Leaf) where() string {
	if l.o.Outside != nil {
		return "the NATS"
	}
	return "the hub's address"
}
