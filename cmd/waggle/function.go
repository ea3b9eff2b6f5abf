package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"waggle/account"
	"waggle/config"
	"waggle/console"
	frontend "waggle/frontend/http"
	"waggle/frontend/lambda"
	"waggle/frontend/udp"
)

// function is a service that opens no socket and does nothing between events.
type function struct {
	*service
	front *lambda.Front
}

// openFunction opens the store and all that answers events.
func openFunction(ctx context.Context, flags *pflag.FlagSet, environ []string, stderr io.Writer) (*function, error) {
	loaded, err := config.Load(flags, environ)
	if err != nil {
		return nil, err
	}
	c := &loaded.Config
	if err := keepsBetweenEvents(c.Store); err != nil {
		return nil, err
	}
	console := c.Listen.Console != ""
	c.Listen = config.Listen{}
	if _, said := loaded.Sources["log.format"]; !said {
		c.Log.Format = "json"
	}
	s := &service{config: *c, started: time.Now(), memoryLimit: memoryLimit()}
	s.log = newLog(stderr, s.config.Log, &s.level)
	s.showConfiguration(loaded)
	if c.Store.Scheme() == "memory" {
		s.log.Warn("the store is memory: each environment of the function has peers of its own, which end with it; this is for trying")
	}
	if err := s.openStores(ctx); err != nil {
		return nil, err
	}
	f := &function{service: s}
	if err := f.openFront(ctx, console); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return f, nil
}

// keepsBetweenEvents refuses a store that a function cannot have.
func keepsBetweenEvents(store config.StoreURL) error {
	if store.Scheme() == "memory" || store.Remote() {
		return nil
	}
	return fmt.Errorf("store %s is a file, and a function keeps none from one start to the next: "+
		"set WAGGLE_STORE to a store on a network, such as dynamodb://waggle?region=eu-central-1 or s3://bucket/prefix?region=eu-central-1", store)
}

// openFront opens what answers events. The servers have no addresses to listen on.
func (f *function) openFront(ctx context.Context, withConsole bool) (err error) {
	if f.udp, err = udp.Listen(ctx, nil, udp.Options{Tracker: f.tracker, Log: f.log}); err != nil {
		return err
	}
	pages := &functionPages{public: f.publicPages()}
	f.http, err = frontend.Listen(ctx, nil, f.config.Access.TrustedProxies, frontend.Options{
		Tracker:   f.tracker,
		MaxScrape: int(f.config.Limits.ScrapeHashes),
		Health:    f.health,
		Pages:     pages,
		Log:       f.log,
	})
	if err != nil {
		return err
	}
	if withConsole {
		pages.console = sync.OnceValue(f.openConsole)
	}
	f.front = lambda.New(lambda.Options{Handler: f.fresh(f.http.Handler()), Tidy: f.tidy, Log: f.log})
	return nil
}

// freshTime is how old what is known of the catalogue and the accounts may be when a
// request comes: the process may have stood still for minutes before.
const freshTime = 2 * time.Second

// fresh has requests answered by what other trackers have changed, too. Where that
// cannot be read they are answered as before.
func (f *function) fresh(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := f.catalog.Fresh(r.Context(), freshTime); err != nil {
			f.log.Warn("the catalogue may be old: what others have changed cannot be read", "error", err)
		}
		next.ServeHTTP(w, r)
	})
}

// openConsole returns what answers those who run the tracker. It is opened when one of
// them comes: clients must not wait for it at a cold start.
func (f *function) openConsole() http.Handler {
	ctx, cancel := context.WithTimeout(context.Background(), openTime)
	defer cancel()
	options, err := f.consoleOptions(ctx)
	if err == nil {
		options.Metrics = nil
		var handler http.Handler
		if handler, err = console.NewHandler(ctx, options); err == nil {
			return f.withAccounts(handler)
		}
	}
	f.log.Error("the console cannot be opened", "error", err)
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "the console cannot be opened: the log says why", http.StatusServiceUnavailable)
	})
}

// withAccounts has requests admitted by what other trackers have changed, too. Where that
// cannot be read nobody is let in: an account may be gone.
func (f *function) withAccounts(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := f.accounts.Fresh(r.Context(), freshTime); err != nil {
			f.log.Error("the console is closed: the accounts cannot be read", "error", err)
			http.Error(w, "the accounts cannot be read: try again", http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// openTime is for the console's accounts to be read.
const openTime = 10 * time.Second

// tidy does what a tracker that runs all the time does by and by.
func (f *function) tidy(ctx context.Context) (peers int, err error) {
	before := f.tracker.Figures().Expired
	err = f.tracker.CleanOnce(ctx)
	if f.locator != nil {
		f.tracker.TendOnce(ctx, f.tracker.Now())
	}
	peers = int(f.tracker.Figures().Expired - before)
	totals, totalsErr := f.store.Totals(ctx)
	if err = errors.Join(err, totalsErr, f.catalog.Flush(ctx)); err == nil {
		f.known.set(totals)
		f.log.Info("silent peers were forgotten", "forgotten", peers, "torrents", totals.Torrents, "peers", totals.Peers, "seeders", totals.Seeders)
	}
	return peers, err
}

// close ends what is under way, until ctx ends, and closes what is open.
func (f *function) close(ctx context.Context) error {
	return errors.Join(f.front.Close(ctx), f.stop())
}

// functionPages answer all but announces, scrapes and whether the tracker is alive.
type functionPages struct {
	public  http.Handler        // nil: nothing is shown to strangers
	console func() http.Handler // nil: it is off
}

// ServeHTTP is of [http.Handler].
func (p *functionPages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/metrics":
		http.Error(w, "a function has no metrics: each of its environments would tell of itself alone; "+
			"the platform counts events, and /api/v1/overview has the totals of the store", http.StatusNotFound)
	case r.URL.Path == "/live":
		w.WriteHeader(http.StatusNoContent) // nothing streams out of a function: a page need not ask again
	case p.public != nil && (p.console == nil || isPublic(r)):
		p.public.ServeHTTP(w, r)
	case p.console != nil:
		p.console().ServeHTTP(w, r)
	default:
		http.Error(w, "this is a BitTorrent tracker: it answers at /announce, /scrape and /health", http.StatusNotFound)
	}
}

// isPublic reports whether a request is for the public pages, some of which have the
// paths of the console's: it is one of a stranger.
func isPublic(r *http.Request) bool {
	if r.Header.Get("Authorization") != "" {
		return false
	}
	if _, err := r.Cookie(account.Cookie); err == nil {
		return false
	}
	switch r.URL.Path {
	case "/", "/style.css", "/feed.atom":
		return true
	}
	return strings.HasPrefix(r.URL.Path, "/torrents/") && strings.HasSuffix(r.URL.Path, ".torrent")
}
