package instance

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"log/slog"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"waggle/bittorrent"
	"waggle/cluster"
	"waggle/cluster/carrier"
	"waggle/swarm"
)

// Tracker records what other instances were told by peers: a tracker.Tracker.
type Tracker interface {
	Relay(ctx context.Context, a *swarm.Announce, r *swarm.Reply) error
}

// Counts keeps how many downloads were completed: a store. It reports false where a limit keeps
// a count out.
type Counts interface {
	RestoreDownloaded(h bittorrent.InfoHash, downloaded uint32) bool
}

// Options are what an [Instance] needs. All but Log and Now must be set.
type Options struct {
	Node    cluster.Options
	Carrier carrier.Carrier
	Tracker Tracker
	Counts  Counts
	Rows    []cluster.Row // what the store has kept

	// Answer is told of a request of a peer that all have committed and nobody waits for here: the
	// master that heard it before has died. It must not block.
	Answer func(r *cluster.Request)

	Log *slog.Logger     // nil: nobody is told
	Now func() time.Time // nil: time.Now
}

// Instance is a tracker of a cluster. Its methods may be called concurrently.
type Instance struct {
	o     Options
	node  *cluster.Node
	calls chan func()
	stop  chan struct{}
	ended chan struct{}
	once  sync.Once

	state atomic.Pointer[cluster.State]

	// Of the loop alone.
	outbox
	log     diary
	shown   time.Time // when the state was
	waiting map[cluster.Transaction][]chan<- error
	told    swarm.Announce // by another instance
	reply   swarm.Reply

	numbers atomic.Uint64 // of requests that clients make here
	salt    uint32

	counts []cluster.Row // at the end
}

// ErrStopped is the error of requests to an instance that has ended.
var ErrStopped = errors.New("this instance of the cluster has stopped")

const (
	tickEvery  = 10 * time.Millisecond
	mostCalls  = 4096
	mostAtOnce = 256 // packets and calls that are taken in before others are sent
	stateEvery = 100 * time.Millisecond
)

// Start begins to take part in the cluster.
func Start(o Options) *Instance {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	var salt [4]byte
	_, _ = rand.Read(salt[:]) // never fails
	i := &Instance{
		o: o, calls: make(chan func(), mostCalls), stop: make(chan struct{}), ended: make(chan struct{}),
		outbox: outbox{carrier: o.Carrier, packets: map[netip.AddrPort]*packet{}}, log: diary{to: o.Log},
		waiting: map[cluster.Transaction][]chan<- error{}, salt: binary.BigEndian.Uint32(salt[:]), shown: o.Now(),
	}
	i.node = cluster.New(o.Node, host{i}, o.Now(), o.Rows)
	i.publish()
	go i.loop()
	return i
}

// Close tells the others that this instance leaves, and waits until all has ended. It leaves the
// carrier open.
func (i *Instance) Close() {
	i.once.Do(func() { close(i.stop) })
	<-i.ended
}

// State returns what is shown of the instance, as it was up to a tenth of a second ago.
func (i *Instance) State() cluster.State { return *i.state.Load() }

// Ended reports whether the instance has left the cluster, and takes no part any more.
func (i *Instance) Ended() bool {
	select {
	case <-i.ended:
		return true
	default:
		return false
	}
}

// Answers reports whether this instance is the one that answers peers, as of up to a tenth of a
// second ago.
func (i *Instance) Answers() bool {
	s := i.state.Load()
	return s.Role == cluster.Master && s.Serving && !s.Electing && !i.Ended()
}

// Now is the cluster's time, which all its instances have in common.
func (i *Instance) Now() time.Time { return i.o.Now().Add(i.state.Load().Ahead) }

// Counts returns how many downloads were completed, as [cluster.Node.Counts] does; of an
// instance that has ended, as it was then.
func (i *Instance) Counts(ctx context.Context) ([]cluster.Row, error) {
	var list []cluster.Row
	switch err := i.do(ctx, func() { list = i.node.Counts() }); {
	case errors.Is(err, ErrStopped):
		return i.counts, nil
	case err != nil:
		return nil, err
	}
	return list, nil
}

// StepDown has a master give its place to another; others do nothing.
func (i *Instance) StepDown(ctx context.Context) error {
	return i.do(ctx, func() { i.node.StepDown(i.o.Now()) })
}

// do has the loop do something, and waits for it.
func (i *Instance) do(ctx context.Context, what func()) error {
	done := make(chan struct{})
	select {
	case i.calls <- func() { what(); close(done) }:
	case <-i.ended:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-done:
		return nil
	case <-i.ended:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Commit has all instances record a request, and returns when they have. heard says that it
// came by multicast, so that the others have it. The error is [swarm.ErrBusy] where that takes
// longer than patience.
func (i *Instance) Commit(ctx context.Context, patience time.Duration, r *cluster.Request, heard bool) error {
	result := make(chan error, 1)
	id := r.Transaction()
	call := func() {
		i.waiting[id] = append(i.waiting[id], result)
		if heard {
			i.node.Heard(i.o.Now(), r)
		} else {
			i.node.Propose(i.o.Now(), r)
		}
	}
	select {
	case i.calls <- call:
	default:
		return swarm.ErrBusy
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case err := <-result:
		return err
	case <-timer.C:
		i.give(id, result)
		return swarm.ErrBusy
	case <-i.ended:
		select {
		case err := <-result: // the last that it did
			return err
		default:
			return ErrStopped
		}
	case <-ctx.Done():
		i.give(id, result)
		return ctx.Err()
	}
}

// give forgets one who does not wait any more.
func (i *Instance) give(id cluster.Transaction, result chan<- error) {
	forget := func() {
		list := i.waiting[id]
		for at, one := range list {
			if one == result {
				list = append(list[:at], list[at+1:]...)
				break
			}
		}
		if i.waiting[id] = list; len(list) == 0 {
			delete(i.waiting, id)
		}
	}
	select {
	case i.calls <- forget:
	case <-i.ended:
	}
}

// Heard takes in a request that a peer has sent to all, on an instance that is no master: it is
// ready to record it. It is left out where too many wait.
func (i *Instance) Heard(r *cluster.Request) {
	if i.Ended() {
		return
	}
	select {
	case i.calls <- func() { i.node.Heard(i.o.Now(), r) }:
	default:
	}
}

// Number returns a transaction for a request of a client of this instance.
func (i *Instance) Number() (connection uint64, transaction uint32) {
	n := i.numbers.Add(1)
	return uint64(i.salt)<<32 | n>>32, uint32(n)
}

// loop takes in what comes until stop, and sends what follows from it; before that it takes in
// all else that is there, up to a bound, so that it goes in few packets. It lets others go on once,
// who may have something for it: that halves the packets.
func (i *Instance) loop() {
	defer close(i.ended)
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for going := true; going; {
		for n := 0; going && n < mostAtOnce; n++ {
			going = i.next(ticker.C)
			if i.idle() {
				runtime.Gosched()
				if i.idle() {
					break
				}
			}
		}
		i.flush()
	}
	i.counts = i.node.Counts()
	i.node.Leave(i.o.Now())
	i.flush()
	i.publish()
}

// idle reports whether nothing is there to be taken in.
func (i *Instance) idle() bool { return len(i.o.Carrier.Receive())+len(i.calls) == 0 }

// next waits for something and takes it in. It reports whether there is more to come.
func (i *Instance) next(tick <-chan time.Time) bool {
	select {
	case p, open := <-i.o.Carrier.Receive():
		if !open {
			i.o.Log.Error("this instance leaves the cluster: its network was closed")
			return false
		}
		i.receive(p)
	case call := <-i.calls:
		call()
	case <-tick:
		i.tick()
	case <-i.stop:
		return false
	}
	return true
}

func (i *Instance) tick() {
	now := i.o.Now()
	i.node.Tick(now)
	if now.Sub(i.shown) >= stateEvery {
		i.shown = now
		i.publish()
	}
	i.log.look(now, i.o.Carrier, &i.state.Load().Figures)
}

func (i *Instance) receive(p carrier.Packet) {
	now := i.o.Now()
	for _, message := range p.Messages {
		i.node.Receive(now, p.From, message)
	}
}

func (i *Instance) publish() {
	s := i.node.State()
	i.state.Store(&s)
}

// host is an instance as its node acts upon it. Its methods run in the loop.
type host struct{ *Instance }

func (h host) Send(to netip.AddrPort, messages ...[]byte) { h.put(to, messages) }

func (h host) Broadcast(messages ...[]byte) { h.put(netip.AddrPort{}, messages) }

func (host) Random(b []byte) { _, _ = rand.Read(b) } // never fails

// Changed puts into the store what an instance was told by a peer.
func (h host) Changed(r *cluster.Row, seen time.Time) {
	h.told = swarm.Announce{From: r.Addr.Addr(), Now: seen, Relayed: h.o.Node.Lifetime}
	h.told.InfoHash, h.told.Port = r.InfoHash, r.Addr.Port()
	tell(&h.told, r)
	h.reply.Reset()
	if err := h.o.Tracker.Relay(context.Background(), &h.told, &h.reply); err != nil {
		h.o.Log.Debug("what another instance told of is not recorded here", "error", err)
	}
}

// tell has an announce tell what is known of its peer.
func tell(a *swarm.Announce, r *cluster.Row) {
	a.PeerID, a.Key, a.Left, a.Downloaded, a.Uploaded = r.PeerID, r.Key, r.Left, r.Downloaded, r.Uploaded
	switch {
	case r.Gone:
		a.Event = bittorrent.EventStopped
	case r.Paused:
		a.Event = bittorrent.EventPaused
	default:
		a.Event = bittorrent.EventNone
	}
}

func (h host) Completed(hash bittorrent.InfoHash, n int64) {
	h.o.Counts.RestoreDownloaded(hash, uint32(min(n, 1<<32-1)))
}

func (h host) Finished(r *cluster.Request, err error) {
	id := r.Transaction()
	list := h.waiting[id]
	delete(h.waiting, id)
	for _, one := range list {
		one <- refusal(err)
	}
	if len(list) == 0 && err == nil {
		h.o.Answer(r)
	}
}

// refusal is how a store says what a cluster does.
func refusal(err error) error {
	if errors.Is(err, cluster.ErrBusy) || errors.Is(err, cluster.ErrNobody) || errors.Is(err, cluster.ErrFull) {
		return swarm.ErrBusy
	}
	return err
}

func (h host) Happened(e cluster.Event) {
	h.shown = time.Time{} // who is master is shown at once
	h.log.event(h.o.Now(), &e)
}
