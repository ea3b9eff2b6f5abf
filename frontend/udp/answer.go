package udp

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"runtime/debug"
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
	log       *slog.Logger
	figures   Figures // counted here, read in ledger

	ledger   ledger
	announce swarm.Announce
	reply    swarm.Reply
	hashes   [bittorrent.UDPMaxScrapeHashes]bittorrent.InfoHash
	counts   [bittorrent.UDPMaxScrapeHashes]bittorrent.ScrapeCounts
}

// publish shows the figures to other goroutines.
func (p *responder) publish() { p.ledger.publish(p.figures) }

// answerAnything is answer for what comes from the network: nothing can be sent
// back to port 0, and a panic, which would be a fault of ours, costs the packet
// that found it and is logged.
func (p *responder) answerAnything(packet []byte, from netip.AddrPort, now time.Time, out []byte) (answer []byte) {
	if from.Port() == 0 {
		p.figures.Malformed++
		return nil
	}
	defer func() {
		if fault := recover(); fault != nil {
			p.figures.Panics++
			p.log.Error("a packet found a fault in waggle: please report it", "fault", fault, "stack", string(debug.Stack()))
		}
	}()
	return p.answer(context.Background(), packet, from.Addr(), now, out)
}

// answer returns what to send back, or nil for silence. It builds the answer at
// the beginning of out, which has [maxAnswer] bytes. from is without zone, and
// IPv4 not in IPv6 clothes.
func (p *responder) answer(ctx context.Context, packet []byte, from netip.Addr, now time.Time, out []byte) []byte {
	header, err := bittorrent.ParseUDPHeader(packet)
	if err != nil {
		p.figures.Malformed++
		return nil
	}
	if header.Action == bittorrent.ActionConnect {
		return p.connect(header, from, now, out)
	}
	if !p.secret.valid(header.ConnectionID, now, from) {
		p.figures.BadConnection++
		return nil
	}
	if p.tracker.Admit(from, now) != nil {
		return nil
	}
	var answer []byte
	switch header.Action {
	case bittorrent.ActionAnnounce:
		answer, err = p.answerAnnounce(ctx, header, packet, from, now, out)
	case bittorrent.ActionScrape:
		answer, err = p.answerScrape(ctx, header, packet, out)
	default:
		err = bittorrent.ErrUDPAction
	}
	if err != nil {
		if _, later := errors.AsType[*bittorrent.Refusal](err); later {
			return nil // BEP 15 has no word for it, and who hears nothing tries again ever more slowly
		}
		p.figures.Errors++
		return bittorrent.AppendUDPError(out[:0], header.TransactionID, err.Error())
	}
	return answer
}

func (p *responder) connect(header bittorrent.UDPHeader, from netip.Addr, now time.Time, out []byte) []byte {
	if header.ConnectionID != bittorrent.ConnectMagic {
		p.figures.Malformed++
		return nil
	}
	p.figures.Connects++
	return bittorrent.AppendUDPConnectResponse(out[:0], header.TransactionID, p.secret.connectionID(now, from))
}

func (p *responder) answerAnnounce(ctx context.Context, header bittorrent.UDPHeader, packet []byte, from netip.Addr, now time.Time, out []byte) ([]byte, error) {
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
	*peers = out[head:head:maxAnswer]
	if err := p.tracker.Announce(ctx, a, r); err != nil {
		return nil, err
	}
	bittorrent.PutUDPAnnounceHeader(out[:head], header.TransactionID, &r.AnnounceResponse)
	return out[:head+len(*peers)], nil
}

func (p *responder) answerScrape(ctx context.Context, header bittorrent.UDPHeader, packet, out []byte) ([]byte, error) {
	hashes, err := bittorrent.AppendUDPScrapeHashes(p.hashes[:0], packet, p.maxScrape)
	if err != nil {
		return nil, err
	}
	counts := p.counts[:len(hashes)]
	if err := p.tracker.Scrape(ctx, hashes, counts); err != nil {
		return nil, err
	}
	return bittorrent.AppendUDPScrapeResponse(out[:0], header.TransactionID, counts), nil
}
