package attack

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"waggle/bittorrent"
)

// client speaks BEP 15 from one socket.
type client struct {
	conn       net.Conn
	connection uint64
	out, in    []byte
}

// dialUDP connects from an address of loopback, which must be one of 127.0.0.0/8.
func dialUDP(t testing.TB, from, to string) *client {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(from)}}
	conn, err := dialer.DialContext(t.Context(), "udp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	c := &client{conn: conn, in: make([]byte, 2048)}
	c.connect(t)
	return c
}

// connect fetches a connection id, as often as packets are lost.
func (c *client) connect(t testing.TB) {
	t.Helper()
	response := c.ask(t, bittorrent.AppendUDPConnect(nil, 1<<31+7))
	id, err := response.ConnectionID()
	if err != nil {
		t.Fatal(err)
	}
	c.connection = id
}

// ask sends a packet, again where nothing comes, and returns its answer.
func (c *client) ask(t testing.TB, packet []byte) bittorrent.UDPResponse {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if _, err := c.conn.Write(packet); err != nil {
			t.Fatal(err)
		}
		_ = c.conn.SetReadDeadline(time.Now().Add(time.Second))
		for {
			n, err := c.conn.Read(c.in)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			response, err := bittorrent.ParseUDPResponse(c.in[:n])
			if err != nil {
				t.Fatal(err)
			}
			if response.TransactionID == binary.BigEndian.Uint32(packet[12:]) {
				return response
			} // else it is late, to a packet of a flood
		}
	}
	t.Fatalf("%s heard nothing", c.conn.LocalAddr())
	return bittorrent.UDPResponse{}
}

// announce announces and returns what it is told.
func (c *client) announce(t testing.TB, a *bittorrent.AnnounceRequest) bittorrent.AnnounceResponse {
	t.Helper()
	var r bittorrent.AnnounceResponse
	if err := c.ask(t, bittorrent.AppendUDPAnnounce(nil, c.connection, 1<<31+8, a, "")).Announce(false, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// flood sends n announces, of which change makes each another one, as fast as they are
// answered: so none of them is lost, and all are taken in.
func (c *client) flood(t testing.TB, n int, change func(n int, a *bittorrent.AnnounceRequest)) {
	t.Helper()
	const window = 64
	a := bittorrent.AnnounceRequest{Port: 6881, Left: 1, Event: bittorrent.EventStarted}
	for from := 0; from < n; from += window {
		if from%(window*10_000) == 0 {
			c.connect(t) // ids grow old
		}
		some := min(window, n-from)
		for i := range some {
			change(from+i, &a)
			c.out = bittorrent.AppendUDPAnnounce(c.out[:0], c.connection, uint32(i), &a, "")
			if _, err := c.conn.Write(c.out); err != nil {
				t.Fatal(err)
			}
		}
		_ = c.conn.SetReadDeadline(time.Now().Add(time.Second))
		for range some {
			if _, err := c.conn.Read(c.in); err != nil {
				if errors.Is(err, os.ErrDeadlineExceeded) {
					break // some were lost; others come
				}
				t.Fatal(err)
			}
		}
	}
}

// number makes a value of bytes of n, which others do not have.
func number(b []byte, n int) { binary.LittleEndian.PutUint64(b, uint64(n)*0x9e3779b97f4a7c15) }
