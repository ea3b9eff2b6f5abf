package cluster

import (
	"cmp"
	"container/heap"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"waggle/bittorrent"
)

// world is instances, peers and a network, with a time of its own.
type world struct {
	t      failer
	rng    *rand.Rand
	now    time.Time
	events events
	number int

	nodes  []*instance
	cut    map[[2]int]bool // pairs that do not hear of each other
	loss   float64
	double float64
	delay  time.Duration // the most that a message takes

	drops []drop // messages that are lost
	sent  []sent

	peers []*client
	log   []string
	acks  []ack
}

// failer is what the world needs of a test.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// instance is a node and its host.
type instance struct {
	w      *world
	index  int
	addr   netip.AddrPort
	node   *Node
	life   int
	up     bool
	paused []func() // what came while it stood still; nil: it runs
	clock  time.Duration
	wanted map[Transaction]*client
}

// client is a peer of one torrent, who asks by multicast and waits for an answer.
type client struct {
	index    int
	sequence int64 // of its requests; also what it says that it downloaded
	request  Request
	waits    bool
	resent   time.Time
	first    time.Time
	acked    int64
	left     int64
	unicast  bool // it asks one instance, whichever it finds
}

// ack is that a peer was told that its request is committed, and by whom it is held.
type ack struct {
	client   int
	sequence int64
	holders  [][2]int // instance and life
}

type event struct {
	at     time.Time
	number int
	do     func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return cmp.Or(e[i].at.Compare(e[j].at), cmp.Compare(e[i].number, e[j].number)) < 0
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

var testOptions = Options{Times: Document, Lifetime: time.Hour, MaxRows: 100_000}

func newWorld(t failer, seed uint64, size int) *world {
	w := &world{
		t: t, rng: rand.New(rand.NewPCG(seed, 1)), now: time.Unix(1_700_000_000, 0),
		cut: map[[2]int]bool{}, delay: 5 * time.Millisecond,
	}
	for i := range size {
		w.nodes = append(w.nodes, &instance{
			w: w, index: i, addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), 6968),
		})
	}
	return w
}

func (w *world) at(d time.Duration, do func()) {
	w.number++
	heap.Push(&w.events, event{w.now.Add(d), w.number, do})
}

// run lets time pass.
func (w *world) run(d time.Duration) {
	end := w.now.Add(d)
	for len(w.events) > 0 && !w.events[0].at.After(end) {
		e := heap.Pop(&w.events).(event)
		w.now = e.at
		e.do()
	}
	w.now = end
}

func (w *world) note(format string, args ...any) {
	w.log = append(w.log, fmt.Sprintf("%8.3f ", w.now.Sub(time.Unix(1_700_000_000, 0)).Seconds())+fmt.Sprintf(format, args...))
}

// tickEvery is how often nodes tick here.
const tickEvery = 50 * time.Millisecond

func (i *instance) start(rows []Row) {
	i.life++
	i.up, i.paused, i.wanted = true, nil, map[Transaction]*client{}
	i.node = New(testOptions, i, i.time(), rows)
	i.w.note("%d starts", i.index)
	life := i.life
	var tick func()
	tick = func() {
		if i.life != life || !i.up {
			return
		}
		i.act(func() { i.node.Tick(i.time()) })
		i.w.at(tickEvery, tick)
	}
	i.w.at(time.Duration(i.w.rng.Int64N(int64(tickEvery))), tick)
}

// time is what this instance's clock says.
func (i *instance) time() time.Time { return i.w.now.Add(i.clock) }

// act has an instance do something, later if it stands still.
func (i *instance) act(do func()) {
	if i.paused != nil {
		if len(i.paused) < 10_000 {
			i.paused = append(i.paused, do)
		}
		return
	}
	do()
	if ahead := i.node.last - i.node.clusterNow(); ahead > (5 * time.Second).Microseconds() {
		i.w.fail("the last stamp of %d is %v ahead", i.index, time.Duration(ahead*1000))
	}
}

func (i *instance) stop() {
	i.up = false
	i.w.note("%d dies", i.index)
}

func (i *instance) pause() {
	i.paused = []func(){}
	i.w.note("%d stands still", i.index)
}

func (i *instance) goOn() {
	list := i.paused
	i.paused = nil
	i.w.note("%d goes on", i.index)
	for _, do := range list {
		do()
	}
}

// carry brings messages to another instance, or does not.
func (w *world) carry(from, to int, messages [][]byte) {
	if w.cut[[2]int{from, to}] || w.rng.Float64() < w.loss || w.dropped(from, to, messages) {
		return
	}
	times, size := 1, 0
	if w.rng.Float64() < w.double {
		times = 2
	}
	list, source := make([][]byte, 0, len(messages)), w.nodes[from].addr
	for _, b := range messages {
		list = append(list, slices.Clone(b))
		size += len(b)
	}
	if size > MaxMessage {
		w.t.Fatalf("messages of %d bytes", size)
	}
	life := w.nodes[to].life
	for range times {
		w.at(time.Duration(w.rng.Int64N(int64(w.delay))), func() {
			if i := w.nodes[to]; i.up && i.life == life {
				i.act(func() {
					for _, b := range list {
						i.node.Receive(i.time(), source, b)
					}
				})
			}
		})
	}
}

func (i *instance) Send(to netip.AddrPort, messages ...[]byte) {
	for j, other := range i.w.nodes {
		if other.addr == to {
			i.w.carry(i.index, j, messages)
		}
	}
}

func (i *instance) Broadcast(messages ...[]byte) {
	for j := range i.w.nodes {
		if j != i.index {
			i.w.carry(i.index, j, messages)
		}
	}
}

func (i *instance) Changed(r *Row, _ time.Time) {
	i.w.note("%d: peer %d, request %d, gone %v, at %d", i.index, i.w.indexOf(r), r.Downloaded, r.Gone, r.Stamp)
}

func (w *world) indexOf(r *Row) int { return int(r.Addr.Port()) - 7000 }

func (i *instance) Completed(bittorrent.InfoHash, int64) {}
func (i *instance) Happened(e Event) {
	i.w.note("%d: event %d %v %.8s %s", i.index, e.Kind, e.Addr, e.ID, e.Words)
}

func (i *instance) Random(b []byte) {
	for j := range b {
		b[j] = byte(i.w.rng.Uint32())
	}
}

// Finished answers a peer.
func (i *instance) Finished(r *Request, err error) {
	if err != nil {
		return
	}
	c := i.w.clientOf(r)
	sequence := int64(binary.BigEndian.Uint64(r.Packet[56:]))
	a := ack{client: c.index, sequence: sequence}
	i.w.note("%d: tells peer %d that request %d is done", i.index, c.index, sequence)
	for _, other := range i.w.nodes {
		if other.up && other.holds(r) {
			a.holders = append(a.holders, [2]int{other.index, other.life})
		}
	}
	if len(a.holders) == 0 {
		row, _, _ := peerOf(r)
		for _, other := range i.w.nodes {
			if other.up {
				i.w.note("%d has %+v", other.index, other.node.table.get(row.cursor()))
			}
		}
		i.w.note("of %d: now %d, last %d, done before: %v", i.index, i.node.clusterNow(), i.node.last, i.node.done.has(r.Transaction()))
		i.w.fail("peer %d is told by %d that request %d is done, which nobody has", c.index, i.index, sequence)
	}
	i.w.acks = append(i.w.acks, a)
	if i.w.rng.Float64() < i.w.loss {
		return
	}
	if c.waits && sequence == c.sequence {
		c.waits, c.acked = false, sequence
	}
}

// holds reports whether an instance has a request, or a later one of the same peer.
func (i *instance) holds(r *Request) bool {
	row, _, _ := peerOf(r)
	have := i.node.table.get(row.cursor())
	return have != nil && !have.Bare && have.Downloaded >= row.Downloaded
}

func (w *world) clientOf(r *Request) *client { return w.peers[int(r.Source.Port())-7000] }

// come adds a peer.
func (w *world) come() *client {
	c := &client{index: len(w.peers), left: 1000}
	w.peers = append(w.peers, c)
	return c
}

// ask has a peer announce, and again every fifteen seconds until it is answered.
func (w *world) ask(c *client, e bittorrent.Event) {
	if c.waits && w.now.Sub(c.resent) < time.Second { // its last request may still be on its way
		w.at(time.Second, func() { w.ask(c, e) })
		return
	}
	c.sequence++
	if e == bittorrent.EventCompleted {
		c.left = 0
	}
	a := bittorrent.AnnounceRequest{
		InfoHash: bittorrent.InfoHash{byte(c.index % 3), byte(c.index)}, PeerID: bittorrent.PeerID{byte(c.index)}, Left: c.left,
		Downloaded: c.sequence, Event: e, Port: uint16(7000 + c.index), NumWant: -1,
	}
	c.request.Source = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, 0, byte(c.index)}), a.Port)
	copy(c.request.Packet[:], bittorrent.AppendUDPAnnounce(nil, uint64(c.index)<<32|77, uint32(c.sequence), &a, ""))
	c.waits, c.first = true, w.now
	w.shout(c, c.sequence)
}

// shout sends a peer's request to all.
func (w *world) shout(c *client, sequence int64) {
	if !c.waits || c.sequence != sequence || w.now.Sub(c.first) >= 75*time.Second {
		return
	}
	r := c.request
	c.resent = w.now
	w.note("peer %d asks %d", c.index, sequence)
	alone := w.rng.IntN(len(w.nodes))
	for _, i := range w.nodes {
		if w.rng.Float64() < w.loss || !i.up || c.unicast && i.index != alone {
			continue
		}
		life := i.life
		w.at(time.Duration(w.rng.Int64N(int64(w.delay))), func() {
			switch {
			case !i.up || i.life != life:
			case c.unicast:
				i.act(func() { i.node.Propose(i.time(), &r) })
			default:
				i.act(func() { i.node.Heard(i.time(), &r) })
			}
		})
	}
	w.at(15*time.Second, func() { w.shout(c, sequence) })
}

// masters returns who answers.
func (w *world) masters() (list []int) {
	for _, i := range w.nodes {
		if i.up && i.node.role == Master && !i.node.electing {
			list = append(list, i.index)
		}
	}
	return list
}

// wantOne fails unless there is one master that all follow, and all tables are equal.
func (w *world) wantOne() {
	w.t.Helper()
	masters := w.masters()
	if len(masters) != 1 {
		w.fail("masters: %v", masters)
		return
	}
	m := w.nodes[masters[0]]
	for _, i := range w.nodes {
		if !i.up || i == m {
			continue
		}
		if i.node.role != Slave || i.node.master != m.addr || i.node.electing {
			w.fail("%d is a %v of %v, electing: %v", i.index, i.node.role, i.node.master, i.node.electing)
		}
		if m.node.id.Less(i.node.id) != true {
			w.fail("the master's ID is not the lowest")
		}
		if err := equalTables(&m.node.table, &i.node.table); err != nil {
			w.fail("%d and %d: %v", m.index, i.index, err)
		}
	}
}

var errUnequal = errors.New("tables differ")

func equalTables(a, b *table) error {
	for leaf := range leaves {
		if a.digest[leaf] == b.digest[leaf] {
			continue
		}
		for _, pair := range [][2]*table{{a, b}, {b, a}} {
			for _, r := range pair[0].leaf[leaf] {
				other := pair[1].get(r.cursor())
				if other == nil || other.digest() != r.digest() {
					return fmt.Errorf("%w: %+v and %+v", errUnequal, *r, other)
				}
			}
		}
	}
	return nil
}

// wantAcks fails if something is missing that a peer was told is done, though one that had it
// has lived since.
func (w *world) wantAcks() {
	w.t.Helper()
	for _, a := range w.acks {
		for _, h := range a.holders {
			i := w.nodes[h[0]]
			if !i.up || i.life != h[1] {
				continue
			}
			for _, other := range w.nodes {
				if other.up && !other.holds(&Request{Source: w.peers[a.client].request.Source, Packet: w.peers[a.client].packetOf(a.sequence)}) {
					row, _, _ := peerOf(&Request{Source: w.peers[a.client].request.Source, Packet: w.peers[a.client].packetOf(a.sequence)})
					w.note("it has %+v", other.node.table.get(row.cursor()))
					w.fail("%d lacks request %d of peer %d, which %d of the same life had", other.index, a.sequence, a.client, i.index)
					return
				}
			}
		}
	}
}

func (c *client) packetOf(sequence int64) [announceLen]byte {
	b := c.request.Packet
	binary.BigEndian.PutUint64(b[56:], uint64(sequence))
	return b
}

// tailLines is how much of the log a failure shows.
const tailLines = 4000

func (w *world) fail(format string, args ...any) {
	w.t.Helper()
	tail := w.log[max(0, len(w.log)-tailLines):]
	text := ""
	for _, line := range tail {
		text += line + "\n"
	}
	w.t.Fatalf("%s"+format, append([]any{text}, args...)...)
}

func TestFirstInstanceIsMasterAfterThreeSeconds(t *testing.T) {
	w := newWorld(t, 1, 1)
	w.nodes[0].start(nil)
	w.run(2900 * time.Millisecond)
	if len(w.masters()) != 0 {
		t.Error("it is master before")
	}
	w.run(200 * time.Millisecond)
	if len(w.masters()) != 1 {
		t.Error("it is not")
	}
}

var (
	first = flag.Uint64("first", 0, "the first of the random schedules")
	count = flag.Uint64("schedules", schedules, "how many random schedules are tried")
)

func TestRandomSchedulesConverge(t *testing.T) {
	lanes := uint64(runtime.GOMAXPROCS(0))
	for lane := range lanes {
		t.Run(strconv.FormatUint(lane, 10), func(t *testing.T) {
			t.Parallel()
			for seed := *first + lane; seed < *first+*count; seed += lanes {
				schedule(t, seed)
			}
		})
	}
}

// quiet is how long it takes at most until there is one master: three seconds between votes, a
// vote that was lost before, and keepalives that were.
const quiet = 6 * time.Second

// schedule lets all go wrong that can, and looks whether all is well in the end.
func schedule(t failer, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 2))
	w := newWorld(t, seed, 2+rng.IntN(4))
	w.note("schedule %d", seed)
	w.loss, w.double = rng.Float64()*0.3, rng.Float64()*0.2
	w.delay = time.Duration(1+rng.IntN(100)) * time.Millisecond
	for _, i := range w.nodes {
		i.clock = time.Duration(rng.IntN(7200)-3600) * time.Second
		w.at(time.Duration(rng.IntN(8000))*time.Millisecond, func() { i.start(nil) })
	}
	for range 10 + rng.IntN(30) {
		c := w.come()
		c.unicast = rng.IntN(4) == 0
		at := time.Duration(rng.IntN(60_000)) * time.Millisecond
		for _, e := range []bittorrent.Event{bittorrent.EventStarted, bittorrent.EventNone, bittorrent.EventCompleted, bittorrent.EventStopped}[:1+rng.IntN(4)] {
			w.at(at, func() { w.ask(c, e) })
			at += time.Duration(5000+rng.IntN(30_000)) * time.Millisecond
		}
	}
	for range rng.IntN(8) {
		at := time.Duration(5000+rng.IntN(90_000)) * time.Millisecond
		during := time.Duration(500+rng.IntN(20_000)) * time.Millisecond
		i := w.nodes[rng.IntN(len(w.nodes))]
		switch rng.IntN(4) {
		case 0:
			w.at(at, func() { w.partition(rng.Uint32()) })
			w.at(at+during, func() { w.heal() })
		case 1:
			w.at(at, func() {
				if i.up && i.paused == nil {
					i.pause()
					w.at(during, func() {
						if i.up && i.paused != nil {
							i.goOn()
						}
					})
				}
			})
		case 2:
			w.at(at, func() {
				if i.up && i.paused == nil {
					i.stop()
					w.at(during, func() { i.start(nil) })
				}
			})
		case 3:
			w.at(at, func() {
				if i.up && i.paused == nil {
					i.node.StepDown(i.time())
				}
			})
		}
	}
	w.run(130 * time.Second)
	w.heal()
	w.loss, w.double = 0, 0
	w.note("all is well from here on")
	w.run(quiet)
	for range 350 {
		w.run(100 * time.Millisecond)
		if m := w.masters(); len(m) > 1 {
			w.fail("masters: %v", m)
		}
	}
	w.wantOne()
	w.wantAcks()
}

func (w *world) partition(mask uint32) {
	w.note("the network is cut: %b", mask)
	for a := range w.nodes {
		for b := range w.nodes {
			w.cut[[2]int{a, b}] = mask>>a&1 != mask>>b&1
		}
	}
}

func (w *world) heal() {
	w.note("the network is whole")
	clear(w.cut)
}
