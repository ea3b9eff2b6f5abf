//go:build !function

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"

	"waggle/bittorrent"
	"waggle/cluster"
	"waggle/cluster/carrier"
	"waggle/cluster/instance"
	"waggle/config"
	"waggle/console/client"
	"waggle/errno"
	"waggle/frontend/udp"
	"waggle/locality"
	"waggle/roster"
	"waggle/swarm"
	"waggle/tracker"
)

// clustering is what a service has of a cluster.
type clustering struct {
	committing *instance.Store // what the tracker announces to; nil: there is no cluster
	instance   *instance.Instance
	carrier    carrier.Carrier
	peers      *peersGroup // nil: none, or not yet
	secret     []byte      // nil: there is none
	counts     countsFile
	lookUps    *lookUps // nil: nobody knows where anybody is

	answering atomic.Pointer[udp.Group]
}

// announced is the store as the tracker announces to it.
func (s *service) announced() swarm.Store {
	if !s.config.Cluster.On() {
		return s.store
	}
	s.committing = &instance.Store{Store: s.store, MasterOnly: !s.config.Cluster.Forward}
	if located, is := s.store.(roster.Store); is && s.locator != nil {
		return &clusteredRoster{s.committing, located}
	}
	return s.committing
}

// clusteredRoster is a store of a cluster that knows where peers are.
type clusteredRoster struct {
	*instance.Store
	knowsPlaces
}

type knowsPlaces interface{ roster.Store }

// relaying records what other instances were told by peers, which it locates as far as that
// takes no time. Others it has looked up for the next time that they announce.
type relaying struct {
	*tracker.Tracker
	lookUps *lookUps // nil: nobody knows where anybody is
}

func (t relaying) Relay(ctx context.Context, a *swarm.Announce, r *swarm.Reply) error {
	if !t.Locate(a) && a.Event != bittorrent.EventStopped {
		t.lookUps.begin(a.From)
	}
	return t.Tracker.Relay(ctx, a, r)
}

// mostLookUps is how many addresses are looked up at a time of which other instances were told.
const mostLookUps = 64

// lookUps has the locator learn where addresses are, as far as it has time.
type lookUps struct {
	locator *locality.Locator
	ctx     context.Context //nolint:containedctx // of all that is under way
	cancel  context.CancelFunc
	places  chan struct{}
	running sync.WaitGroup
}

func newLookUps(l *locality.Locator) *lookUps {
	if l == nil {
		return nil
	}
	u := &lookUps{locator: l, places: make(chan struct{}, mostLookUps)}
	u.ctx, u.cancel = context.WithCancel(context.Background())
	return u
}

// begin looks an address up, and does not wait for that.
func (u *lookUps) begin(ip netip.Addr) {
	select {
	case u.places <- struct{}{}:
	default:
		return // its peer announces again
	}
	u.running.Go(func() {
		defer func() { <-u.places }()
		u.locator.Locate(u.ctx, ip)
	})
}

func (u *lookUps) close() {
	if u != nil {
		u.cancel()
		u.running.Wait()
	}
}

// readClusterSecret reads the secret, unless there is to be none.
func (s *service) readClusterSecret() error {
	c := &s.config.Cluster
	if c.Unauthenticated {
		s.log.Warn("cluster.unauthenticated: everybody on the network is believed, and may become master, change what all trackers know and take this one out")
		return nil
	}
	secret, err := client.ReadToken(string(c.SecretFile))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cluster.secret_file: there is no %s: copy it from another tracker of the cluster, or make the first one "+
			"with (umask 077; openssl rand -hex 32 > %[1]s)", c.SecretFile)
	}
	if err != nil {
		return fmt.Errorf("cluster.secret_file: %w", err)
	}
	s.secret = []byte(secret)
	return nil
}

// checkCard refuses a network interface that is not there.
func checkCard(name string) error {
	if name == "" {
		return nil
	}
	if _, err := net.InterfaceByName(name); err != nil {
		return fmt.Errorf("cluster.interface: this machine has none that is called %s; it has %s", printable(name), interfaces())
	}
	return nil
}

// withRoute says what to do about an error of a group that no route leads to.
func withRoute(err error) error {
	if errno.Is(err, syscall.ENETUNREACH, syscall.EHOSTUNREACH) {
		return fmt.Errorf("%w: set cluster.interface to one of %s", err, interfaces())
	}
	return err
}

// joinCluster begins to take part. Errors say which key is to blame.
func (s *service) joinCluster(ctx context.Context) (err error) {
	c := &s.config.Cluster
	if !c.On() {
		return nil
	}
	if err := errors.Join(checkCard(c.Interface), s.readClusterSecret()); err != nil {
		return err
	}
	restorer, ok := s.store.(swarm.Restorer)
	if !ok {
		return fmt.Errorf("%s cannot be the store of a cluster, which needs one in memory or a file", s.config.Store)
	}
	rows, err := s.clusterRows(ctx, restorer)
	if err != nil {
		return err
	}
	if len(rows) > int(c.MaxRows) {
		s.log.Warn("the store has more peers than the cluster may: raise cluster.max_rows", "rows", len(rows), "max_rows", c.MaxRows)
	}
	if s.carrier, err = s.openCarrier(); err != nil {
		return err
	}
	s.lookUps = newLookUps(s.locator)
	s.instance = instance.Start(instance.Options{
		Node:    cluster.Options{Times: cluster.Document, Lifetime: s.config.Announce.PeerLifetime, MaxRows: int(c.MaxRows)},
		Carrier: s.carrier, Tracker: relaying{s.tracker, s.lookUps}, Counts: clusterCounts{restorer}, Rows: rows,
		Answer: s.answerCommitted, Log: s.log,
	})
	s.committing.In = s.instance
	s.log.Info("looking for the cluster", "at", clusterPlace(c), "address", s.carrier.Address(), "peers", len(rows))
	return nil
}

// clusterPlace is where instances meet, without a password.
func clusterPlace(c *config.Cluster) string {
	if c.NATS != "" {
		return c.NATS.String() + " " + c.NATSPrefix
	}
	return c.Group.String()
}

func (s *service) openCarrier() (carrier.Carrier, error) {
	c := &s.config.Cluster
	if c.NATS != "" {
		b, err := carrier.NewBroker(carrier.BrokerOptions{
			URL: string(c.NATS), Credentials: string(c.Credentials), Prefix: c.NATSPrefix, Secret: s.secret, Unsealed: c.Unauthenticated,
		})
		if err != nil {
			return nil, fmt.Errorf("cluster.nats: %w", err)
		}
		return b, nil
	}
	m, err := carrier.NewMulticast(carrier.MulticastOptions{
		GroupOptions: carrier.GroupOptions{Group: c.Group.AddrPort(), Interface: c.Interface, TTL: c.TTL},
		Secret:       s.secret, Unsealed: c.Unauthenticated,
	})
	if err != nil {
		return nil, fmt.Errorf("cluster.group: %w", withRoute(err))
	}
	return m, nil
}

// clusterHealth tells why announces cannot be taken in.
func (s *service) clusterHealth() error {
	switch {
	case s.instance == nil:
		return nil
	case s.instance.Ended():
		return errors.New("this tracker has left its cluster: start it again to join")
	}
	return s.committing.Healthy()
}

// closeCluster leaves the cluster.
func (s *service) closeCluster() (err error) {
	if s.instance != nil {
		s.instance.Close()
		s.lookUps.close()
		err = s.keepCounts(context.Background())
	}
	if s.carrier != nil {
		err = errors.Join(err, s.carrier.Close())
	}
	return err
}
