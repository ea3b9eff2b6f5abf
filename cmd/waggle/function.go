package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/spf13/pflag"

	"waggle/config"
	frontend "waggle/frontend/http"
	"waggle/frontend/lambda"
	"waggle/frontend/udp"
)

// function is a service that opens no socket and does nothing between events.
type function struct {
	*service
	front *lambda.Front

	staleTold, failureTold rarely
	failed                 atomic.Uint64 // faults of the store that are told or not to be told
}

// openFunction opens the store and all that answers events.
func openFunction(ctx context.Context, flags *pflag.FlagSet, environ []string, stderr io.Writer) (*function, error) {
	loaded, err := config.Load(flags, environ)
	if err != nil {
		return nil, err
	}
	c := &loaded.Config
	if err := errors.Join(keepsBetweenEvents(c.Store), restsBetweenEvents(c)); err != nil {
		return nil, err
	}
	console := c.Listen.Console != ""
	c.Listen = config.Listen{}
	if _, said := loaded.Sources["log.format"]; !said {
		c.Log.Format = "json"
	}
	s := &service{config: *c, started: time.Now(), memoryLimit: memoryLimit(), refresh: -1} // see fresh
	s.log = newLog(stderr, s.config.Log, &s.level)
	s.showConfiguration(loaded)
	if c.Store.Scheme() == "memory" {
		s.log.Warn("the store is memory: each environment of the function has peers of its own, which end with it; this is for trying")
	}
	f := &function{service: s}
	if err := s.openTraces(environ); err != nil {
		return nil, err
	}
	if err := f.open(ctx, console); err != nil {
		s.closeTraces()
		return nil, err
	}
	return f, nil
}

// open opens all but traces. If something fails, what was opened is closed.
func (f *function) open(ctx context.Context, console bool) error {
	if err := f.openStores(ctx); err != nil {
		return err
	}
	if err := f.openFront(ctx, console); err != nil {
		return errors.Join(err, f.stop())
	}
	return nil
}

// keepsBetweenEvents refuses a store that a function cannot have.
func keepsBetweenEvents(store config.StoreURL) error {
	if store.Scheme() == "memory" || store.Remote() {
		return nil
	}
	return fmt.Errorf("store %s is a file, and a function keeps none from one start to the next: "+
		"set WAGGLE_STORE to a store on a network, such as dynamodb://waggle?region=eu-central-1 or s3://bucket/prefix?region=eu-central-1", store)
}

// restsBetweenEvents refuses what would go on between events.
func restsBetweenEvents(c *config.Config) error {
	for key, on := range map[string]bool{"events.webhook": c.Events.Webhook != "", "events.nats": c.Events.NATS != "", "announce.nat_check": c.Announce.NATCheck} {
		if on {
			return fmt.Errorf("%s needs waggle serve: a function does nothing between its events; leave it out", key)
		}
	}
	return nil
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
		Passkeys:  f.usesPasskeys(),
		Log:       f.log,
	})
	if err != nil {
		return err
	}
	if withConsole {
		pages.console = &lateConsole{f: f}
	}
	f.front = lambda.New(lambda.Options{Handler: f.fresh(f.settled(f.http.Handler())), Tidy: f.tidy, Log: f.log})
	return nil
}

// freshTime is how old what is known of the catalogue and the accounts may be when a
// request comes. Nothing asks for it between events, where the process stands still.
const freshTime = 2 * time.Second

// fresh has requests answered by what other trackers have changed, too. Where that
// cannot be read they are answered as before.
func (f *function) fresh(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := f.catalog.Fresh(r.Context(), freshTime); err != nil && f.staleTold.now() {
			f.log.Warn("the catalogue may be old: what others have changed cannot be read", "error", err)
		}
		f.freshPasskeys(r.Context())
		next.ServeHTTP(w, r)
	})
}

// traceTime is how long a request is held up at most for its trace to be sent.
const traceTime = time.Second

// settled does after a request, and before its answer is given, what a tracker that runs
// all the time does by and by.
func (f *function) settled(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r)
		f.writePasskeys(r.Context())
		f.logFailures()
		if f.traces != nil {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), traceTime)
			defer cancel()
			f.traces.Flush(ctx)
		}
	})
}

// logFailures logs that the store failed, and at what: clients are told the former alone.
func (f *function) logFailures() {
	if failed := f.tracker.Figures().Failed; f.failed.Swap(failed) != failed && f.failureTold.now() {
		f.log.Error("the store failed", "error", f.tracker.LastFailure())
	}
}

// rarely is true once a minute at most. Its methods may be called concurrently.
type rarely struct{ last atomic.Int64 }

func (r *rarely) now() bool {
	now, last := time.Now().UnixNano(), r.last.Load()
	return now-last >= int64(time.Minute) && r.last.CompareAndSwap(last, now)
}

// tidy does what a tracker that runs all the time does by and by.
func (f *function) tidy(ctx context.Context) (peers int, err error) {
	before := f.tracker.Figures().Expired
	err = f.tracker.CleanOnce(ctx)
	if f.locator != nil {
		err = errors.Join(err, f.tracker.TendOnce(ctx, f.tracker.Now()))
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
