package roster

import (
	"context"
	"net/netip"
	"time"

	"waggle/bittorrent"
)

// Store is a [swarm.Store] that keeps rosters for the torrents that have located
// peers. All methods may be called concurrently.
type Store interface {
	// Tend forgets located peers that have been silent for longer than they may and
	// a grace, finds others for what they did, and returns how many they were. It is
	// to be called about every second; it looks at a part of a large swarm at a time.
	Tend(ctx context.Context, now time.Time, grace time.Duration) (peers int, err error)

	// Probable returns the peers that others depend on.
	Probable(ctx context.Context) ([]Probe, error)

	// Probed records whether a peer could be connected to, and forgets it where that
	// means that it is dead.
	Probed(ctx context.Context, p Probe, ok bool) (dead bool, err error)

	// Explain says why a peer is told of whom; false: the torrent has no located
	// peers, or not this one.
	Explain(ctx context.Context, h bittorrent.InfoHash, addr netip.AddrPort) (Explanation, bool, error)

	// Places returns what a torrent has in each group, in the order of their paths;
	// nothing where no peer of it is located.
	Places(ctx context.Context, h bittorrent.InfoHash) ([]Place, error)

	// Members shows the located peers of a torrent, and others that have leases, some
	// at a time. It ends early where see returns false, or ctx ends, whose error it
	// returns. Of members that come or go meanwhile any may be shown; any may be shown
	// twice, rightly the second time. They are see's until it returns.
	Members(ctx context.Context, h bittorrent.InfoHash, see func([]Member) bool) error
}

// Probe is a peer to be probed.
type Probe struct {
	InfoHash bittorrent.InfoHash
	Addr     netip.AddrPort
}
