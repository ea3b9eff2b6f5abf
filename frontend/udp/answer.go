package udp

import (
	"context"
	"net/netip"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
	"waggle/tracker"
)

// maxAnswer is the most bytes of an answer: what the smallest IPv6 packet that
// every path carries whole (1,280) leaves after IPv6 and UDP headers.
const maxAnswer = 1232

// maxRequest is the most bytes of a request that are read: room for a scrape of
// 74 torrents (1,496) and for an announce with URL data.
const maxRequest = 2048

// responder turns packets into answers. It keeps buffers between packets, so one
// goroutine at a time may use it.
type responder struct {
	tracker   *tracker.Tracker
	secret    *Secret
	maxScrape int
	figures   *figures

	announce swarm.Announce
	reply    swarm.Reply
	hashes   [bittorrent.UDPMaxScrapeHashes]bittorrent.InfoHash
	counts   [bittorrent.UDPMaxScrapeHashes]bittorrent.ScrapeCounts
	out      [maxAnswer]byte
}

// answer returns what to send back, valid until the next call, or nil for
// silence.
func (p *responder) answer(ctx context.Context, packet []byte, from netip.Addr, now time.Time) []byte {
	header, err := bittorrent.ParseUDPHeader(packet)
	if err != nil {
		p.figures.malformed.Add(1)
		return nil
	}
	if header.Action == bittorrent.ActionConnect {
		return p.connect(header, from, now)
	}
	if !p.secret.valid(header.ConnectionID, now, from) {
		p.figures.badConnection.Add(1)
		return nil
	}
	var out []byte
	switch header.Action {
	case bittorrent.ActionAnnounce:
		out, err = p.answerAnnounce(ctx, header, packet, from, now)
	case bittorrent.ActionScrape:
		out, err = p.answerScrape(ctx, header, packet)
	default:
		err = bittorrent.ErrUDPAction
	}
	if err != nil {
		p.figures.errors.Add(1)
		return bittorrent.AppendUDPError(p.out[:0], header.TransactionID, err.Error())
	}
	return out
}

func (p *responder) connect(header bittorrent.UDPHeader, from netip.Addr, now time.Time) []byte {
	if header.ConnectionID != bittorrent.ConnectMagic {
		p.figures.malformed.Add(1)
		return nil
	}
	p.figures.connects.Add(1)
	return bittorrent.AppendUDPConnectResponse(p.out[:0], header.TransactionID, p.secret.connectionID(now, from))
}

func (p *responder) answerAnnounce(ctx context.Context, header bittorrent.UDPHeader, packet []byte, from netip.Addr, now time.Time) ([]byte, error) {
	a, r := &p.announce, &p.reply
	if _, err := bittorrent.ParseUDPAnnounce(packet, &a.AnnounceRequest); err != nil {
		return nil, err
	}
	a.From, a.Now, a.Families = from, now, swarm.FamilyOf(from)

	// Selection writes the peers to where they are sent from.
	const head = bittorrent.UDPAnnounceResponseLen
	r.Reset()
	peers := &r.Peers.V4
	if a.Room = (maxAnswer - head) / bittorrent.CompactLen4; a.Families == swarm.IPv6 {
		a.Room, peers = (maxAnswer-head)/bittorrent.CompactLen6, &r.Peers.V6
	}
	*peers = p.out[head:head]
	if err := p.tracker.Announce(ctx, a, r); err != nil {
		return nil, err
	}
	bittorrent.PutUDPAnnounceHeader(p.out[:head], header.TransactionID, &r.AnnounceResponse)
	return append(p.out[:head], *peers...), nil
}

func (p *responder) answerScrape(ctx context.Context, header bittorrent.UDPHeader, packet []byte) ([]byte, error) {
	hashes, err := bittorrent.AppendUDPScrapeHashes(p.hashes[:0], packet, p.maxScrape)
	if err != nil {
		return nil, err
	}
	counts := p.counts[:len(hashes)]
	if err := p.tracker.Scrape(ctx, hashes, counts); err != nil {
		return nil, err
	}
	return bittorrent.AppendUDPScrapeResponse(p.out[:0], header.TransactionID, counts), nil
}
