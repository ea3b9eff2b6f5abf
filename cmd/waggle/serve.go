package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"waggle/access"
	"waggle/account"
	"waggle/catalog"
	"waggle/certificate"
	"waggle/config"
	"waggle/console"
	"waggle/console/client"
	"waggle/frontend/http"
	"waggle/frontend/udp"
	"waggle/locality"
	"waggle/passkey"
	"waggle/reach"
	"waggle/record"
	"waggle/roster"
	"waggle/swarm"
	"waggle/timeline"
	"waggle/traces"
	"waggle/tracker"
)

func newServeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Answer BitTorrent clients",
		Long: `Answer BitTorrent clients over UDP and HTTP, and browsers over WebSocket, until a signal.

Every setting is a flag, an environment variable and a key of the file that
--config names, in this order of precedence; "waggle config print" explains each.
SIGTERM and Ctrl-C end what is under way, write what is in memory and stop.
SIGHUP reads the configuration, lists of torrents, clients and networks,
certificates and files of locations again, and fetches the keys of tokens.`,
		Example: `  waggle serve
  waggle serve --listen-udp :80 --listen-http 127.0.0.1:8080 --store memory:
  waggle serve --listen-https :443 --tls-certificate fullchain.pem --tls-key privkey.pem
  waggle serve --torrents-mode listed --torrents-directory /srv/torrents
  WAGGLE_ANNOUNCE_INTERVAL=20m waggle serve --config waggle.yaml`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd.Context(), cmd.Flags(), os.Environ(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	config.AddFlags(cmd.Flags())
	return cmd
}

// workers is how many goroutines answer over UDP, for each address.
var workers = runtime.GOMAXPROCS(0)

// service is everything that runs while waggle serves.
type service struct {
	config  config.Config
	level   slog.LevelVar
	log     *slog.Logger
	store   swarm.Store
	known   knownTotals
	tracker *tracker.Tracker
	udp     *udp.Server
	http    *http.Server
	console *console.Console

	started     time.Time
	listens     atomic.Bool // all that it has
	listed      atomic.Bool // torrents.mode in force
	memoryLimit int64       // bytes; 0: nobody knows
	memory      memoryBound

	// refresh is how often what other trackers change is asked for. 0: every second;
	// less: when somebody says so.
	refresh time.Duration

	requests console.Requests
	timeline *timeline.Timeline // nil: there is no console

	accounts     *account.Accounts // nil: there is no console
	catalog      *catalog.Catalog
	catalogStore catalog.Store
	passkeys     *passkey.Book // nil: there are none
	passkeyStore passkey.Store
	clientURLs   atomic.Pointer[[]config.AnnounceURL] // access.passkey_urls in force

	locator *locality.Locator              // nil: locality is off
	policy  atomic.Pointer[console.Policy] // in force
	budget  *roster.Budget
	record  *record.Writer   // nil: announces are not recorded
	traces  *traces.Exporter // nil: announces are not traced
	reach   *reach.Checker   // nil: nobody tries whether peers can be connected to

	certificates *certificate.Certificates // nil: nothing speaks TLS

	guarding // who may announce
	browsing
	linking    // with other trackers
	clustering // with those of this network
	telling    // of announces

	configuration atomic.Pointer[client.Configuration] // as the console shows it
}

// serve runs a tracker until ctx ends.
func serve(ctx context.Context, flags *pflag.FlagSet, environ []string, stdout, stderr io.Writer) error {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP) // from the start: unheard, it would kill
	defer signal.Stop(hangup)
	loaded, err := config.Load(flags, environ)
	if err != nil {
		return err
	}
	s := &service{config: loaded.Config, started: time.Now()}
	s.limitMemory(memoryLimit())
	s.log = newLog(stderr, s.config.Log, &s.level)
	s.showConfiguration(loaded)
	systemd, err := openManager(ctx, environ, s.log)
	if err != nil {
		return err
	}
	defer systemd.close()
	if err := s.openTraces(environ); err != nil {
		return err
	}
	defer s.closeTraces()
	if err := s.start(ctx); err != nil {
		return err
	}
	if err := s.printAddresses(ctx, stdout); err != nil {
		return errors.Join(err, s.stop())
	}
	background, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() { s.tracker.Clean(background) })
	group.Go(func() { s.tracker.Tend(background) })
	group.Go(func() { s.logFigures(background) })
	group.Go(func() { s.keepCluster(background) })
	group.Go(func() { s.keepCertificates(background) })
	if s.reach != nil {
		group.Go(func() { s.reach.Run(background) })
	}
	group.Go(func() { s.keepMemory(background) })
	group.Go(func() { s.keepGarbage(background) })
	group.Go(func() { systemd.keepAlive(background, s.works) })
	systemd.tell(notifyReady)
	if s.timeline != nil {
		group.Go(func() { s.timeline.Run(background) })
	}
	if s.traces != nil {
		group.Go(func() { s.traces.Report(background) })
	}
	for waiting := true; waiting; {
		select {
		case <-ctx.Done():
			waiting = false
		case <-hangup:
			systemd.tellReloading()
			s.reload(flags, environ)
			systemd.tell(notifyReady)
		}
	}
	s.log.Info("stopping")
	systemd.tell(notifyStopping)
	err = s.closeFrontends()
	s.closeAccess()
	cancel()
	group.Wait()
	defer systemd.outlive()()
	err = errors.Join(err, s.closeCluster(), s.closeLinks(), s.closeEvents(), s.closeRecord(), s.closeLocator(), s.closeTimeline(), s.closeAccounts(), s.closeCatalog(), s.closePasskeys(), s.closeStore())
	if err == nil {
		s.log.Info("stopped; nothing was lost")
	}
	return err
}

func newLog(w io.Writer, c config.Log, level *slog.LevelVar) *slog.Logger {
	setLevel(level, c)
	options := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

func setLevel(level *slog.LevelVar, c config.Log) {
	_ = level.UnmarshalText([]byte(c.Level)) // config has checked it
}

// start opens the store, the catalogue and the frontends. If one fails, what was
// opened is closed.
func (s *service) start(ctx context.Context) error {
	if err := s.openStores(ctx); err != nil {
		return err
	}
	if err := s.listen(ctx); err != nil {
		return errors.Join(err, s.stop())
	}
	return nil
}

// openStores opens all but the frontends. If something fails, what was opened is closed.
func (s *service) openStores(ctx context.Context) (err error) {
	if err := s.openLocator(ctx); err != nil {
		return err
	}
	began := time.Now()
	if s.store, err = s.openStore(ctx); err != nil {
		return errors.Join(err, s.closeLocator())
	}
	if !s.config.Store.Remote() { // where nothing is read back
		if totals := s.totals(); totals.Torrents > 0 {
			s.log.Info("read back", "torrents", totals.Torrents, "peers", totals.Peers, "took", time.Since(began).Round(time.Millisecond))
		}
	}
	if err := s.serveTorrents(ctx); err != nil {
		return errors.Join(err, s.stop())
	}
	return nil
}

// serveTorrents opens all that needs the store, but for the frontends.
func (s *service) serveTorrents(ctx context.Context) (err error) {
	settings := settings(s.config)
	s.showPolicy(settings.Policies, s.config.Locality)
	s.listed.Store(settings.Listed)
	if settings.Denied, err = denied(s.config); err != nil {
		return err
	}
	if err := s.openCatalog(ctx); err != nil {
		return err
	}
	options := tracker.Options{Addresses: int(s.config.Limits.Addresses), Peers: recognised(s.config), Gate: s.catalog, Tracer: s.tracer()}
	if s.locator != nil {
		options.Locator = s.locator
	}
	if err := s.openAccess(ctx, &options); err != nil {
		return err
	}
	if err := s.openPasskeys(ctx, &options); err != nil {
		return err
	}
	if err := s.openRecord(); err != nil {
		return err
	}
	if s.record != nil {
		options.Recorders = append(options.Recorders, s.record)
	}
	if err := s.openEvents(&options); err != nil {
		return err
	}
	s.openReach(&options)
	options.Browsers = s.openBrowsers()
	s.tracker = tracker.New(s.announced(), settings, options)
	if err := s.joinCluster(ctx); err != nil {
		return err
	}
	s.tellGone()
	return nil
}

func (s *service) listen(ctx context.Context) (err error) {
	c := &s.config
	if len(c.Listen.UDP)+len(c.Listen.HTTP)+len(c.Listen.HTTPS) == 0 {
		return errors.New("listen.udp, listen.http and listen.https are all empty: name an address for one of them")
	}
	if err := s.openCertificates(); err != nil {
		return err
	}
	options := udp.Options{
		Tracker: s.tracker, MaxScrape: int(c.Limits.ScrapeHashes), Readers: workers, Proxies: c.Access.ProxyProtocolUDP, Log: s.log,
		BesideGroups: c.Cluster.On(), Passkeys: s.usesPasskeys(),
	}
	_, _ = rand.Read(options.Secret[:]) // never fails: crypto/rand
	if s.udp, err = udp.Listen(ctx, texts(c.Listen.UDP), options); err != nil {
		return err
	}
	upgrader, err := s.openWebSocket()
	if err != nil {
		return err
	}
	s.http, err = http.Listen(ctx, texts(c.Listen.HTTP), c.Access.TrustedProxies, s.overTLS(http.Options{
		Tracker:        s.tracker,
		MaxScrape:      int(c.Limits.ScrapeHashes),
		MaxConnections: int(c.Limits.HTTPConnections),
		MaxPerAddress:  int(c.Limits.HTTPConnectionsPerAddress),
		Unlimited:      s.tracker.Unlimited,
		Health:         s.ready,
		Pages:          s.publicPages(),
		Proxies:        c.Access.ProxyProtocol,
		Passkeys:       s.usesPasskeys(),
		WebSocket:      upgrader,
		Log:            s.log,
	}))
	if err != nil {
		return err
	}
	if err := s.openPeers(); err != nil {
		return err
	}
	if !c.Cluster.On() { // which has no use for links
		if err := s.openLinks(ctx); err != nil {
			return err
		}
	}
	if c.Listen.Console != "" {
		if err := s.listenConsole(ctx); err != nil {
			return err
		}
	}
	s.listens.Store(true)
	return nil
}

func texts[T ~string](of []T) []string {
	out := make([]string, len(of))
	for i, text := range of {
		out[i] = string(text)
	}
	return out
}

// settings returns what the configuration says of announces, but for the torrents
// that are denied.
func settings(c config.Config) tracker.Settings {
	a := c.Announce
	return tracker.Settings{
		Interval:        a.Interval,
		MinInterval:     a.MinInterval,
		PeerLifetime:    a.PeerLifetime,
		PassiveInterval: a.PassiveInterval,
		BrowserInterval: a.WebSocketInterval,
		NumWant:         int32(a.Numwant),
		MaxNumWant:      int32(a.MaxNumwant),
		Listed:          c.Torrents.Mode == "listed",
		AddressRate:     int(c.Limits.AnnouncesPerSecondPerAddress),
		Unlimited:       c.Access.UnlimitedNetworks,
		Rate:            int(c.Limits.AnnouncesPerSecond),
		Policies:        policies(c.Locality),
		ProbeInterval:   c.Locality.ProbeInterval,
		Early:           tracker.Early{Warned: a.EarlyWarned, Shortened: a.EarlyShortened, Refused: a.EarlyRefused, PerAddress: int(c.Limits.EarlyPerAddress)},
		WarnUnreachable: a.NATWarning,
	}
}

// closeFrontends ends what is under way.
func (s *service) closeFrontends() error {
	var errs []error
	if s.console != nil {
		errs = append(errs, s.console.Close())
	}
	if s.http != nil {
		errs = append(errs, s.http.Close())
	}
	errs = append(errs, s.closeWebSocket())
	if s.udp != nil {
		errs = append(errs, s.udp.Close())
	}
	return errors.Join(append(errs, s.closePeers())...)
}

func (s *service) stop() error {
	s.closeAccess()
	return errors.Join(s.closeFrontends(), s.closeCluster(), s.closeLinks(), s.closeEvents(), s.closeRecord(), s.closeLocator(), s.closeTimeline(), s.closeAccounts(), s.closeCatalog(), s.closePasskeys(), s.closeStore())
}

// reload reads the configuration again. With a mistake in it, the old one stays.
func (s *service) reload(flags *pflag.FlagSet, environ []string) {
	loaded, err := config.Load(flags, environ)
	var refused tracker.Denied
	if err == nil {
		refused, err = denied(loaded.Config)
	}
	var lists *access.Contents
	if err == nil {
		lists, err = readLists(loaded.Config)
	}
	var certify, tell func()
	if err == nil {
		certify, err = s.reloadCertificates(loaded.Config.TLS)
	}
	if err == nil {
		tell, err = s.reloadEvents(loaded.Config)
	}
	if err == nil {
		err = s.reloadLocator(context.Background()) // the last that may fail: it takes effect at once
	}
	if err != nil {
		s.log.Error("the configuration was not reloaded: the old one stays in force", "error", err)
		return
	}
	certify()
	tell()
	s.requirePasskeys(&loaded.Config)
	s.apply(loaded.Config, refused)
	s.lists.Put(lists)
	s.tokens.Apply(tokenRules(loaded.Config))
	s.showConfiguration(loaded)
	s.log.Info("configuration reloaded")
}

// apply puts into force what can change while running, and says what cannot.
func (s *service) apply(c config.Config, refused tracker.Denied) {
	settings := settings(c)
	settings.Denied = refused
	s.tracker.Apply(settings)
	s.showPolicy(settings.Policies, c.Locality)
	s.listed.Store(settings.Listed)
	s.budget.Limit(importersOfARack(c.Locality))
	s.http.Trust(c.Access.TrustedProxies)
	s.http.ExpectHeaders(c.Access.ProxyProtocol)
	s.udp.ExpectHeaders(c.Access.ProxyProtocolUDP)
	if s.reach != nil {
		s.reach.Apply(reachSettings(&c))
	}
	s.allowOrigins(c.Access.Origins)
	setLevel(&s.level, c.Log)
	for _, section := range []struct {
		name     string
		old, new any
	}{
		{"listen", s.config.Listen, c.Listen},
		{"tls", s.startedWith(s.config.TLS), s.startedWith(c.TLS)},
		{"announce.record", s.config.Announce.Record, c.Announce.Record},
		{"announce.nat_check", s.config.Announce.NATCheck, c.Announce.NATCheck},
		{"store", s.config.Store, c.Store},
		{"torrents", lasting(s.config.Torrents), lasting(c.Torrents)},
		{"link", s.config.Link, c.Link},
		{"cluster", s.config.Cluster, c.Cluster},
		{"console", s.config.Console, c.Console},
		{"locality", sources(s.config.Locality), sources(c.Locality)},
		{"limits", sizes(s.config.Limits), sizes(c.Limits)},
		{"log.format", s.config.Log.Format, c.Log.Format},
		{"traces", s.config.Traces, c.Traces},
		{"events", ends(s.config.Events), ends(c.Events)},
	} {
		if !reflect.DeepEqual(section.old, section.new) {
			s.log.Warn("a change takes effect at the next start only", "key", section.name)
		}
	}
}

// sizes returns the limits without those that can change while running.
func sizes(l config.Limits) config.Limits {
	l.AnnouncesPerSecond, l.AnnouncesPerSecondPerAddress, l.EarlyPerAddress = 0, 0, 0
	l.EventsDisk, l.EventsMemory, l.NATChecksPerSecond = 0, 0, 0
	return l
}

// ends returns what of events cannot change while running.
func ends(e config.Events) []any {
	return []any{e.Webhook != "", e.NATS, e.Subject, e.JetStream, e.Credentials, e.Directory}
}

// sources returns what of locality cannot change while running.
func sources(l config.Locality) []any {
	return []any{l.Levels, l.Sources, l.LookupTimeout, l.CacheTime, l.CacheUnknown, l.CacheAddresses, l.Lookups, l.MaxGroups}
}

// lasting returns what cannot change while running.
func lasting(t config.Torrents) config.Torrents {
	t.Mode, t.Deny = "", ""
	return t
}

// printAddresses tells where clients reach the tracker, and that it is ready.
func (s *service) printAddresses(ctx context.Context, w io.Writer) error {
	holds := ""
	if !s.config.Store.Remote() || s.config.Store.CountsAlways() {
		totals, err := s.store.Totals(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", s.config.Store, err)
		}
		s.known.set(totals)
		holds = fmt.Sprintf("%d peers of %d torrents in ", totals.Peers, totals.Torrents)
	}
	_, err := fmt.Fprintf(w, "waggle %s: put one of these into a torrent\n", version)
	for _, url := range slices.Concat(announceURLs("udp", s.udp.Addrs()), announceURLs("http", s.http.Addrs()), s.secureURLs("https"), s.websocketURLs(), s.groupURLs()) {
		_, _ = fmt.Fprintf(w, "  %s\n", url)
	}
	if s.console != nil {
		_, _ = fmt.Fprintf(w, "%s: %s\n", s.consoleName(), s.consoleURL())
	}
	_, _ = fmt.Fprintf(w, "ready: %s%s; Ctrl-C stops\n", holds, s.config.Store)
	return err
}
