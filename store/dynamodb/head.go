package dynamodb

import (
	"context"
	"crypto/rand"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"waggle/bittorrent"
	"waggle/swarm"
)

// counts are how many peers of each kind and family there are, and completed downloads;
// or by how many that changes.
type counts struct {
	peers     [swarm.Leecher + 1][2]int64 // by kind; IPv4, IPv6
	completed int64
}

// countNames are the attributes of a head that have its counts.
var countNames = [swarm.Leecher + 1][2]string{{"s4", "s6"}, {"a4", "a6"}, {"l4", "l6"}}

const (
	completedName = "c"
	versionName   = "w" // of a head: one more with every change of its counts
	shardsName    = "g" // how many shards the torrent has; none: 1
	settledName   = "y" // for how many shards no peer is where fewer shards had it
	grownName     = "r" // when the torrent got its shards, in Unix seconds
	oldestName    = "t" // no peer's last announce is before it; of a peer, its last announce
	locatedName   = "z" // there: the torrent has, or had, located peers
	lookName      = "k" // what a repair saw, see recount.go
	nonceName     = "n" // of the last change, by which one whose answer was lost is known
)

func (c *counts) add(kind swarm.Kind, g group, n int64) {
	c.peers[kind][familyOf(g)] += n
}

func familyOf(g group) int {
	if g == seeds6 || g == leechers6 {
		return 1
	}
	return 0
}

func (c *counts) plus(d *counts) {
	for kind := range c.peers {
		for family := range c.peers[kind] {
			c.peers[kind][family] += d.peers[kind][family]
		}
	}
	c.completed += d.completed
}

func (c *counts) minus(d *counts) {
	for kind := range c.peers {
		for family := range c.peers[kind] {
			c.peers[kind][family] -= d.peers[kind][family]
		}
	}
	c.completed -= d.completed
}

func (c *counts) kind(k swarm.Kind) int64 { return max(c.peers[k][0]+c.peers[k][1], 0) }

func (c *counts) all() int64 {
	return c.kind(swarm.Seeder) + c.kind(swarm.PartialSeed) + c.kind(swarm.Leecher)
}

// group returns how many peers are in a group.
func (c *counts) group(g group) int64 {
	family := familyOf(g)
	if g == leechers4 || g == leechers6 {
		return max(c.peers[swarm.Leecher][family], 0)
	}
	return max(c.peers[swarm.Seeder][family]+c.peers[swarm.PartialSeed][family], 0)
}

// empty reports whether no peers are counted. A torrent that is not may still have none,
// or less than none, where a tracker died before it counted.
func (c *counts) empty() bool { return c.peers == counts{}.peers }

// none reports whether a torrent of such counts is unknown.
func (c *counts) none() bool { return *c == counts{} }

// scrape returns the counts as a scrape is answered.
func (c *counts) scrape() bittorrent.ScrapeCounts {
	return bittorrent.ScrapeCounts{
		Complete:    uint32(c.kind(swarm.Seeder)),
		Incomplete:  uint32(c.kind(swarm.PartialSeed) + c.kind(swarm.Leecher)),
		Downloaded:  uint32(max(c.completed, 0)),
		Downloaders: uint32(c.kind(swarm.Leecher)),
	}
}

// headKey says which head: that of a torrent, which is shard 0's, or of another shard.
type headKey struct {
	hash  bittorrent.InfoHash
	shard uint8
}

// head is what the table has of a shard beside its peers.
type head struct {
	counts
	version int64
	shards  int // of the torrent, as far as this head knows
	settled int
	grown   int64
	oldest  int64
	located bool
	look    []byte

	bounded   bool // oldest is known
	suspected bool // somebody wants the peers to be looked at
}

// headOf reads a head; of none it is that of an empty shard.
func headOf(i item) head {
	h := head{
		version: numberOf(i, versionName), shards: int(numberOf(i, shardsName)), settled: int(numberOf(i, settledName)),
		grown: numberOf(i, grownName), oldest: numberOf(i, oldestName), located: i[locatedName] != nil, look: bytesOf(i, lookName),
	}
	for kind := range countNames {
		for family, name := range countNames[kind] {
			h.peers[kind][family] = numberOf(i, name)
		}
	}
	h.completed = numberOf(i, completedName)
	h.bounded = i[oldestName] != nil
	h.suspected = h.bounded && h.oldest == 0
	if !isPower(h.shards, mostShards) {
		h.shards = 1
	}
	return h
}

// headPlace is the sort key of a head.
func (k headKey) place() []byte { return append(k.hash[:], k.shard) }

// headKeyOf reads a sort key.
func headKeyOf(s []byte) (k headKey, ok bool) {
	if len(s) != len(k.hash)+1 {
		return k, false
	}
	copy(k.hash[:], s)
	k.shard = s[len(k.hash)]
	return k, true
}

// headPartition returns the partition of a head: torrents go by their first byte, and
// the shards of one to others.
func (s *Store) headPartition(k headKey) []byte {
	return []byte{headPartition, byte((int(k.hash[0]) + int(k.shard)) & (s.heads - 1))}
}

func (s *Store) headItem(k headKey) item { return key(s.headPartition(k), k.place()) }

// nonce returns eight bytes that no other change has.
func nonce() []byte {
	b := make([]byte, 8)
	_, _ = rand.Read(b) // never fails
	return b
}

// change is an update of a head by some counts.
type change struct {
	delta  counts
	oldest int64 // of the peers that it is about
	nonce  []byte
	unsure bool // an attempt that failed may have made it
}

// made reports whether a torrent was not known before a change left its head like this.
func (c *change) made(h *head) bool {
	was := h.counts
	was.minus(&c.delta)
	return h.shards == 1 && was.none() && !h.none()
}

// notDone holds until an item has the nonce :n of an update.
const notDone = "(attribute_not_exists(n) OR n <> :n)"

// write changes a head by counts, once however often it is called with the same nonce,
// and returns it as it is then. Only where an attempt was made although it did not look
// so, and another change comes before the next one, it is made twice: then the shard is
// looked at later. The version of a head begins with the time, so that one which is made
// again after it was forgotten is not taken for the one before.
func (s *Store) write(ctx context.Context, k headKey, c *change) (head, error) {
	values := item{
		":one": numberValue(1), ":now": numberValue(s.now().UnixNano()), ":n": binaryValue(c.nonce), ":t": numberValue(c.oldest),
	}
	expression := "SET n = :n, t = if_not_exists(t, :t), w = if_not_exists(w, :now) + :one"
	separator := " ADD "
	add := func(name string, n int64) {
		if n != 0 {
			expression += separator + name + " :" + name
			separator = ", "
			values[":"+name] = numberValue(n)
		}
	}
	for kind := range countNames {
		for family, name := range countNames[kind] {
			add(name, c.delta.peers[kind][family])
		}
	}
	add(completedName, c.delta.completed)
	attributes, tried, err := s.server.update(ctx, &dynamodb.UpdateItemInput{
		Key:                       s.headItem(k),
		UpdateExpression:          &expression,
		ConditionExpression:       ref(notDone),
		ExpressionAttributeValues: values,
		ReturnValues:              types.ReturnValueAllNew,
	})
	switch {
	case isCondition(err): // an attempt before did it
		i, err := s.server.get(ctx, s.headItem(k))
		return headOf(i), err
	case err != nil:
		c.unsure = c.unsure || tried.unknown > 0
	case c.unsure || tried.unknown > 0: // so may have one before, of which another's change has taken the nonce
		s.suspect(ctx, k)
	}
	return headOf(attributes), err
}

// lower has a head know of a peer that announced before all others.
func (s *Store) lower(ctx context.Context, k headKey, last int64) error {
	_, _, err := s.server.update(ctx, &dynamodb.UpdateItemInput{
		Key:                       s.headItem(k),
		UpdateExpression:          ref("SET t = :t"),
		ConditionExpression:       ref("attribute_exists(t) AND t > :t"),
		ExpressionAttributeValues: item{":t": numberValue(last)},
	})
	if isCondition(err) {
		return nil
	}
	return err
}

// grow gives a torrent twice as many shards, unless somebody else just did. The torrent's
// own head is changed first: whoever writes a peer where half as many shards had it learns
// so from the head that it changes, and moves the peer.
func (s *Store) grow(ctx context.Context, h bittorrent.InfoHash, from int) error {
	condition := "g = :from"
	if from == 1 {
		condition = "attribute_not_exists(g)"
	}
	values := item{":g": numberValue(2 * from), ":r": numberValue(s.now().Unix())}
	for shard := range 2 * from {
		in := &dynamodb.UpdateItemInput{
			Key:                       s.headItem(headKey{h, uint8(shard)}),
			UpdateExpression:          ref("SET g = :g, r = :r"),
			ExpressionAttributeValues: values,
		}
		if shard == 0 {
			in.ConditionExpression = &condition
			in.ExpressionAttributeValues = item{":g": values[":g"], ":r": values[":r"]}
			if from > 1 {
				in.ExpressionAttributeValues[":from"] = numberValue(from)
			}
		}
		if _, _, err := s.server.update(ctx, in); err != nil {
			if isCondition(err) {
				return nil
			}
			return err
		}
	}
	s.log.Info("a swarm is spread over more partitions", "torrent", h, "shards", 2*from)
	return nil
}

// torrent is what is known of a torrent: the heads of its shards.
type torrent struct {
	heads []head
	read  time.Time
	began uint64 // number of changes that were known of when it was asked for
}

func (t *torrent) shards() int { return len(t.heads) }

// settled reports whether no peer can be where fewer shards had it.
func (t *torrent) settled() bool { return len(t.heads) == 1 || t.heads[0].settled == len(t.heads) }

func (t *torrent) located() bool { return t.heads[0].located }

// known reports whether the torrent has peers or a completed count.
func (t *torrent) known() bool {
	c := t.counts()
	return !c.none()
}

// empty reports whether no shard has peers, as far as they are counted.
func (t *torrent) empty() bool {
	return !slices.ContainsFunc(t.heads, func(h head) bool { return !h.empty() })
}

// counts adds up what the shards have.
func (t *torrent) counts() (c counts) {
	for i := range t.heads {
		c.plus(&t.heads[i].counts)
	}
	return c
}

// readTorrent asks for the heads of a torrent, which is thought to have so many shards.
func (s *Store) readTorrent(ctx context.Context, h bittorrent.InfoHash, guess int) (*torrent, error) {
	t := &torrent{read: s.now(), began: s.cache.begin()}
	if guess <= 1 {
		i, err := s.server.get(ctx, s.headItem(headKey{hash: h}))
		if err != nil {
			return nil, err
		}
		first := headOf(i)
		t.heads = []head{first}
		guess = first.shards
	}
	if guess > 1 {
		heads, err := s.readHeads(ctx, h, guess)
		if err != nil {
			return nil, err
		}
		t.heads = heads
	}
	if shards := t.heads[0].shards; shards > len(t.heads) {
		return s.readTorrent(ctx, h, shards)
	}
	t.heads = t.heads[:t.heads[0].shards] // a guess of more is of a torrent that was forgotten
	return t, nil
}

// readHeads asks for the heads of so many shards.
func (s *Store) readHeads(ctx context.Context, h bittorrent.InfoHash, shards int) ([]head, error) {
	keys := make([]item, shards)
	for shard := range keys {
		keys[shard] = s.headItem(headKey{h, uint8(shard)})
	}
	found, err := s.server.getAll(ctx, keys)
	if err != nil {
		return nil, err
	}
	heads := make([]head, shards)
	heads[0].shards = 1
	for _, i := range found {
		if k, ok := headKeyOf(bytesOf(i, place)); ok && int(k.shard) < shards {
			heads[k.shard] = headOf(i)
		}
	}
	return heads, nil
}

func ref[T any](value T) *T { return &value }
