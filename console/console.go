package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"strings"
	"sync"
	"time"

	"waggle/frontend"
)

// Options are the settings of a console.
type Options struct {
	Figures func() any   // what /figures shows, as JSON
	Log     *slog.Logger // nil: none
}

// Console answers from [Listen] to Close.
type Console struct {
	listener  net.Listener
	server    http.Server
	serving   sync.WaitGroup
	closeOnce func() error
}

// ErrPublic says that an address is not of this machine alone.
var ErrPublic = errors.New("the console asks for no credential, so it must listen on a loopback address such as 127.0.0.1:6970: correct listen.console")

// Listen begins to answer on an address (host:port), which must be a loopback
// one: [ErrPublic].
func Listen(ctx context.Context, address string, o Options) (*Console, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, frontend.ListenError("console", address, err)
	}
	if !l.Addr().(*net.TCPAddr).AddrPort().Addr().IsLoopback() {
		return nil, errors.Join(fmt.Errorf("console %s: %w", address, ErrPublic), l.Close())
	}
	c := &Console{listener: l}
	c.closeOnce = sync.OnceValue(c.close)
	c.server = http.Server{
		Handler:           forLoopbackOnly(handler(&o)),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	c.serving.Go(func() {
		if err := c.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			o.Log.Error("the console stopped answering: restart waggle", "error", err)
		}
	})
	return c, nil
}

// Addr returns the address that is listened on.
func (c *Console) Addr() netip.AddrPort { return c.listener.Addr().(*net.TCPAddr).AddrPort() }

// Close stops answering at once: a profile that is being taken is cut off.
func (c *Console) Close() error { return c.closeOnce() }

func (c *Console) close() error {
	err := c.server.Close()
	c.serving.Wait()
	return err
}

func handler(o *Options) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = fmt.Fprint(w, "waggle\n\n/figures         what the tracker did since it began, as JSON\n/debug/pprof/    profiles, for go tool pprof\n")
	})
	mux.HandleFunc("GET /figures", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(o.Figures()) // whoever asked is gone
	})
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

// forLoopbackOnly refuses requests for another host's name, which a browser sends
// when that name was made to mean this machine.
func forLoopbackOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
		if host != "localhost" && (err != nil || !ip.IsLoopback()) {
			http.Error(w, "this console answers at its loopback address only", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}
