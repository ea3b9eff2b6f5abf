package websocket

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"unique"

	"github.com/gobwas/ws"

	"waggle/bittorrent"
	"waggle/swarm"
)

// conn is a connection of a browser. While nothing is read or written it holds no
// buffers. It is as small as can be, as there may be many: 128 bytes.
type conn struct {
	server      *Server
	stream      stream
	agent       unique.Handle[string] // which many have in common
	credentials *credentials          // nil: it has none

	// Of who reads.
	begun *begun // nil: nothing is
	mine  []membership

	out *output // frames that wait; nil: none. Under mu

	heard atomic.Uint32 // seconds of the server, when something was read last
	late  atomic.Uint32 // since when a message is there in part; 0: none is
	deaf  atomic.Uint32 // since when the client is to take what is written, or to hang up; 0: it did

	number  uint32   // among the server's, under its lock
	address [16]byte // of the client, as IPv6
	port    uint16   // of its end of the connection, or of the proxy's
	refused uint8    // messages in a row; of who reads

	state state // as all that follows under mu
	due   bool  // somebody is about to flush
	busy  bool  // the stream writes, or waits until it can
	mu    sync.Mutex
}

// from returns the address of the client.
func (c *conn) from() netip.Addr { return netip.AddrFrom16(c.address).Unmap() }

// begun is what is there of a frame, and of a message, which are not whole.
type begun struct {
	frame   []byte // with room for the rest; nil: there is none
	message []byte // frames of it; nil: there are none
}

// credentials are what a client has shown when it connected.
type credentials struct{ passkey, token string }

// shown returns what a client has shown of its right to announce, and of itself.
func (c *conn) shown() swarm.Credentials {
	shown := swarm.Credentials{Agent: c.agent.Value()}
	if c.credentials != nil {
		shown.Passkey, shown.Token = c.credentials.passkey, c.credentials.token
	}
	return shown
}

// membership is a torrent that was announced by a connection, and as whom.
type membership struct {
	torrent bittorrent.InfoHash
	peer    bittorrent.PeerID
}

// state is how far the end of a connection is.
type state uint8

const (
	early state = iota // it has no stream yet
	open
	closing // the last frame was pushed
	gone    // nothing is written any more
)

// begin gives a connection its stream. It reports false where it was cut off before.
func (c *conn) begin(s stream) (ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == gone {
		return false
	}
	c.stream, c.state = s, open
	return true
}

// stream is how the bytes of a connection come and go. All methods are called with c.mu
// locked.
type stream interface {
	// flush writes c.out, or sees to it: until that is done it has c.busy set.
	flush(c *conn)
	// cutOff ends what is read and written. Who reads then ends the connection.
	cutOff()
}

// output is frames on their way out.
type output struct{ frames []byte }

// keptOutput is the most bytes of memory for frames that are kept for others.
const keptOutput = 32 << 10

var outputs = sync.Pool{New: func() any { return new(output) }}

// maxWaiting is how many bytes may wait for one client. One that reads is never so far
// behind.
const maxWaiting = 256 << 10

// push adds a frame to those that wait, and reports whether somebody has to flush the
// connection for it. A client for which too much waits is cut off.
func (c *conn) push(op ws.OpCode, payload []byte) (flush bool) {
	c.mu.Lock()
	taken, flush := c.add(op, payload)
	if !taken {
		c.server.figures.slow.Add(1)
		c.lose()
	}
	c.mu.Unlock()
	return flush
}

// relay is push of a message of another client, which is dropped where too much waits: or
// others could have a client cut off by what they send to it.
func (c *conn) relay(payload []byte) (taken, flush bool) {
	c.mu.Lock()
	taken, flush = c.add(ws.OpText, payload)
	c.mu.Unlock()
	return taken, flush
}

// add adds a frame to those that wait, unless these are too much already. Nothing waits for a
// client that nothing is written to any more. c.mu is locked.
func (c *conn) add(op ws.OpCode, payload []byte) (taken, flush bool) {
	if c.state != open {
		return true, false
	}
	before := 0
	if c.out != nil {
		before = len(c.out.frames)
	}
	size := headerSize(len(payload)) + len(payload)
	if before+size > maxWaiting || !c.server.memory.take(size) {
		return false, false
	}
	if c.out == nil {
		c.out = outputs.Get().(*output)
	}
	c.out.frames = append(appendHeader(c.out.frames, op, len(payload)), payload...)
	if op == ws.OpClose {
		c.state = closing
		c.deaf.CompareAndSwap(0, c.server.seconds())
	}
	if c.due || c.busy {
		return true, false
	}
	c.due = true
	return true, true
}

// lose ends a connection at once. c.mu is locked.
func (c *conn) lose() {
	c.state = gone
	if c.stream != nil {
		c.stream.cutOff()
	}
}

// cutOff ends a connection at once.
func (c *conn) cutOff() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lose()
}

// flush writes what was pushed.
func (c *conn) flush() {
	c.mu.Lock()
	c.due = false
	if c.out != nil && !c.busy && c.state != gone {
		c.stream.flush(c)
	}
	c.mu.Unlock()
}

// wrote gives back what was taken for the first n bytes of c.out, which are on their way
// or never will be; where these are all, c.out too. c.mu is locked.
func (c *conn) wrote(n int) {
	o := c.out
	c.server.memory.give(n)
	if n < len(o.frames) {
		o.frames = o.frames[:copy(o.frames, o.frames[n:])]
		return
	}
	c.out = nil
	o.keep()
}

func (o *output) keep() {
	if cap(o.frames) <= keptOutput {
		o.frames = o.frames[:0]
		outputs.Put(o)
	}
}

// unread returns the beginning of a frame, with room for the rest; nil: there is none.
func (c *conn) unread() []byte {
	if c.begun == nil {
		return nil
	}
	return c.begun.frame
}

// fragments returns what is there of a message that is not whole; nil: there is none.
func (c *conn) fragments() []byte {
	if c.begun == nil {
		return nil
	}
	return c.begun.message
}

// hold replaces what is there of a frame and of a message.
func (c *conn) hold(frame, message []byte) {
	switch {
	case frame == nil && message == nil:
		c.begun = nil
	case c.begun == nil:
		c.begun = &begun{frame, message}
	default:
		c.begun.frame, c.begun.message = frame, message
	}
}

// keep keeps the beginning of a frame, which may lie in what was kept, with room for so
// many bytes. It reports false where there is no memory for it.
func (c *conn) keep(in []byte, room int) (ok bool) {
	old := c.unread()
	if len(in) > 0 && cap(old) >= room && &in[0] == &old[0] {
		c.begun.frame = in
		return true
	}
	var kept []byte
	if len(in) > 0 {
		if !c.server.memory.take(room) {
			return false
		}
		kept = append(make([]byte, 0, room), in...)
	}
	c.hold(kept, c.fragments())
	if old != nil {
		c.server.memory.give(cap(old))
	}
	return true
}

// keepFragment adds to a message that is not whole.
func (c *conn) keepFragment(payload []byte) (ok bool) {
	if !c.server.memory.take(len(payload)) {
		return false
	}
	message := c.fragments()
	if message == nil {
		message = []byte{} // an empty one is one, too
	}
	c.hold(c.unread(), append(message, payload...))
	return true
}

func (c *conn) dropFragments() {
	c.server.memory.give(len(c.fragments()))
	c.hold(c.unread(), nil)
}

// ended lets go of all that a connection has, but for its stream. Who reads calls it, once.
func (c *conn) ended() {
	c.mu.Lock()
	c.state = gone
	if c.out != nil && !c.busy {
		c.wrote(len(c.out.frames))
	}
	c.mu.Unlock()
	c.keep(nil, 0)
	c.dropFragments()
	for i := range c.mine {
		c.server.options.Swarms.leave(c, &c.mine[i].torrent, &c.mine[i].peer)
	}
	c.mine = nil
	c.server.remove(c)
}

// join remembers a torrent, to leave it in the end.
func (c *conn) join(m membership) {
	if !slices.Contains(c.mine, m) {
		c.mine = append(c.mine, m)
	}
}

// part forgets a torrent that was left.
func (c *conn) part(m membership) {
	if i := slices.Index(c.mine, m); i >= 0 {
		last := len(c.mine) - 1
		c.mine[i] = c.mine[last]
		c.mine = c.mine[:last]
	}
}

// isFull tells whether the connection has as many torrents as it may.
func (c *conn) isFull() bool {
	most := c.server.options.MaxTorrents
	return most > 0 && len(c.mine) >= most
}

// makeRoom forgets torrents that have not the peer any more, if that is what keeps the
// connection from another.
func (c *conn) makeRoom(m membership) {
	if !c.isFull() || slices.Contains(c.mine, m) {
		return
	}
	c.mine = slices.DeleteFunc(c.mine, func(m membership) bool {
		return !c.server.options.Swarms.holds(c, &m.torrent, &m.peer)
	})
}
