//go:build unix

package http_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"waggle/bittorrent"
	frontend "waggle/frontend/http"
	"waggle/internal/authority"
	"waggle/store/memory"
	"waggle/tracker"
)

// serveArgument makes the test binary a server to be measured.
const serveArgument = "serve-for-benchmark"

// BenchmarkServer measures servers in processes of their own, each on one core:
// how much of its processor's time an answer takes, kernel included, which does
// not depend on how fast this process asks. "bare" is net/http with a handler
// that does nothing, and "general" net/http with waggle's.
func BenchmarkServer(b *testing.B) {
	for _, way := range []struct {
		name string
		ask  func(c *client, n int) error
	}{
		{"keep-alive", (*client).keepAlive},
		{"pipelined", (*client).pipelined},
		{"a-connection-each", (*client).connectionEach},
	} {
		for _, kind := range []string{"bare", "waggle", "general-tls", "waggle-tls"} {
			b.Run(way.name+"/"+kind, func(b *testing.B) { measure(b, kind, way.ask) })
		}
	}
}

// BenchmarkIdleConnections measures what the memory of a server grows by with
// connections that have asked once, stacks included.
func BenchmarkIdleConnections(b *testing.B) {
	for _, kind := range []string{"bare", "waggle", "general-tls", "waggle-tls"} {
		b.Run(kind, func(b *testing.B) {
			p := startServer(b, kind)
			before := p.ask(b, "memory")
			n := min(b.N, 5_000) // of file descriptors there are not many more
			for range n {
				c := p.client(b)
				defer c.close()
				if err := c.keepAlive(1); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(p.ask(b, "memory")-before)/float64(n), "B/connection")
		})
	}
}

const clients = 16

func measure(b *testing.B, kind string, ask func(*client, int) error) {
	p := startServer(b, kind)
	var left atomic.Int64
	left.Store(int64(b.N))
	before := p.ask(b, "cpu")
	var group sync.WaitGroup
	b.ResetTimer()
	for range clients {
		group.Go(func() {
			c := p.client(b)
			defer c.close()
			for left.Add(-pipelineLength) > -pipelineLength {
				if err := ask(c, pipelineLength); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	answers := (b.N + pipelineLength - 1) / pipelineLength * pipelineLength
	spent := float64(p.ask(b, "cpu") - before)
	b.ReportMetric(spent/float64(answers), "cpu-ns/answer")
	b.ReportMetric(float64(answers)/spent*1e9, "answers/cpu-s")
}

// client asks a server for announces.
type client struct {
	address  string
	secure   bool
	conn     net.Conn
	reader   *bufio.Reader
	requests []string // of different peers and torrents
	next     int
	body     []byte
}

func (p *process) client(b *testing.B) *client {
	b.Helper()
	c := &client{address: p.address, secure: p.secure, body: make([]byte, 64<<10)}
	for range 64 {
		n := p.peers.Add(1)
		a := bittorrent.AnnounceRequest{
			InfoHash: bittorrent.InfoHash{byte(n), byte(n >> 8 % 4)}, PeerID: bittorrent.PeerID{1, 2, 3},
			Port: uint16(1 + n%60_000), Left: n % 3, NumWant: 30,
		}
		c.requests = append(c.requests, fmt.Sprintf("GET /announce?%s HTTP/1.1\r\nHost: 127.0.0.1:6969\r\n"+
			"User-Agent: benchmark/1.0\r\nAccept-Encoding: gzip\r\n", bittorrent.AppendHTTPAnnounce(nil, &a)))
	}
	return c
}

func (c *client) request() string {
	c.next = (c.next + 1) % len(c.requests)
	return c.requests[c.next]
}

func (c *client) connect() error {
	if c.conn != nil {
		return nil
	}
	var err error
	if c.conn, err = net.Dial("tcp", c.address); err == nil {
		if c.secure {
			c.conn = tls.Client(c.conn, &tls.Config{InsecureSkipVerify: true})
		}
		c.reader = bufio.NewReaderSize(c.conn, 64<<10)
	}
	return err
}

func (c *client) close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// keepAlive asks n times on one connection.
func (c *client) keepAlive(n int) error {
	for range n {
		if err := c.write(c.request() + "\r\n"); err != nil {
			return err
		}
		if err := c.read(); err != nil {
			return err
		}
	}
	return nil
}

// pipelineLength is how many requests are in one packet.
const pipelineLength = 16

// pipelined asks n times at once.
func (c *client) pipelined(n int) error {
	var all strings.Builder
	for range n {
		all.WriteString(c.request() + "\r\n")
	}
	if err := c.write(all.String()); err != nil {
		return err
	}
	for range n {
		if err := c.read(); err != nil {
			return err
		}
	}
	return nil
}

// connectionEach asks n times on as many connections.
func (c *client) connectionEach(n int) error {
	for range n {
		if err := c.write(c.request() + "Connection: close\r\n\r\n"); err != nil {
			return err
		}
		if err := c.read(); err != nil {
			return err
		}
		c.close()
	}
	return nil
}

func (c *client) write(request string) error {
	if err := c.connect(); err != nil {
		return err
	}
	_, err := io.WriteString(c.conn, request)
	return err
}

// read takes one answer in, looking for nothing but its length.
func (c *client) read() error {
	length := 0
	for {
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			return err
		}
		if value, ok := strings.CutPrefix(string(line), "Content-Length: "); ok {
			length, _ = strconv.Atoi(strings.TrimSpace(value))
		}
		if len(line) == len("\r\n") {
			break
		}
	}
	_, err := io.ReadFull(c.reader, c.body[:length])
	return err
}

// process is a server in a process of its own.
type process struct {
	address string
	secure  bool
	peers   atomic.Int64
	in      io.Writer
	out     *bufio.Scanner
}

func startServer(b *testing.B, kind string) *process {
	b.Helper()
	command := exec.CommandContext(context.WithoutCancel(b.Context()), os.Args[0], serveArgument, kind)
	command.Env, command.Stderr = append(os.Environ(), "GOMAXPROCS=1"), os.Stderr
	in, inErr := command.StdinPipe()
	out, outErr := command.StdoutPipe()
	if err := command.Start(); err != nil || inErr != nil || outErr != nil {
		b.Fatal(err, inErr, outErr)
	}
	b.Cleanup(func() {
		_ = in.Close()
		if err := command.Wait(); err != nil {
			b.Error(err)
		}
	})
	p := &process{secure: strings.HasSuffix(kind, "-tls"), in: in, out: bufio.NewScanner(out)}
	p.out.Scan()
	p.address = p.out.Text()
	return p
}

// ask has the process tell a figure of itself.
func (p *process) ask(b *testing.B, figure string) int64 {
	b.Helper()
	_, _ = fmt.Fprintln(p.in, figure)
	p.out.Scan()
	n, err := strconv.ParseInt(p.out.Text(), 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

func init() {
	if len(os.Args) == 3 && os.Args[1] == serveArgument {
		serve(os.Args[2])
		os.Exit(0)
	}
}

// serve is the other side of process.
func serve(kind string) {
	address, shut := map[string]func() (string, func()){
		"bare": listenBare, "waggle": listenWaggle, "general-tls": listenGeneral, "waggle-tls": listenSecure,
	}[kind]()
	fmt.Println(address)
	for figures := bufio.NewScanner(os.Stdin); figures.Scan(); {
		switch figures.Text() {
		case "cpu":
			fmt.Println(processorTime())
		case "memory":
			fmt.Println(memoryInUse())
		}
	}
	shut()
}

func listenBare() (address string, shut func()) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	nothing := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: nothing}
	go func() { _ = server.Serve(l) }()
	return l.Addr().String(), func() { _ = server.Close() }
}

func listenWaggle() (address string, shut func()) {
	s := waggle(frontend.Options{}, "127.0.0.1:0")
	return s.Addrs()[0].String(), func() { _ = s.Close() }
}

func listenSecure() (address string, shut func()) {
	s := waggle(frontend.Options{Secure: []string{"127.0.0.1:0"}, TLS: serverTLS()})
	return s.SecureAddrs()[0].String(), func() { _ = s.Close() }
}

func listenGeneral() (address string, shut func()) {
	s := waggle(frontend.Options{})
	l, err := tls.Listen("tcp", "127.0.0.1:0", serverTLS())
	if err != nil {
		panic(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: s.Handler()}
	go func() { _ = server.Serve(l) }()
	return l.Addr().String(), func() { _ = errors.Join(server.Close(), s.Close()) }
}

func serverTLS() *tls.Config {
	tb := new(testing.B) // there is none in a process that is measured
	return authority.New(tb).Config(tb, "127.0.0.1")
}

func waggle(o frontend.Options, addresses ...string) *frontend.Server {
	o.Tracker = tracker.New(memory.New(memory.Options{}), tracker.Settings{
		Interval: 30 * time.Minute, MinInterval: 15 * time.Minute, NumWant: 50, MaxNumWant: 200,
	}, tracker.Options{})
	s, err := frontend.Listen(context.Background(), addresses, nil, o)
	if err != nil {
		panic(err)
	}
	return s
}

// processorTime is what this process has used so far, in nanoseconds.
func processorTime() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// memoryInUse is what the heap and all stacks hold after they were shrunk to what
// is needed, in bytes.
func memoryInUse() int64 {
	for range 5 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
