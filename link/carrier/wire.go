package carrier

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// Dial makes a connection, as [net.Dialer.DialContext] does.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Bounds of what waits in a NATS client for a subscription: a window of our own frames
// fits, with what may come beside it.
const (
	pendingFrames = 2 * Window / FrameCost
	pendingBytes  = 2 * Window
)

// dialPatience is how long a connection may take: short, so that one that was begun while
// the network was cut is soon followed by one that gets through.
const dialPatience = 2 * time.Second

// wire is a connection to a NATS server that ends when it breaks: what comes after is
// another, so that nothing of the old one is sent late.
type wire struct {
	nc     *nats.Conn
	closed chan struct{} // closed when the connection is, whoever did it

	mu      sync.Mutex
	raw     net.Conn
	dialErr error
	denied  error // by the NATS, which leaves the connection open
	cutOff  bool
}

// openWire connects. Options are those of nats.go that say where and as whom. It gives
// up when ctx ends, or after patience.
func openWire(ctx context.Context, dial Dial, url string, patience time.Duration, options ...nats.Option) (*wire, error) {
	w := &wire{closed: make(chan struct{})}
	options = append([]nats.Option{
		nats.NoReconnect(), nats.NoEcho(), nats.SkipHostLookup(), nats.IgnoreDiscoveredServers(), nats.SkipSubjectValidation(),
		nats.Timeout(patience), nats.FlusherTimeout(patience), nats.ReconnectOnFlusherError(),
		nats.PingInterval(3 * time.Second), nats.MaxPingsOutstanding(2),
		nats.ClosedHandler(func(*nats.Conn) { close(w.closed) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { w.complained(err) }),
		nats.SetCustomDialer(&wireDialer{ctx: ctx, dial: dial, w: w, patience: patience}),
	}, options...)
	stop := context.AfterFunc(ctx, w.cut)
	defer stop()
	nc, err := nats.Connect(url, options...)
	if err != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.dialErr != nil {
			err = w.dialErr // nats.go loses some of them
		}
		return nil, err
	}
	w.nc = nc
	return w, nil
}

// wireDialer keeps hold of the connection below TLS, so that it can be cut.
type wireDialer struct {
	ctx      context.Context // nats.go has none
	dial     Dial
	w        *wire
	patience time.Duration
}

// Dial is what nats.go calls.
func (d *wireDialer) Dial(network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(d.ctx, min(d.patience, dialPatience))
	defer cancel()
	raw, err := d.dial(ctx, network, address)
	d.w.mu.Lock()
	defer d.w.mu.Unlock()
	d.w.dialErr = err
	if err == nil && d.w.cutOff {
		err = errors.Join(context.Cause(d.ctx), raw.Close())
	}
	if err == nil {
		d.w.raw = raw
	}
	return raw, err
}

// hear calls back for what arrives under a subject, one at a time, until stop is called or
// the connection is closed.
func (w *wire) hear(subject string, call func(b []byte, subject string)) (stop func(), err error) {
	s, err := w.nc.Subscribe(subject, func(m *nats.Msg) { call(m.Data, m.Subject) })
	if err != nil {
		return nil, err
	}
	return func() { _ = s.Unsubscribe() }, s.SetPendingLimits(pendingFrames, pendingBytes) // one that is closed needs no stop
}

// flush waits, at most half a second, until the server has what was published.
func (w *wire) flush() { _ = w.nc.FlushTimeout(500 * time.Millisecond) }

// cut breaks the connection below, which ends whatever waits for it.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cutOff = true
	if w.raw != nil {
		_ = w.raw.Close() // what is to be broken may be broken already
	}
}

// close ends the connection, and waits for that.
func (w *wire) close() {
	patience := time.AfterFunc(time.Second, w.cut)
	defer patience.Stop()
	w.nc.Close()
	<-w.closed
}

// complained takes what the NATS has to say of a connection that goes on: that something
// is forbidden, without which there is no link, ends it. What else is lost is made up for.
func (w *wire) complained(err error) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return
	}
	w.mu.Lock()
	w.denied = err
	w.mu.Unlock()
	w.cut()
}

// fault returns why the connection was closed.
func (w *wire) fault() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.denied != nil {
		return w.denied
	}
	if err := w.nc.LastError(); err != nil {
		return err
	}
	return net.ErrClosed
}

// way is how a session goes over the wire, of which it is the only one.
func (w *wire) way(subject string) way {
	return way{
		publish: func(frame []byte) error { return w.nc.Publish(subject, frame) },
		flush:   w.flush,
		hang:    func(bool) { w.close() },
		cut:     w.cut,
	}
}
