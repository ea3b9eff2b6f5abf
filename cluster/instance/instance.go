package instance

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"log/slog"
	"net/netip"
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
	packets map[netip.AddrPort]*packet
	order   []netip.AddrPort
	waiting map[cluster.Transaction][]chan<- error
	reply   swarm.Reply

	numbers atomic.Uint64 // of requests that clients make here
	salt    uint32
}

// ErrStopped is the error of requests to an instance that has ended.
var ErrStopped = errors.New("this instance of the cluster has stopped")

const (
	tickEvery  = 10 * time.Millisecond
	mostCalls  = 4096
	mostAtOnce = 256 // messages that are taken in before others are sent
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
		packets: map[netip.AddrPort]*packet{}, waiting: map[cluster.Transaction][]chan<- error{},
		salt: binary.BigEndian.Uint32(salt[:]),
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
// came by multicast, so that the others have it.
func (i *Instance) Commit(ctx context.Context, r *cluster.Request, heard bool) error {
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
	select {
	case err := <-result:
		return err
	case <-i.ended:
		return ErrStopped
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

func (i *Instance) loop() {
	defer close(i.ended)
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	shown := i.o.Now()
	for {
		select {
		case p, open := <-i.o.Carrier.Receive():
			if !open {
				return
			}
			i.receive(p)
		case call := <-i.calls:
			call()
		case <-ticker.C:
			i.node.Tick(i.o.Now())
			if now := i.o.Now(); now.Sub(shown) >= stateEvery {
				shown = now
				i.publish()
			}
		case <-i.stop:
			i.node.Leave(i.o.Now())
			i.flush()
			return
		}
		i.more()
		i.flush()
	}
}

// more takes in what else has come, so that what is sent goes in few packets.
func (i *Instance) more() {
	for range mostAtOnce {
		select {
		case p, open := <-i.o.Carrier.Receive():
			if !open {
				return
			}
			i.receive(p)
		case call := <-i.calls:
			call()
		default:
			return
		}
	}
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

// packet is messages to one instance that go together; the zero address is all of them.
type packet struct {
	messages [][]byte
	size     int
}

// overhead is what a message takes beside itself where there are several.
const overhead = 2

// put adds messages that belong together to what goes to an instance.
func (i *Instance) put(to netip.AddrPort, messages [][]byte) {
	size := 0
	for _, b := range messages {
		size += len(b) + overhead
	}
	p := i.packets[to]
	if p == nil {
		p = &packet{}
		i.packets[to] = p
	}
	if p.size+size > cluster.MaxMessage && p.size > 0 {
		i.send(to, p)
	}
	if len(p.messages) == 0 {
		i.order = append(i.order, to)
	}
	for _, b := range messages {
		p.messages = append(p.messages, append([]byte(nil), b...))
	}
	p.size += size
}

func (i *Instance) send(to netip.AddrPort, p *packet) {
	if to.IsValid() {
		i.o.Carrier.Send(to, p.messages...)
	} else {
		i.o.Carrier.Broadcast(p.messages...)
	}
	p.messages, p.size = p.messages[:0], 0
}

// flush sends all that waits.
func (i *Instance) flush() {
	for _, to := range i.order {
		if p := i.packets[to]; len(p.messages) > 0 {
			i.send(to, p)
		}
	}
	i.order = i.order[:0]
	if len(i.packets) > mostPackets {
		clear(i.packets)
	}
}

// mostPackets is how many instances packets are kept ready for.
const mostPackets = 512

// host is an instance as its node acts upon it. Its methods run in the loop.
type host struct{ *Instance }

func (h host) Send(to netip.AddrPort, messages ...[]byte) { h.put(to, messages) }

func (h host) Broadcast(messages ...[]byte) { h.put(netip.AddrPort{}, messages) }

func (host) Random(b []byte) { _, _ = rand.Read(b) } // never fails

// Changed puts into the store what an instance was told by a peer.
func (h host) Changed(r *cluster.Row, seen time.Time) {
	a := swarm.Announce{
		AnnounceRequest: bittorrent.AnnounceRequest{
			InfoHash: r.InfoHash, PeerID: r.PeerID, Uploaded: r.Uploaded, Downloaded: r.Downloaded, Left: r.Left,
			Key: r.Key, Port: r.Addr.Port(),
		},
		From: r.Addr.Addr(), Now: seen, Relayed: h.o.Node.Lifetime,
	}
	switch {
	case r.Gone:
		a.Event = bittorrent.EventStopped
	case r.Paused:
		a.Event = bittorrent.EventPaused
	}
	h.reply.Reset()
	if err := h.o.Tracker.Relay(context.Background(), &a, &h.reply); err != nil {
		h.o.Log.Debug("what another instance told of is not recorded here", "error", err)
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
	if errors.Is(err, cluster.ErrBusy) || errors.Is(err, cluster.ErrNobody) {
		return swarm.ErrBusy
	}
	return err
}

func (h host) Happened(e cluster.Event) {
	level, text := slog.LevelInfo, ""
	switch e.Kind {
	case cluster.BecameMaster:
		text = "this instance is master of the cluster"
	case cluster.BecameSlave:
		text = "this instance is a slave"
	case cluster.ElectionStarted:
		level, text = slog.LevelWarn, "a master is elected; no peer is answered meanwhile"
	case cluster.MemberUp:
		text = "an instance is there"
	case cluster.MemberDown:
		level, text = slog.LevelWarn, "an instance is gone"
	case cluster.Joined:
		text = "a new instance is given its ID"
	case cluster.Alone:
		level, text = slog.LevelWarn, "another instance has this one's ID: this one joins anew"
	case cluster.StoodStill:
		level, text = slog.LevelWarn, "this instance stood still for over a second: what has waited since is left out"
	case cluster.Aligned:
		text = "the master's time is another one: it counts"
	case cluster.TableFull:
		level, text = slog.LevelWarn, "a peer of the cluster has no room here; raise limits.peers"
	}
	h.o.Log.Log(context.Background(), level, text, "instance", e.Addr, "id", e.ID, "why", e.Words)
}
