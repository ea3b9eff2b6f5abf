package tracker

import (
	"context"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// Gate knows which torrents are listed, and hears what their peers do. Its methods
// are called on the way of announces, concurrently: they must not block, and should
// not allocate. They must not keep the hash.
type Gate interface {
	// Active reports whether the torrent is listed and served.
	Active(h *bittorrent.InfoHash) bool

	// Inactive reports whether the torrent is known but not to be served. It is
	// asked of what is not active.
	Inactive(h *bittorrent.InfoHash) bool

	// Started and Completed tell of an active torrent that a peer has begun to
	// download, or has just completed.
	Started(h *bittorrent.InfoHash, now time.Time)
	Completed(h *bittorrent.InfoHash, now time.Time)

	// Ask tells that somebody asked for a torrent that is not served.
	Ask(h *bittorrent.InfoHash, now time.Time)
}

// Profiler is a gate that knows by which policy a torrent's peers are told of each
// other.
type Profiler interface {
	// Profile returns the name of the policy that an active torrent has for itself;
	// "": it has none. It is called as the methods of Gate are.
	Profile(h *bittorrent.InfoHash) string
}

// ErrDenied refuses a torrent of Settings.Denied.
const ErrDenied bittorrent.Error = "this tracker refuses this torrent"

// WarnPassive is what a client is told of a torrent that is not served; over HTTP
// only, since UDP has no place for it.
const WarnPassive = "this tracker does not serve this torrent now: it is not listed here, or was deactivated"

// standing is what a torrent is to the tracker.
type standing uint8

const (
	open    standing = iota // neither listed nor refused, and served
	listed                  // and served
	passive                 // not served now, but perhaps later
	denied
)

func (t *Tracker) standing(s *Settings, h *bittorrent.InfoHash) standing {
	if len(s.Denied) > 0 {
		if _, is := s.Denied[*h]; is {
			return denied
		}
	}
	switch {
	case t.gate == nil && !s.Listed:
		return open
	case t.gate == nil:
		return passive
	case t.gate.Active(h):
		return listed
	case s.Listed || t.gate.Inactive(h):
		return passive
	}
	return open
}

// wait answers an announce to a torrent that is not served, and stores nothing. A
// peer that leaves may have come when the torrent was, and is let go.
func (t *Tracker) wait(ctx context.Context, s *Settings, a *swarm.Announce, r *swarm.Reply) error {
	t.figures.at(&a.InfoHash).passive.Add(1)
	if a.Event == bittorrent.EventStopped {
		a.NumWant = 0
		e := t.met.meet(a, 0, 0)
		if err := t.record(ctx, a, r, &e); err != nil {
			return t.storeFailed(err)
		}
	} else if t.gate != nil {
		t.gate.Ask(&a.InfoHash, a.Now)
	}
	r.Warning = WarnPassive
	r.Interval = t.jittered(s.PassiveInterval)
	r.MinInterval = min(s.MinInterval, r.Interval)
	return nil
}

// tell passes on what the peer of a listed torrent does.
func (t *Tracker) tell(a *swarm.Announce) {
	switch {
	case a.Event == bittorrent.EventStarted:
		t.gate.Started(&a.InfoHash, a.Now)
	case a.Event == bittorrent.EventCompleted && a.Left == 0:
		t.gate.Completed(&a.InfoHash, a.Now)
	}
}

// hide takes away the counts of torrents that are not served.
func (t *Tracker) hide(hashes []bittorrent.InfoHash, counts []bittorrent.ScrapeCounts) {
	s := t.settings.Load()
	for i := range hashes {
		if is := t.standing(s, &hashes[i]); is == passive || is == denied {
			counts[i] = bittorrent.ScrapeCounts{}
		}
	}
}
