package echo

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"waggle/bench/datagram"
	"waggle/bittorrent"
)

// connectionID is the one that everybody gets.
const connectionID = 0x77616767_6c650000

// UDP answers the UDP tracker protocol with fixed bytes.
type UDP struct {
	listeners []*datagram.Listener
	peers     int
}

// ListenUDP opens so many sockets at an address, with a thread for each once Serve
// runs; more than one needs Linux. An announce will be answered with the given
// number of peers, of IPv4, 0 to 200.
func ListenUDP(addr netip.AddrPort, sockets, peers int) (*UDP, error) {
	u := &UDP{peers: peers}
	for range sockets {
		l, err := datagram.Listen(addr)
		if err != nil {
			return nil, errors.Join(err, u.close())
		}
		u.listeners = append(u.listeners, l)
		addr = l.Addr()
	}
	return u, nil
}

// Addr returns the address, with the port that the system chose.
func (u *UDP) Addr() netip.AddrPort { return u.listeners[0].Addr() }

// Serve answers until ctx ends, and closes the sockets.
func (u *UDP) Serve(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, l := range u.listeners {
		group.Go(func() error { return u.serve(ctx, l) })
	}
	return errors.Join(group.Wait(), u.close())
}

func (u *UDP) close() error {
	var errs []error
	for _, l := range u.listeners {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

// heed is how often an idle socket looks whether it should end.
const heed = 50 * time.Millisecond

func (u *UDP) serve(ctx context.Context, l *datagram.Listener) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	answers := newAnswers(u.peers)
	for ctx.Err() == nil {
		n, err := l.Receive()
		if err != nil {
			return err
		}
		if n == 0 {
			if err := l.Wait(heed); err != nil {
				return err
			}
			continue
		}
		for i := range n {
			if answer := answers.to(i, l.Packet(i)); answer != nil {
				l.Reply(i, answer)
			}
		}
		if err := l.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// answers are the answers of one batch, ready but for the transaction id.
type answers struct {
	connect, announce, scrape [datagram.Batch][]byte
}

func newAnswers(peers int) *answers {
	var a answers
	for i := range datagram.Batch {
		a.connect[i] = bittorrent.AppendUDPConnectResponse(nil, 0, connectionID)
		a.announce[i] = announceAnswer(peers)
		a.scrape[i] = bittorrent.AppendUDPScrapeResponse(nil, 0, make([]bittorrent.ScrapeCounts, bittorrent.UDPMaxScrapeHashes))
	}
	return &a
}

func announceAnswer(peers int) []byte {
	r := response(peers)
	b := make([]byte, bittorrent.UDPAnnounceResponseLen, bittorrent.UDPAnnounceResponseLen+len(r.Peers.V4))
	bittorrent.PutUDPAnnounceHeader(b, 0, &r)
	return append(b, r.Peers.V4...)
}

// response is what every announce is answered with.
func response(peers int) bittorrent.AnnounceResponse {
	r := bittorrent.AnnounceResponse{Interval: 30 * time.Minute, Complete: 1, Incomplete: uint32(peers)}
	for n := range peers {
		r.Peers.Append(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, byte(1 + n)}), 6881))
	}
	return r
}

// to returns the answer to packet n of a batch, and nil where there is none.
func (a *answers) to(n int, packet []byte) []byte {
	h, err := bittorrent.ParseUDPHeader(packet)
	if err != nil {
		return nil
	}
	var answer []byte
	switch {
	case h.Action == bittorrent.ActionConnect:
		answer = a.connect[n]
	case h.Action == bittorrent.ActionAnnounce && len(packet) >= bittorrent.UDPAnnounceLen:
		answer = a.announce[n]
	case h.Action == bittorrent.ActionScrape:
		hashes := min((len(packet)-bittorrent.UDPHeaderLen)/len(bittorrent.InfoHash{}), bittorrent.UDPMaxScrapeHashes)
		answer = a.scrape[n][:bittorrent.UDPScrapeResponseLen+hashes*bittorrent.UDPScrapeCountsLen]
	default:
		return nil
	}
	binary.BigEndian.PutUint32(answer[4:], h.TransactionID)
	return answer
}
