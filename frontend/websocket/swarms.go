package websocket

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// Swarms are the browsers of all torrents. A browser is reached through the connection
// that it announced by and through nothing else, so it lasts as long as that at most,
// and is in no store. Use [NewSwarms]. All methods may be called concurrently.
type Swarms struct {
	most   int64        // peers; 0: any number
	peers  atomic.Int64 // of all torrents
	shards [shards]shard
	start  time.Time
}

// shards is how many parts of the torrents have a lock of their own.
const shards = 64

type shard struct {
	mu       sync.Mutex
	torrents map[bittorrent.InfoHash]*torrent
	selector swarm.Selector
	choice   choice // that the selector is at
}

// NewSwarms returns an empty Swarms for so many peers, where each browser counts once
// for each of its torrents; 0: any number. Whom it selects follows from the seed.
func NewSwarms(most int, seed [2]uint64, start time.Time) *Swarms {
	s := &Swarms{most: int64(most), start: start}
	for i := range s.shards {
		s.shards[i].torrents = make(map[bittorrent.InfoHash]*torrent)
		s.shards[i].selector = swarm.NewSelector(seed[0], seed[1]+uint64(i))
	}
	return s
}

func (s *Swarms) shard(h *bittorrent.InfoHash) *shard { return &s.shards[h[0]%shards] }

// torrent is the browsers of one torrent.
type torrent struct {
	// kinds are the leechers, and then those that do not download: seeders, and partial
	// seeds among them in any order.
	kinds   [2][]peer
	seeders int
	index   map[bittorrent.PeerID]place // nil while there are few
}

// The kinds of peers that selection treats alike.
const (
	leechers = iota
	seeds
)

// few is how many peers are looked through without an index.
const few = 16

// peer is a browser in a torrent.
type peer struct {
	id   bittorrent.PeerID
	last uint32 // seconds from start on, of its latest announce
	left int64
	of   *conn

	// asked are the tags of those that its latest offers were for and that have not answered
	// yet; 0 is nobody. See [peer.waitsFor].
	asked [maxOffers]uint16
}

// answerTime is how long one who has passed an offer on is held to wait for the answer, in
// seconds: WebTorrent takes up to five for one.
const answerTime = 10

// waitsFor tells whether a peer waits for an answer of another one. That one's own offers would
// come to nothing then and take the other's with them: of two connections with the same peer a
// client gives up the later one, and what is later for the one is the earlier for the other. As
// both come back at the same intervals, they would do so again and again.
func (p *peer) waitsFor(tag uint16, now uint32) bool {
	return now-p.last <= answerTime && slices.Contains(p.asked[:], tag)
}

// tag stands for a peer where one that is mistaken for another does no harm. It is never 0.
func tag(id *bittorrent.PeerID) uint16 {
	own := binary.BigEndian.Uint64(id[len(id)-8:]) // what comes before is the program's
	return uint16(own*0x9e3779b97f4a7c15>>48) | 1  // many write digits only: all bits count (Knuth, 6.4)
}

func (p *peer) isSeeder() bool { return p.left == 0 }

// place is where a peer is.
type place struct {
	kind  uint8
	index uint32
}

func (t *torrent) len() int { return len(t.kinds[leechers]) + len(t.kinds[seeds]) }

func (t *torrent) at(p place) *peer { return &t.kinds[p.kind][p.index] }

// find returns where the peer is.
func (t *torrent) find(id *bittorrent.PeerID) (at place, found bool) {
	if t.index != nil {
		at, found = t.index[*id]
		return at, found
	}
	for kind := range t.kinds {
		for i := range t.kinds[kind] {
			if t.kinds[kind][i].id == *id {
				return place{uint8(kind), uint32(i)}, true
			}
		}
	}
	return place{}, false
}

// add puts a peer in that is not there.
func (t *torrent) add(kind uint8, p peer) place {
	at := place{kind, uint32(len(t.kinds[kind]))}
	t.kinds[kind] = append(t.kinds[kind], p)
	switch {
	case t.index != nil:
		t.index[p.id] = at
	case t.len() > few:
		t.reindex()
	}
	if p.isSeeder() {
		t.seeders++
	}
	return at
}

func (t *torrent) reindex() {
	t.index = make(map[bittorrent.PeerID]place, 2*few)
	for kind := range t.kinds {
		for i := range t.kinds[kind] {
			t.index[t.kinds[kind][i].id] = place{uint8(kind), uint32(i)}
		}
	}
}

// remove takes a peer out: the last of its kind comes into its place.
func (t *torrent) remove(at place) {
	all := t.kinds[at.kind]
	if all[at.index].isSeeder() {
		t.seeders--
	}
	last := len(all) - 1
	if t.index != nil {
		delete(t.index, all[at.index].id)
		if at.index != uint32(last) {
			t.index[all[last].id] = at
		}
	}
	all[at.index] = all[last]
	all[last] = peer{} // or it would keep a connection
	all = all[:last]
	if cap(all) > 2*few && len(all) < cap(all)/4 {
		all = slices.Clip(slices.Clone(all))
	}
	t.kinds[at.kind] = all
	if t.index != nil && t.len() <= few/2 {
		t.index = nil
	}
}

// counts returns how many have everything, and how many have not.
func (t *torrent) counts() (seeders, leechers uint32) {
	return uint32(t.seeders), uint32(t.len() - t.seeders)
}

// Count returns how many browsers of a torrent have everything, and how many have not.
// While no browser is connected it takes the time of one atomic load.
func (s *Swarms) Count(h *bittorrent.InfoHash) (seeders, leechers uint32) {
	if s.peers.Load() == 0 {
		return 0, 0
	}
	sh := s.shard(h)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if t := sh.torrents[*h]; t != nil {
		return t.counts()
	}
	return 0, 0
}

// errFull warns a client that is not told to others.
const errFull = "this tracker has no room for another browser now: you are not told to others"

// announce records what a browser announces by a connection, and selects whom its offers
// go to, in one step: they are appended to chosen, a.NumWant at most, and never who
// announced by the same connection. r gets the counts of the browsers. With joined, the
// connection has to tell when it ends.
func (s *Swarms) announce(c *conn, a *swarm.Announce, r *swarm.Reply, chosen []*conn) (_ []*conn, joined bool) {
	sh := s.shard(&a.InfoHash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	t := sh.torrents[a.InfoHash]
	if t == nil {
		t = new(torrent)
	}
	at, known := t.find(&a.PeerID)
	switch mine := known && t.at(at).of == c; {
	case a.Event == bittorrent.EventStopped && mine:
		s.forget(sh, &a.InfoHash, t, at)
	case a.Event == bittorrent.EventStopped: // of somebody else
	case !mine && c.isFull(), !known && s.isFull():
		r.Warning = errFull
	default:
		at = s.record(sh, t, at, known, a, c)
		chosen, joined = sh.choose(t, at, a, chosen), !mine
	}
	r.Complete, r.Incomplete = t.counts()
	return chosen, joined
}

// isFull tells whether there is no room for another peer.
func (s *Swarms) isFull() bool { return s.most > 0 && s.peers.Load() >= s.most }

// record puts a peer in, or in the place of the one with its id.
func (s *Swarms) record(sh *shard, t *torrent, at place, known bool, a *swarm.Announce, c *conn) place {
	if known && a.Left == bittorrent.LeftUnknown && t.at(at).isSeeder() {
		a.Left = 0 // who has everything need not say so again
	}
	p := peer{id: a.PeerID, last: s.seconds(a.Now), left: a.Left, of: c}
	kind := uint8(leechers)
	if a.Kind() != swarm.Leecher {
		kind = seeds
	}
	switch {
	case known:
		t.remove(at)
	case t.len() == 0:
		sh.torrents[a.InfoHash] = t
		fallthrough
	default:
		s.peers.Add(1)
	}
	return t.add(kind, p)
}

// forget takes a peer out.
func (s *Swarms) forget(sh *shard, h *bittorrent.InfoHash, t *torrent, at place) {
	t.remove(at)
	s.peers.Add(-1)
	if t.len() == 0 {
		delete(sh.torrents, *h)
	}
}

func (s *Swarms) seconds(now time.Time) uint32 { return uint32(max(0, now.Sub(s.start)/time.Second)) }

// leave takes out a peer that announced by a connection last.
func (s *Swarms) leave(c *conn, h *bittorrent.InfoHash, id *bittorrent.PeerID) {
	sh := s.shard(h)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	t := sh.torrents[*h]
	if t == nil {
		return
	}
	if at, known := t.find(id); known && t.at(at).of == c {
		s.forget(sh, h, t, at)
	}
}

// holds tells whether a peer announced by a connection last, and is not forgotten.
func (s *Swarms) holds(c *conn, h *bittorrent.InfoHash, id *bittorrent.PeerID) bool {
	sh := s.shard(h)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	t := sh.torrents[*h]
	if t == nil {
		return false
	}
	at, known := t.find(id)
	return known && t.at(at).of == c
}

// answers returns by which connection a peer is reached that another one of the torrent
// answers; nil: there is no such peer, or the other one did not announce by the
// connection c.
func (s *Swarms) answers(c *conn, h *bittorrent.InfoHash, from, to *bittorrent.PeerID) *conn {
	sh := s.shard(h)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	t := sh.torrents[*h]
	if t == nil {
		return nil
	}
	at, known := t.find(from)
	if !known || t.at(at).of != c {
		return nil
	}
	at, known = t.find(to)
	if !known || t.at(at).of == c {
		return nil
	}
	p := t.at(at)
	if i := slices.Index(p.asked[:], tag(from)); i >= 0 {
		p.asked[i] = 0
	}
	return p.of
}

// Expire forgets the peers whose latest announce is before the given time, and returns how
// many they were.
func (s *Swarms) Expire(before time.Time) (peers int) {
	oldest := s.seconds(before)
	if before.Before(s.start) {
		return 0
	}
	for i := range s.shards {
		peers += s.shards[i].expire(s, oldest)
	}
	return peers
}

func (sh *shard) expire(s *Swarms, oldest uint32) (peers int) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for h, t := range sh.torrents {
		for kind := range t.kinds {
			for i := len(t.kinds[kind]) - 1; i >= 0; i-- { // who comes into the place was looked at
				if t.kinds[kind][i].last < oldest {
					s.forget(sh, &h, t, place{uint8(kind), uint32(i)})
					peers++
				}
			}
		}
	}
	return peers
}

// Totals returns how many torrents have browsers, how many browsers these are, each
// counted once for each of its torrents, and how many of them have everything.
func (s *Swarms) Totals() (t swarm.Totals) {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		t.Torrents += len(sh.torrents)
		for _, of := range sh.torrents {
			t.Peers += of.len()
			t.Seeders += of.seeders
		}
		sh.mu.Unlock()
	}
	return t
}

// Torrents returns the info hashes that begin with a byte and have browsers, in no order.
func (s *Swarms) Torrents(first byte) (hashes []bittorrent.InfoHash) {
	sh := s.shard(&bittorrent.InfoHash{first})
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for h := range sh.torrents {
		if h[0] == first {
			hashes = append(hashes, h)
		}
	}
	return hashes
}

// Append appends the browsers of a torrent to peers, in no order. Their addresses are
// those of their connections.
func (s *Swarms) Append(peers []swarm.Peer, h *bittorrent.InfoHash) []swarm.Peer {
	sh := s.shard(h)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	t := sh.torrents[*h]
	if t == nil {
		return peers
	}
	for kind := range t.kinds {
		for i := range t.kinds[kind] {
			p := &t.kinds[kind][i]
			peers = append(peers, swarm.Peer{
				ID: p.id, Addr: netip.AddrPortFrom(p.of.from(), p.of.port), Kind: p.kind(kind), Left: p.left,
				Last: s.start.Add(time.Duration(p.last) * time.Second), Browser: true,
			})
		}
	}
	return peers
}

// kind returns what a peer is among those that selection treats alike.
func (p *peer) kind(among int) swarm.Kind {
	switch {
	case p.isSeeder():
		return swarm.Seeder
	case among == seeds:
		return swarm.PartialSeed
	}
	return swarm.Leecher
}

// choice is a selection that is being made. It is the view that [swarm.Selector] has of
// the browsers, whose families do not matter.
type choice struct {
	of     *torrent
	asker  *peer
	tag    uint16 // of the asker
	chosen []*conn
}

// choose selects whom the offers of a peer go to, by the rules of all swarms.
func (sh *shard) choose(t *torrent, at place, a *swarm.Announce, chosen []*conn) []*conn {
	if a.NumWant <= 0 {
		return chosen
	}
	asker := t.at(at)
	sh.choice = choice{of: t, asker: asker, tag: tag(&asker.id), chosen: chosen}
	group := swarm.Leechers4
	if at.kind == seeds {
		group = swarm.Seeds4
	}
	a.Families = swarm.IPv4
	sh.selector.Select(&sh.choice, swarm.Position{Group: group, Index: int(at.index)}, a, nil)
	chosen = sh.choice.chosen
	sh.choice = choice{}
	return chosen
}

// kindOf returns the kind of peers of a group, if it has any.
func kindOf(g swarm.Group) (kind int, has bool) {
	switch g {
	case swarm.Leechers4:
		return leechers, true
	case swarm.Seeds4:
		return seeds, true
	}
	return 0, false
}

// Len is of [swarm.View].
func (c *choice) Len(g swarm.Group) int {
	if kind, has := kindOf(g); has {
		return len(c.of.kinds[kind])
	}
	return 0
}

// Seeders is of [swarm.View].
func (c *choice) Seeders(g swarm.Group) int {
	if g == swarm.Seeds4 {
		return c.of.seeders
	}
	return 0
}

// Append is of [swarm.View].
func (c *choice) Append(g swarm.Group, picks []uint32, _ *swarm.Announce, _ *swarm.Reply) {
	kind, _ := kindOf(g)
	for _, i := range picks {
		p := &c.of.kinds[kind][i]
		if p.of == c.asker.of || p.waitsFor(c.tag, c.asker.last) {
			continue
		}
		c.asker.asked[len(c.chosen)] = tag(&p.id)
		c.chosen = append(c.chosen, p.of)
	}
}
