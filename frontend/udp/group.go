package udp

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"waggle/bittorrent"
	"waggle/frontend"
	"waggle/tracker"
)

// Bounds of answers to peers of a [Group] (seed document 003, 4).
const (
	mostGroupPeers  = 82 // in an answer
	mostGroupHashes = 24 // in a scrape
)

// Packets are those of a multicast group that peers send their requests to.
type Packets interface {
	// Receive waits for the next packet, which is the caller's; false: there are no more.
	Receive() (packet []byte, from netip.AddrPort, ok bool)

	// Answer sends a packet to a peer. It is called by many goroutines.
	Answer(to netip.AddrPort, packet []byte) error
}

// Cluster is the trackers that hear a group. Its methods are called concurrently, and do not
// wait.
type Cluster interface {
	// Answers reports whether this tracker is the one that answers.
	Answers() bool

	// Now is the time that all have in common, of which connection ids are made.
	Now() time.Time

	// Hear takes in an announce that another tracker answers. It keeps it.
	Hear(from netip.AddrPort, announce []byte)

	// Heard returns a context in which an announce is recorded by all before it is answered;
	// Committed one in which it was.
	Heard(ctx context.Context, from netip.AddrPort, announce []byte) context.Context
	Committed(ctx context.Context) context.Context
}

// GroupOptions are the settings of a [Group]. All but MaxScrape and Log must be set.
type GroupOptions struct {
	Tracker   *tracker.Tracker // whose store records what the context of [Cluster] says
	Cluster   Cluster
	Packets   Packets
	Secret    Secret       // that all trackers of the cluster have in common
	MaxScrape int          // info hashes in one request, 1 to 24; 0: 24
	Log       *slog.Logger // nil: none
}

// Group answers peers that ask a multicast group of trackers, of which one answers: seed
// document 003. It takes requests as BEP 15 has them, and the document's magic number too.
// While this tracker is not the one, it takes announces in and is silent. All methods may be
// called concurrently.
type Group struct {
	options GroupOptions
	late    *late
	reading sync.WaitGroup
	heard   *responder // of what comes from the group

	mu     sync.Mutex
	others *responder // of what others have heard
	ended  bool
}

// NewGroup begins to answer.
func NewGroup(o GroupOptions) *Group {
	if o.MaxScrape <= 0 || o.MaxScrape > mostGroupHashes {
		o.MaxScrape = mostGroupHashes
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	g := &Group{options: o, late: newLate(&Options{Tracker: o.Tracker, late: maxRemote})}
	g.heard, g.others = g.responder(), g.responder()
	g.reading.Go(g.read)
	return g
}

func (g *Group) responder() *responder {
	o := &g.options
	return &responder{tracker: o.Tracker, secret: &o.Secret, maxScrape: o.MaxScrape, log: o.Log, late: g.late, group: g}
}

// read takes packets in until there are no more.
func (g *Group) read() {
	var out [maxAnswer]byte
	for {
		packet, from, ok := g.options.Packets.Receive()
		if !ok {
			return
		}
		g.take(packet, from, out[:])
		g.heard.publish()
	}
}

// take answers a packet, at once or later, or has the cluster keep it.
func (g *Group) take(packet []byte, from netip.AddrPort, out []byte) {
	p, now := g.heard, g.options.Tracker.Now()
	q, ok := p.admit(packet, from, now)
	if !ok {
		return
	}
	announce := q.header.Action == bittorrent.ActionAnnounce && len(packet) >= bittorrent.UDPAnnounceLen
	if !g.options.Cluster.Answers() {
		if announce && g.recorded(packet) {
			g.options.Cluster.Hear(from, packet[:bittorrent.UDPAnnounceLen])
		}
		return
	}
	if announce {
		q.within = func(ctx context.Context) context.Context {
			return g.options.Cluster.Heard(ctx, from, packet[:bittorrent.UDPAnnounceLen])
		}
	}
	answer := p.answer(context.Background(), &q, now, out)
	switch {
	case p.parked:
		p.later(q, now, g.sender(from))
	case answer != nil:
		if !g.sender(from)(answer) {
			p.figures.WriteErrors++
		}
		p.latency.Add(g.options.Tracker.Now().Sub(now), 1)
	}
}

// recorded reports whether the tracker that answers will have an announce recorded, and not refuse
// it: what is kept for it in vain takes the room of others.
func (g *Group) recorded(announce []byte) bool {
	var a bittorrent.AnnounceRequest
	_, err := bittorrent.ParseUDPAnnounce(announce, &a)
	return err == nil && (a.Event == bittorrent.EventStopped || g.options.Tracker.Serves(&a.InfoHash))
}

func (g *Group) sender(to netip.AddrPort) func([]byte) bool {
	return func(answer []byte) bool { return g.options.Packets.Answer(to, answer) == nil }
}

// AnswerCommitted answers an announce that all have recorded, and whoever heard it cannot answer
// any more. One that did not come by the group is left out. It does not wait.
func (g *Group) AnswerCommitted(from netip.AddrPort, announce []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ended {
		return
	}
	p, now := g.others, g.options.Tracker.Now()
	q, ok := p.admit(announce, from, now)
	if !ok || q.header.Action != bittorrent.ActionAnnounce {
		return
	}
	q.within = g.options.Cluster.Committed
	if p.answer(context.Background(), &q, now, nil); p.parked {
		p.later(q, now, g.sender(from))
	}
}

// Close waits until what is under way is answered. [Packets] must have ended. A second call does
// nothing.
func (g *Group) Close() {
	g.reading.Wait()
	g.mu.Lock()
	ended := g.ended
	g.ended = true
	g.mu.Unlock()
	if !ended {
		g.late.close()
	}
}

// Plus returns the counts of both.
func (f Figures) Plus(g Figures) Figures {
	f.add(g)
	return f
}

// Figures returns the counts as of now.
func (g *Group) Figures() Figures {
	sum := g.heard.ledger.read()
	sum.add(g.late.ledger.read())
	return sum
}

// Latencies returns how long packets took that were answered.
func (g *Group) Latencies() (all frontend.Latencies) {
	all.Count(&g.heard.latency)
	all.Count(&g.late.latency)
	return all
}

// opens reports whether a connect request has the number that it must have.
func (p *responder) opens(magic uint64) bool {
	return magic == bittorrent.ConnectMagic || p.group != nil && magic == bittorrent.DocumentMagic
}

// shared returns the time that connection ids are of.
func (p *responder) shared(now time.Time) time.Time {
	if p.group == nil {
		return now
	}
	return p.group.options.Cluster.Now()
}

// groupDoubt is by how much the times of two trackers of a cluster may differ.
const groupDoubt = 2 * time.Second

// latest returns the time at which a connection id may have been made at the latest.
func (p *responder) latest(now time.Time) time.Time {
	if p.group == nil {
		return now
	}
	return p.shared(now).Add(groupDoubt)
}
