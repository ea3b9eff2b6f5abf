package udp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
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
	Readers   int          // goroutines a socket; 0: one a processor
	Log       *slog.Logger // nil: none
}

// Server answers on its sockets from [Listen] to Close.
type Server struct {
	options Options
	conns   []*net.UDPConn
	readers sync.WaitGroup
	figures figures

	closeOnce func() error
}

// Listen opens a socket for each address (host:port) and begins to answer. A
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
	s.closeOnce = sync.OnceValue(s.drainAndClose)
	for _, address := range addresses {
		conns, err := listenAddress(ctx, address)
		s.conns = append(s.conns, conns...)
		if err != nil {
			return nil, errors.Join(err, s.closeSockets())
		}
	}
	for _, conn := range s.conns {
		_ = conn.SetReadBuffer(4 << 20) // a wish: the kernel has its own maximum
		for range o.Readers {
			s.readers.Go(func() { s.serve(conn) })
		}
	}
	return s, nil
}

// listenAddress opens the sockets of one address. What it opened comes back even
// with an error.
func listenAddress(ctx context.Context, address string) ([]*net.UDPConn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, frontend.ListenError("udp", address, err)
	}
	if host != "" {
		conn, err := listenNetwork(ctx, "udp", address)
		if err != nil {
			return nil, err
		}
		return []*net.UDPConn{conn}, nil
	}
	v4, err := listenNetwork(ctx, "udp4", net.JoinHostPort("0.0.0.0", port))
	if err != nil {
		return nil, err
	}
	if port == "0" {
		_, port, _ = net.SplitHostPort(v4.LocalAddr().String())
	}
	v6, err := listenNetwork(ctx, "udp6", net.JoinHostPort("::", port))
	switch {
	case errors.Is(err, syscall.EAFNOSUPPORT), errors.Is(err, syscall.EADDRNOTAVAIL):
		return []*net.UDPConn{v4}, nil
	case err != nil:
		return []*net.UDPConn{v4}, err
	}
	return []*net.UDPConn{v4, v6}, nil
}

func listenNetwork(ctx context.Context, network, address string) (*net.UDPConn, error) {
	var config net.ListenConfig
	packets, err := config.ListenPacket(ctx, network, address)
	if err != nil {
		return nil, frontend.ListenError("udp", address, err)
	}
	conn := packets.(*net.UDPConn)
	if err := rememberDestination(conn); err != nil {
		return nil, errors.Join(fmt.Errorf("udp %s: %w", address, err), conn.Close())
	}
	return conn, nil
}

// Addrs returns the addresses that are listened on, with the ports that the
// system chose where it was asked to.
func (s *Server) Addrs() []netip.AddrPort {
	addrs := make([]netip.AddrPort, len(s.conns))
	for i, conn := range s.conns {
		addrs[i] = conn.LocalAddr().(*net.UDPAddr).AddrPort()
	}
	return addrs
}

// drainTime is how long Close goes on answering what the sockets already hold.
const drainTime = 100 * time.Millisecond

// Close answers what has arrived, waits for the answers under way, and closes
// the sockets. Once is enough, and more do no harm.
func (s *Server) Close() error {
	return s.closeOnce()
}

func (s *Server) drainAndClose() error {
	for _, conn := range s.conns {
		_ = conn.SetReadDeadline(time.Now().Add(drainTime))
	}
	s.readers.Wait()
	return s.closeSockets()
}

func (s *Server) closeSockets() error {
	var errs []error
	for _, conn := range s.conns {
		errs = append(errs, conn.Close())
	}
	return errors.Join(errs...)
}

// serve answers on a socket until its deadline. A panic, which would be a fault
// of ours, costs the packet that found it and is logged.
func (s *Server) serve(conn *net.UDPConn) {
	for !s.serveUntilPanic(conn) {
	}
}

func (s *Server) serveUntilPanic(conn *net.UDPConn) (ended bool) {
	defer func() {
		if fault := recover(); fault != nil {
			s.figures.panics.Add(1)
			s.options.Log.Error("a packet found a fault in waggle: please report it", "fault", fault, "stack", string(debug.Stack()))
		}
	}()
	p := &responder{tracker: s.options.Tracker, secret: &s.options.Secret, maxScrape: s.options.MaxScrape, figures: &s.figures}
	var packet [maxRequest]byte
	var control [controlLen]byte
	failures := 0
	for {
		n, controlN, _, from, err := conn.ReadMsgUDPAddrPort(packet[:], control[:])
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) {
				return true
			}
			failures++
			s.figures.readErrors.Add(1)
			time.Sleep(min(time.Duration(failures), 100) * time.Millisecond) // an error that stays must not spin
			continue
		}
		failures = 0
		ip := from.Addr().Unmap().WithZone("")
		answer := p.answer(context.Background(), packet[:n], ip, s.options.Tracker.Now())
		if answer == nil {
			continue
		}
		if _, _, err := conn.WriteMsgUDPAddrPort(answer, replyControl(control[:controlN]), from); err != nil {
			s.figures.writeErrors.Add(1)
		}
	}
}

// Figures count what a server did since it began.
type Figures struct {
	Connects      uint64 // connect requests answered
	Errors        uint64 // requests answered with an error
	BadConnection uint64 // dropped: connection id wrong or too old
	Malformed     uint64 // dropped: too short, or a connect without the magic
	ReadErrors    uint64
	WriteErrors   uint64
	Panics        uint64 // faults of waggle's
}

type figures struct {
	connects, errors, badConnection, malformed, readErrors, writeErrors, panics atomic.Uint64
}

// Figures returns the counts as of now.
func (s *Server) Figures() Figures {
	f := &s.figures
	return Figures{
		Connects:      f.connects.Load(),
		Errors:        f.errors.Load(),
		BadConnection: f.badConnection.Load(),
		Malformed:     f.malformed.Load(),
		ReadErrors:    f.readErrors.Load(),
		WriteErrors:   f.writeErrors.Load(),
		Panics:        f.panics.Load(),
	}
}
