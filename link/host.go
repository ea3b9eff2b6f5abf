package link

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"waggle/bittorrent"
	"waggle/link/core"
	"waggle/swarm"
)

// host is what the node acts upon. Its methods are called by the loop.
type host struct{ l *Links }

// Send hands a message to the carrier. What that does not take is lost, which the other
// end notices, and heals.
func (h host) Send(id core.LinkID, message []byte) {
	if s := h.l.session(id); s != nil {
		_ = s.carried.Send(message)
	}
}

// Close ends a connection. What the node has just sent may not arrive: the carrier tells
// the other end the same words.
func (h host) Close(id core.LinkID, why core.Reason) {
	s := h.l.session(id)
	if s == nil {
		return
	}
	h.l.forget(s)
	s.carried.Close(why.Words, pauseAfter(why.Code))
	k := h.l.know(s.name)
	k.why, k.whyAt = why.Words, time.Now()
	k.refused = pauseAfter(why.Code) > 0
}

// pauseAfter returns for how long a link that was closed should not be tried again: where
// somebody must do something first.
func pauseAfter(c core.Code) time.Duration {
	switch c {
	case core.ReasonVersion, core.ReasonClock, core.ReasonSelf, core.ReasonRate, core.ReasonRevoked, core.ReasonBounds:
		return time.Minute
	case core.ReasonGarbled:
		return 10 * time.Second
	}
	return 0
}

// Put, Remove and Completed hand over what is to be done to the store.

func (h host) Put(hash bittorrent.InfoHash, p *swarm.Peer) {
	h.l.crew.add(&deed{what: put, hash: hash, peer: *p})
}

func (h host) Remove(hash bittorrent.InfoHash, addr netip.AddrPort) {
	h.l.crew.add(&deed{what: remove, hash: hash, peer: swarm.Peer{Addr: addr}})
}

func (h host) Completed(hash bittorrent.InfoHash, total uint32) {
	h.l.changed = true
	h.l.crew.add(&deed{what: completed, hash: hash, total: total})
}

// File takes a message about a .torrent file, or about trackers.
func (h host) File(id core.LinkID, f core.FileMessage) {
	switch s := h.l.sessions[id]; {
	case s == nil:
	case f.Op == fileTrackers:
		h.l.know(s.name).trackers.hear(f.Data)
	default:
		h.l.sharing.take(s, &f)
	}
}

// sayEvery is how often the log tells the same of one link.
const sayEvery = 10 * time.Second

// Happened tells the log, and what [Links.Show] shows.
func (h host) Happened(e core.Event) {
	log := h.l.o.Log
	if e.Kind == core.TableFull { // of no link
		log.Warn("links have a problem", "kind", e.Kind.String(), "why", e.Words)
		return
	}
	k := h.l.know(e.Name)
	name := k.title(e.Name)
	switch e.Kind {
	case core.LinkUp:
		k.up, k.since, k.why, k.refused = true, time.Now(), "", false
		h.l.changed = h.l.changed || !k.came
		k.came = true
		if s := h.l.sessions[e.Link]; s != nil {
			s.up = true
			h.l.sharing.begin(s)
		}
		_, software, _ := strings.Cut(e.Words, ", ")
		log.Info("a link is up", "link", name, "software", software)
	case core.LinkDown:
		if k.up {
			log.Warn("a link is down", "link", name, "why", e.Words)
		}
		k.up, k.since = false, time.Now()
	case core.HealStarted:
		log.Debug("a link compares what both know", "link", name, "why", e.Words)
	case core.Healed:
		k.heals++
		k.healed = &Heal{At: time.Now(), Took: e.Took, Entries: e.Entries}
		level := slog.LevelInfo
		if s := h.l.sessions[e.Link]; s != nil {
			if s.healed && e.Entries == 0 {
				level = slog.LevelDebug // it happens where a peer moves, and is nothing to anybody
			}
			s.healed = true
		}
		log.Log(context.Background(), level, "a link has healed", "link", name, "took", e.Took.Round(time.Millisecond), "missing", e.Entries)
	default:
		if now := time.Now(); now.Sub(k.saidAt[e.Kind]) >= sayEvery {
			k.saidAt[e.Kind] = now
			log.Warn("a link has a problem", "link", name, "kind", e.Kind.String(), "why", e.Words)
		}
	}
}
