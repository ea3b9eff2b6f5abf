package core_test

import (
	"bytes"
	"container/heap"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"waggle/bittorrent"
	"waggle/link/core"
	"waggle/swarm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is some trackers, each with a store and a clock of its own, and a network
// between them whose time is made here.
type world struct {
	t        testing.TB
	rng      *rand.Rand
	elapsed  time.Duration
	schedule schedule
	order    int
	trackers []*tracker
	wires    []*wire
	lifetime time.Duration
	origins  core.Origin
	tick     time.Duration
	weather  weather
}

// weather is what the network does to messages, in chances of one.
type weather struct{ loss, twice, late float64 }

var epoch = time.Unix(1_800_000_000, 0)

func newWorld(t testing.TB, seed uint64) *world {
	return &world{t: t, rng: rand.New(rand.NewPCG(seed, 8)), lifetime: 30 * time.Minute, tick: 100 * time.Millisecond}
}

// happening is something that happens at a time.
type happening struct {
	at    time.Duration
	order int
	do    func()
}

type schedule []happening

func (s schedule) Len() int { return len(s) }
func (s schedule) Less(i, j int) bool {
	return s[i].at < s[j].at || s[i].at == s[j].at && s[i].order < s[j].order
}
func (s schedule) Swap(i, j int) { s[i], s[j] = s[j], s[i] }
func (s *schedule) Push(x any)   { *s = append(*s, x.(happening)) }
func (s *schedule) Pop() any {
	last := (*s)[len(*s)-1]
	*s = (*s)[:len(*s)-1]
	return last
}

func (w *world) after(d time.Duration, do func()) {
	w.order++
	heap.Push(&w.schedule, happening{at: w.elapsed + d, order: w.order, do: do})
}

// run lets time pass.
func (w *world) run(d time.Duration) {
	until := w.elapsed + d
	for len(w.schedule) > 0 && w.schedule[0].at <= until {
		next := heap.Pop(&w.schedule).(happening)
		w.elapsed = next.at
		next.do()
	}
	w.elapsed = until
}

// tracker is a node with a store; it is the node's Host.
type tracker struct {
	w       *world
	at      int
	o       core.Options
	clock   time.Duration // before the world's
	node    *core.Node
	life    int
	store   map[place]swarm.Peer
	counted map[bittorrent.InfoHash]uint32
	events  []core.Event
	reasons []core.Reason
	files   []core.FileMessage
	ends    map[core.LinkID]*end
	frozen  bool
	expired time.Duration // when it looked for what has
	lagging
}

type place struct {
	hash bittorrent.InfoHash
	addr netip.AddrPort
}

// add starts a tracker.
func (w *world) add(o core.Options) *tracker {
	tr := &tracker{w: w, at: len(w.trackers), o: o}
	tr.o.Name = fmt.Sprintf("tracker %d", tr.at)
	if tr.o.Lifetime == 0 {
		tr.o.Lifetime = w.lifetime
	}
	w.trackers = append(w.trackers, tr)
	tr.start()
	w.after(w.tick, tr.tick)
	return tr
}

func (tr *tracker) now() time.Time { return epoch.Add(tr.w.elapsed + tr.clock) }

func (tr *tracker) start() {
	tr.w.origins++
	tr.o.Origin = tr.w.origins * 0x1_0000_0001
	tr.life++
	tr.ends = map[core.LinkID]*end{}
	tr.store, tr.counted = map[place]swarm.Peer{}, map[bittorrent.InfoHash]uint32{}
	tr.lane, tr.deeds = nil, nil
	tr.node = core.New(tr.now(), tr.o, tr)
}

func (tr *tracker) tick() {
	tr.w.after(tr.w.tick, tr.tick)
	if !tr.frozen {
		if second := tr.w.elapsed.Truncate(time.Second); second != tr.expired {
			tr.expired = second
			tr.expire()
		}
		tr.node.Tick(tr.now())
	}
}

// expire does what a store does of its own.
func (tr *tracker) expire() {
	var old []place
	for p, peer := range tr.store {
		if tr.now().Sub(peer.Last) > tr.o.Lifetime {
			old = append(old, p)
		}
	}
	slices.SortFunc(old, func(a, b place) int {
		return 2*bytes.Compare(a.hash[:], b.hash[:]) + a.addr.Compare(b.addr)
	})
	for _, p := range old {
		tr.gone(p)
	}
}

// announce records a peer that announces here.
func (tr *tracker) announce(h bittorrent.InfoHash, p swarm.Peer) {
	at := place{hash: h, addr: p.Addr}
	had, ok := tr.store[at]
	p.Last = tr.now().Truncate(time.Second)
	tr.store[at] = p
	c := swarm.Change{Kind: swarm.PeerPut, InfoHash: h, Peer: p}
	if ok && had.ID == p.ID && had.Kind == p.Kind {
		c.Kind, c.Previous = swarm.PeerRefreshed, had.Last
	}
	tr.changed(&c)
}

// gone forgets a peer, and reports whether it was there.
func (tr *tracker) gone(at place) bool {
	peer, ok := tr.store[at]
	if !ok {
		return false
	}
	delete(tr.store, at)
	tr.changed(&swarm.Change{Kind: swarm.PeerGone, InfoHash: at.hash, Peer: peer})
	return true
}

func (tr *tracker) complete(h bittorrent.InfoHash) {
	tr.counted[h]++
	tr.changed(&swarm.Change{Kind: swarm.DownloadCount, InfoHash: h, Downloaded: tr.counted[h]})
}

func (tr *tracker) Send(link core.LinkID, message []byte) {
	if e := tr.ends[link]; e != nil {
		e.send(message)
	}
}

func (tr *tracker) Close(link core.LinkID, why core.Reason) {
	tr.reasons = append(tr.reasons, why)
	if e := tr.ends[link]; e != nil {
		e.wire.hangUp(e)
	}
}

func (tr *tracker) Put(h bittorrent.InfoHash, p *swarm.Peer) {
	if tr.now().Sub(p.Last) < 0 {
		tr.w.t.Fatalf("%v was seen in the future", p.Addr)
	}
	peer := *p
	tr.act(func() { tr.store[place{hash: h, addr: peer.Addr}] = peer })
}

func (tr *tracker) Remove(h bittorrent.InfoHash, addr netip.AddrPort) {
	at := place{hash: h, addr: addr}
	tr.act(func() { delete(tr.store, at) })
}

func (tr *tracker) Completed(h bittorrent.InfoHash, total uint32) {
	tr.counted[h] = max(tr.counted[h], total)
}

func (tr *tracker) Happened(e core.Event)                  { tr.events = append(tr.events, e) }
func (tr *tracker) File(_ core.LinkID, f core.FileMessage) { tr.files = append(tr.files, f) }

// happened returns the events of a kind.
func (tr *tracker) happened(k core.EventKind) (found []core.Event) {
	for _, e := range tr.events {
		if e.Kind == k {
			found = append(found, e)
		}
	}
	return found
}

// crash ends a tracker's life and starts another one.
func (tr *tracker) crash(withMemory bool) {
	if withMemory {
		tr.finish()
	}
	for _, wi := range tr.w.wires {
		if wi.ends[0].tracker == tr || wi.ends[1].tracker == tr {
			wi.shut(wi.ends[b2i(wi.ends[1].tracker == tr)])
		}
	}
	store, counters := tr.store, slices.Collect(tr.node.Counters())
	if tr.o.Counter == 0 {
		tr.o.Counter = tr.o.Origin
	}
	if !withMemory {
		tr.o.Counter, tr.o.Former = 0, nil
		tr.start()
		tr.hold()
		return
	}
	tr.o.Former = append(slices.Clone(tr.o.Former), tr.o.Origin)
	tr.start()
	tr.hold()
	var places []place
	for p := range store {
		places = append(places, p)
	}
	slices.SortFunc(places, func(a, b place) int {
		return 2*bytes.Compare(a.hash[:], b.hash[:]) + a.addr.Compare(b.addr)
	})
	for _, p := range places {
		peer := store[p]
		tr.store[p] = peer
		tr.node.Restore(tr.now(), p.hash, &peer)
	}
	for _, c := range counters {
		tr.node.Count(tr.now(), c.Hash, c.Origin, c.Count)
	}
}

func (tr *tracker) hold() {
	for i := range hashes {
		if tr.holds(i) {
			tr.node.Hold(tr.now(), hashes[i])
		}
	}
}

// holds: listed trackers hold every second torrent.
func (tr *tracker) holds(i int) bool { return !tr.o.Listed || i%2 == 0 }

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

var hashes = func() (all []bittorrent.InfoHash) {
	for i := range 8 {
		all = append(all, bittorrent.InfoHash{0: byte(i * 37), 7: byte(i), 19: 1})
	}
	return all
}()

func peerAt(i int, k swarm.Kind) swarm.Peer {
	addr := netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
	if i%4 == 3 {
		addr = netip.AddrFrom16([16]byte{0: 0x20, 1: 0x01, 2: 0x0d, 3: 0xb8, 15: byte(i)})
	}
	p := swarm.Peer{
		Addr: netip.AddrPortFrom(addr, uint16(6881+i>>8)), Kind: k, Key: uint32(i) * 7,
		Uploaded: int64(i) << 20, Downloaded: int64(i) << 10, Left: int64(i) * 1000,
	}
	copy(p.ID[:], fmt.Sprintf("-WG0001-%012d", i))
	if k == swarm.Seeder {
		p.Left = 0
	}
	return p
}

// has returns the peers of a torrent that a tracker knows, by address.
func (tr *tracker) has(h bittorrent.InfoHash) map[netip.AddrPort]core.Held {
	found := map[netip.AddrPort]core.Held{}
	for p := range tr.node.Peers(h) {
		found[p.Addr] = p
	}
	return found
}

// disagreement returns what differs between trackers of what both hold; empty:
// nothing.
func (w *world) disagreement() string {
	first := w.trackers[0]
	for _, tr := range w.trackers {
		if len(tr.o.Name) > 0 && !tr.o.Listed {
			first = tr
			break
		}
	}
	for i, h := range hashes {
		for _, tr := range w.trackers {
			if !tr.holds(i) || !first.holds(i) || tr.node.Digest(h) == first.node.Digest(h) {
				continue
			}
			text := fmt.Sprintf("torrent %d: trackers %d and %d differ:", i, first.at, tr.at)
			a, b := first.has(h), tr.has(h)
			for addr, p := range a {
				if q, ok := b[addr]; !ok || q.Stamp != p.Stamp || q.Origin != p.Origin {
					text += fmt.Sprintf("\n%v: %d has %v %x via %q; %d has %v %x via %q (%v)",
						addr, first.at, p.Stamp, p.Origin, p.Link, tr.at, q.Stamp, q.Origin, q.Link, ok)
				}
			}
			for addr, q := range b {
				if _, ok := a[addr]; !ok {
					text += fmt.Sprintf("\n%v: %d has nothing, %d has %v %x via %q", addr, first.at, tr.at, q.Stamp, q.Origin, q.Link)
				}
			}
			return text + fmt.Sprintf("\ntotals %d and %d", first.node.Total(h), tr.node.Total(h))
		}
	}
	return ""
}

// agree lets time pass until all trackers agree, and returns how long it took.
func (w *world) agree(most time.Duration) time.Duration {
	w.t.Helper()
	begun := w.elapsed
	for w.disagreement() != "" {
		if w.elapsed-begun >= most {
			w.t.Fatalf("after %v: %s", most, w.disagreement())
		}
		w.run(100 * time.Millisecond)
	}
	return w.elapsed - begun
}
