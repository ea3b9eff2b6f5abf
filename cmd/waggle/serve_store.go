package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"strings"
	"time"

	"waggle/config"
	"waggle/console"
	"waggle/document"
	"waggle/locality"
	"waggle/roster"
	"waggle/store/dynamodb"
	"waggle/store/memory"
	"waggle/store/redis"
	"waggle/store/s3"
	"waggle/store/sqlite"
	"waggle/swarm"
)

// remoteStore is a store on a network, which keeps all that a tracker has.
type remoteStore interface {
	swarm.Remote
	swarm.Restorer
	roster.Store
	console.Swarms

	// Documents keeps the catalogue, the accounts and the audit log. It is closed with
	// the store.
	Documents() document.Store
}

// remoteOptions are what stores on a network have in common.
type remoteOptions struct {
	seed        [2]uint64
	maxPeers    int
	maxTorrents int
	budget      *roster.Budget
	group       func(string) (*locality.Group, error)
	host        func(netip.Addr) string // what a host is called; nil: nobody knows
	log         *slog.Logger
}

// openRemote opens a store on a network. Errors name the URL, once and without its
// password.
func openRemote(ctx context.Context, url config.StoreURL, o remoteOptions) (s remoteStore, err error) {
	if o.seed == ([2]uint64{}) {
		o.seed = randomSeed()
	}
	switch url.Scheme() {
	case "dynamodb":
		s, err = openDynamoDB(ctx, string(url), &o)
	case "s3":
		s, err = openS3(ctx, string(url), &o)
	default:
		s, err = openRedis(ctx, string(url), &o)
	}
	switch {
	case err == nil:
		return s, nil
	case strings.HasPrefix(err.Error(), url.Scheme()+"://"): // it does already
		return nil, err
	}
	return nil, fmt.Errorf("%s: %w", url, err)
}

func openRedis(ctx context.Context, url string, common *remoteOptions) (remoteStore, error) {
	o, err := redis.ParseURL(url)
	if err != nil {
		return nil, err
	}
	o.Seed, o.MaxPeers, o.MaxTorrents, o.Budget = common.seed, common.maxPeers, common.maxTorrents, common.budget
	o.Group, o.Host, o.Log = common.group, common.host, common.log
	s, err := redis.Open(ctx, o)
	if err != nil {
		return nil, err // and no store that is not nil
	}
	return s, nil
}

func openDynamoDB(ctx context.Context, url string, common *remoteOptions) (remoteStore, error) {
	o, err := dynamodb.ParseURL(url)
	if err != nil {
		return nil, err
	}
	o.Seed, o.MaxPeers, o.MaxTorrents, o.Budget = common.seed, common.maxPeers, common.maxTorrents, common.budget
	o.Group, o.Log = common.group, common.log
	o.TotalsAge = 10 * time.Second // they cost a read of all torrents' counts
	s, err := dynamodb.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func openS3(ctx context.Context, url string, common *remoteOptions) (remoteStore, error) {
	o, err := s3.ParseURL(url)
	if err != nil {
		return nil, err
	}
	o.Seed, o.MaxPeers, o.MaxTorrents, o.Budget = common.seed, common.maxPeers, common.maxTorrents, common.budget
	o.Group, o.Log = common.group, common.log
	o.TotalsAge = 10 * time.Second // they cost a list of all swarms
	s, err := s3.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func randomSeed() [2]uint64 {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand
	return [2]uint64{binary.LittleEndian.Uint64(b[:]), binary.LittleEndian.Uint64(b[8:])}
}

// openStore opens the store of the swarms.
func (s *service) openStore(ctx context.Context) (swarm.Store, error) {
	s.budget = newBudget(s.config.Locality)
	var group func(string) (*locality.Group, error)
	if s.locator != nil {
		group = s.locator.Tree().Group
	}
	options := memory.Options{
		Budget:      s.budget,
		MaxPeers:    int(s.config.Limits.Peers),
		MaxTorrents: int(s.config.Limits.Torrents),
		MaxBytes:    s.memory.forPeers(&s.config.Limits),
		Details:     s.config.Torrents.PeerDetails,
		Seed:        randomSeed(),
	}
	url := s.config.Store
	if !url.Remote() {
		s.hearChanges(&options)
		s.hearGone(&options)
	}
	switch {
	case url.Scheme() == "memory":
		return memory.New(options), nil
	case url.Remote():
		o := remoteOptions{
			seed: options.Seed, maxPeers: options.MaxPeers, maxTorrents: options.MaxTorrents,
			budget: s.budget, group: group, log: s.log,
		}
		if s.locator != nil {
			o.host = s.locator.Host
		}
		return openRemote(ctx, url, o)
	}
	// The journal has a thread that gives way to others. While it waits for its turn,
	// or for the disk, it keeps one of Go's processors, which no worker must go without.
	runtime.GOMAXPROCS(workers + 1)
	return sqlite.Open(ctx, url.Path(), sqlite.Options{
		Memory:       options,
		Group:        group,
		RefreshEvery: s.refreshEvery(),
		AsWritten:    s.config.Cluster.On(), // else who has left since would come back
		Log:          s.log,
	})
}

// refreshEvery is how often SQLite writes down that a peer is still there: by as much a restart
// may lengthen a lifetime.
func (s *service) refreshEvery() time.Duration { return s.config.Announce.PeerLifetime / 4 }

// documents are where the store keeps what is no peer; nil: in files beside it, or
// nowhere.
func (s *service) documents() document.Store {
	if r, ok := s.store.(remoteStore); ok {
		return r.Documents()
	}
	return nil
}

// errOpening is why a tracker is not ready whose HTTP answers already.
var errOpening = errors.New("it has just started, and not all of it listens yet")

// ready tells what is wrong as health does, or that there is something that does not listen yet,
// such as the console: who has waited for the tracker may ask for anything.
func (s *service) ready() error {
	if !s.listens.Load() {
		return unreachable{errOpening}
	}
	return s.health()
}

// health tells what is wrong although announces are answered.
func (s *service) health() error {
	if err := s.clusterHealth(); err != nil {
		return unreachable{err}
	}
	switch store := s.store.(type) {
	case *sqlite.Store:
		if !store.Healthy() {
			return errors.New("the journal cannot be written: announces would not survive a restart; see the log")
		}
	case swarm.Remote:
		if err := store.Healthy(); err != nil {
			return unreachable{err}
		}
	}
	return nil
}

// unreachable is why a store on a network can take nothing in.
type unreachable struct{ error }

func (unreachable) Is(target error) bool { return target == swarm.ErrBusy }

// storedSwarms is the store as the console looks at it.
func (s *service) storedSwarms() console.Swarms {
	switch store := s.store.(type) {
	case *memory.Store:
		return memory.Shown{Store: store}
	case *sqlite.Store:
		return memory.Shown{Store: store.Store}
	}
	return s.store.(remoteStore)
}
