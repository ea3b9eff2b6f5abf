package core_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/link/core"
	"waggle/swarm"
)

// mailbox is a Host that keeps messages, and nothing else.
type mailbox struct {
	core.Host
	sent  [][]byte
	bytes int
	puts  int
}

func (m *mailbox) Send(_ core.LinkID, b []byte)               { m.sent = append(m.sent, b); m.bytes += len(b) }
func (m *mailbox) Put(bittorrent.InfoHash, *swarm.Peer)       { m.puts++ }
func (m *mailbox) Remove(bittorrent.InfoHash, netip.AddrPort) {}
func (m *mailbox) Completed(bittorrent.InfoHash, uint32)      {}
func (m *mailbox) Happened(core.Event)                        {}
func (m *mailbox) Close(_ core.LinkID, why core.Reason)       { panic(why.Words) }
func (m *mailbox) File(core.LinkID, core.FileMessage)         {}

// couple is two nodes with a link and no time between them.
type couple struct {
	now   time.Time
	nodes [2]*core.Node
	boxes [2]*mailbox
}

func newCouple() *couple {
	c := &couple{now: epoch}
	for i := range c.nodes {
		c.boxes[i] = &mailbox{}
		c.nodes[i] = core.New(c.now, core.Options{Origin: core.Origin(i+1) << 40, Lifetime: time.Hour}, c.boxes[i])
	}
	return c
}

func (c *couple) link() {
	for i := range c.nodes {
		c.nodes[i].Open(c.now, core.LinkOptions{Name: "other", Receive: true, Send: true})
	}
	c.settle()
}

// pass hands over what one has sent to the other, and reports whether there was
// anything.
func (c *couple) pass(from int) bool {
	sent := c.boxes[from].sent
	c.boxes[from].sent = nil
	for _, b := range sent {
		c.nodes[1-from].Receive(c.now, 1, b)
	}
	return len(sent) > 0
}

func (c *couple) settle() {
	for {
		a, b := c.pass(0), c.pass(1)
		if !a && !b {
			return
		}
	}
}

func (c *couple) tick(d time.Duration) {
	c.now = c.now.Add(d)
	c.nodes[0].Tick(c.now)
	c.nodes[1].Tick(c.now)
	c.settle()
}

var benchScratch swarm.Change

func benchChange(i, torrents int) *swarm.Change {
	c := &benchScratch
	*c = swarm.Change{Kind: swarm.PeerPut}
	binary.BigEndian.PutUint64(c.InfoHash[:], uint64(i%torrents)*0x9e3779b97f4a7c15)
	c.Peer.Addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), uint16(20000+i%997))
	copy(c.Peer.ID[:], "-WG0001-")
	binary.BigEndian.PutUint64(c.Peer.ID[12:], uint64(i))
	c.Peer.Key = uint32(i)
	c.Peer.Kind = swarm.Leecher
	c.Peer.Left, c.Peer.Uploaded, c.Peer.Downloaded = 700_000_000-int64(i), 300_000_000+int64(i), 400_000_000
	return c
}

// BenchmarkChange is what a change costs on each side of a link: announced at one,
// recorded at the other. A tenth is new, the rest are refreshes, of 200,000 peers.
func BenchmarkChange(b *testing.B) {
	for _, torrents := range []int{100, 20_000} {
		b.Run(fmt.Sprint(torrents, " torrents"), func(b *testing.B) { benchmarkChange(b, torrents) })
	}
}

func benchmarkChange(b *testing.B, torrents int) {
	const peers = 200_000
	c := newCouple()
	c.link()
	for i := range peers {
		c.nodes[0].Local(c.now, benchChange(i, torrents))
		if i%1000 == 999 {
			c.tick(20 * time.Millisecond)
		}
	}
	c.boxes[0].bytes = 0
	var sender, receiver time.Duration
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	b.ResetTimer()
	for done := 0; done < b.N; {
		n := min(2000, b.N-done) // those of 20 ms, at 100,000 a second
		begun := cpuTime()
		for i := range n {
			at := benchChange((done+i)*7919%peers, torrents)
			at.Kind = swarm.PeerRefreshed
			at.Peer.Uploaded += int64(done) * 1000
			if i%10 == 0 {
				at.Kind, at.Peer.Key = swarm.PeerPut, uint32(done)
			}
			c.nodes[0].Local(c.now, at)
		}
		c.now = c.now.Add(20 * time.Millisecond)
		c.nodes[0].Tick(c.now)
		sent := cpuTime()
		c.pass(0)
		c.nodes[1].Tick(c.now)
		sender, receiver = sender+sent-begun, receiver+cpuTime()-sent
		c.settle()
		done += n
	}
	b.StopTimer()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(sender.Nanoseconds())/float64(b.N), "cpu-ns/sent")
	b.ReportMetric(float64(receiver.Nanoseconds())/float64(b.N), "cpu-ns/received")
	b.ReportMetric(float64(c.boxes[0].bytes)/float64(b.N), "bytes/change")
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/float64(b.N), "allocs/change")
	if got := c.nodes[1].Figures().Peers; got != peers {
		b.Fatalf("%d peers came over, want %d", got, peers)
	}
}

// BenchmarkHeal brings a million peers to a node that has none.
func BenchmarkHeal(b *testing.B) {
	for _, torrents := range []int{1, 1000, 100_000} {
		b.Run(fmt.Sprint(torrents, " torrents"), func(b *testing.B) {
			for range b.N {
				benchmarkHeal(b, torrents)
			}
		})
	}
}

func benchmarkHeal(b *testing.B, torrents int) {
	const peers = 1_000_000
	b.StopTimer()
	c := newCouple()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range peers {
		c.nodes[0].Local(c.now, benchChange(i, torrents))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/peers, "bytes/entry")
	b.StartTimer()
	begun := cpuTime()
	c.link()
	b.ReportMetric((cpuTime() - begun).Seconds(), "cpu-s/both")
	b.StopTimer()
	if got := c.nodes[1].Figures().Peers; got != peers {
		b.Fatalf("%d peers came over, want %d", got, peers)
	}
	b.ReportMetric(float64(c.boxes[0].bytes)/peers, "bytes/peer")
}

// A million peers take well under 400 MB.
func TestAnEntryTakesLessThan200Bytes(t *testing.T) {
	const peers = 200_000
	var before, after runtime.MemStats
	for _, torrents := range []int{100, 20_000} {
		c := newCouple()
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range peers {
			c.nodes[0].Local(c.now, benchChange(i, torrents))
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		each := float64(after.HeapAlloc-before.HeapAlloc) / peers
		t.Logf("%.0f bytes an entry, of %d torrents", each, torrents)
		if c.nodes[0].Figures().Peers != peers || each >= 200 {
			t.Errorf("%.0f bytes an entry, of %d torrents", each, torrents)
		}
	}
}

// Under 60 bytes a change at load: one in ten is new, refreshes are of clients that
// have moved gigabytes.
func TestAChangeTakesLessThan60Bytes(t *testing.T) {
	c := newCouple()
	c.link()
	const peers = 20_000
	for _, torrents := range []int{100, 400, 20_000} {
		for i := range peers {
			c.nodes[0].Local(c.now, benchChange(i, torrents))
			if i%500 == 499 {
				c.tick(20 * time.Millisecond)
			}
		}
		before := c.boxes[0].bytes
		for i := range peers {
			ch := benchChange(i*7919%peers, torrents)
			ch.Kind = swarm.PeerRefreshed
			ch.Peer.Uploaded += 5 << 30
			if i%10 == 0 {
				ch.Kind, ch.Peer.Key = swarm.PeerPut, 12345
			}
			c.nodes[0].Local(c.now, ch)
			if i%500 == 499 {
				c.tick(20 * time.Millisecond)
			}
		}
		each := float64(c.boxes[0].bytes-before) / peers
		t.Logf("%.1f bytes a change, of %d torrents", each, torrents)
		if each >= 60 {
			t.Errorf("%.1f bytes a change, of %d torrents", each, torrents)
		}
	}
}
