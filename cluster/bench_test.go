package cluster

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"waggle/bittorrent"
)

// wire carries messages between nodes as fast as they take them.
type wire struct {
	nodes map[netip.AddrPort]*Node
	clock map[netip.AddrPort]time.Duration // how far it is ahead
	order []netip.AddrPort
	queue []letter
	now   time.Time
	done  int
	deaf  map[netip.AddrPort]bool // who is not brought anything

	happened map[EventKind]int

	cpu     func() time.Duration // nil: nothing is clocked
	longest time.Duration        // that a call took
	slow    uint32               // the type of the message that it was of; 0: of none
}

// start adds an instance.
func (w *wire) start(o Options, ahead time.Duration, rows []Row) *Node {
	addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(len(w.order) + 1)}), 6968)
	w.order = append(w.order, addr)
	if ahead != 0 {
		w.clock[addr] = ahead
	}
	w.nodes[addr] = New(o, wireHost{w, addr}, w.time(addr), rows)
	return w.nodes[addr]
}

func (w *wire) time(addr netip.AddrPort) time.Time { return w.now.Add(w.clock[addr]) }

func newWire() *wire {
	return &wire{
		nodes: map[netip.AddrPort]*Node{}, clock: map[netip.AddrPort]time.Duration{}, deaf: map[netip.AddrPort]bool{},
		now: time.Unix(1_700_000_000, 0), happened: map[EventKind]int{},
	}
}

// clocked has a call timed.
func (w *wire) clocked(kind uint32, call func()) {
	if w.cpu == nil {
		call()
		return
	}
	began := w.cpu()
	call()
	if took := w.cpu() - began; took > w.longest {
		w.longest, w.slow = took, kind
	}
}

// tick has all tick so often, each 10 ms of theirs.
func (w *wire) tick(times int) {
	for range times {
		w.now = w.now.Add(10 * time.Millisecond)
		for _, a := range w.order {
			w.clocked(0, func() { w.nodes[a].Tick(w.time(a)) })
		}
		w.carry()
	}
}

type letter struct {
	from, to netip.AddrPort
	message  []byte
}

type wireHost struct {
	w    *wire
	addr netip.AddrPort
}

func (h wireHost) Send(to netip.AddrPort, messages ...[]byte) {
	for _, b := range messages {
		h.w.queue = append(h.w.queue, letter{h.addr, to, append([]byte(nil), b...)})
	}
}

func (h wireHost) Broadcast(messages ...[]byte) {
	for _, to := range h.w.order {
		if to != h.addr {
			h.Send(to, messages...)
		}
	}
}
func (wireHost) Changed(*Row, time.Time)              {}
func (wireHost) Completed(bittorrent.InfoHash, int64) {}
func (h wireHost) Finished(*Request, error)           { h.w.done++ }
func (h wireHost) Happened(e Event)                   { h.w.happened[e.Kind]++ }
func (h wireHost) Random(b []byte) {
	for i := range b {
		b[i] = h.addr.Addr().As4()[3]
	}
}

func (w *wire) carry() {
	for len(w.queue) > 0 {
		list := w.queue
		w.queue = nil
		for _, l := range list {
			if !w.deaf[l.to] {
				w.clocked(binary.BigEndian.Uint32(l.message), func() { w.nodes[l.to].Receive(w.time(l.to), l.from, l.message) })
			}
		}
	}
}

// BenchmarkCommit is a request that five instances commit, all of them in this one process: a
// fifth of it is what each does, but for the master, which does more.
func BenchmarkCommit(b *testing.B) {
	const instances, inFlight = 5, 64
	w := newWire()
	o := testOptions
	o.MaxRows = 10_000_000
	for range instances {
		w.start(o, 0, nil)
		w.tick(500)
	}
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		for range inFlight {
			n++
			r := requestOf(n)
			for _, to := range w.order {
				w.nodes[to].Heard(w.now, &r)
			}
		}
		w.carry()
		w.now = w.now.Add(time.Millisecond)
	}
	if w.done < n {
		b.Fatalf("%d of %d are committed", w.done, n)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/request")
}

// requestOf returns the request of a peer that makes no other.
func requestOf(n int) Request {
	a := bittorrent.AnnounceRequest{Left: 1, Event: bittorrent.EventStarted, Port: uint16(1 + n%60_000)}
	binary.BigEndian.PutUint32(a.InfoHash[:], uint32(n/100))
	r := Request{Source: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(n >> 16), byte(n >> 8)}), a.Port)}
	copy(r.Packet[:], bittorrent.AppendUDPAnnounce(nil, uint64(n), uint32(n), &a, ""))
	return r
}
