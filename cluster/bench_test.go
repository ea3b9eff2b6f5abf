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
	order []netip.AddrPort
	queue []letter
	now   time.Time
	done  int
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
func (wireHost) Happened(Event)                       {}
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
			w.nodes[l.to].Receive(w.now, l.from, l.message)
		}
	}
}

// BenchmarkCommit is a request that five instances commit, all of them in this one process: a
// fifth of it is what each does, but for the master, which does more.
func BenchmarkCommit(b *testing.B) {
	const instances, inFlight = 5, 64
	w := &wire{nodes: map[netip.AddrPort]*Node{}, now: time.Unix(1_700_000_000, 0)}
	o := testOptions
	o.MaxRows = 10_000_000
	for i := range instances {
		addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), 6968)
		w.order = append(w.order, addr)
		w.nodes[addr] = New(o, wireHost{w, addr}, w.now, nil)
		for range 100 {
			w.now = w.now.Add(50 * time.Millisecond)
			for _, a := range w.order {
				w.nodes[a].Tick(w.now)
			}
			w.carry()
		}
	}
	a := bittorrent.AnnounceRequest{Left: 1, Event: bittorrent.EventStarted}
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		for range inFlight {
			n++
			a.Port = uint16(1 + n%60_000)
			binary.BigEndian.PutUint32(a.InfoHash[:], uint32(n/100))
			r := Request{Source: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(n >> 16), byte(n >> 8)}), a.Port)}
			copy(r.Packet[:], bittorrent.AppendUDPAnnounce(nil, uint64(n), uint32(n), &a, ""))
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
