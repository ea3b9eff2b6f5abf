package peer

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"waggle/bittorrent"
)

// How a cluster behind a multicast group is asked (seed document 003, 4 and 5).
const (
	groupResend = 15 * time.Second // a request that nobody has answered is sent again
	groupSends  = 5                // of a request
	groupDown   = 75 * time.Second // of silence: a minute from the first resend
	groupHolds  = time.Minute      // a connection id; the tracker takes it for two
	groupPeers  = 82               // in an answer, at most
)

// groups asks clusters of trackers, each by its multicast group: every instance
// hears a request, one answers, from its own address, which need not be the one
// that answered before. So a connection id belongs to the group, and not to who
// gave it, and a request that is sent again is the same one: who heard the first
// knows it again. A master that dies in between costs 15 seconds.
//
// # Which magic number
//
// A connect request has that of BEP 15, which clusters of waggle and ordinary
// trackers take, so that the first packet is answered. Silence may mean a lost
// packet, an election, or a tracker that knows the document's number alone. So the
// two take turns, 15 seconds apart: no setting is needed, either one gets a second
// chance, and never do two packets go where one would do. What was answered comes
// first the next time. Whoever answers to the document's number gets announces of
// the document's 98 bytes, without the options of BEP 41.
type groups struct {
	device string     // the network interface; empty: that of addr, or the route's
	hops   int        // routers and one that a request may pass; 0: 1
	addr   netip.Addr // where answers go; zero: the system chooses
	now    func() time.Time
	after  func(time.Duration) <-chan time.Time

	mu    sync.Mutex
	known map[netip.AddrPort]acquaintance // groups that have answered
}

// acquaintance is what is remembered of a group.
type acquaintance struct {
	connection uint64
	until      time.Time // the connection id may be used; zero: there is none
	magic      uint64
}

func newGroups(o *Options) *groups {
	return &groups{
		device: o.MulticastInterface, hops: o.MulticastTTL, addr: o.Addr,
		now: time.Now, after: time.After, known: map[netip.AddrPort]acquaintance{},
	}
}

// connection returns the id that requests to a group may carry now.
func (g *groups) connection(group netip.AddrPort) (uint64, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	known := g.known[group]
	return known.connection, g.now().Before(known.until)
}

func (g *groups) remember(group netip.AddrPort, connection, magic uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.known[group] = acquaintance{connection, g.now().Add(groupHolds), magic}
}

func (g *groups) forget(group netip.AddrPort) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.known[group] = acquaintance{magic: g.known[group].magic}
}

// magics returns the magic numbers in the order in which a group is tried.
func (g *groups) magics(group netip.AddrPort) [2]uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.known[group].magic == bittorrent.DocumentMagic {
		return [2]uint64{bittorrent.DocumentMagic, bittorrent.ConnectMagic}
	}
	return [2]uint64{bittorrent.ConnectMagic, bittorrent.DocumentMagic}
}

// post sends an announce to a group and reads the answer into out. The error of a
// tracker that refuses is its reason; that of one that is silent says so.
func (g *groups) post(ctx context.Context, group netip.AddrPort, path string, a *bittorrent.AnnounceRequest, out *bittorrent.AnnounceResponse) error {
	s, err := g.open(ctx, group)
	if err != nil {
		return err
	}
	defer s.close()
	x := inquiry{groups: g, group: group, socket: s}
	asked := *a
	if asked.NumWant < 0 || asked.NumWant > groupPeers {
		asked.NumWant = groupPeers // more would not fit what is believed
	}
	return x.announce(ctx, path, &asked, out)
}

// inquiry is the packets of one announce to a group.
type inquiry struct {
	*groups
	group  netip.AddrPort
	socket *groupSocket
	down   time.Time // when the group is held for down; zero: it has answered what was sent last
}

// errSilent is the error of a group that does not answer a packet.
var errSilent = errors.New("no answer")

func (x *inquiry) announce(ctx context.Context, path string, a *bittorrent.AnnounceRequest, out *bittorrent.AnnounceResponse) error {
	transaction := rand.Uint32()
	for range groupSends {
		connection, kept := x.connection(x.group)
		if !kept {
			var err error
			if connection, err = x.connect(ctx); err != nil {
				return err
			}
		}
		if x.magics(x.group)[0] == bittorrent.DocumentMagic {
			path = ""
		}
		packet := bittorrent.AppendUDPAnnounce(nil, connection, transaction, a, path)
		r, err := x.turn(ctx, packet, bittorrent.ActionAnnounce, transaction)
		var refusal bittorrent.Error
		switch {
		case err == nil:
			return r.Announce(x.v6(), out)
		case errors.As(err, &refusal) && kept:
			// Perhaps it is the id that is refused: these instances may be others
			// than those that gave it. What comes late of this refusal is not of the
			// next.
			x.forget(x.group)
			transaction = rand.Uint32()
		case !errors.Is(err, errSilent):
			return err
		case !x.now().Before(x.down):
			return x.silence()
		}
	}
	return x.silence()
}

// connect gets a connection id.
func (x *inquiry) connect(ctx context.Context) (uint64, error) {
	magics := x.magics(x.group)
	transactions := [2]uint32{rand.Uint32(), rand.Uint32()} // tell which number is answered
	for i := range groupSends {
		packet := bittorrent.AppendUDPConnect(nil, transactions[i%2])
		binary.BigEndian.PutUint64(packet, magics[i%2])
		r, err := x.turn(ctx, packet, bittorrent.ActionConnect, transactions[:min(i+1, 2)]...)
		switch {
		case err == nil:
			magic := magics[0]
			if r.TransactionID != transactions[0] {
				magic = magics[1]
			}
			connection, err := r.ConnectionID()
			x.remember(x.group, connection, magic)
			return connection, err
		case !errors.Is(err, errSilent):
			return 0, err
		case !x.now().Before(x.down):
			return 0, x.silence()
		}
	}
	return 0, x.silence()
}

// turn sends a packet, and waits until the next one is due for an answer to one of
// the transactions. Errors are errSilent, the tracker's words, and what the
// system has to say. Whatever else comes is passed over.
func (x *inquiry) turn(ctx context.Context, packet []byte, action bittorrent.Action, transactions ...uint32) (bittorrent.UDPResponse, error) {
	now := x.now()
	if x.down.IsZero() {
		x.down = now.Add(groupDown)
	}
	due := x.after(min(groupResend, x.down.Sub(now)))
	if err := x.socket.send(packet, x.group); err != nil {
		return bittorrent.UDPResponse{}, err
	}
	for {
		select {
		case <-ctx.Done():
			return bittorrent.UDPResponse{}, fmt.Errorf("no answer: %w", ctx.Err())
		case <-due:
			return bittorrent.UDPResponse{}, errSilent
		case received := <-x.socket.received:
			r, ok := believe(received, x.v6(), action, transactions)
			if !ok {
				continue
			}
			x.down = time.Time{}
			if r.Action == bittorrent.ActionError {
				return r, bittorrent.Error(r.Body)
			}
			return r, nil
		}
	}
}

func (x *inquiry) v6() bool { return x.group.Addr().Is6() }

// silence is the error of a tracker that is held for down.
func (x *inquiry) silence() error {
	return fmt.Errorf("it is down: none of its instances has answered in the multicast group %s%s for %d seconds; it is tried again later",
		x.group, x.socket.by, int(groupDown.Seconds()))
}

// believe reads a packet, and reports whether it answers one of the transactions,
// as one of its kind may: with 16 bytes a connect, with 20 and up to 82 peers an
// announce, with an error that is no longer.
func believe(packet []byte, v6 bool, action bittorrent.Action, transactions []uint32) (bittorrent.UDPResponse, bool) {
	r, err := bittorrent.ParseUDPResponse(packet)
	if err != nil {
		return r, false
	}
	known := false
	for _, t := range transactions {
		known = known || r.TransactionID == t
	}
	if !known {
		return r, false
	}
	each := bittorrent.CompactLen4
	if v6 {
		each = bittorrent.CompactLen6
	}
	switch {
	case r.Action == bittorrent.ActionError:
		return r, len(packet) <= bittorrent.UDPAnnounceResponseLen+groupPeers*each
	case r.Action != action:
		return r, false
	case action == bittorrent.ActionConnect:
		return r, len(packet) == bittorrent.UDPConnectResponseLen
	}
	peers := len(packet) - bittorrent.UDPAnnounceResponseLen
	return r, peers >= 0 && peers%each == 0 && peers/each <= groupPeers
}
