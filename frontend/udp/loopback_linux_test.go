package udp

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"waggle/bittorrent"
	"waggle/store/memory"
	"waggle/tracker"
)

// BenchmarkLoopback sets what one worker answers through real sockets beside an
// echo that batches its system calls in the same way and does no work. All take
// turns in one run, so that the ratios hold on a machine that has other work.
//
// The load is a thread on the last processor, everything else is on the first.
// It keeps so many requests under way that the worker never waits, and sends
// them in a cheaper way than they can be received (UDP_SEGMENT), so that the load
// is not what is measured. ns/answer is processor time.
func BenchmarkLoopback(b *testing.B) {
	pinProcess(b, 0)
	short := &contender{name: "echo16", server: listenEcho(b), request: connects}
	long := &contender{name: "echo98", server: listenEcho(b), request: connects}
	long.request = announces(b, long.server, 1, 0)
	contenders := []*contender{short, long}
	contenders = append(contenders,
		&contender{name: "connect", echo: short, server: listenOne(b, Options{}, "127.0.0.1"), request: connects},
		&contender{name: "connect-wildcard", echo: short, server: listenOne(b, Options{}, "0.0.0.0"), request: connects},
		&contender{name: "connect-portable", echo: short, server: listenOne(b, Options{portable: true}, "127.0.0.1"), request: connects},
	)
	for _, peers := range []int{0, 1, 50, 1_000} {
		server := listenOne(b, Options{}, "127.0.0.1")
		contenders = append(contenders, &contender{
			name: "announce-" + strconv.Itoa(peers), echo: long, server: server, request: announces(b, server, 1_000, peers),
		})
	}
	l := newLoad(b)
	for b.Loop() {
		for _, c := range contenders {
			l.measure(b, c)
		}
	}
	for _, c := range contenders {
		b.ReportMetric(median(c.rate), c.name+"/s")
		b.ReportMetric(median(c.cost), c.name+"-ns/answer")
		if c.echo != nil {
			b.ReportMetric(median(quotients(c.rate, c.echo.rate)), c.name+"/echo")
			b.ReportMetric(median(quotients(c.echo.cost, c.cost)), c.name+"/echo-by-cpu")
		}
	}
}

// contender is a server that takes part, and what it is asked.
type contender struct {
	name    string
	echo    *contender // what it is compared with; nil: nothing
	server  netip.AddrPort
	request func(buffer []byte) int // writes one and returns its length, which is always the same

	rate []float64 // answers a second, of each turn
	cost []float64 // nanoseconds of processor time an answer, of each turn
}

func connects(buffer []byte) int { return len(bittorrent.AppendUDPConnect(buffer[:0], 1)) }

// announces returns requests for 30 peers by as many peers of each of as many
// torrents, all of which take part by chance; without peers, requests that are
// refused before any swarm is looked at.
func announces(b *testing.B, server netip.AddrPort, torrents, peers int) func([]byte) int {
	conn, err := net.Dial("udp", server.String())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	answer := make([]byte, maxAnswer)
	if _, err := conn.Write(bittorrent.AppendUDPConnect(nil, 1)); err != nil {
		b.Fatal(err)
	}
	if _, err := conn.Read(answer); err != nil {
		b.Fatal(err)
	}
	a := bittorrent.AnnounceRequest{Port: 1, Left: 1, NumWant: 30}
	packet := bittorrent.AppendUDPAnnounce(nil, binary.BigEndian.Uint64(answer[8:]), 1, &a, "")
	random := rand.New(rand.NewPCG(1, 2))
	return func(buffer []byte) int {
		if peers > 0 {
			binary.LittleEndian.PutUint32(packet[16:], random.Uint32N(uint32(torrents)))
			peer := uint16(1 + random.Uint32N(uint32(peers)))
			binary.LittleEndian.PutUint16(packet[36:], peer)
			binary.BigEndian.PutUint16(packet[96:], peer)
		} else {
			binary.BigEndian.PutUint32(packet[80:], 99) // no such event
		}
		return copy(buffer, packet)
	}
}

// listenOne begins to answer with one worker and returns where it is reached.
func listenOne(b *testing.B, o Options, host string) netip.AddrPort {
	b.Helper()
	o.Readers = 1
	o.Tracker = tracker.New(memory.New(memory.Options{}), tracker.Settings{Interval: time.Minute, NumWant: 50, MaxNumWant: 50}, tracker.Options{})
	s, err := Listen(b.Context(), []string{net.JoinHostPort(host, "0")}, o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), s.Addrs()[0].Port())
}

// listenEcho sends back what comes, and waits for it in the kernel.
func listenEcho(b *testing.B) netip.AddrPort {
	b.Helper()
	conn, err := listenNetwork(b.Context(), net.ListenConfig{}, "udp4", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	addr := localAddr(conn)
	fd, err := detach(conn)
	if err != nil {
		b.Fatal(err)
	}
	var stopped atomic.Bool
	var running sync.WaitGroup
	running.Go(func() {
		for batch := newBatch(false); !stopped.Load(); {
			n, _ := systemCalls.receive(fd, batch.requests[:], unix.MSG_WAITFORONE)
			for i := range n {
				batch.slots[i].in.SetLen(int(batch.requests[i].length))
			}
			_, _ = systemCalls.send(fd, batch.requests[:n], 0)
			for i := range n {
				batch.slots[i].in.SetLen(maxRequest)
			}
		}
	})
	b.Cleanup(func() {
		stopped.Store(true)
		_ = unix.Shutdown(fd, unix.SHUT_RD) // wakes it
		running.Wait()
		_ = unix.Close(fd)
	})
	return addr
}

// pinProcess keeps all threads of the process on a processor until the benchmark
// ends.
func pinProcess(b *testing.B, cpu int) {
	b.Helper()
	var before, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		b.Fatal(err)
	}
	one.Set(cpu)
	setProcess(b, &one)
	b.Cleanup(func() { setProcess(b, &before) })
}

func setProcess(b *testing.B, set *unix.CPUSet) {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		b.Fatal(err)
	}
	for _, task := range tasks {
		id, _ := strconv.Atoi(task.Name())
		if err := unix.SchedSetaffinity(id, set); err != nil && !errors.Is(err, unix.ESRCH) {
			b.Fatal(err)
		}
	}
}

// load sends requests from a socket of its own, on a thread of its own.
type load struct {
	batch    *batch
	requests []byte
}

// Bounds of a turn.
const (
	turn     = 100 * time.Millisecond
	underWay = 8 * batchSize // requests
)

func newLoad(b *testing.B) *load {
	runtime.LockOSThread()
	var set unix.CPUSet
	set.Set(runtime.NumCPU() - 1)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(runtime.UnlockOSThread)
	return &load{batch: newBatch(false), requests: make([]byte, 0, batchSize*maxRequest)}
}

func (l *load) measure(b *testing.B, c *contender) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	wait := unix.NsecToTimeval(int64(time.Second))
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: c.server.Addr().As4(), Port: int(c.server.Port())}); err != nil {
		b.Fatal(err)
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_SEGMENT, c.request(make([]byte, maxRequest)))

	l.send(b, c, fd, underWay)
	cost, begin, answers := serverTime(), time.Now(), 0
	for time.Since(begin) < turn {
		n := l.receive(b, c, fd)
		l.send(b, c, fd, n)
		answers += n
	}
	c.rate = append(c.rate, float64(answers)/time.Since(begin).Seconds())
	c.cost = append(c.cost, float64(serverTime()-cost)/float64(answers))
	for left := underWay; left > 0; {
		left -= l.receive(b, c, fd)
	}
}

func (l *load) send(b *testing.B, c *contender, fd, n int) {
	for n > 0 {
		some := min(n, batchSize)
		l.requests = l.requests[:0]
		for range some {
			at := len(l.requests)
			l.requests = l.requests[:at+c.request(l.requests[at:at+maxRequest])]
		}
		if _, err := unix.Write(fd, l.requests); err != nil {
			b.Fatal(c.name, err)
		}
		n -= some
	}
}

func (l *load) receive(b *testing.B, c *contender, fd int) int {
	n, err := systemCalls.receive(fd, l.batch.requests[:], unix.MSG_WAITFORONE)
	if err != nil && !errors.Is(err, unix.EINTR) {
		b.Fatalf("%s: %v", c.name, err)
	}
	return n
}

// serverTime is the processor time of all threads but this one.
func serverTime() time.Duration {
	var all, this unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &all)
	_ = unix.Getrusage(unix.RUSAGE_THREAD, &this)
	return time.Duration(all.Utime.Nano() + all.Stime.Nano() - this.Utime.Nano() - this.Stime.Nano())
}

func quotients(a, b []float64) []float64 {
	out := make([]float64, len(a))
	for i := range a {
		out[i] = a[i] / b[i]
	}
	return out
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
