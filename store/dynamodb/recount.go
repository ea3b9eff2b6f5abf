package dynamodb

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/dchest/siphash"

	"waggle/swarm"
)

// census is what a purge saw of the peers that stay.
type census struct {
	counts counts
	digest uint64 // of who they are, and what
	oldest int64  // last announce; 0: there are none
}

func (c *census) see(i item, p *swarm.Peer) {
	c.counts.add(p.Kind, groupOf(p.Kind, p.Addr), 1)
	c.digest = siphash.Hash(c.digest, uint64(p.Kind), bytesOf(i, place))
	if last := p.Last.Unix(); c.oldest == 0 || last < c.oldest {
		c.oldest = last
	}
}

// repairAfter is how long the same difference between peers and counts must stand before
// the counts are put right: far longer than between the two writes of an announce.
const repairAfter = 30 * time.Second

// look is what a purge saw that did not agree with the counts: their version, the digest
// of the peers, and when.
func (c *census) look(version int64, now time.Time) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(version))
	b = binary.BigEndian.AppendUint64(b, c.digest)
	return binary.BigEndian.AppendUint64(b, uint64(now.Unix()))
}

const lookLen = 24

// stands reports whether a look of some time ago was the same.
func (c *census) stands(look []byte, version int64, now time.Time) bool {
	return len(look) == lookLen && string(look[:16]) == string(c.look(version, now)[:16]) &&
		now.Unix()-int64(binary.BigEndian.Uint64(look[16:])) >= int64(repairAfter/time.Second)
}

// conclude compares the counts with the peers, and writes down from when on the shard must
// be looked at again. now is the head as it is after the purge.
//
// Where a tracker died between writing a peer and counting it, the counts differ for good.
// Between both writes of one that lives they differ as well. So what differs is put right
// only where neither the peers nor the counts have changed for longer than any announce
// takes, and only if no count comes between: each has a version of its own.
func (p *purge) conclude(ctx context.Context, now *head) error {
	changes := now.version - p.head.version
	if own := !p.removed.none(); p.strays > 0 || own && changes != 1 || !own && changes != 0 {
		return p.next(ctx, now) // others have changed something meanwhile: it is no time to compare
	}
	counted := now.counts
	counted.completed = 0
	switch {
	case p.left.counts == counted && (now.none() || p.givesUp && now.empty()) && p.left.oldest == 0:
		return p.forget(ctx, now)
	case p.left.counts == counted:
		return p.next(ctx, now)
	case p.left.stands(now.look, now.version, p.now()):
		return p.repair(ctx, now)
	}
	return p.remember(ctx, now)
}

// ifVersion is a condition on the version of a head.
func (h *head) ifVersion(values item) string {
	if h.version == 0 {
		return "attribute_not_exists(w)"
	}
	values[":w"] = numberValue(h.version)
	return "w = :w"
}

// change changes the head if the condition holds, and reports whether it did.
func (p *purge) change(ctx context.Context, expression, condition string, values item) (done bool, err error) {
	if len(values) == 0 {
		values = nil
	}
	_, _, err = p.server.update(ctx, &dynamodb.UpdateItemInput{
		Key: p.headItem(p.key), UpdateExpression: &expression, ConditionExpression: &condition, ExpressionAttributeValues: values,
	})
	if isCondition(err) {
		return false, nil
	}
	return err == nil, err
}

// next writes down before which time no peer of the shard announced last.
func (p *purge) next(ctx context.Context, now *head) error {
	if p.left.oldest == now.oldest && !now.suspected {
		return nil
	}
	condition, values := "attribute_not_exists(t)", item{}
	if now.bounded {
		condition, values[":seen"] = "t = :seen", numberValue(now.oldest)
	}
	expression := "REMOVE t, k"
	if p.left.oldest != 0 {
		expression, values[":t"] = "SET t = :t REMOVE k", numberValue(p.left.oldest)
	}
	_, err := p.change(ctx, expression, condition, values)
	return err
}

// remember writes down what was seen, to be compared next time, unless the counts have
// changed meanwhile: then there is nothing to compare.
func (p *purge) remember(ctx context.Context, now *head) error {
	values := item{":t": numberValue(0), ":k": binaryValue(p.left.look(now.version, p.now()))}
	if len(now.look) == lookLen && string(now.look[:16]) == string(p.left.look(now.version, p.now())[:16]) {
		return nil // it was seen already, not long enough ago
	}
	done, err := p.change(ctx, "SET t = :t, k = :k", now.ifVersion(values), values)
	if err != nil || done {
		return err
	}
	return p.next(ctx, now)
}

// repair makes the counts those of the peers.
func (p *purge) repair(ctx context.Context, now *head) error {
	values := item{":t": numberValue(p.left.oldest), ":one": numberValue(1), ":now": numberValue(p.now().UnixNano())}
	expression := "SET w = if_not_exists(w, :now) + :one, t = :t"
	for kind := range countNames {
		for family, name := range countNames[kind] {
			values[":"+name] = numberValue(p.left.counts.peers[kind][family])
			expression += ", " + name + " = :" + name
		}
	}
	p.log.Warn("the counts of a torrent are put right: a tracker had died, or not heard an answer, between writing a peer and counting it",
		"torrent", p.key.hash, "shard", p.key.shard, "counted", now.all(), "peers", p.left.counts.all())
	_, err := p.change(ctx, expression+" REMOVE k", now.ifVersion(values), values)
	p.cache.forget(p.key.hash)
	return err
}

// forget deletes the head of a torrent that nothing is left of, or that is given up. One
// that has several shards, or others' heads, stays: trackers may still think that it has
// them. So does that of located peers whose log is not old.
func (p *purge) forget(ctx context.Context, now *head) error {
	if p.shards > 1 {
		return p.next(ctx, now)
	}
	if now.located {
		idle, err := p.shared.forgetLog(ctx, p.key.hash)
		if err == nil && !idle && p.givesUp {
			p.forgot, err = p.dropCompleted(ctx, p.key, now)
		}
		if err != nil || !idle {
			return err
		}
	}
	values := item{}
	condition := now.ifVersion(values)
	if len(values) == 0 {
		values = nil
	}
	_, _, err := p.server.remove(ctx, &dynamodb.DeleteItemInput{
		Key: p.headItem(p.key), ConditionExpression: &condition, ExpressionAttributeValues: values,
	})
	if isCondition(err) {
		return nil
	}
	p.forgot = err == nil
	p.cache.forget(p.key.hash)
	return err
}
