package udp

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"runtime/debug"
	"time"

	"waggle/bittorrent"
	"waggle/frontend"
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
	late      *late
	group     *Group   // that it answers for; nil: for addresses of this machine
	waits     bool     // for locations and remote stores, in a goroutine of its own
	proxies   *proxies // nil: there can be none
	passkeys  bool     // announce URLs may have one
	query     query    // of answerAnything
	parked    bool     // the query that was just looked at has a place among the late ones

	ledger   ledger
	latency  frontend.Latency // of packets, from when they were read to when their answers were sent
	announce swarm.Announce
	reply    swarm.Reply
	shown    []byte // path and query of the announce URL, where a token is
	hashes   [bittorrent.UDPMaxScrapeHashes]bittorrent.InfoHash
	counts   [bittorrent.UDPMaxScrapeHashes]bittorrent.ScrapeCounts
	urlData  [maxRequest]byte // path and query of an announce URL
}

// publish shows the figures to other goroutines.
func (p *responder) publish() { p.ledger.publish(p.figures) }

// query is a packet that is to be answered.
type query struct {
	header bittorrent.UDPHeader
	packet []byte
	from   netip.Addr // without zone, and IPv4 not in IPv6 clothes
	via    []byte     // the header of the proxy that it came through, which its answer begins with; nil: none

	// within returns the context that it is answered in; nil: as it is.
	within func(context.Context) context.Context
}

// answerAnything returns what to send back to a packet from the network, or nil
// for silence. It builds the answer at the beginning of out, which has [maxAnswer]
// bytes.
func (p *responder) answerAnything(packet []byte, from netip.AddrPort, now time.Time, out []byte) []byte {
	var ok bool
	if p.query, ok = p.admit(packet, from, now); !ok {
		return nil
	}
	return p.answer(context.Background(), &p.query, now, out)
}

// survive ends a panic, which would be a fault of ours: it costs the packet that
// found it, and is logged.
func (p *responder) survive() {
	if fault := recover(); fault != nil {
		p.figures.Panics++
		p.log.Error("a packet found a fault in waggle: please report it", "fault", fault, "stack", string(debug.Stack()))
	}
}

// admit makes a query of a packet, and reports false where there must be
// silence: nothing can be sent back to port 0, and nobody gets more for a packet
// than he sent before he has shown that he receives what is sent to his address.
func (p *responder) admit(packet []byte, from netip.AddrPort, now time.Time) (q query, ok bool) {
	defer p.survive()
	var via []byte
	if p.proxies.include(from.Addr()) {
		proxy := from
		if via, packet, from, ok = cutProxyHeader(packet); !ok || proxy.Port() == 0 {
			p.figures.Unproxied++
			return q, false
		}
	}
	header, err := bittorrent.ParseUDPHeader(packet)
	if err != nil || from.Port() == 0 {
		p.figures.Malformed++
		return q, false
	}
	q = query{header: header, packet: packet, from: from.Addr(), via: via}
	if header.Action == bittorrent.ActionConnect {
		return q, p.tracker.Welcome(q.from) == nil
	}
	if !p.secret.valid(header.ConnectionID, p.latest(now), q.from) {
		p.figures.BadConnection++
		return q, false
	}
	return q, p.tracker.Admit(q.from, now) == nil
}

// answer answers a query that was admitted, through the proxy that it came through.
func (p *responder) answer(ctx context.Context, q *query, now time.Time, out []byte) []byte {
	if q.via == nil {
		return p.answerDirectly(ctx, q, now, out)
	}
	answer := p.answerDirectly(ctx, q, now, out[len(q.via):])
	if answer == nil {
		return nil
	}
	return out[:copy(out, q.via)+len(answer)]
}

// answerDirectly answers as if there were no proxy.
func (p *responder) answerDirectly(ctx context.Context, q *query, now time.Time, out []byte) (answer []byte) {
	defer p.survive()
	var err error
	switch q.header.Action {
	case bittorrent.ActionConnect:
		return p.connect(q, now, out)
	case bittorrent.ActionAnnounce, bittorrent.ActionScrape:
		if (p.group != nil || p.tracker.Remote()) && !p.waits {
			if p.parked = p.late.enter(); !p.parked {
				_ = p.tracker.TurnAway() // which UDP has no words for
			}
			return nil
		}
		if q.header.Action == bittorrent.ActionScrape {
			answer, err = p.answerScrape(ctx, q, now, out)
		} else {
			answer, err = p.answerAnnounce(ctx, q, now, out)
		}
	default:
		err = bittorrent.ErrUDPAction
	}
	if err != nil {
		if _, later := errors.AsType[*bittorrent.Refusal](err); later {
			return nil // BEP 15 has no word for it, and who hears nothing tries again ever more slowly
		}
		p.figures.Errors++
		return bittorrent.AppendUDPError(out[:0], q.header.TransactionID, err.Error())
	}
	return answer
}

func (p *responder) connect(q *query, now time.Time, out []byte) []byte {
	if !p.opens(q.header.ConnectionID) {
		p.figures.Malformed++
		return nil
	}
	p.figures.Connects++
	return bittorrent.AppendUDPConnectResponse(out[:0], q.header.TransactionID, p.secret.connectionID(p.shared(now), q.from))
}

func (p *responder) answerAnnounce(ctx context.Context, q *query, now time.Time, out []byte) ([]byte, error) {
	a, r := &p.announce, &p.reply
	options, err := bittorrent.ParseUDPAnnounce(q.packet, &a.AnnounceRequest)
	if err != nil {
		return nil, err
	}
	a.From, a.Now, a.Families = q.from, now, swarm.FamilyOf(q.from)
	a.Credentials = swarm.Credentials{Passkey: p.passkey(options), Token: p.token(options)}
	if !p.tracker.Locate(a) {
		if p.waits {
			p.tracker.AwaitLocation(ctx, a)
		} else if p.parked = p.late.enter(); p.parked {
			return nil, nil
		}
	}

	// Selection writes the peers to where they are sent from.
	const head = bittorrent.UDPAnnounceResponseLen
	r.Reset()
	peers := &r.Peers.V4
	room := int32(len(out) - head)
	if a.Room = room / bittorrent.CompactLen4; a.Families == swarm.IPv6 {
		a.Room, peers = room/bittorrent.CompactLen6, &r.Peers.V6
	}
	if p.group != nil {
		a.Room = min(a.Room, mostGroupPeers)
	}
	*peers = out[head:head:len(out)]
	p.figures.Announces++
	if err := p.tracker.Announce(ctx, a, r); err != nil {
		return nil, err
	}
	bittorrent.PutUDPAnnounceHeader(out[:head], q.header.TransactionID, &r.AnnounceResponse)
	return out[:head+len(*peers)], nil
}

func (p *responder) answerScrape(ctx context.Context, q *query, now time.Time, out []byte) ([]byte, error) {
	p.announce.Credentials = swarm.Credentials{} // of which a scrape shows none
	if err := p.tracker.EnterScrape(&p.announce.Credentials, now); err != nil {
		return nil, err
	}
	hashes, err := bittorrent.AppendUDPScrapeHashes(p.hashes[:0], q.packet, p.maxScrape)
	if err != nil {
		return nil, err
	}
	counts := p.counts[:len(hashes)]
	if err := p.tracker.Scrape(ctx, hashes, counts); err != nil {
		return nil, err
	}
	return bittorrent.AppendUDPScrapeResponse(out[:0], q.header.TransactionID, counts), nil
}
