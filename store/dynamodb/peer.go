package dynamodb

import (
	"context"
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"waggle/bittorrent"
	"waggle/swarm"
)

// Attributes of a peer beside its keys; its order says what it is.
const (
	detailsName  = "b" // key, uploaded, downloaded, left
	sinceName    = "f" // its first announce, in Unix seconds
	latestName   = "t" // its last announce
	previousName = "q" // its order before the last change, for who did not hear the answer
)

const detailsLen = 4 + 3*8

// kept is how long after its last announce the service may delete a peer, where it does
// such a thing, if no tracker expires it. It is far longer than any peer is kept, for what
// the service deletes is counted until the next repair.
const kept = 24 * time.Hour

func detailsOf(p *swarm.Peer) []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, detailsLen), p.Key)
	b = binary.BigEndian.AppendUint64(b, uint64(p.Uploaded))
	b = binary.BigEndian.AppendUint64(b, uint64(p.Downloaded))
	return binary.BigEndian.AppendUint64(b, uint64(p.Left))
}

// peerOf reads a peer; false: it is none.
func peerOf(i item) (p swarm.Peer, ok bool) {
	if p.Addr, ok = peerOfPlace(bytesOf(i, place)); !ok {
		return p, false
	}
	if p.Kind, ok = kindOfOrder(bytesOf(i, order)); !ok {
		return p, false
	}
	copy(p.ID[:], bytesOf(i, shown))
	if b := bytesOf(i, detailsName); len(b) == detailsLen {
		p.Key = binary.BigEndian.Uint32(b)
		p.Uploaded = int64(binary.BigEndian.Uint64(b[4:]))
		p.Downloaded = int64(binary.BigEndian.Uint64(b[12:]))
		p.Left = int64(binary.BigEndian.Uint64(b[20:]))
	}
	p.First, p.Last = time.Unix(numberOf(i, sinceName), 0), time.Unix(numberOf(i, latestName), 0)
	return p, true
}

// peerOfAnnounce is what an announce says of its peer.
func peerOfAnnounce(a *swarm.Announce) swarm.Peer {
	return swarm.Peer{
		ID: a.PeerID, Addr: a.Addr(), Key: a.Key, Kind: a.Kind(),
		Uploaded: a.Uploaded, Downloaded: a.Downloaded, Left: a.Left, First: a.Now, Last: a.Now,
	}
}

// where is where a peer lies.
type where struct {
	infoHash bittorrent.InfoHash
	hash     uint64
	addr     netip.AddrPort
}

func (s *Store) where(h bittorrent.InfoHash, addr netip.AddrPort) where {
	return where{h, s.hasher.of(h, addr), addr}
}

func (w *where) in(shard int) item { return key(peersOf(w.infoHash, shard), placeOf(w.hash, w.addr)) }

// was is what a peer was before a change.
type was struct {
	there bool
	kind  swarm.Kind
}

func wasOf(o []byte) was {
	kind, ok := kindOfOrder(o)
	return was{ok, kind}
}

// to are the changes of counts where a peer of an address was something and is something.
func (w was) to(is was, addr netip.AddrPort) (delta counts) {
	if w.there {
		delta.add(w.kind, groupOf(w.kind, addr), -1)
	}
	if is.there {
		delta.add(is.kind, groupOf(is.kind, addr), 1)
	}
	return delta
}

// Conditions under which a peer is written.
const (
	always     = notDone
	ifThere    = "attribute_exists(n) AND n <> :n"
	ifNotNewer = "(attribute_not_exists(t) OR t < :t) AND " + notDone
)

// putPeer writes a peer into a shard under a condition, and returns what it was. written
// is false where the condition does not hold. Where the answer to an attempt was lost, and
// another announce of the peer came before the next one, what it was is not known: then
// the shard is looked at later.
func (s *Store) putPeer(ctx context.Context, w where, shard int, p *swarm.Peer, condition string) (old was, written bool, t tried, err error) {
	mine := nonce()
	in := &dynamodb.UpdateItemInput{
		Key:                 w.in(shard),
		UpdateExpression:    ref("SET o = :o, v = :v, b = :b, t = :t, x = :x, n = :n, f = if_not_exists(f, :f), q = if_not_exists(o, :none)"),
		ConditionExpression: &condition,
		ExpressionAttributeValues: item{
			":o": binaryValue(orderOf(p.Kind, w.hash, w.addr)), ":v": binaryValue(p.ID[:]), ":b": binaryValue(detailsOf(p)),
			":t": numberValue(p.Last.Unix()), ":f": numberValue(p.First.Unix()), ":x": numberValue(p.Last.Add(kept).Unix()),
			":n": binaryValue(mine), ":none": binaryValue([]byte{0}),
		},
		ReturnValues: types.ReturnValueUpdatedOld,
	}
	attributes, t, err := s.server.update(ctx, in)
	refused := isCondition(err)
	if refused && t.unknown > 0 { // did an attempt before do it?
		var now item
		if now, err = s.server.get(ctx, in.Key); err == nil && string(bytesOf(now, nonceName)) == string(mine) {
			return wasOf(bytesOf(now, previousName)), true, t, nil
		}
		refused = err == nil
	}
	s.doubts.addIf(headKey{w.infoHash, uint8(shard)}, t)
	if refused {
		done := condition == always // it is refused only where it was done
		return was{done, p.Kind}, done, t, nil
	}
	return wasOf(bytesOf(attributes, order)), err == nil, t, err
}

// removePeer takes a peer out of a shard, and returns what it was.
func (s *Store) removePeer(ctx context.Context, w where, shard int) (was, error) {
	old, _, err := s.removeIf(ctx, w, shard, nil, nil)
	return old, err
}

// removeIf takes a peer out of a shard under a condition, if there is one, and returns what
// it was, and whether the condition held.
func (s *Store) removeIf(ctx context.Context, w where, shard int, condition *string, values item) (old was, held bool, err error) {
	i, t, err := s.server.remove(ctx, &dynamodb.DeleteItemInput{
		Key: w.in(shard), ConditionExpression: condition, ExpressionAttributeValues: values,
	})
	held = err == nil
	if isCondition(err) {
		err = nil
	}
	if k := (headKey{w.infoHash, uint8(shard)}); err == nil && i == nil && t.unknown > 0 {
		s.suspect(ctx, k) // an attempt before may have done it, and cannot say what it was
	} else {
		s.doubts.addIf(k, t)
	}
	return wasOf(bytesOf(i, order)), held, err
}
