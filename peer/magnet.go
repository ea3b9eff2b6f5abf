package peer

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	lib "github.com/anacrolix/torrent"
	"github.com/anacrolix/torrent/metainfo"

	"waggle/bittorrent"
	"waggle/torrent"
)

// ErrMagnet is in errors of a magnet link that says too little.
var ErrMagnet = errors.New("magnet link")

// Magnet fetches from peers what a magnet link stands for (BEP 9), and returns
// the bytes of a .torrent with the link's trackers. It goes on until it has it or
// ctx ends. At most 16 MiB are taken from a peer, and nothing that does not have
// the link's hash. A torrent of version 2 that needs piece layers is an error: a
// link does not carry them.
func Magnet(ctx context.Context, link string, o Options) ([]byte, error) {
	m, err := parseMagnet(link)
	if err != nil {
		return nil, err
	}
	if len(m.trackers)+len(m.peers) == 0 && !o.DHT {
		return nil, fmt.Errorf("%w: it names no tracker: add one as &tr=udp://tracker.example:6969, or find peers with DHT", ErrMagnet)
	}
	info, err := fetchInfo(ctx, m, o)
	if err != nil {
		return nil, err
	}
	b := appendTorrent(m.trackers, info)
	if _, err := torrent.Parse(b); err != nil {
		return nil, fmt.Errorf("%w: what it stands for cannot be used; fetch the .torrent instead: %w", ErrMagnet, err)
	}
	return b, nil
}

// magnet is what a link says.
type magnet struct {
	hash     metainfo.Hash
	trackers [][]string
	peers    []netip.AddrPort
}

// parseMagnet reads a link. Trackers and peers that make no sense are passed over.
func parseMagnet(link string) (m magnet, err error) {
	read, err := metainfo.ParseMagnetV2Uri(link)
	if err != nil {
		return m, fmt.Errorf("%w: %w", ErrMagnet, err)
	}
	switch {
	case read.InfoHash.Ok:
		m.hash = read.InfoHash.Value
	case read.V2InfoHash.Ok:
		m.hash = *read.V2InfoHash.Value.ToShort()
	default:
		return m, fmt.Errorf("%w: it has no info hash: write it like magnet:?xt=urn:btih:HASH", ErrMagnet)
	}
	for _, u := range read.Trackers {
		if torrent.CheckTrackerURL(u) == nil {
			m.trackers = append(m.trackers, []string{u})
		}
	}
	m.peers = peersOf(read.Params["x.pe"])
	return m, nil
}

// peersOf reads the addresses of BEP 9; names are not looked up.
func peersOf(texts []string) (peers []netip.AddrPort) {
	for _, s := range texts {
		if p, err := netip.ParseAddrPort(s); err == nil {
			peers = append(peers, p)
		}
	}
	return peers
}

// fetchInfo gets the info dictionary from peers.
func fetchInfo(ctx context.Context, m magnet, o Options) ([]byte, error) {
	c, err := New(o)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	t, _ := c.lib.AddTorrentOpt(lib.AddTorrentOpts{InfoHash: m.hash, Storage: nowhere{}})
	addPeers(t, m.peers)
	asking, stop := context.WithCancel(ctx)
	over := make(chan struct{})
	a := &announcer{
		tiers: newTiers(m.trackers), post: c.trackers.post, say: c.say,
		ask: func() bittorrent.AnnounceRequest {
			return bittorrent.AnnounceRequest{
				InfoHash: bittorrent.InfoHash(m.hash), PeerID: bittorrent.PeerID(c.lib.PeerID()),
				Left: bittorrent.LeftUnknown, Key: c.key, NumWant: -1, Port: c.Port(),
			}
		},
		found:  func(found []netip.AddrPort) { addPeers(t, found) },
		lonely: func() bool { return t.Stats().ActivePeers == 0 },
	}
	go func() {
		defer close(over)
		if len(m.trackers) > 0 {
			a.run(asking)
		}
	}()
	defer func() { stop(); <-over }()
	select {
	case <-t.GotInfo():
		return t.Metainfo().InfoBytes, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// appendTorrent puts an info dictionary and trackers into a .torrent.
func appendTorrent(trackers [][]string, info []byte) []byte {
	b := []byte{'d'}
	if len(trackers) > 0 {
		b = bittorrent.AppendString(b, "announce")
		b = bittorrent.AppendString(b, trackers[0][0])
		b = bittorrent.AppendString(b, "announce-list")
		b = append(b, 'l')
		for _, tier := range trackers {
			b = append(b, 'l')
			for _, u := range tier {
				b = bittorrent.AppendString(b, u)
			}
			b = append(b, 'e')
		}
		b = append(b, 'e')
	}
	b = bittorrent.AppendString(b, "info")
	return append(append(b, info...), 'e')
}
