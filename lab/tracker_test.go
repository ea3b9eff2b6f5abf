//go:build lab

package lab

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"time"

	"waggle/bittorrent"
	"waggle/frontend/http"
	"waggle/frontend/udp"
	"waggle/locality"
	"waggle/roster"
	"waggle/simulate/rival"
	"waggle/store/memory"
	"waggle/swarm"
	"waggle/tracker"
)

// Times of the trackers.
const (
	activeInterval  = 15 * time.Second // waggle's defaults
	passiveInterval = 300 * time.Second
	probeInterval   = 5 * time.Second
	usualInterval   = 30 * time.Second // of trackers that know no locations
)

// trackerOrders is the environment variable by which a process of the test binary
// knows that it is to be a tracker, and which.
const trackerOrders = "WAGGLE_LAB_TRACKER"

// orders say what a tracker is to be.
type orders struct {
	Policy   string
	Seed     uint64
	Listen   string
	Racks    int
	InfoHash bittorrent.InfoHash
}

// A note is one line that a tracker writes down: that it is ready, an announce, or,
// where it was asked for them, the places of the torrent.
type note struct {
	At         time.Time
	Ready      bool             `json:",omitempty"`
	From       netip.AddrPort   `json:",omitzero"`
	Client     string           `json:",omitempty"`
	Event      string           `json:",omitempty"`
	Left       int64            `json:",omitempty"`
	Uploaded   int64            `json:",omitempty"`
	Downloaded int64            `json:",omitempty"`
	Often      bool             `json:",omitempty"` // it is told to announce often
	Told       []netip.AddrPort `json:",omitempty"`
	Places     []place          `json:",omitempty"`
	Dead       uint64           `json:",omitempty"` // peers that probes found dead
}

// A place is what the roster has of a rack.
type place struct {
	Rack                           string
	Importers, Exporters, Standbys []netip.AddrPort
	Leechers, Seeders              int
	Leases, Orphans                int
	Starving                       bool
}

// notebook writes notes down, one a line.
type notebook struct {
	mu sync.Mutex
	to *json.Encoder
}

func (b *notebook) write(n note) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.to.Encode(n)
}

// watch lets a store decide, and writes down what it said. Announces are written in
// the order in which they were decided.
func (b *notebook) watch(announce func() error, a *swarm.Announce, r *swarm.Reply) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := announce(); err != nil {
		return err
	}
	n := note{
		At: a.Now, From: a.Addr(), Client: string(a.PeerID[:8]), Event: a.Event.String(), Left: a.Left,
		Uploaded: a.Uploaded, Downloaded: a.Downloaded, Often: r.Pace == swarm.Active,
	}
	for addr := range r.Peers.All() {
		n.Told = append(n.Told, addr)
	}
	return b.to.Encode(n)
}

// own is waggle's store, watched.
type own struct {
	*memory.Store
	notes *notebook
}

func (s own) Announce(ctx context.Context, a *swarm.Announce, r *swarm.Reply) error {
	return s.notes.watch(func() error { return s.Store.Announce(ctx, a, r) }, a, r)
}

// other is a rival's store, watched.
type other struct {
	swarm.Store
	notes *notebook
}

func (s other) Announce(ctx context.Context, a *swarm.Announce, r *swarm.Reply) error {
	return s.notes.watch(func() error { return s.Store.Announce(ctx, a, r) }, a, r)
}

// subnets locates 10.66.RACK.HOST.
type subnets struct{ racks []*locality.Group }

func newSubnets(racks int) (s subnets, err error) {
	tree, err := locality.NewTree(racks, "rack")
	if err != nil {
		return s, err
	}
	for i := range racks {
		g, err := tree.Group(fmt.Sprintf("rack%d", i))
		if err != nil {
			return s, err
		}
		s.racks = append(s.racks, g)
	}
	return s, nil
}

func (s subnets) Cached(ip netip.Addr, _ time.Time) (*locality.Group, bool) {
	if rack := int(ip.As4()[2]); rack < len(s.racks) {
		return s.racks[rack], true
	}
	return nil, true
}

func (s subnets) Locate(_ context.Context, ip netip.Addr) *locality.Group {
	g, _ := s.Cached(ip, time.Time{})
	return g
}

// newTracker returns the tracker of a policy, and its store.
func newTracker(o orders, notes *notebook) (*tracker.Tracker, swarm.Store, error) {
	where, err := newSubnets(o.Racks)
	if err != nil {
		return nil, nil, err
	}
	seed := [2]uint64{o.Seed, 0x6c6162}
	settings := tracker.Settings{
		Interval: usualInterval, PeerLifetime: 2*usualInterval + 15*time.Second, NumWant: 50, MaxNumWant: 200,
		Policies: tracker.Policies{Default: &swarm.Policy{Active: rival.ActiveInterval, Passive: usualInterval}},
	}
	var store swarm.Store
	switch o.Policy {
	case "random":
		store = other{rival.Random(seed), notes}
	case "subnet-first":
		store = other{rival.SubnetFirst(seed), notes}
	case "p2ptracker":
		store = other{rival.P2PTracker(seed), notes}
	default:
		policy, err := swarm.NewPolicy(o.Policy, activeInterval, passiveInterval)
		if err != nil {
			return nil, nil, err
		}
		settings.Interval, settings.MinInterval, settings.PeerLifetime = 30*time.Minute, 15*time.Minute, 45*time.Minute
		settings.Policies.Default, settings.ProbeInterval = &policy, probeInterval
		store = own{memory.New(memory.Options{Details: true, Seed: seed}), notes}
	}
	return tracker.New(store, settings, tracker.Options{Locator: where}), store, nil
}

// serveTracker is a tracker until its standard input ends. Each line of it asks for
// the places of the torrent.
func serveTracker(text string) error {
	var o orders
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	notes := &notebook{to: json.NewEncoder(os.Stdout)}
	t, store, err := newTracker(o, notes)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	web, err := http.Listen(ctx, []string{o.Listen}, nil, http.Options{Tracker: t, Log: log})
	if err != nil {
		return err
	}
	packets, err := udp.Listen(ctx, []string{o.Listen}, udp.Options{Tracker: t, Secret: udp.Secret{1}, Readers: 1, Log: log})
	if err != nil {
		return err
	}
	var background sync.WaitGroup
	background.Go(func() { t.Clean(ctx) })
	background.Go(func() { t.Tend(ctx) })
	err = answer(ctx, o, t, store, notes)
	_, _ = web.Close(), packets.Close()
	cancel()
	background.Wait()
	return err
}

func answer(ctx context.Context, o orders, t *tracker.Tracker, store swarm.Store, notes *notebook) error {
	if err := notes.write(note{At: time.Now(), Ready: true}); err != nil {
		return err
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		n := note{At: time.Now(), Places: []place{}, Dead: t.Figures().Dead}
		if rosters, ok := store.(roster.Store); ok {
			places, err := rosters.Places(ctx, o.InfoHash)
			if err != nil {
				return err
			}
			for _, p := range places {
				n.Places = append(n.Places, place{
					p.Group.Path(), p.Importers, p.Exporters, p.Standbys, p.Leechers, p.Seeders, p.Leases, p.Orphans, p.Starving,
				})
			}
		}
		if len(n.Places) == 0 {
			n.Places = append(n.Places, place{})
		}
		if err := notes.write(n); err != nil {
			return err
		}
	}
	return nil
}
