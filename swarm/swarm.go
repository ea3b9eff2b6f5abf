package swarm

import (
	"context"
	"iter"
	"net/netip"
	"time"

	"waggle/bittorrent"
	"waggle/locality"
)

// Kind is what a peer is to its swarm.
type Kind uint8

// The kinds of peers.
const (
	Seeder      Kind = iota // has everything
	PartialSeed             // has everything that it wants (BEP 21)
	Leecher                 // still downloads
	kinds
)

var kindNames = [...]string{"seeder", "partial seed", "leecher"}

// String returns the kind in words.
func (k Kind) String() string {
	if k < kinds {
		return kindNames[k]
	}
	return "unknown"
}

// Families is a set of address families.
type Families uint8

// The families of peers that an answer can hold: over UDP those of the packet
// (BEP 15), over HTTP both (BEP 7).
const (
	IPv4 Families = 1 << iota
	IPv6
)

// FamilyOf returns the family of an address; IPv4 in IPv6 clothes is IPv4.
func FamilyOf(ip netip.Addr) Families {
	if ip.Unmap().Is4() {
		return IPv4
	}
	return IPv6
}

// Announce is an announce on its way to a store.
type Announce struct {
	bittorrent.AnnounceRequest

	// From is the address that the announce came from, without zone, IPv4 not in
	// IPv6 clothes. With the port of the request it is where others reach the peer,
	// and what the store knows it by.
	From netip.Addr

	// Now is when the announce came in. Stores keep whole seconds of it.
	Now time.Time

	// Credentials are what the client shows beside what the protocol wants.
	Credentials Credentials

	// Families is which peers the answer has room for.
	Families Families

	// Room is the most peers that the answer has room for; 0: any number.
	Room int32

	// WithIDs asks for the ids of the selected peers too.
	WithIDs bool

	// Location is the innermost group that the peer is in; nil: nobody knows. Policy
	// limits which uplinks it may cross: it is not nil where Location is not, nor of any
	// other peer where the tracker has sources of locations.
	Location *locality.Group
	Policy   *Policy

	// Reach is what the tracker knows of whether others can connect to the peer.
	Reach Reach

	// Relayed is 0 of an announce that came in here. Of one that another tracker passed on
	// it is for how long that peer counts as alive from Now on: it is recorded and told to
	// others like any, but nobody is told to it, and it gets no role that it would have to
	// hear of.
	Relayed time.Duration
}

// Credentials are what a client shows of itself and of its right to announce; each may be
// empty. They are good until the announce is answered: who keeps one copies it.
type Credentials struct {
	Passkey string // of the path: http://tracker/PASSKEY/announce, or the same over UDP (BEP 41)
	Token   string // a JSON Web Token (RFC 7519), as it came
	Agent   string // the program, as it calls itself: the User-Agent of a request over HTTP
}

// Addr returns where other peers reach the announcing one.
func (a *Announce) Addr() netip.AddrPort { return netip.AddrPortFrom(a.From, a.Port) }

// Kind returns what the announce makes of its peer.
func (a *Announce) Kind() Kind {
	switch {
	case a.Left == 0:
		return Seeder
	case a.Event == bittorrent.EventPaused:
		return PartialSeed
	}
	return Leecher
}

// Reply is the answer to an announce. A store fills in Complete, Incomplete,
// Downloaded, Peers and Pace, and may set Warning; the tracker fills in the rest.
// The memory of Peers is the caller's: a store appends to what it is given.
type Reply struct {
	bittorrent.AnnounceResponse

	Pace Pace
}

// Reset empties the reply and keeps the memory of its peers.
func (r *Reply) Reset() {
	peers := r.Peers
	peers.Reset()
	*r = Reply{AnnounceResponse: bittorrent.AnnounceResponse{Peers: peers}}
}

// Peer is what a store knows of one peer of one torrent.
type Peer struct {
	ID         bittorrent.PeerID
	Addr       netip.AddrPort
	Key        uint32
	Kind       Kind
	Uploaded   int64     // bytes, as announced last
	Downloaded int64     // bytes, as announced last
	Left       int64     // bytes, as announced last
	First      time.Time // of its first announce, whole seconds
	Last       time.Time // of its latest announce, whole seconds

	// Browser is true of one that others reach over WebRTC alone, and Addr is that of its
	// connection. It is in no store.
	Browser bool
}

// Snapshot is a swarm at one moment.
type Snapshot struct {
	InfoHash   bittorrent.InfoHash
	Downloaded uint32 // completed downloads
	Peers      []Peer // in no order
}

// ChangeKind is what a [Change] did.
type ChangeKind uint8

// What may change in a store.
const (
	PeerPut       ChangeKind = iota // a peer came, or announced again as another kind or client
	PeerRefreshed                   // a peer announced again: its figures and when it was seen moved on
	PeerGone                        // a peer stopped, or expired
	TorrentGone                     // a torrent without peers was forgotten, its completed count too
	DownloadCount                   // a completed download was counted
)

// Change is one change of a store, told to listeners under the lock of the
// swarm, so that the changes of one torrent arrive in their order.
type Change struct {
	Kind       ChangeKind
	InfoHash   bittorrent.InfoHash
	Peer       Peer      // PeerPut, PeerRefreshed: all of it; PeerGone: its address, and Last where the store knows it
	Previous   time.Time // PeerRefreshed: of its announce before, whole seconds
	Downloaded uint32    // DownloadCount: the new count
	Relayed    bool      // it followed from an announce that another tracker passed on
	Stopped    bool      // PeerGone: it said so itself
	GivenUp    bool      // PeerGone: it made room for others at a limit, or could not be connected to; it may be alive
}

// Store keeps swarms. All methods may be called concurrently.
type Store interface {
	// Announce records the announce and selects peers into r, in one step: no
	// other announce to the same torrent comes between. At a limit of the store a
	// new peer is answered and not recorded, and r.Warning says so.
	Announce(ctx context.Context, a *Announce, r *Reply) error

	// Scrape fills in counts, which is as long as hashes. A torrent that is not
	// known has zeros.
	Scrape(ctx context.Context, hashes []bittorrent.InfoHash, counts []bittorrent.ScrapeCounts) error

	// Expire removes the peers whose latest announce is before the given time, and
	// returns how many they were. It holds up announces to a part of the torrents
	// at a time.
	Expire(ctx context.Context, before time.Time) (peers int, err error)

	// Swarms yields every torrent that the store knows, those without peers
	// included. A snapshot and its peers are valid until the next one is asked for.
	// What changes meanwhile may or may not be seen; what does not is seen once.
	Swarms(ctx context.Context) iter.Seq2[Snapshot, error]

	// Totals returns how many torrents, peers and seeders the store holds.
	Totals(ctx context.Context) (Totals, error)

	// Close keeps what is to be kept and releases the store. Nothing else may be
	// called after it.
	Close() error
}

// Warmer is a store that can look ahead.
type Warmer interface {
	// Warm reads what announces of peers, each to the torrent beside it, are about
	// to read, so that the processor has it near when they do.
	Warm(hashes []bittorrent.InfoHash, peers []netip.AddrPort)
}

// Totals is the size of a store.
type Totals struct {
	Torrents int // those without peers included
	Peers    int
	Seeders  int // of the peers; those that have everything, partial seeds not
}
