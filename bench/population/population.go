package population

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"waggle/bittorrent"
)

// Ports that peers announce.
const (
	firstPort = 1024
	ports     = 1<<16 - firstPort
)

// left is what a leecher still has to fetch, in bytes.
const left = 1 << 30

// Population is all peers of a load.
type Population struct {
	Distribution
	Groups []*Group // at least as many as were asked for

	seed  uint64
	alias *Alias
	live  int
}

// peer is kept small: there may be tens of millions.
type peer struct {
	torrent uint32
	port    uint16
	seeder  bool
	joining bool // has not announced yet, so it says "started"
}

// Group is the peers behind one source address.
type Group struct {
	population *Population
	number     int
	peers      []peer
}

// Addresses says how groups share source addresses.
type Addresses int

// Where the packets of the groups come from.
const (
	OneEach  Addresses = iota // each group has an address of its own
	OneOfAll                  // all have the same: it takes ports to tell their peers apart
)

// New draws a population from the seed and divides it into at least the given
// number of groups: into more where a torrent has more peers than an address has
// ports. Errors are those of [Distribution.Check], and, with one address, a torrent
// that has too many peers for it.
func New(d Distribution, seed uint64, groups int, addresses Addresses) (*Population, error) {
	if err := d.Check(); err != nil {
		return nil, err
	}
	p := &Population{Distribution: d, seed: seed, alias: NewAlias(d.Weights())}
	random := p.random(0)
	torrents := make([]uint32, d.Peers)
	size := make([]int, d.Torrents)
	largest := 0
	for i := range torrents {
		t := p.alias.Draw(random)
		torrents[i] = uint32(t)
		if size[t]++; size[t] == 1 {
			p.live++
		}
		largest = max(largest, size[t])
	}
	needed := (largest + ports - 1) / ports
	if addresses == OneOfAll && needed > 1 {
		return nil, fmt.Errorf("a torrent would have %d peers, and one address has %d ports for them: have fewer peers or more torrents", largest, ports)
	}
	groups = max(1, groups, needed)
	for n := range groups {
		p.Groups = append(p.Groups, &Group{population: p, number: n, peers: make([]peer, 0, d.Peers/groups+d.Peers/groups/16+16)})
	}
	sharing := 1 // groups that share the ports of an address
	if addresses == OneOfAll {
		sharing = groups
	}
	p.divide(torrents, size, sharing, random)
	return p, nil
}

// divide deals the peers of each torrent out to the groups in turn.
func (p *Population) divide(torrents []uint32, size []int, sharing int, random *rand.Rand) {
	for _, t := range torrents {
		size[t]--
		nth := size[t]
		g := p.Groups[(nth+int(t))%len(p.Groups)]
		g.peers = append(g.peers, peer{
			torrent: t,
			port:    nthPort(nth/len(p.Groups)*sharing + nth%len(p.Groups)%sharing),
			seeder:  random.Float64() < p.Seeders,
			joining: true,
		})
	}
}

// nthPort scatters: ports that go up by one would be an easier key than real ones.
func nthPort(n int) uint16 {
	const coprime = 40505 // to the number of ports, so that none comes twice
	return uint16(firstPort + n*coprime%ports)
}

// random returns a source of numbers of its own for each use.
func (p *Population) random(use uint64) *rand.Rand { return rand.New(rand.NewPCG(p.seed, use)) }

// Live returns how many torrents have a peer.
func (p *Population) Live() int { return p.live }

// InfoHash returns the info hash of a torrent, 0 to Torrents-1.
func (p *Population) InfoHash(torrent int) bittorrent.InfoHash { return InfoHash(p.seed, torrent) }

// InfoHash returns the info hash that a torrent has under a seed. It depends on
// nothing else, so that one list of hashes does for populations of all sizes.
func InfoHash(seed uint64, torrent int) (h bittorrent.InfoHash) {
	n := mix(mix(seed) + uint64(torrent))
	binary.BigEndian.PutUint64(h[:], n)
	binary.BigEndian.PutUint64(h[8:], mix(n))
	binary.BigEndian.PutUint32(h[16:], uint32(mix(n+1)))
	return h
}

// mix is the finaliser of SplitMix64: a bijection that leaves no pattern.
func mix(n uint64) uint64 {
	n += 0x9e3779b97f4a7c15
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}

// Len returns the number of peers.
func (g *Group) Len() int { return len(g.peers) }

// Number returns the place of the group among those of the population.
func (g *Group) Number() int { return g.number }

// announce fills in what a peer announces.
func (g *Group) announce(n int, event bittorrent.Event, a *bittorrent.AnnounceRequest) {
	p := &g.peers[n]
	*a = bittorrent.AnnounceRequest{
		InfoHash: g.population.InfoHash(int(p.torrent)),
		PeerID:   bittorrent.PeerID{'-', 'W', 'B', '0', '0', '0', '1', '-'},
		NumWant:  g.population.NumWant,
		Port:     p.port,
		Event:    event,
	}
	binary.BigEndian.PutUint32(a.PeerID[8:], uint32(g.number))
	binary.BigEndian.PutUint32(a.PeerID[12:], p.torrent)
	binary.BigEndian.PutUint16(a.PeerID[16:], p.port)
	if !p.seeder {
		a.Left = left
	}
}

// AppendScrape appends the info hashes that a scrape asks for: one to ten, of
// peers that random draws. They may be there twice.
func (g *Group) AppendScrape(dst []bittorrent.InfoHash, random *rand.Rand) []bittorrent.InfoHash {
	for range 1 + random.IntN(10) {
		dst = append(dst, g.population.InfoHash(int(g.peers[random.IntN(len(g.peers))].torrent)))
	}
	return dst
}
