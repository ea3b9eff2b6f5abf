package instance_test

import (
	"bytes"
	"encoding/binary"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/cluster/carrier"
	"waggle/internal/clustertest"
)

// attacker is on the network, and sends as fast as it can.
type attacker struct {
	t    testing.TB
	conn *net.UDPConn
	addr netip.AddrPort
}

func newAttacker(t testing.TB) *attacker {
	t.Helper()
	conn := clustertest.Socket(t)
	return &attacker{t, conn, conn.LocalAddr().(*net.UDPAddr).AddrPort()}
}

// flood sends datagrams to all targets in turn until what it returns is called, which returns how
// many it were.
func (a *attacker) flood(targets []netip.AddrPort, datagrams [][]byte) (stop func() int) {
	ending, n := make(chan struct{}), 0
	var group sync.WaitGroup
	group.Go(func() {
		for ; ; n++ {
			select {
			case <-ending:
				return
			default:
			}
			if _, err := a.conn.WriteToUDPAddrPort(datagrams[n%len(datagrams)], targets[n%len(targets)]); err != nil {
				a.t.Error(err)
				return
			}
		}
	})
	return func() int {
		close(ending)
		group.Wait()
		return n
	}
}

// heap is how many bytes live.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// mostGrowth is what floods may have a process of three instances take beside what it has: their
// queues, and what they remember of requests.
const mostGrowth = 128 << 20

func targetsOf(group netip.AddrPort, all []*real) []netip.AddrPort {
	targets := []netip.AddrPort{group}
	for _, x := range all {
		targets = append(targets, x.carrier.Address())
	}
	return targets
}

// sealedBy returns messages as an instance with a secret would send them to all.
func sealedBy(t testing.TB, o carrier.MulticastOptions, from netip.AddrPort, instances int, messages ...[]byte) (list [][]byte) {
	t.Helper()
	for range instances {
		s, err := carrier.NewSeal(carrier.SealOptions{Secret: o.Secret, Name: o.Group.String(), Address: from})
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range messages {
			list = append(list, bytes.Clone(s.Seal(netip.AddrPort{}, b)[0]))
		}
	}
	return list
}

func TestClusterGoesOnCommittingWhileItIsFlooded(t *testing.T) {
	o := onLoopback(t)
	all := realThree(t, o, nil)
	a, m := newAttacker(t), newMaker()
	others := o
	others.Secret = []byte("another secret of others")
	var rubbish, messages, answers [][]byte
	for range 1000 {
		rubbish, messages = append(rubbish, m.bytes(m.IntN(1500))), append(messages, m.message())
		answers = append(answers, append(binary.BigEndian.AppendUint32(nil, 0x57670083), m.bytes(32)...))
	}
	l := &load{list: all, peers: 2000}
	l.run(t, 64, time.Second/2)
	t.Logf("%8.0f commits/s before", l.run(t, 64, time.Second))
	for _, c := range []struct {
		name      string
		datagrams [][]byte
		count     func(f carrier.Figures) uint64
	}{
		{"rubbish", rubbish, func(f carrier.Figures) uint64 { return f.Malformed + f.Forged }},
		{"messages without a MAC", messages, func(f carrier.Figures) uint64 { return f.Malformed + f.Forged }},
		{"messages with a wrong MAC", sealedBy(t, others, a.addr, 1, messages...), func(f carrier.Figures) uint64 { return f.Forged }},
		{"answers to no challenge", answers, func(f carrier.Figures) uint64 { return f.Forged }},
		{"first packets of a thousand lives", sealedBy(t, o, a.addr, 1000, messages[0]), func(f carrier.Figures) uint64 { return f.Unproven + f.Crowded }},
	} {
		counted := func() (sum uint64) {
			for _, x := range all {
				sum += c.count(x.carrier.Figures())
			}
			return sum
		}
		before, lived, turned := counted(), heap(), l.busy.Load()
		stop := a.flood(targetsOf(o.Group, all), c.datagrams)
		rate := l.run(t, 64, time.Second)
		n := stop()
		t.Logf("%8.0f commits/s while %d packets came, %s, of which %d were counted; %d announces were turned away first",
			rate, n, c.name, counted()-before, l.busy.Load()-turned)
		if counted() == before {
			t.Errorf("%s: none were counted", c.name)
		}
		if now := heap(); now > lived+mostGrowth {
			t.Errorf("%s: %d bytes live, and %d before", c.name, now, lived)
		}
	}
	t.Logf("%8.0f commits/s after", l.run(t, 64, time.Second/2))
}

// Without a secret anybody may be believed. It is promised that nothing crashes, and that neither
// memory nor the log fills.
func TestUnauthenticatedClusterSurvivesWhateverIsSent(t *testing.T) {
	o := onLoopback(t)
	o.Secret, o.Unsealed = nil, true
	var log lines
	all := realThree(t, o, slog.New(slog.NewTextHandler(&log, nil)))
	l := &load{list: all, peers: 500}
	l.run(t, 16, time.Second/2)
	m, before := newMaker(), heap()
	var stops []func() int
	for range 3 {
		var messages [][]byte
		for range 10_000 {
			messages = append(messages, m.message())
		}
		stops = append(stops, newAttacker(t).flood(targetsOf(o.Group, all), messages))
	}
	time.Sleep(2 * time.Second)
	sum := 0
	for _, stop := range stops {
		sum += stop()
	}
	if now := heap(); now > before+mostGrowth {
		t.Errorf("%d bytes live, and %d before", now, before)
	}
	eventually(t, "all take in what waits", func() bool {
		for _, x := range all {
			if len(x.carrier.Receive()) > 0 {
				return false
			}
		}
		return true
	})
	for _, x := range all {
		s := x.in.State()
		t.Logf("after %d packets: a %v of %d members, %d rows, %d under way, ahead by %v; %+v", sum, s.Role, len(s.Members), s.Rows, s.UnderWay, s.Ahead, s.Figures)
		if len(s.Members) > 256 || s.Rows > 50_000 || s.Figures.Bad+s.Figures.Strange == 0 {
			t.Errorf("%+v", s.Figures)
		}
	}
	if n := log.count(); n > 3*3*120 {
		t.Errorf("%d lines of log", n)
	}
}

// lines counts what is written to a log.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) count() int { return bytes.Count([]byte(l.text()), []byte("\n")) }

func (l *lines) has(words string) bool { return strings.Contains(l.text(), words) }

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// maker makes messages that look right, of whatever content.
type maker struct{ *rand.Rand }

func newMaker() *maker { return &maker{rand.New(rand.NewPCG(9, 10))} }

func (m *maker) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(m.Uint32())
	}
	return b
}

// few returns bytes of which there are not many, so that messages speak of the same things.
func (m *maker) few(n int) []byte {
	b := make([]byte, n)
	b[n-1] = byte(m.IntN(20))
	return b
}

// time is one of the cluster's: about now, of long ago, or of the far future.
func (m *maker) time() uint64 {
	now := uint64(time.Now().UnixMicro())
	return [...]uint64{now, now, now, now + m.Uint64N(2_000_000), now - m.Uint64N(3_600_000_000), 1, 9_999_999_999_000_000}[m.IntN(7)]
}

// message makes one: the types and lengths are those of package cluster.
func (m *maker) message() []byte {
	kind := [...]uint32{0, 1, 2, 3, 4, 5, 0x57670001, 0x57670002, 0x57670003, 0x57670004, 0x57670005, 0x57670006, 0x57670007, 0x57670008}[m.IntN(14)]
	b := binary.BigEndian.AppendUint32(nil, kind)
	transaction := func() {
		b = append(append(b, m.few(8)...), 0, 0, 0, 1)
		b = append(b, m.few(4)...)
	}
	switch kind {
	case 0, 1, 0x57670008: // KA, ME, bye
		b = append(b, m.few(20)...)
	case 2: // HI
		b = append(b, m.few(8)...)
		if m.IntN(2) == 0 {
			b = append(append(b, m.few(20)...), m.bytes(20+26*m.IntN(52))...)
		}
	case 3:
		transaction()
		b = append(b, m.few(20)...)
	case 4, 5:
		transaction()
	case 0x57670001:
		a := bittorrent.AnnounceRequest{InfoHash: bittorrent.InfoHash(m.few(20)), Left: int64(m.IntN(2)), Port: uint16(1 + m.IntN(1000)), Event: bittorrent.Event(m.IntN(4))}
		b = binary.BigEndian.AppendUint64(b, m.time())
		b = append(append(b, make([]byte, 10)...), 0xff, 0xff, 10, 2, 0, byte(m.IntN(250)))
		b = binary.BigEndian.AppendUint16(b, uint16(m.IntN(1000)))
		b = append(b, bittorrent.AppendUDPAnnounce(nil, m.Uint64N(1<<40), m.Uint32(), &a, "")...)
	case 0x57670002:
		transaction()
		b = binary.BigEndian.AppendUint64(b, m.time())
		b = binary.BigEndian.AppendUint64(b, m.Uint64N(100))
		b = binary.BigEndian.AppendUint64(b, m.time())
	case 0x57670003:
		b = binary.BigEndian.AppendUint32(append(b, m.few(4)...), m.Uint32N(5000))
		b = append(binary.BigEndian.AppendUint64(b, m.time()*m.Uint64N(2)), m.bytes(58)...)
	case 0x57670004:
		b = append(append(b, m.few(4)...), m.few(4)...)
		b = append(b, m.bytes(8*32*m.IntN(2))...)
	case 0x57670005: // of the first leaf, a row that is none or is one
		b = append(append(b, m.few(4)...), 0, 0, 0, 33, 0, 0, 0, byte(m.IntN(2)))
		b = append(append(b, make([]byte, 58)...), m.few(20)...)
		b = append(append(b, make([]byte, 10)...), 0xff, 0xff, 10, 2, 0, byte(m.IntN(250)), 0, byte(m.IntN(250)))
		b = append(append(b, m.few(20)...), byte(m.IntN(4)))
		b = append(append(b, make([]byte, 3*8+4)...), make([]byte, 8)...)
		b = binary.BigEndian.AppendUint64(b, m.time())
	default: // pull, and its answer
		b = append(b, m.few(4)...)
		b = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, m.time()), m.time())
	}
	return b
}
