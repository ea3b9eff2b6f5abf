package http

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime/debug"

	"waggle/bittorrent"
	"waggle/swarm"
	"waggle/tracker"
)

// action is what a request asks for.
type action uint8

const (
	announce action = iota
	scrape
)

// question is an announce or a scrape, whichever way it came in.
type question struct {
	action    action
	passkey   string     // of the path; "": it has none
	query     string     // what follows the question mark
	remote    netip.Addr // of the connection, by [plain]; invalid: it cannot be read
	forwarded []string   // the values of X-Forwarded-For, in their order
	agent     string     // the User-Agent
}

// errPanic is what a client is told where waggle is at fault.
const errPanic bittorrent.Error = "the tracker made a mistake; its log tells the operator more"

// decide returns the bencoded answer to q, in memory of b. b.now must be set.
func (s *Server) decide(ctx context.Context, b *buffers, q question) (body []byte) {
	defer func() {
		if p := recover(); p != nil {
			s.figures.panics.Add(1)
			s.options.Log.Error("a fault of waggle's, please report it", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			body = s.fail(b, errPanic)
		}
	}()
	b.body = b.body[:0]
	if err := s.answerTo(ctx, b, &q); err != nil {
		return s.fail(b, err)
	}
	return b.body
}

// answerTo appends the answer to q to b.body. Whose address asks too often is
// refused before the query is looked at.
func (s *Server) answerTo(ctx context.Context, b *buffers, q *question) error {
	from, err := clientAddr(q.remote, q.forwarded, *s.trusted.Load())
	if err != nil {
		return err
	}
	if err := s.options.Tracker.Admit(from, b.now); err != nil {
		return err
	}
	if q.action == scrape {
		return s.scrape(ctx, b, q)
	}
	return s.announce(ctx, b, q, from)
}

func (s *Server) fail(b *buffers, err error) []byte {
	s.figures.failures.Add(1)
	if refusal, ok := errors.AsType[*bittorrent.Refusal](err); ok {
		b.body = bittorrent.AppendHTTPRefusal(b.body[:0], refusal)
	} else {
		b.body = bittorrent.AppendHTTPFailure(b.body[:0], err.Error())
	}
	return b.body
}

// announce appends the answer to an announce to b.body.
func (s *Server) announce(ctx context.Context, b *buffers, q *question, from netip.Addr) error {
	a := &b.announce
	if err := bittorrent.ParseHTTPAnnounce(q.query, &a.AnnounceRequest); err != nil {
		return err
	}
	a.From, a.Now, a.Families = from, b.now, swarm.IPv4|swarm.IPv6
	a.Credentials = swarm.Credentials{Passkey: q.passkey}
	a.WithIDs = a.Form == bittorrent.PeersFull
	a.Credentials.Agent, a.Credentials.Token = q.agent, bittorrent.Token(q.query)
	known := s.options.Tracker.Locate(a)
	if known && !s.options.Tracker.Remote() {
		return s.tell(ctx, b, from)
	}
	ctx, trace := s.options.Tracker.Trace(ctx, tracker.HTTP)
	defer trace.End(a)
	if !known {
		s.options.Tracker.AwaitLocation(ctx, a)
	}
	err := s.tell(ctx, b, from)
	trace.Conclude(tracker.OutcomeOf(err))
	return err
}

// tell has b.announce decided, and appends the answer to b.body.
func (s *Server) tell(ctx context.Context, b *buffers, from netip.Addr) error {
	a := &b.announce
	b.reply.Reset()
	b.announces++
	if err := s.options.Tracker.Announce(ctx, a, &b.reply); err != nil {
		return err
	}
	b.reply.ExternalIP = from
	b.body = bittorrent.AppendHTTPAnnounceResponse(b.body, &b.reply.AnnounceResponse, a.Form)
	return nil
}

// scrape appends the answer to a scrape to b.body.
func (s *Server) scrape(ctx context.Context, b *buffers, q *question) (err error) {
	b.announce.Credentials = swarm.Credentials{Passkey: q.passkey}
	if err := s.options.Tracker.EnterScrape(&b.announce.Credentials, b.now); err != nil {
		return err
	}
	b.hashes, err = bittorrent.AppendHTTPScrapeHashes(b.hashes[:0], q.query, s.options.MaxScrape)
	if err != nil {
		return err
	}
	b.counts = append(b.counts[:0], make([]bittorrent.ScrapeCounts, len(b.hashes))...)
	if err := s.options.Tracker.Scrape(ctx, b.hashes, b.counts); err != nil {
		return err
	}
	b.body = bittorrent.AppendHTTPScrapeResponse(b.body, b.hashes, b.counts, s.options.Tracker.MinInterval())
	return nil
}
