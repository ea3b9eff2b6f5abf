package websocket

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/gobwas/ws/wsutil"

	"waggle/swarm"
)

// bytesPerBrowser is what each may take.
const bytesPerBrowser = 20_000

// What every connection takes is chosen with the sizes in mind that Go's heap has.
func TestAConnectionAndAPeerAreAsSmallAsTheyAreSaidToBe(t *testing.T) {
	if conn, peer := unsafe.Sizeof(conn{}), unsafe.Sizeof(peer{}); conn > 128 || peer > 64 {
		t.Errorf("a connection takes %d bytes, a peer %d", conn, peer)
	}
}

// pipes is a listener of connections within this process, which are no files.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (p pipes) Close() error {
	close(p)
	return nil
}

func (p pipes) Addr() net.Addr { return new(net.TCPAddr) }

// pipe is the end of the server. The client is its number.
type pipe struct {
	net.Conn
	client int
}

func (p pipe) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(10, 0, byte(p.client>>8), byte(p.client)), Port: 1024 + p.client>>16}
}

// TestFiftyThousandBrowsersAreHeldAtOnce has them, or as many as there is memory for, on connections
// that are no files, of which a process may not have as many everywhere. So each has a goroutine, as
// over TLS; those of TCP have none and take less, see interop.
func TestFiftyThousandBrowsersAreHeldAtOnce(t *testing.T) {
	w := serve(t, false, nil)
	listener, served := make(pipes), make(chan error, 1)
	server := &http.Server{Handler: w.handler}
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		if err, ended := server.Close(), <-served; err != nil || !errors.Is(ended, http.ErrServerClosed) {
			t.Error(err, ended)
		}
	})
	before := inUse()
	clients := make([]net.Conn, browsersAtOnce)
	t.Cleanup(func() {
		for _, c := range clients {
			if c != nil {
				_ = c.Close()
			}
		}
	})
	in := make([]byte, 4096)
	hears := func(c net.Conn, what string) {
		t.Helper()
		_ = c.SetDeadline(time.Now().Add(within))
		for got := 0; ; {
			n, err := c.Read(in[got:])
			if got += n; err != nil || bytes.Contains(in[:got], []byte(what)) {
				if err != nil {
					t.Fatalf("%v instead of %q after %q", err, what, in[:got])
				}
				return
			}
		}
	}
	says := func(n int, more ...any) {
		t.Helper()
		h, id := infoHash(n/10), peerID(n)
		says := text(with(map[string]any{"action": "announce", "info_hash": latin1(h[:]), "peer_id": latin1(id[:]), "left": 9}, more...))
		if err := wsutil.WriteClientText(clients[n], []byte(says)); err != nil {
			t.Fatal(err)
		}
	}
	for n := range clients {
		ours, theirs := net.Pipe()
		clients[n] = ours
		listener <- pipe{theirs, n}
		if _, err := fmt.Fprint(ours, "GET / HTTP/1.1\r\nHost: tracker\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		hears(ours, "\r\n\r\n")
		says(n, "event", "started")
		hears(ours, `"incomplete":`)
		if n%100 == 99 { // on a slow machine they would be asked whether they are there, and cut off
			later := w.seconds() + 3600
			for _, c := range w.all()[max(0, n-200):] {
				c.heard.Store(later)
			}
		}
	}
	if f, all := w.Figures(), w.swarms.Totals(); f.Open != browsersAtOnce || all != (swarm.Totals{Torrents: browsersAtOnce / 10, Peers: browsersAtOnce}) {
		t.Errorf("%d are open, and %+v", f.Open, all)
	}
	each := (inUse() - before) / browsersAtOnce
	t.Logf("%d bytes a connection, both ends", each)
	if each >= bytesPerBrowser {
		t.Errorf("%d bytes a connection, want less than %d", each, bytesPerBrowser)
	}
	for _, n := range []int{0, browsersAtOnce / 2, browsersAtOnce - 10} { // the others of whose torrents are the next nine
		says(n, "offers", slices.Repeat([]any{offerOf("?")}, 9))
		hears(clients[n], `"incomplete":10`)
		for other := n + 1; other < n+10; other++ {
			hears(clients[other], `"sdp":"?"`)
		}
	}
}

// inUse returns the bytes of memory that are in use.
func inUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}
