package http

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"waggle/bittorrent"
	"waggle/frontend"
	"waggle/tracker"
)

// Options are the settings of a server.
type Options struct {
	Tracker        *tracker.Tracker
	MaxScrape      int          // info hashes in one request; 0: 74
	MaxConnections int          // at a time, on each address; beyond them one that waits for its client makes room, or more wait. 0: no limit
	Health         func() error // what is wrong although announces are answered; nil: nothing ever is
	Pages          http.Handler // answers at all other paths; nil: there is nothing
	WebSocket      Upgrader     // answers requests for that; nil: they are as any other
	Log            *slog.Logger // nil: none

	// Secure are addresses (host:port) that speak HTTP over TLS, as TLS says; Challenges answers
	// authorities that look whether a name is this server's. nil: nobody asks.
	Secure     []string
	TLS        *tls.Config
	Challenges http.Handler

	// Proxies are those that begin each connection with a PROXY header of version 2, which says whom
	// it comes from. See [Server.ExpectHeaders].
	Proxies []netip.Prefix
	// Passkeys answers at /PASSKEY/announce and /announce/PASSKEY, too, and the same of scrape.
	Passkeys bool

	// MaxPerAddress is how many connections one address may keep, more are closed; 0: no limit. It is
	// not for proxies, nor for addresses that Unlimited says; nil: for no others.
	MaxPerAddress int
	Unlimited     func(netip.Addr) bool

	// Timeout is how long a client may take to send a request, and again to read
	// the answer. 0: ten seconds.
	Timeout time.Duration
}

// Upgrader has the connections of those who want to speak WebSocket (RFC 6455).
type Upgrader interface {
	// ServeUpgrade answers a request that comes from an address. It may hijack the
	// connection, which has a method Detach then that ends its count as one of HTTP.
	ServeUpgrade(w http.ResponseWriter, r *http.Request, from netip.Addr)
}

// Bounds of one connection.
const (
	maxHeader   = 16 << 10        // bytes of request line and headers
	idleTimeout = 2 * time.Minute // between requests of a connection that is kept

	// Of HTTP/2: requests under way, and bytes of bodies, which nobody has a use for.
	maxStreams    = 100
	receiveWindow = 64 << 10
)

// Server answers on its listeners from [Listen] to Close.
type Server struct {
	options   Options
	trusted   atomic.Pointer[[]netip.Prefix]
	proxies   proxies
	addrs     []netip.AddrPort
	listeners []*listener       // of addrs
	secure    []*secureListener // of TLS
	buffers   sync.Pool         // of *buffers
	figures   figures
	tallies   [tallies]tally
	nextTally atomic.Uint32

	general  http.Server // for all that is not a plain announce or scrape
	handover *handover   // what it accepts

	context   context.Context // of requests; ends when those who do not finish are cut off
	cancel    context.CancelFunc
	closing   chan struct{} // closed as soon as Close is called
	closeOnce func() error
	serving   sync.WaitGroup // all goroutines but those of general
	open      connections
	crowd     crowd
	retries   retries
}

// Listen opens a listener for each address (host:port; a missing host is all of
// IPv4 and IPv6) and begins to answer. trusted are the proxies whose
// X-Forwarded-For counts. If one address cannot be had, none is kept, and the
// error says which and what to do.
func Listen(ctx context.Context, addresses []string, trusted []netip.Prefix, o Options) (*Server, error) {
	s := newServer(trusted, o)
	for _, address := range addresses {
		if err := s.listen(ctx, address); err != nil {
			return nil, errors.Join(frontend.ListenError("http", address, err), s.closeListeners())
		}
	}
	for _, address := range o.Secure {
		if err := s.listenSecure(ctx, address); err != nil {
			return nil, errors.Join(frontend.ListenError("https", address, err), s.closeListeners())
		}
	}
	s.serve()
	return s, nil
}

func (s *Server) listen(ctx context.Context, address string) error {
	tcp, err := listenTCP(ctx, address)
	if err != nil {
		return err
	}
	l, err := newListener(tcp)
	if err != nil {
		return err
	}
	s.addrs = append(s.addrs, tcp.Addr().(*net.TCPAddr).AddrPort())
	s.listeners = append(s.listeners, l)
	return nil
}

func listenTCP(ctx context.Context, address string) (*net.TCPListener, error) {
	var config net.ListenConfig
	config.SetMultipathTCP(false) // no client of a tracker speaks it
	l, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return l.(*net.TCPListener), nil
}

func (s *Server) serve() {
	s.serving.Go(s.serveGeneral)
	for _, l := range s.listeners {
		l.accept(s, s.newSlots(s.options.MaxConnections))
	}
	for _, l := range s.secure {
		l.accept(s, s.newSlots(s.options.MaxConnections))
	}
}

// newServer returns a server that does not listen yet.
func newServer(trusted []netip.Prefix, o Options) *Server {
	if o.MaxScrape <= 0 {
		o.MaxScrape = bittorrent.UDPMaxScrapeHashes
	}
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{options: o, closing: make(chan struct{}), handover: newHandover()}
	s.crowd.most = o.MaxPerAddress
	s.context, s.cancel = context.WithCancel(context.Background())
	s.closeOnce = sync.OnceValue(s.drainAndClose)
	s.Trust(trusted)
	s.ExpectHeaders(o.Proxies)
	s.buffers.New = func() any { return s.newBuffers() }
	s.general = http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: o.Timeout,
		ReadTimeout:       o.Timeout,
		WriteTimeout:      o.Timeout,
		IdleTimeout:       o.Timeout, // meanwhile they cannot make room
		MaxHeaderBytes:    maxHeader,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams, MaxReceiveBufferPerConnection: receiveWindow, MaxReceiveBufferPerStream: receiveWindow, WriteByteTimeout: o.Timeout},
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug), // strangers cause these
	}
	return s
}

// Trust replaces the proxies whose X-Forwarded-For counts.
func (s *Server) Trust(proxies []netip.Prefix) { s.trusted.Store(&proxies) }

// Handler answers requests that a frontend of another kind has: their RemoteAddr is
// whom they come from. It is good until Close.
func (s *Server) Handler() http.Handler { return s.general.Handler }

// Addrs returns the addresses that are listened on, with the ports that the
// system chose where it was asked to.
func (s *Server) Addrs() []netip.AddrPort { return slices.Clone(s.addrs) }

// Figures count what a server did since it began.
type Figures struct {
	Announces   uint64 // decided by the tracker, refused ones included
	Connections uint64 // accepted
	HandedOver  uint64 // connections that asked for more than plain announces and scrapes
	Failures    uint64 // requests answered with a failure reason
	NotFound    uint64 // requests for another path
	Panics      uint64 // faults of waggle's; each was answered with a failure reason

	Handshakes       uint64 // of TLS that ended well
	FailedHandshakes uint64 // and that did not
	RefusedHeaders   uint64 // connections closed for their PROXY header, or for want of one
	Crowded          uint64 // connections closed because their address had too many, or to make room
}

type figures struct {
	connections, handedOver, failures, notFound, panics atomic.Uint64
	handshakes, failedHandshakes, refusedHeaders        atomic.Uint64
	crowded                                             atomic.Uint64
}

// Figures returns the counts as of now.
func (s *Server) Figures() Figures {
	f := &s.figures
	return Figures{
		Announces:   s.announced(),
		Connections: f.connections.Load(),
		HandedOver:  f.handedOver.Load(),
		Failures:    f.failures.Load(),
		NotFound:    f.notFound.Load(),
		Panics:      f.panics.Load(),

		Handshakes:       f.handshakes.Load(),
		FailedHandshakes: f.failedHandshakes.Load(),
		RefusedHeaders:   f.refusedHeaders.Load(),
		Crowded:          f.crowded.Load(),
	}
}
