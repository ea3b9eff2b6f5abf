package http

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/netutil"

	"waggle/bittorrent"
	"waggle/frontend"
	"waggle/swarm"
	"waggle/tracker"
)

// Options are the settings of a server.
type Options struct {
	Tracker        *tracker.Tracker
	MaxScrape      int          // info hashes in one request; 0: 74
	MaxConnections int          // at a time, on each address; more wait. 0: no limit
	Health         func() error // what is wrong although announces are answered; nil: nothing ever is
	Log            *slog.Logger // nil: none

	// Timeout is how long a client may take to send a request, and again to read
	// the answer. 0: ten seconds.
	Timeout time.Duration
}

// Bounds of one connection.
const (
	maxHeader   = 16 << 10        // bytes of request line and headers
	idleTimeout = 2 * time.Minute // between requests of a connection that is kept
)

// Server answers on its listeners from [Listen] to Close.
type Server struct {
	options   Options
	trusted   atomic.Pointer[[]netip.Prefix]
	listeners []net.Listener
	server    http.Server
	serving   sync.WaitGroup
	buffers   sync.Pool // of *buffers
	figures   figures
	closeOnce func() error
}

// buffers are what one request needs, kept for the next one.
type buffers struct {
	announce swarm.Announce
	reply    swarm.Reply
	hashes   []bittorrent.InfoHash
	counts   []bittorrent.ScrapeCounts
	body     []byte
}

// Listen opens a listener for each address (host:port; a missing host is all of
// IPv4 and IPv6) and begins to answer. trusted are the proxies whose
// X-Forwarded-For counts. If one address cannot be had, none is kept, and the
// error says which and what to do.
func Listen(ctx context.Context, addresses []string, trusted []netip.Prefix, o Options) (*Server, error) {
	if o.MaxScrape <= 0 {
		o.MaxScrape = bittorrent.UDPMaxScrapeHashes
	}
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{options: o}
	s.closeOnce = sync.OnceValue(s.drainAndClose)
	s.Trust(trusted)
	s.buffers.New = func() any { return new(buffers) }
	s.server = http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: o.Timeout,
		ReadTimeout:       o.Timeout,
		WriteTimeout:      o.Timeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug), // strangers cause these
	}
	var config net.ListenConfig
	for _, address := range addresses {
		l, err := config.Listen(ctx, "tcp", address)
		if err != nil {
			return nil, errors.Join(frontend.ListenError("http", address, err), s.closeListeners())
		}
		s.listeners = append(s.listeners, l)
	}
	for _, l := range s.listeners {
		if o.MaxConnections > 0 {
			l = netutil.LimitListener(l, o.MaxConnections)
		}
		s.serving.Go(func() { s.serve(l) })
	}
	return s, nil
}

func (s *Server) serve(l net.Listener) {
	if err := s.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		s.options.Log.Error("http stopped answering: restart waggle", "address", l.Addr(), "error", err)
	}
}

// Trust replaces the proxies whose X-Forwarded-For counts.
func (s *Server) Trust(proxies []netip.Prefix) { s.trusted.Store(&proxies) }

// Addrs returns the addresses that are listened on, with the ports that the
// system chose where it was asked to.
func (s *Server) Addrs() []netip.AddrPort {
	addrs := make([]netip.AddrPort, len(s.listeners))
	for i, l := range s.listeners {
		addrs[i] = l.Addr().(*net.TCPAddr).AddrPort()
	}
	return addrs
}

// drainTime is how long Close waits for the requests under way.
const drainTime = 5 * time.Second

// Close stops listening, ends the requests under way, and closes the rest. A
// client that has not sent its whole request by then is cut off: that loses
// nothing, and must not keep a tracker from stopping. Once is enough, and more do
// no harm.
func (s *Server) Close() error { return s.closeOnce() }

func (s *Server) drainAndClose() error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	err := s.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		s.options.Log.Info("http clients that did not finish in time were cut off", "waited", drainTime)
		err = s.server.Close()
	}
	s.serving.Wait()
	return err
}

func (s *Server) closeListeners() error {
	var errs []error
	for _, l := range s.listeners {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/announce", s.bencoded(s.announce))
	mux.HandleFunc("/scrape", s.bencoded(s.scrape))
	mux.HandleFunc("/health", s.health)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		s.figures.notFound.Add(1)
		http.Error(w, "this is a BitTorrent tracker: it answers at /announce, /scrape and /health", http.StatusNotFound)
	})
	return mux
}

// bencoded makes a handler of a function that appends a bencoded answer or says
// why not.
func (s *Server) bencoded(answer func(*http.Request, *buffers) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			w.Header().Set("Allow", http.MethodGet)
			http.Error(w, "use GET", http.StatusMethodNotAllowed)
			return
		}
		b := s.buffers.Get().(*buffers)
		defer s.buffers.Put(b)
		b.body = b.body[:0]
		if err := answer(r, b); err != nil {
			s.figures.failures.Add(1)
			b.body = bittorrent.AppendHTTPFailure(b.body[:0], err.Error())
		}
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Content-Length", strconv.Itoa(len(b.body)))
		_, _ = w.Write(b.body) // a client that is gone needs no answer
	}
}

func (s *Server) announce(r *http.Request, b *buffers) error {
	a := &b.announce
	if err := bittorrent.ParseHTTPAnnounce(r.URL.RawQuery, &a.AnnounceRequest); err != nil {
		return err
	}
	from, err := clientAddr(r, *s.trusted.Load())
	if err != nil {
		return err
	}
	a.From, a.Now, a.Families = from, s.options.Tracker.Now(), swarm.IPv4|swarm.IPv6
	a.WithIDs = a.Form == bittorrent.PeersFull
	b.reply.Reset()
	if err := s.options.Tracker.Announce(r.Context(), a, &b.reply); err != nil {
		return err
	}
	b.reply.ExternalIP = from
	b.body = bittorrent.AppendHTTPAnnounceResponse(b.body, &b.reply.AnnounceResponse, a.Form)
	return nil
}

func (s *Server) scrape(r *http.Request, b *buffers) (err error) {
	b.hashes, err = bittorrent.AppendHTTPScrapeHashes(b.hashes[:0], r.URL.RawQuery, s.options.MaxScrape)
	if err != nil {
		return err
	}
	b.counts = append(b.counts[:0], make([]bittorrent.ScrapeCounts, len(b.hashes))...)
	if err := s.options.Tracker.Scrape(r.Context(), b.hashes, b.counts); err != nil {
		return err
	}
	b.body = bittorrent.AppendHTTPScrapeResponse(b.body, b.hashes, b.counts, s.options.Tracker.MinInterval())
	return nil
}

// health answers 200 as long as announces are answered. What is wrong beside
// that is said in the text, and leaves the status alone: a supervisor that
// restarted the tracker for it would make it worse.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if s.options.Health != nil {
		if err := s.options.Health(); err != nil {
			_, _ = fmt.Fprintf(w, "degraded: %v\n", err)
			return
		}
	}
	_, _ = fmt.Fprintln(w, "ok")
}

// Figures count what a server did since it began.
type Figures struct {
	Failures uint64 // requests answered with a failure reason
	NotFound uint64 // requests for another path
}

type figures struct {
	failures, notFound atomic.Uint64
}

// Figures returns the counts as of now.
func (s *Server) Figures() Figures {
	return Figures{Failures: s.figures.failures.Load(), NotFound: s.figures.notFound.Load()}
}
