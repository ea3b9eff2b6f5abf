package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"waggle/account"
	"waggle/console"
	"waggle/console/client"
)

// functionPages answer all but announces, scrapes and whether the tracker is alive.
type functionPages struct {
	public  http.Handler // nil: nothing is shown to strangers
	console http.Handler // nil: it is off
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
		p.console.ServeHTTP(w, r)
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

// lateConsole is the console of a function. It is opened when somebody comes who wants
// it: clients must not wait for it at a cold start.
type lateConsole struct {
	f *function

	mu      sync.Mutex
	handler http.Handler // nil: it is not open
	next    time.Time    // when to try again to open it
}

// Times of opening a console.
const (
	openTime   = 10 * time.Second // for the accounts to be read
	reopenTime = 5 * time.Second  // after which to try again what failed
)

// ServeHTTP is of [http.Handler].
func (c *lateConsole) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	handler := c.opened()
	if handler == nil {
		http.Error(w, "the console cannot be opened: the log says why", http.StatusServiceUnavailable)
		return
	}
	// Who may enter others may have changed. Where that cannot be read nobody is let in:
	// an account may be gone.
	if err := c.f.accounts.Fresh(r.Context(), freshTime); err != nil {
		c.f.log.Error("the console is closed: the accounts cannot be read", "error", err)
		http.Error(w, "the accounts cannot be read: try again", http.StatusServiceUnavailable)
		return
	}
	handler.ServeHTTP(w, r)
}

// opened returns the handler of the console; nil: it cannot be opened now.
func (c *lateConsole) opened() http.Handler {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.handler != nil || time.Now().Before(c.next) {
		return c.handler
	}
	handler, err := c.f.openConsole()
	if err != nil {
		c.f.log.Error("the console cannot be opened", "error", err)
		c.next = time.Now().Add(reopenTime)
		return nil
	}
	c.handler = handler
	return handler
}

// openConsole opens what answers those who run the tracker. If it fails, nothing of it
// is open.
func (f *function) openConsole() (http.Handler, error) {
	ctx, cancel := context.WithTimeout(context.Background(), openTime)
	defer cancel()
	options, err := f.consoleOptions(ctx)
	if err == nil {
		options.Metrics = nil
		options.Figures = func() any { f.awaitTotals(); return f.figures() }
		options.Overview = func() client.Overview { f.awaitTotals(); return f.overview() }
		var handler http.Handler
		if handler, err = console.NewHandler(ctx, options); err == nil {
			return handler, nil
		}
	}
	err = errors.Join(err, f.closeTimeline(), f.closeAccounts())
	f.timeline, f.accounts = nil, nil
	return nil, err
}
