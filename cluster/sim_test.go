package cluster

import (
	"cmp"
	"container/heap"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"waggle/bittorrent"
)

// world is instances, peers and a network, with a time of its own.
type world struct {
	t      failer
	seed   uint64
	begin  time.Time
	now    time.Time
	events events
	number int

	nodes     []*instance
	cut       map[[2]int]bool // pairs that do not hear of each other
	loss      float64
	double    float64
	delay     time.Duration // the most that a message takes
	disturbed time.Time     // when something went wrong, or right, last

	drops   []drop // messages that are lost
	sent    []sent
	carried map[sent]int // how many there were

	peers  []*client
	acks   []ack
	silent bool // nothing is noted
	log    []string
}

// failer is what the world needs of a test.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// instance is a node and its host.
type instance struct {
	w      *world
	index  int
	addr   netip.AddrPort
	node   *Node
	rng    *rand.Rand
	life   int
	up     bool
	paused []func() // what came while it stood still; nil: it runs
	clock  time.Duration
	disk   []Row // at its end
	copied []Row // of the disk, earlier
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
		t: t, seed: seed, begin: time.Unix(1_700_000_000, 0),
		cut: map[[2]int]bool{}, delay: 5 * time.Millisecond, carried: map[sent]int{},
	}
	w.now = w.begin
	w.grow(size)
	return w
}

// grow adds instances, which have not been started.
func (w *world) grow(size int) {
	for i := len(w.nodes); i < size; i++ {
		w.nodes = append(w.nodes, &instance{
			w: w, index: i, addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), 6968),
		})
	}
}

// chance is a source of randomness of its own for each thing that happens, so that what is left
// of a schedule without something goes as it went with it.
type chance uint64

// Uint64 is SplitMix64.
func (c *chance) Uint64() uint64 {
	*c += 0x9e3779b97f4a7c15
	z := uint64(*c)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (w *world) chance(what string, numbers ...int) *rand.Rand {
	c := chance(w.seed)
	for i := range len(what) {
		c = chance(c.Uint64() ^ uint64(what[i]))
	}
	for _, n := range numbers {
		c = chance(c.Uint64() ^ uint64(n))
	}
	return rand.New(&c)
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

// note writes into the log, in which instances and peers are numbered from 1.
func (w *world) note(format string, args ...any) {
	if !w.silent {
		w.log = append(w.log, fmt.Sprintf("%8.3f ", w.now.Sub(w.begin).Seconds())+fmt.Sprintf(format, args...))
	}
}

// tailLines is how much of the log a failure shows.
const tailLines = 4000

func (w *world) fail(format string, args ...any) {
	w.t.Helper()
	tail := strings.Join(w.log[max(0, len(w.log)-tailLines):], "\n")
	w.t.Fatalf("%s", tail+"\n"+fmt.Sprintf(format, args...))
}

// tickEvery is how often nodes tick here.
const tickEvery = 50 * time.Millisecond

// start begins a life of an instance, with what its disk has.
func (i *instance) start(rows []Row) {
	i.life++
	i.up, i.paused = true, nil
	i.w.disturbed = i.w.now
	i.w.note("%d starts with %d rows", i.index+1, len(rows))
	i.rng = i.w.chance("instance", i.index, i.life)
	i.node = New(testOptions, i, i.time(), rows)
	life := i.life
	var tick func()
	tick = func() {
		if i.life != life || !i.up {
			return
		}
		i.act(func() { i.node.Tick(i.time()) })
		i.w.at(tickEvery, tick)
	}
	i.w.at(time.Duration(i.rng.Int64N(int64(tickEvery))), tick)
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
		i.w.fail("the last stamp of %d is %v ahead", i.index+1, time.Duration(ahead*1000))
	}
}

func (i *instance) stop() {
	i.disk = i.rows()
	i.up, i.paused = false, nil
	i.w.disturbed = i.w.now
	i.w.note("%d dies", i.index+1)
}

// rows are what a store has: none of peers that have left, and no mark on those that a HI message
// told of; all in the time of the instance.
func (i *instance) rows() (list []Row) {
	for leaf := range i.node.table.leaf {
		for _, r := range i.node.table.leaf[leaf] {
			if !r.Gone && !r.Count {
				own := *r
				own.First, own.Stamp, own.Bare = r.First-i.node.ahead, r.Stamp-i.node.ahead, false
				list = append(list, own)
			}
		}
	}
	return append(list, i.node.Counts()...)
}

func (i *instance) pause() {
	i.paused = []func(){}
	i.w.disturbed = i.w.now
	i.w.note("%d stands still", i.index+1)
}

func (i *instance) goOn() {
	list := i.paused
	i.paused = nil
	i.w.disturbed = i.w.now
	i.w.note("%d goes on", i.index+1)
	for _, do := range list {
		do()
	}
}

// carry brings messages to another instance, or does not.
func (w *world) carry(from, to int, messages [][]byte) {
	first := sent{kindOf(messages[0], w.nodes[from].node.role), from, to}
	w.carried[first]++
	rng := w.chance(first.kind, from, to, w.nodes[from].life, w.carried[first])
	if w.cut[[2]int{from, to}] || rng.Float64() < w.loss || w.dropped(from, to, messages) {
		return
	}
	times, size := 1, 0
	if rng.Float64() < w.double {
		times = 2
	}
	list, source := make([][]byte, 0, len(messages)), w.nodes[from].addr
	for _, b := range messages {
		list = append(list, slices.Clone(b))
		size += len(b)
	}
	if size > MaxMessage {
		w.fail("messages of %d bytes", size)
	}
	life := w.nodes[to].life
	for range times {
		w.at(time.Duration(rng.Int64N(int64(w.delay))), func() {
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
	if !to.IsValid() {
		i.w.fail("%d sends to nobody", i.index+1)
	}
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
	i.w.note("%d: peer %d, request %d, gone %v, at %d", i.index+1, int(r.Addr.Port())-firstPort+1, r.Downloaded, r.Gone, r.Stamp)
}

func (i *instance) Completed(bittorrent.InfoHash, int64) {}

func (i *instance) Happened(e Event) {
	i.w.note("%d: event %d %v %.8s %s", i.index+1, e.Kind, e.Addr, e.ID, e.Words)
}

func (i *instance) Random(b []byte) {
	for j := range b {
		b[j] = byte(i.rng.Uint32())
	}
}

// partition cuts the network between those whose bits are set and the others.
func (w *world) partition(mask uint32) {
	w.disturbed = w.now
	w.note("the network is cut: %b", mask)
	for a := range w.nodes {
		for b := range w.nodes {
			w.cut[[2]int{a, b}] = mask>>a&1 != mask>>b&1
		}
	}
}

func (w *world) heal() {
	w.disturbed = w.now
	w.note("the network is whole")
	clear(w.cut)
}

func TestFirstInstanceIsMasterAfterThreeSeconds(t *testing.T) {
	w := newWorld(t, 1, 1)
	w.nodes[0].start(nil)
	w.run(2900 * time.Millisecond)
	if len(w.masters(w.nodes)) != 0 {
		t.Error("it is master before")
	}
	w.run(200 * time.Millisecond)
	if len(w.masters(w.nodes)) != 1 {
		t.Error("it is not")
	}
}
