package stream

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"
)

// each are streams with a goroutine each, by way of package net. It works on every
// system.
type each struct {
	streams []*conversation
	locals  []netip.Addr
	remote  netip.AddrPort
	events  chan event
	ctx     context.Context // ends the goroutines, at Close
	end     context.CancelFunc
	readers sync.WaitGroup
}

// conversation is one stream between Open and Shut.
type conversation struct {
	number int
	shut   chan struct{}
	read   chan struct{} // of capacity 1: what arrived was read, so read on
	conn   net.Conn      // nil until it is connected
	left   []byte        // arrived, and not read yet
	err    error         // behind that
}

// event is what became of a conversation.
type event struct {
	of   *conversation
	conn net.Conn
	data []byte
	err  error
}

func dialEach(streams int, locals []netip.Addr, remote netip.AddrPort) (Streams, error) {
	e := &each{
		streams: make([]*conversation, streams),
		locals:  locals,
		remote:  remote,
		events:  make(chan event),
	}
	e.ctx, e.end = context.WithCancel(context.Background())
	return e, nil
}

func (e *each) Open(stream int) error {
	c := &conversation{number: stream, shut: make(chan struct{}), read: make(chan struct{}, 1)}
	e.streams[stream] = c
	var dialer net.Dialer
	if local := e.locals[stream%len(e.locals)]; local.IsValid() {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(local, 0))
	}
	e.readers.Go(func() { e.converse(c, &dialer) })
	return nil
}

// converse connects and reads, and tells what became of it. Once it has told of the
// connection, that is closed by Shut: at the end of what the other side sends there
// may be something to write.
func (e *each) converse(c *conversation, dialer *net.Dialer) {
	conn, err := dialer.DialContext(e.ctx, "tcp", e.remote.String())
	if err != nil {
		e.tell(event{of: c, err: err})
		return
	}
	if !e.tell(event{of: c, conn: conn}) {
		_ = conn.Close()
		return
	}
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		if !e.tell(event{of: c, data: buf[:n], err: err}) || err != nil {
			return
		}
		select {
		case <-c.read:
		case <-c.shut:
			return
		case <-e.ctx.Done():
			return
		}
	}
}

// tell reports whether anyone still listens.
func (e *each) tell(happened event) bool {
	select {
	case e.events <- happened:
		return true
	case <-happened.of.shut:
	case <-e.ctx.Done():
	}
	return false
}

func (e *each) Write(stream int, b []byte) (int, error) {
	c := e.streams[stream]
	if c.conn == nil {
		return 0, nil
	}
	return c.conn.Write(b)
}

func (e *each) Read(stream int, b []byte) (int, error) {
	c := e.streams[stream]
	if len(c.left) == 0 {
		return 0, c.err
	}
	n := copy(b, c.left)
	if c.left = c.left[n:]; len(c.left) == 0 && c.err == nil {
		c.read <- struct{}{}
	}
	return n, nil
}

func (e *each) Shut(stream int) {
	c := e.streams[stream]
	close(c.shut)
	if c.conn != nil {
		_ = c.conn.Close()
	}
	e.streams[stream] = nil
}

func (e *each) Wait(timeout time.Duration, ready func(stream int)) error {
	timer := time.NewTimer(max(0, timeout))
	defer timer.Stop()
	select {
	case happened := <-e.events:
		e.take(happened, ready)
	case <-timer.C:
		return nil
	}
	for range len(e.streams) {
		select {
		case happened := <-e.events:
			e.take(happened, ready)
		default:
			return nil
		}
	}
	return nil
}

func (e *each) take(happened event, ready func(stream int)) {
	c := happened.of
	if e.streams[c.number] != c { // shut meanwhile
		if happened.conn != nil {
			_ = happened.conn.Close()
		}
		return
	}
	if happened.conn != nil {
		c.conn = happened.conn
	} else {
		c.left, c.err = happened.data, happened.err
	}
	ready(c.number)
}

func (e *each) Close() error {
	for stream, c := range e.streams {
		if c != nil {
			e.Shut(stream)
		}
	}
	e.end()
	e.readers.Wait()
	return nil
}
