package udp

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"time"

	"waggle/bittorrent"
	"waggle/frontend"
	"waggle/tracker"
)

// Options are the settings of a server.
type Options struct {
	Tracker   *tracker.Tracker
	Secret    Secret
	MaxScrape int          // info hashes in one request, 1 to 74; 0: 74
	Readers   int          // workers for each address, on Linux with a socket each; 0: one a processor
	Log       *slog.Logger // nil: none

	// Proxies are those that put Cloudflare's simple proxy protocol before each packet. See
	// [Server.ExpectHeaders].
	Proxies []netip.Prefix

	// BesideGroups has wildcard addresses leave room on their ports for multicast groups that
	// this user's processes join afterwards.
	BesideGroups bool

	// Passkeys has the passkeys in announce URLs looked for (BEP 41).
	Passkeys bool

	portable bool // do without what only Linux has
	late     int  // queries that may wait; 0: maxLate or maxRemote
}

// Server answers on its sockets from [Listen] to Close. All methods may be
// called concurrently.
type Server struct {
	options Options
	addrs   []netip.AddrPort
	sockets []socket
	workers []worker
	running sync.WaitGroup
	late    *late
	proxies proxies

	closeOnce func() error
}

// worker is a goroutine that answers, and the socket that it does that on.
type worker struct {
	socket    socket
	responder *responder
}

// socket is what workers read from and answer on.
type socket interface {
	// serve answers until stop. Where an address has fewer sockets than workers,
	// several goroutines serve one, each with a responder of its own.
	serve(p *responder)

	// stop makes every serve return, at once if it waits, otherwise when what has
	// arrived is answered, and at the deadline at the latest. It is called once.
	stop(deadline time.Time)

	// overflowed returns how many packets the system dropped because more came
	// than was read. It may be called at any time, also after Close.
	overflowed() uint64

	// Close is called once, when every serve has returned.
	Close() error
}

// Listen opens the sockets for each address (host:port) and begins to answer. A
// wildcard, as in ":6969", stands for one of IPv4 and one of IPv6; on a machine
// without IPv6 it is the first alone. If one address cannot be had, none is
// kept, and the error says which and what to do.
func Listen(ctx context.Context, addresses []string, o Options) (*Server, error) {
	if o.MaxScrape <= 0 || o.MaxScrape > bittorrent.UDPMaxScrapeHashes {
		o.MaxScrape = bittorrent.UDPMaxScrapeHashes
	}
	if o.Readers <= 0 {
		o.Readers = runtime.GOMAXPROCS(0)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{options: o}
	s.late = newLate(&o)
	s.ExpectHeaders(o.Proxies)
	s.closeOnce = sync.OnceValue(s.drainAndClose)
	for _, address := range addresses {
		conns, err := listenAddress(ctx, address)
		for _, conn := range conns {
			err = errors.Join(err, s.add(ctx, conn))
		}
		if err != nil {
			return nil, errors.Join(err, s.closeSockets())
		}
	}
	for _, w := range s.workers {
		s.running.Go(func() { w.socket.serve(w.responder) })
	}
	return s, nil
}

// add makes workers for an address, of which conn is the first socket.
func (s *Server) add(ctx context.Context, conn *net.UDPConn) (err error) {
	o := &s.options
	s.addrs = append(s.addrs, localAddr(conn))
	sockets := []socket{&portableSocket{conn}}
	if !o.portable {
		sockets, err = openSockets(ctx, conn, o)
	}
	s.sockets = append(s.sockets, sockets...)
	if err != nil {
		return err
	}
	for i := range o.Readers {
		s.workers = append(s.workers, worker{
			socket:    sockets[i%len(sockets)],
			responder: &responder{tracker: o.Tracker, secret: &o.Secret, maxScrape: o.MaxScrape, log: o.Log, late: s.late, proxies: &s.proxies, passkeys: o.Passkeys},
		})
	}
	return nil
}

// Addrs returns the addresses that are listened on, with the ports that the
// system chose where it was asked to.
func (s *Server) Addrs() []netip.AddrPort { return slices.Clone(s.addrs) }

// Figures returns the counts as of now.
func (s *Server) Figures() Figures {
	var sum Figures
	for _, w := range s.workers {
		sum.add(w.responder.ledger.read())
	}
	sum.add(s.late.ledger.read())
	for _, socket := range s.sockets {
		sum.Overflowed += socket.overflowed()
	}
	return sum
}

// Latencies returns how long packets took, from when they were read to when their
// answers were sent; the packets of a batch all took as long as the batch.
func (s *Server) Latencies() (all frontend.Latencies) {
	for _, w := range s.workers {
		all.Count(&w.responder.latency)
	}
	all.Count(&s.late.latency)
	return all
}

// drainTime is how long Close goes on answering what the sockets already hold.
const drainTime = 100 * time.Millisecond

// Close answers what has arrived, waits for the answers under way, and closes
// the sockets. Once is enough, and more do no harm.
func (s *Server) Close() error {
	return s.closeOnce()
}

func (s *Server) drainAndClose() error {
	deadline := time.Now().Add(drainTime)
	for _, socket := range s.sockets {
		socket.stop(deadline)
	}
	s.running.Wait()
	s.late.close()
	return s.closeSockets()
}

func (s *Server) closeSockets() error {
	var errs []error
	for _, socket := range s.sockets {
		errs = append(errs, socket.Close())
	}
	return errors.Join(errs...)
}
