package dynamodb

import (
	"context"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"net/netip"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"golang.org/x/sync/errgroup"

	"waggle/bittorrent"
	"waggle/swarm"
)

// candidate is a peer that an answer may have.
type candidate struct {
	addr netip.AddrPort
	id   bittorrent.PeerID
	kind swarm.Kind
}

// view is what was read of a swarm for one answer: of each group all peers, or some drawn
// at random. The asker is not in it.
type view struct {
	groups [groups]run
}

// run is a group of a view: seeders, then partial seeds; or leechers.
type run struct {
	peers    []candidate
	seeders  int // of the peers
	length   int // of the group in the swarm: as many as peers, or more
	all      int // seeders of the group in the swarm
	nextSeed int // of a sample: the next seeder that was not taken yet
	next     int // and the next of the others
}

// groupsOf are the groups as selection numbers them.
var groupsOf = [swarm.Groups]group{swarm.Seeds4: seeds4, swarm.Seeds6: seeds6, swarm.Leechers4: leechers4, swarm.Leechers6: leechers6}

func (v *view) of(g swarm.Group) *run { return &v.groups[groupsOf[g]-1] }

// Len is documented at [swarm.View].
func (v *view) Len(g swarm.Group) int { return v.of(g).length }

// Seeders is documented at [swarm.View].
func (v *view) Seeders(g swarm.Group) int {
	if g >= swarm.Leechers4 {
		return 0
	}
	return v.of(g).all
}

// Append is documented at [swarm.View].
func (v *view) Append(g swarm.Group, picks []uint32, a *swarm.Announce, r *swarm.Reply) {
	of := v.of(g)
	for _, pick := range picks {
		c := of.take(int(pick))
		switch {
		case c == nil || c.id == a.PeerID:
		case a.WithIDs:
			r.Peers.AppendWithID(c.addr, c.id)
		default:
			r.Peers.Append(c.addr)
		}
	}
}

// take returns the peer at a position of the group; nil: it was not read. Of a sample,
// the peers of a kind are taken one after the other: they are in no order.
func (r *run) take(pick int) *candidate {
	if r.length == len(r.peers) {
		return &r.peers[pick]
	}
	r.next = max(r.next, r.seeders)
	if r.nextSeed < r.seeders && (pick < r.all || r.next == len(r.peers)) {
		r.nextSeed++
		return &r.peers[r.nextSeed-1]
	}
	if r.next == len(r.peers) {
		return nil
	}
	r.next++
	return &r.peers[r.next-1]
}

// reading gathers a view.
type reading struct {
	*Store
	infoHash bittorrent.InfoHash
	asker    netip.AddrPort
	id       bittorrent.PeerID

	mu    sync.Mutex
	found [groups][]candidate
	seen  map[netip.AddrPort]struct{} // where peers may be read twice; nil where not
}

// projected is what an answer needs of a peer.
const projected = "s, o, v"

// read reads what an announce may be answered with.
func (s *Store) read(ctx context.Context, a *swarm.Announce, t *torrent) (*view, error) {
	r := &reading{Store: s, infoHash: a.InfoHash, asker: a.Addr(), id: a.PeerID}
	c := t.counts()
	if t.shards() == 1 && c.all() <= int64(s.whole) {
		_, err := r.query(ctx, span{0, []byte{byte(seeds4)}, []byte{byte(seeds6) + 1}}, 4*s.whole)
		return r.view(nil), err
	}
	r.seen = map[netip.AddrPort]struct{}{}
	asking, ctx := errgroup.WithContext(ctx)
	var lengths [groups]int64
	for g := seeds4; g <= seeds6; g++ {
		if n := c.group(g); n > 0 && wants(a, g) {
			if n <= int64(s.whole) {
				r.readGroup(ctx, asking, g, t)
				continue
			}
			lengths[g-1] = n
			r.sampleGroup(ctx, asking, g, t, share(a, t, &c, g))
		}
	}
	err := asking.Wait()
	v := r.view(&lengths)
	for g := seeds4; g <= seeds6; g++ {
		v.groups[g-1].scale(&c, g)
	}
	return v, err
}

// wants reports whether an answer may have peers of a group.
func wants(a *swarm.Announce, g group) bool {
	family := swarm.IPv4
	if familyOf(g) == 1 {
		family = swarm.IPv6
	}
	return a.Families&family != 0 && (a.Kind() == swarm.Leecher || !isSeeds(g))
}

// span is a run of a shard's index.
type span struct {
	shard    int
	from, to []byte // what begins with to is not in it
}

// readGroup reads a group whole, from the shards that have any of it.
func (r *reading) readGroup(ctx context.Context, asking *errgroup.Group, g group, t *torrent) {
	for shard := range t.shards() {
		if t.heads[shard].group(g) > 0 {
			asking.Go(func() error {
				_, err := r.query(ctx, span{shard, []byte{byte(g)}, []byte{byte(g) + 1}}, 4*r.whole)
				return err
			})
		}
	}
}

// share returns how many peers of a group an answer takes at most, as selection does it. A
// roster may want any.
func share(a *swarm.Announce, t *torrent, c *counts, g group) int {
	want := int64(a.NumWant)
	if a.Location != nil || t.located() {
		return int(want)
	}
	var seeds, leechers int64
	for other := seeds4; other <= seeds6; other++ {
		if !wants(a, other) {
			continue
		}
		if isSeeds(other) {
			seeds += c.group(other)
		} else {
			leechers += c.group(other)
		}
	}
	take, all := min(seeds, max((want+1)/2, want-leechers)), seeds
	if !isSeeds(g) {
		take, all = min(leechers, want-take), leechers
	}
	return int((take*c.group(g)+all-1)/max(all, 1)) + 1
}

// windowSize is how many peers of the index are read from one place, for the price of one:
// 4 KB. Half as many are used, so that an answer is no run of neighbours.
const windowSize = 50

// sampleGroup reads peers that follow random points of the hashes.
func (r *reading) sampleGroup(ctx context.Context, asking *errgroup.Group, g group, t *torrent, want int) {
	for ; want > 0; want -= windowSize / 2 {
		shard, point := r.chance.shard(t.shards()), r.chance.point()
		asking.Go(func() error { return r.window(ctx, g, shard, point, windowSize) })
	}
}

// window reads so many peers of a group from a point on, and from the beginning where
// the end comes first.
func (r *reading) window(ctx context.Context, g group, shard int, point uint64, size int) error {
	start := binary.BigEndian.AppendUint64([]byte{byte(g)}, point)
	n, err := r.query(ctx, span{shard, start, []byte{byte(g) + 1}}, size)
	if err == nil && n < size {
		_, err = r.query(ctx, span{shard, []byte{byte(g)}, start}, size-n)
	}
	return err
}

// query reads a run of the index, at most so many peers, and returns how many. A page may
// have fewer than there are.
func (r *reading) query(ctx context.Context, of span, most int) (n int, err error) {
	in := &dynamodb.QueryInput{
		IndexName:              ref(indexName),
		KeyConditionExpression: ref("p = :p AND o BETWEEN :from AND :to"),
		ProjectionExpression:   ref(projected),
		ExpressionAttributeValues: item{
			":p": binaryValue(peersOf(r.infoHash, of.shard)), ":from": binaryValue(of.from), ":to": binaryValue(of.to),
		},
	}
	for {
		in.Limit = ref(int32(min(most-n, math.MaxInt32)))
		items, next, err := r.server.page(ctx, in)
		r.addAll(items)
		if n += len(items); err != nil || len(next) == 0 || n >= most {
			return n, err
		}
		in.ExclusiveStartKey = next
	}
}

func (r *reading) addAll(items []item) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, i := range items {
		r.add(i)
	}
}

// add takes in a peer of the index.
func (r *reading) add(i item) {
	c := candidate{}
	var ok bool
	if c.addr, ok = peerOfPlace(bytesOf(i, place)); !ok || c.addr == r.asker {
		return
	}
	if c.kind, ok = kindOfOrder(bytesOf(i, order)); !ok {
		return
	}
	if r.seen != nil {
		if _, twice := r.seen[c.addr]; twice {
			return
		}
		r.seen[c.addr] = struct{}{}
	}
	copy(c.id[:], bytesOf(i, shown))
	g := groupOf(c.kind, c.addr)
	r.found[g-1] = append(r.found[g-1], c)
}

// view makes a view of what was read. lengths are those of groups that were sampled.
func (r *reading) view(lengths *[groups]int64) *view {
	v := &view{}
	for i := range r.found {
		peers := r.found[i]
		of := &v.groups[i]
		sampled := lengths != nil && lengths[i] > int64(len(peers))
		if sampled {
			r.chance.shuffle(peers)
		}
		of.peers = peers
		of.seeders = seedersFirst(peers)
		of.length, of.all = len(peers), of.seeders
		if sampled {
			of.length = int(min(lengths[i], math.MaxInt32/2))
		}
	}
	return v
}

// scale says how many seeders a sampled group has in the swarm.
func (r *run) scale(c *counts, g group) {
	if r.length > len(r.peers) && isSeeds(g) {
		r.all = int(min(max(c.peers[swarm.Seeder][familyOf(g)], 0), int64(r.length)))
	}
}

// seedersFirst brings seeders before others, keeping what is not seen to be in no order,
// and returns how many they are.
func seedersFirst(peers []candidate) (n int) {
	for i := range peers {
		if peers[i].kind == swarm.Seeder {
			peers[i], peers[n] = peers[n], peers[i]
			n++
		}
	}
	return n
}

// chance is the store's random numbers. It is safe for concurrent use.
type chance struct {
	mu       sync.Mutex
	random   *rand.Rand
	selector swarm.Selector
}

func newChance(seed [2]uint64) *chance {
	random := rand.New(rand.NewPCG(seed[0], seed[1]))
	return &chance{random: random, selector: swarm.NewSelector(random.Uint64(), random.Uint64())}
}

func (c *chance) shard(shards int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.random.IntN(shards)
}

func (c *chance) point() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.random.Uint64()
}

func (c *chance) shuffle(peers []candidate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.random.Shuffle(len(peers), func(i, k int) { peers[i], peers[k] = peers[k], peers[i] })
}

func (c *chance) choose(v swarm.View, a *swarm.Announce, r *swarm.Reply) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.selector.Select(v, swarm.Absent, a, r)
}
