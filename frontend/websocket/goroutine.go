package websocket

import (
	"net"

	"github.com/gobwas/ws"
)

// goroutine is the stream of a connection that has a goroutine to read it, and another one
// while something is written: over TLS, where the system has no poller, and where the
// store is on a network, so that announces wait.
type goroutine struct {
	*conn
	net.Conn
}

// serve answers what is read until either side has enough.
func (g *goroutine) serve(read []byte) {
	defer g.end()
	more := g.answer(read)
	var first [ws.MaxHeaderSize]byte // of a frame; for the rest there is memory when its length is known
	for {
		in := first[:]
		kept := g.unread()
		have := len(kept)
		if have > 0 && more {
			in = kept[have:cap(kept)]
		}
		n, err := g.Read(in)
		switch {
		case err != nil:
			return
		case !more: // until the client hangs up
		case have > 0:
			more = g.answer(kept[:have+n])
		default:
			more = g.answer(in[:n])
		}
	}
}

// end closes the connection.
func (g *goroutine) end() {
	_ = g.Close()
	g.ended()
}

func (g *goroutine) answer(in []byte) (more bool) {
	c := g.conn
	w := c.server.works.Get().(*work)
	w.begin()
	c.heard.Store(w.second)
	more = c.receive(w, in)
	w.end()
	c.server.works.Put(w)
	return more
}

// flush is of stream.
func (g *goroutine) flush(c *conn) {
	c.busy = true
	c.deaf.CompareAndSwap(0, c.server.seconds())
	c.server.serving.Go(g.write)
}

// write writes until nothing is left.
func (g *goroutine) write() {
	c := g.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.out != nil && c.state != gone {
		o := c.out
		c.out = nil
		c.mu.Unlock()
		_, err := g.Write(o.frames)
		c.mu.Lock()
		c.server.memory.give(len(o.frames))
		o.keep()
		switch {
		case err != nil:
			c.lose()
		case c.state == open:
			c.deaf.Store(c.server.seconds()) // for what was pushed meanwhile
		}
	}
	c.busy = false
	if c.out != nil {
		c.wrote(len(c.out.frames))
	}
	switch c.state {
	case open:
		c.deaf.Store(0)
	case closing:
		g.finish()
	}
}

// finish tells the client that nothing more is written. TLS has its own word for that.
func (g *goroutine) finish() {
	if half, ok := g.Conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

// cutOff is of stream.
func (g *goroutine) cutOff() { _ = g.Close() }
