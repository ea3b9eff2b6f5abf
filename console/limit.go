package console

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// What one console spends at most.
const (
	maxConnections = 256
	maxStreams     = 32 // requests under way on a connection of HTTP/2
	maxHeader      = 16 << 10

	// uploadsAtOnce are kept in memory while they are read and parsed.
	uploadsAtOnce = 4
	largeUpload   = 2 << 20          // bytes, beyond which one is alone among its like
	uploadWait    = 10 * time.Second // for one of the places
	uploadTime    = time.Minute      // for a body

	// walksAtOnce look at all peers of a torrent, or of several.
	walksAtOnce = 2

	// answerTime is for a request of the API from its header to its end, as slow as
	// its client may be.
	answerTime = 2 * time.Minute

	// refuseTime is for the rest of a request that is refused, which net/http reads
	// before it answers.
	refuseTime = 2 * time.Second
)

// inTime bounds how long a request takes.
func inTime(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control, until := http.NewResponseController(w), time.Now().Add(answerTime)
		_ = control.SetReadDeadline(until) // in vain only if the connection is gone
		_ = control.SetWriteDeadline(until)
		next.ServeHTTP(w, r)
	})
}

// limited is a TCP listener that has so many connections at most; more wait.
type limited struct {
	net.Listener
	places chan struct{}
	closed chan struct{}
	close  func() error
}

func newLimited(l net.Listener, n int) *limited {
	o := &limited{Listener: l, places: make(chan struct{}, n), closed: make(chan struct{})}
	o.close = sync.OnceValue(func() error {
		close(o.closed)
		return l.Close()
	})
	return o
}

func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.places
		return nil, err
	}
	return &placed{TCPConn: c.(*net.TCPConn), free: sync.OnceFunc(func() { <-l.places })}, nil
}

func (l *limited) Close() error { return l.close() }

// placed is a connection that has one of the places.
type placed struct {
	*net.TCPConn
	free func()
}

func (c *placed) Close() error {
	defer c.free()
	return c.TCPConn.Close()
}
