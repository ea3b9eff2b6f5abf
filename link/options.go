package link

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"waggle/bittorrent"
	"waggle/catalog"
	"waggle/link/carrier"
	"waggle/swarm"
)

// Store is where the swarms are: in memory, perhaps kept in a file. All methods may be
// called concurrently. Its changes are told to an [Intake].
type Store interface {
	// Torrents, Scrape and Walk look at it, as those of console.Swarms do.
	Torrents(ctx context.Context, first int) ([]bittorrent.InfoHash, error)
	Scrape(ctx context.Context, hashes []bittorrent.InfoHash, counts []bittorrent.ScrapeCounts) error
	Walk(ctx context.Context, h bittorrent.InfoHash, buf []swarm.Peer, see func([]swarm.Peer) bool) (whole bool, err error)

	// RestoreDownloaded sets a completed count, and tells nobody. It reports false where
	// a limit keeps it out.
	RestoreDownloaded(h bittorrent.InfoHash, downloaded uint32) bool
}

// Tracker records what other trackers tell: a tracker.Tracker. All methods may be called
// concurrently.
type Tracker interface {
	Locate(a *swarm.Announce) (known bool)
	AwaitLocation(ctx context.Context, a *swarm.Announce)
	Relay(ctx context.Context, a *swarm.Announce, r *swarm.Reply) error
	Serves(h *bittorrent.InfoHash) bool
	Lifetime() time.Duration
}

// Catalog has the .torrent files that are shared: a catalog.Catalog. All methods may be
// called concurrently.
type Catalog interface {
	ByName() (all []*catalog.Transfer, version uint64)
	Version() uint64
	Get(h bittorrent.InfoHash) (catalog.Transfer, error)
	Torrent(ctx context.Context, h bittorrent.InfoHash) ([]byte, error)
	Add(ctx context.Context, file string, metainfo []byte) (catalog.Transfer, error)
	Deactivate(ctx context.Context, h bittorrent.InfoHash) (catalog.Transfer, error)
}

// Share is what of .torrent files may travel, as this tracker sees it.
type Share uint8

// What may travel.
const (
	ShareOff     Share = 0
	ShareReceive Share = 1 // files come here
	ShareSend    Share = 2 // files go to others
	ShareBoth    Share = ShareReceive | ShareSend
)

// ParseShare reads off, receive, send or both; "" is off.
func ParseShare(text string) (Share, error) {
	switch text {
	case "", carrier.ShareOff:
		return ShareOff, nil
	case carrier.ShareReceive:
		return ShareReceive, nil
	case carrier.ShareSend:
		return ShareSend, nil
	case carrier.ShareBoth:
		return ShareBoth, nil
	}
	return ShareOff, fmt.Errorf("%q is none of off, receive, send and both", text)
}

// Options are what links need. Intake, Store, Tracker, Name and Directory must be set.
type Options struct {
	Intake  *Intake
	Store   Store
	Tracker Tracker
	Catalog Catalog // nil: no torrents are shared, and none are listed

	// Name is this tracker's, for others: see carrier.CheckName.
	Name string

	// Listen is the address, host:port, at which leaves join; "": none do.
	Listen string

	// Addresses are where invited leaves find Listen. None: they are derived from it and
	// from the addresses of this machine.
	Addresses []string

	// Outside is a NATS that is there already, in place of Listen and of invitations;
	// OutsideHub says that this tracker is the hub there, and not the leaf called Name.
	Outside    *carrier.Outside
	OutsideHub bool

	// Directory has credentials, who was invited, the hub that was joined, and what
	// survives a restart. It is made when it is needed.
	Directory string

	// Doubt is by how much earlier than it says a store may have heard of a peer that it has
	// read back at the start: one that does not write every announce takes the latest time
	// that it can have been.
	Doubt time.Duration

	// Software and URLs are told to others: which program this is, and where clients
	// reach it, the best first. Of URLs as many as go into 1,024 bytes.
	Software string
	URLs     []string

	// Listed takes in peers of those torrents only that Catalog has as active.
	Listed bool

	// Share is what of .torrent files travels, and ShareRemovals whether torrents are
	// deactivated here that were deactivated where they came from. MaxFile is the size of
	// the largest .torrent that is taken, in bytes; 0: 16 MB.
	Share         Share
	ShareRemovals bool
	MaxFile       int64

	// MaxPeers is how many peers links know of, of all trackers together; 0: 5 million.
	// One link brings half of them at most, unless its rights say less.
	MaxPeers int

	Log *slog.Logger // nil: nobody is told
}

func (o *Options) fill() error {
	if o.Intake == nil || o.Store == nil || o.Tracker == nil || o.Directory == "" {
		return errors.New("link: Intake, Store, Tracker and Directory must be set")
	}
	if err := carrier.CheckName(o.Name); err != nil {
		return fmt.Errorf("link.name: %w", err)
	}
	if o.Outside != nil && o.Listen != "" {
		return errors.New("link.listen and link.nats exclude each other: leaves come by one of them")
	}
	if len(o.Addresses) > 0 {
		if err := carrier.CheckAddresses(o.Addresses); err != nil {
			return fmt.Errorf("link.addresses: %w", err)
		}
	}
	o.MaxPeers = cmp.Or(o.MaxPeers, 5_000_000)
	o.MaxFile = cmp.Or(o.MaxFile, 16_000_000)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Catalog == nil {
		o.Share, o.Listed = ShareOff, false
	}
	return nil
}

// urls returns those that others are told, with a space between two.
func (o *Options) urls() (text string) {
	for _, u := range o.URLs {
		if len(text)+1+len(u) <= mostURLBytes {
			text += " " + u
		}
	}
	return strings.TrimPrefix(text, " ")
}
