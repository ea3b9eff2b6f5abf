//go:build !function

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"waggle/config"
	"waggle/console"
	"waggle/console/client"
	"waggle/link"
	"waggle/link/carrier"
	"waggle/store/memory"
	"waggle/store/sqlite"
)

// linking is what a service has of links. A function has none: its store is on a network,
// and the server of NATS would be a third of it.
type linking struct {
	intake *link.Intake // nil: the store is on a network
	links  *link.Links  // nil: it is, or there is no frontend yet
}

// hearChanges has links told of what changes in a store.
func (s *service) hearChanges(o *memory.Options) {
	s.intake = link.NewIntake(s.config.Announce.PeerLifetime)
	o.Changed = s.intake.Changed
}

// linkedStore is the store as links look at it; nil: it is on a network, where trackers
// share their peers by it.
func (s *service) linkedStore() link.Store {
	switch store := s.store.(type) {
	case *memory.Store:
		return memory.Shown{Store: store}
	case *sqlite.Store:
		return memory.Shown{Store: store.Store}
	}
	return nil
}

// openLinks links this tracker with others. It does so when it listens, so that it can
// tell where.
func (s *service) openLinks(ctx context.Context) error {
	c := &s.config.Link
	store := s.linkedStore()
	if store == nil {
		return refuseLinks(c)
	}
	share, err := link.ParseShare(c.ShareTorrents)
	if err != nil {
		return fmt.Errorf("link.share_torrents: %w", err)
	}
	o := link.Options{
		Intake: s.intake, Store: store, Tracker: s.tracker, Catalog: s.catalog,
		Name: linkName(c.Name), Listen: string(c.Listen), Addresses: texts(c.Addresses), Directory: string(c.Directory),
		Software: "waggle " + version, URLs: s.linkedURLs(),
		Listed: s.config.Torrents.Mode == "listed", Share: share, ShareRemovals: c.ShareRemovals, MaxFile: maxUpload(s.config),
		MaxPeers: int(c.MaxPeers), Log: s.log,
	}
	if s.config.Store.Scheme() == "sqlite" {
		o.Doubt = s.refreshEvery() + time.Second
	}
	if c.NATS != "" {
		o.Outside = &carrier.Outside{URL: string(c.NATS), Credentials: string(c.Credentials)}
		o.OutsideHub = c.NATSRole == "hub"
	}
	s.links, err = link.Open(ctx, o)
	if err != nil {
		return fmt.Errorf("links with other trackers: %w", err)
	}
	return nil
}

// refuseLinks returns an error where links are configured that cannot be.
func refuseLinks(c *config.Link) error {
	var key string
	switch {
	case c.Listen != "":
		key = "link.listen"
	case c.NATS != "":
		key = "link.nats"
	default:
		return nil
	}
	return fmt.Errorf("%s: links need the memory or SQLite store: trackers with a store on a network share their peers by that; "+
		"give all of them the same store, or leave %s out", key, key)
}

// closeLinks says goodbye to other trackers.
func (s *service) closeLinks() error {
	if s.links == nil {
		return nil
	}
	return s.links.Close()
}

// linkName returns what others call this tracker: what was configured, or the name of the
// machine, as far as that can be one.
func linkName(configured string) string {
	if configured != "" {
		return configured
	}
	host, _ := os.Hostname() // without one it is called waggle
	host, _, _ = strings.Cut(host, ".")
	fit := strings.Map(func(r rune) rune {
		if carrier.CheckName(string(r)) != nil {
			return '-'
		}
		return r
	}, host)
	if fit = fit[:min(len(fit), 64)]; carrier.CheckName(fit) != nil {
		return "waggle"
	}
	return fit
}

// linkedURLs returns where clients of other trackers reach this one: by the hosts of
// link.addresses, or by what this machine has but loopback, unless it has only that.
func (s *service) linkedURLs() []string {
	udp, http := s.udp.Addrs(), s.http.Addrs()
	if named := s.config.Link.Addresses; len(named) > 0 {
		return append(urlsAt("udp", named, udp), urlsAt("http", named, http)...)
	}
	all := append(announceURLs("udp", udp), announceURLs("http", http)...)
	beyond := slices.DeleteFunc(slices.Clone(all), func(url string) bool {
		return strings.Contains(url, "://127.") || strings.Contains(url, "://[::1]")
	})
	if len(beyond) > 0 {
		return beyond
	}
	return all
}

func urlsAt(scheme string, named []config.Address, addrs []netip.AddrPort) (urls []string) {
	for _, a := range named {
		host := string(a)[:strings.LastIndexByte(string(a), ':')]
		for _, at := range addrs {
			if url := fmt.Sprintf("%s://%s:%d/announce", scheme, host, at.Port()); !slices.Contains(urls, url) {
				urls = append(urls, url)
			}
		}
	}
	return urls
}

// shownLinks are the links as the console has them; nil: this store has no use for them.
func (s *service) shownLinks() console.Links {
	if s.links == nil {
		return nil
	}
	return linkConsole{s.links}
}

// linkConsole is [link.Links] in the words of the console.
type linkConsole struct{ *link.Links }

// inWords gives an error the kind that the console knows.
func inWords(err error) error {
	for kind, shown := range map[error]error{
		link.ErrUnknown: console.ErrLinkUnknown, link.ErrInvalid: console.ErrLinkInvalid, link.ErrConflict: console.ErrLinkConflict,
	} {
		if errors.Is(err, kind) {
			return &linkError{err, shown}
		}
	}
	return err
}

// linkError has the words of one error, and is of the kind of another.
type linkError struct{ words, kind error }

func (e *linkError) Error() string   { return e.words.Error() }
func (e *linkError) Unwrap() []error { return []error{e.kind, e.words} }

// The methods are documented at [console.Links].

func (l linkConsole) Show() client.Links {
	v := l.Links.Show()
	shown := client.Links{
		Name: v.Name, Listening: v.Listening, Hub: v.Hub, Own: v.Own, Relayed: v.Relayed, Torrents: v.Torrents,
		Links: make([]client.Link, len(v.Links)), Invited: make([]client.Invited, len(v.Invited)),
	}
	for i := range v.Links {
		shown.Links[i] = shownLink(&v.Links[i])
	}
	for i := range v.Invited {
		in := &v.Invited[i]
		shown.Invited[i] = client.Invited{Name: in.Name, At: in.Since, Rights: client.Rights(in.Rights)}
	}
	return shown
}

func shownLink(v *link.Neighbour) client.Link {
	shown := client.Link{
		Name: v.Name, Role: v.Role, State: v.State, Why: v.Why, Since: v.Since, Address: v.Address, Software: v.Software,
		Peers: v.Peers, ChangesIn: v.Rates.ChangesIn, ChangesOut: v.Rates.ChangesOut, BytesIn: v.Rates.BytesIn, BytesOut: v.Rates.BytesOut,
		Lag: v.Lag.Seconds(), Waiting: v.Waiting, Capped: v.Capped, Rights: client.Rights(v.Rights), AnnounceURLs: v.URLs,
		Totals: client.LinkTotals{
			ChangesIn: v.Totals.ChangesIn, ChangesOut: v.Totals.ChangesOut, BytesIn: v.Totals.BytesIn, BytesOut: v.Totals.BytesOut, Heals: v.Totals.Heals,
		},
	}
	if h := v.LastHeal; h != nil {
		shown.LastHeal = &client.Heal{At: h.At.UTC(), Took: h.Took.Seconds(), Entries: h.Entries}
	}
	return shown
}

func (l linkConsole) Invite(_ context.Context, n client.NewInvitation) (client.Invitation, error) {
	line, err := l.Links.Invite(n.Name, carrier.Rights(n.Rights), n.Addresses)
	return client.Invitation{Name: n.Name, Line: line}, inWords(err)
}

func (l linkConsole) Join(ctx context.Context, line string) (client.Link, error) {
	if err := l.Links.Join(ctx, line); err != nil {
		return client.Link{}, inWords(err)
	}
	for _, one := range l.Show().Links {
		if one.Role == client.RoleHub {
			return one, nil
		}
	}
	return client.Link{Name: client.RoleHub, Role: client.RoleHub, State: client.LinkConnecting}, nil
}

func (l linkConsole) Leave(context.Context) error { return inWords(l.Links.Leave()) }

func (l linkConsole) Drop(_ context.Context, name string) error { return inWords(l.Links.Drop(name)) }

func (l linkConsole) Reset(_ context.Context, name string) error { return inWords(l.Links.Reset(name)) }

func (l linkConsole) SetRights(_ context.Context, name string, r client.Rights) error {
	return inWords(l.Links.SetRights(name, carrier.Rights(r)))
}

func (l linkConsole) AnnounceLists(context.Context) ([][]string, error) {
	return l.Links.AnnounceLists(), nil
}
