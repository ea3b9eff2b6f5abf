package link

import (
	"bytes"
	"context"
	"net/netip"
	"slices"
	"time"

	"waggle/bittorrent"
	"waggle/link/core"
	"waggle/swarm"
)

// walkStep is how many peers of a torrent are looked at together.
const walkStep = 256

// settled is how long after the beginning a peer must have been seen to be sure that it
// announced to this process: of what it reads back, a store takes the latest time that it
// can have been, in whole seconds.
const settled = 2 * time.Second

// claim tells the node what the store has. Peers that were seen before this process began
// the store has read back; who of them had announced to another tracker nobody remembers,
// so that what any tracker knows of them counts for more.
func (l *Links) claim(ctx context.Context, now time.Time) error {
	l.restoreCounters(now)
	peers := 0
	buf := make([]swarm.Peer, 0, walkStep)
	for first := range 256 {
		hashes, err := l.o.Store.Torrents(ctx, first)
		if err != nil {
			return err
		}
		if err := l.claimCounts(ctx, now, hashes); err != nil {
			return err
		}
		for _, h := range hashes {
			_, err := l.o.Store.Walk(ctx, h, buf, func(some []swarm.Peer) bool {
				for i := range some {
					l.claimPeer(now, h, &some[i])
				}
				peers += len(some)
				return true
			})
			if err != nil {
				return err
			}
		}
	}
	if peers > 0 {
		l.o.Log.Info("links know the peers of this tracker", "peers", peers, "took", time.Since(now).Round(time.Millisecond))
	}
	return nil
}

func (l *Links) claimPeer(now time.Time, h bittorrent.InfoHash, p *swarm.Peer) {
	if p.Last.Before(l.began.Add(settled)) {
		// A store takes the latest time that it can have been, which would be later than
		// what others were told after the end.
		if until := l.life.heardUntil(); !until.IsZero() && p.Last.After(until) {
			p.Last = until
		}
		l.node.Restore(now, h, p)
	} else {
		l.node.Local(now, &swarm.Change{Kind: swarm.PeerPut, InfoHash: h, Peer: *p})
	}
}

func (l *Links) restoreCounters(now time.Time) {
	if l.life.was == nil {
		return
	}
	for i := range l.life.was.Counters {
		c := &l.life.was.Counters[i]
		l.node.Count(now, c.Hash, c.Origin, c.Count)
	}
}

// claimCounts tells the node of downloads that were completed while it was not told: all
// of them where there were no links before, and after a clean end those that the store
// has beyond what was known then.
func (l *Links) claimCounts(ctx context.Context, now time.Time, hashes []bittorrent.InfoHash) error {
	if len(hashes) == 0 || !l.life.exact {
		return nil
	}
	first := l.life.was == nil
	counts := make([]bittorrent.ScrapeCounts, len(hashes))
	if err := l.o.Store.Scrape(ctx, hashes, counts); err != nil {
		return err
	}
	for i, h := range hashes {
		switch more := int64(counts[i].Downloaded) - int64(l.node.Total(h)); {
		case first:
			l.node.Count(now, h, l.life.base, counts[i].Downloaded)
		case more > 0:
			l.node.Count(now, h, l.life.origin, uint32(more)) // which counts nothing else, after a clean end
		}
	}
	return nil
}

// catchUp tells the node what has changed while it was told what the store has, but for
// downloads that are in the counts that were claimed.
func (l *Links) catchUp(ctx context.Context, now time.Time) {
	for i := range l.o.Intake.lanes {
		_, forgotten := l.o.Intake.lanes[i].take(func(c *swarm.Change) {
			if c.Kind != swarm.DownloadCount || !l.life.exact || c.Downloaded > l.node.Total(c.InfoHash) {
				l.local(now, c)
			}
		})
		if forgotten != nil {
			l.leaveOutClaimed(ctx, forgotten.completed)
			l.recover(i, forgotten)
		}
	}
}

// leaveOutClaimed leaves of downloads that a lane has forgotten those that the store has
// beyond what was claimed.
func (l *Links) leaveOutClaimed(ctx context.Context, completed map[bittorrent.InfoHash]uint32) {
	if !l.life.exact {
		return
	}
	for h, n := range completed {
		counts := [1]bittorrent.ScrapeCounts{}
		if err := l.o.Store.Scrape(ctx, []bittorrent.InfoHash{h}, counts[:]); err != nil {
			continue // memory does not fail
		}
		completed[h] = min(n, counts[0].Downloaded-min(counts[0].Downloaded, l.node.Total(h)))
	}
}

// recover looks through the store for what a lane has forgotten: the node is told of who
// is there and not known, was seen later than is known, or is not there any more.
func (l *Links) recover(n int, forgotten *lost) {
	began := time.Now()
	l.crew.settle()
	now := time.Now()
	for h, count := range forgotten.completed {
		l.changed = true
		for range count {
			l.node.Local(now, &swarm.Change{Kind: swarm.DownloadCount, InfoHash: h})
		}
	}
	buf := make([]swarm.Peer, 0, walkStep)
	for first := n; first < 256; first += lanes {
		hashes, err := l.o.Store.Torrents(context.Background(), first)
		if err != nil {
			continue // memory does not fail
		}
		hashes = append(hashes, l.node.Torrents(byte(first))...) // the store has none whose peers have all left
		slices.SortFunc(hashes, func(a, b bittorrent.InfoHash) int { return bytes.Compare(a[:], b[:]) })
		for _, h := range slices.Compact(hashes) {
			l.compare(now, h, buf)
		}
	}
	if now.Sub(l.compared) >= sayEvery {
		l.compared = now
		l.o.Log.Warn("this tracker's peers changed faster than links were told; they were compared", "took", time.Since(began).Round(time.Millisecond))
	}
}

func (l *Links) compare(now time.Time, h bittorrent.InfoHash, buf []swarm.Peer) {
	held := map[netip.AddrPort]core.Held{}
	for p := range l.node.Peers(h) {
		held[p.Addr] = p
	}
	c := swarm.Change{InfoHash: h}
	_, _ = l.o.Store.Walk(context.Background(), h, buf, func(some []swarm.Peer) bool {
		for i := range some {
			p := &some[i]
			known, is := held[p.Addr]
			delete(held, p.Addr)
			c.Kind, c.Peer = swarm.PeerPut, *p
			if !is || p.Last.Sub(known.Last) > 2*time.Second || known.Link == "" && p.Kind != known.Kind {
				l.node.Local(now, &c)
			}
		}
		return true
	})
	for _, p := range held {
		if p.Origin == l.life.origin { // it announced here
			c.Kind, c.Peer = swarm.PeerGone, p.Peer
			l.node.Local(now, &c)
		}
	}
}
