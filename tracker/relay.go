package tracker

import (
	"context"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// Serves reports whether announces of a torrent are taken in.
func (t *Tracker) Serves(h *bittorrent.InfoHash) bool {
	switch t.standing(t.settings.Load(), h) {
	case open, listed:
		return true
	}
	return false
}

// Relay records what another tracker was told by a peer; a.Relayed is more than 0. The peer
// is located by this tracker's own sources, which [Tracker.Locate] and AwaitLocation have
// asked. It is not limited, shed or paced, and neither the catalogue nor a recorder hears
// of it. What is not served is left out. The error is as that of [Tracker.Announce].
func (t *Tracker) Relay(ctx context.Context, a *swarm.Announce, r *swarm.Reply) error {
	if err := reachable(a); err != nil {
		return err
	}
	s := t.settings.Load()
	standing := t.standing(s, &a.InfoHash)
	if a.Event != bittorrent.EventStopped && standing != open && standing != listed {
		return nil
	}
	t.figures.relayed.Add(1)
	a.NumWant = 0
	if t.locator != nil {
		a.Policy = t.policy(s, standing, &a.InfoHash)
	}
	if err := t.store.Announce(ctx, a, r); err != nil {
		return t.storeFailed(err)
	}
	return nil
}

// Lifetime returns for how long a silent peer counts as alive.
func (t *Tracker) Lifetime() time.Duration { return t.settings.Load().PeerLifetime }
