package console

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"sync"
	"time"

	"waggle/account"
	"waggle/bittorrent"
	"waggle/catalog"
	"waggle/console/client"
	"waggle/console/web"
	"waggle/frontend"
	"waggle/swarm"
	"waggle/torrent"
)

// Options are the settings of a console.
type Options struct {
	Figures func() any // what /figures shows, as JSON
	Version string     // of waggle

	// Overview is what the tracker is but for the console, and OverTime what it does,
	// which fills in the figures of the former. nil: nobody knows.
	Overview func() client.Overview
	OverTime *OverTime

	// Requests counts what the console is asked. nil: nobody wants to know.
	Requests *Requests

	// Metrics answers at /metrics. nil: nothing does.
	Metrics http.Handler

	// Token is that of an admin who has no account: of console.token_file. "": there is
	// none.
	Token string

	// Accounts are those who may use the console. Without one, and without Token, this
	// machine may do everything, and no other anything; with one of them this machine may
	// read without a credential, and nobody else anything. nil: in memory, none.
	Accounts *account.Accounts

	// Catalog and Swarms are what the API shows of torrents and their peers. Without
	// a catalogue, the API has figures and version only.
	Catalog *catalog.Catalog
	Swarms  Swarms

	// Roster says which peers are told of which. nil: nobody does.
	Roster Roster

	// Locality says where addresses are, and Policy, which is given where Locality is,
	// what follows from that at this moment. nil: locality is off.
	Locality Locality
	Policy   func() Policy

	// Reach says whether a peer can be connected to. nil: nobody tries.
	Reach func(netip.AddrPort) swarm.Reach

	// Links are those with other trackers. nil: the store of this tracker has no use for
	// them.
	Links Links

	// Cluster is that of which this tracker is an instance. nil: it is in none.
	Cluster Cluster

	// Passkeys are those that clients may show. nil: they show none.
	Passkeys *Passkeys

	// Configuration is what is in force, secrets hidden. nil: nobody knows.
	Configuration func() client.Configuration

	// MaxUpload bounds a .torrent, in bytes. 0, and at most: [torrent.MaxFileSize].
	MaxUpload int64

	// TLS is how the console speaks TLS, by HTTP/1.1 and HTTP/2. nil: it does not.
	TLS *tls.Config

	Log *slog.Logger // nil: none

	address string // that is listened on
}

// Swarms are the peers that the tracker knows, by torrent. All methods may be
// called concurrently, and hold up announces for some microseconds at a time. Errors
// are those of ctx, or of a store on a network.
type Swarms interface {
	// Torrents returns the info hashes that begin with a byte, in their order.
	Torrents(ctx context.Context, first int) ([]bittorrent.InfoHash, error)

	// Scrape fills in counts, which is as long as hashes: how many peers each torrent
	// has, and its completed downloads. One that is not known has zeros alone.
	Scrape(ctx context.Context, hashes []bittorrent.InfoHash, counts []bittorrent.ScrapeCounts) error

	// AllCounts shows the counts of the torrents whose info hashes begin with a byte from
	// first to last, some at a time, in no order. It ends early where see returns false,
	// and says so. Hash i has the counts i; both are see's until it returns.
	AllCounts(ctx context.Context, first, last byte, see func(hashes []bittorrent.InfoHash, counts []bittorrent.ScrapeCounts) bool) (whole bool, err error)

	// Walk shows all peers of a torrent, some at a time, in no order. It ends early
	// where see returns false, and says so. The peers are see's until it returns. buf
	// is memory that it may use.
	Walk(ctx context.Context, h bittorrent.InfoHash, buf []swarm.Peer, see func([]swarm.Peer) bool) (whole bool, err error)
}

// Console answers from [Listen] to Close.
type Console struct {
	listener  net.Listener
	server    http.Server
	serving   sync.WaitGroup
	closeOnce func() error

	handling sync.RWMutex // read by each request, until it has ended
	closed   bool

	requests *Requests
}

// ErrPublic says that an address is not of this machine alone.
var ErrPublic = errors.New("without an account the console must listen on a loopback address such as 127.0.0.1:6970: " +
	"make one while it does (waggle token create NAME --role admin), set console.token_file, or correct listen.console")

// Listen begins to answer on an address (host:port). Without a token or an account it
// must be a loopback one: [ErrPublic].
func Listen(ctx context.Context, address string, o Options) (*Console, error) {
	o.settle()
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, frontend.ListenError("console", address, err)
	}
	o.address = l.Addr().String()
	public := !l.Addr().(*net.TCPAddr).AddrPort().Addr().IsLoopback()
	if err := o.openAccounts(ctx, public); err != nil {
		return nil, errors.Join(fmt.Errorf("console %s: %w", address, err), l.Close())
	}
	if o.Requests == nil {
		o.Requests = new(Requests)
	}
	guard := newGuard(&o)
	pages, err := handler(&o, guard)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	c := &Console{listener: l, requests: o.Requests}
	c.closeOnce = sync.OnceValue(c.close)
	c.server = http.Server{
		Handler:           c.counted(guard.protect(pages)),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeader,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	var accepts net.Listener = newLimited(l, maxConnections)
	if o.TLS != nil {
		accepts = tls.NewListener(accepts, o.TLS)
	}
	c.serving.Go(func() {
		if err := c.server.Serve(accepts); !errors.Is(err, http.ErrServerClosed) {
			o.Log.Error("the console stopped answering: restart waggle", "error", err)
		}
	})
	return c, nil
}

// settle fills in what was left out.
func (o *Options) settle() {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.MaxUpload <= 0 || o.MaxUpload > torrent.MaxFileSize {
		o.MaxUpload = torrent.MaxFileSize
	}
}

// Addr returns the address that is listened on.
func (c *Console) Addr() netip.AddrPort { return c.listener.Addr().(*net.TCPAddr).AddrPort() }

// Close stops answering at once: what is under way, such as a profile that is being
// taken, is cut off. It returns when nothing uses the options any more.
func (c *Console) Close() error { return c.closeOnce() }

func (c *Console) close() error {
	err := c.server.Close() // ends the contexts of requests, too
	c.serving.Wait()
	c.handling.Lock()
	defer c.handling.Unlock()
	c.closed = true
	return err
}

// counted lets Close wait for requests, so that nothing is used after it.
func (c *Console) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.handling.RLock()
		defer c.handling.RUnlock()
		defer c.requests.begin()()
		if !c.closed {
			next.ServeHTTP(w, r)
		}
	})
}

// handler answers all that the guard lets through, which shows refusals as pages, too.
func handler(o *Options, g *guard) (http.Handler, error) {
	mux := http.NewServeMux()
	mux.Handle("GET /figures", inTime(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(o.Figures()) // whoever asked is gone
	})))
	if o.Metrics != nil {
		mux.Handle("GET /metrics", inTime(o.Metrics))
	}
	api := newAPI(o)
	mux.Handle("/api/", inTime(api))
	if o.Catalog != nil {
		api.addFiles(mux)
	}
	site, err := web.New(web.Options{API: api, Accounts: o.Accounts, Version: o.Version, MaxUpload: o.MaxUpload, Log: o.Log})
	if err != nil {
		return nil, err
	}
	g.refuse = site.Refuse
	mux.Handle("/", inTime(site))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux, nil
}
