package dynamodb

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"golang.org/x/sync/errgroup"

	"waggle/bittorrent"
)

// foldEvery is after how many steps somebody looks whether the log is to be folded. It is
// then, if what follows the snapshot is as long as the snapshot itself, or more than some:
// so each byte that was announced is written about twice more, however large the swarm is.
// foldTime bounds how long that takes: a partition takes about 1 MB a second.
const (
	foldEvery = 64
	foldBytes = 32 << 10 // less is not worth it
	stepBytes = 100      // of a step beside its payload
	foldTime  = 30 * time.Second
)

// fold writes a snapshot of a log, if it is time for it, and deletes some of what nobody
// needs any more. It does no harm where it fails, or several trackers do it at once: only
// one of them succeeds.
func (m *sharedMap) fold(h bittorrent.InfoHash, at position) {
	ctx, cancel := context.WithTimeout(m.life, foldTime)
	defer cancel()
	i, err := m.server.get(ctx, mapHeadKey(h))
	if err == nil && timeToFold(i, at) {
		i, err = m.foldFrom(ctx, h, i)
	}
	if err == nil {
		err = m.clear(ctx, h, i)
	}
	if err != nil && m.life.Err() == nil {
		m.log.Warn("what located peers of a torrent share could not be folded into a snapshot", "torrent", h, "error", err)
	}
}

func timeToFold(i item, at position) bool {
	steps := at.number - min(uint64(numberOf(i, foldedName)), at.number)
	bytes := int64(at.size) - numberOf(i, sizeName) + stepBytes*int64(steps)
	return bytes >= max(foldBytes, numberOf(i, foldedSize))
}

// foldFrom replaces a snapshot, and returns the new one; nil: somebody else did.
func (m *sharedMap) foldFrom(ctx context.Context, h bittorrent.InfoHash, old item) (item, error) {
	all, at, err := m.loadFrom(ctx, h, old)
	if err != nil {
		return nil, err
	}
	p := all.payload()
	value := p.encode()
	made := mapHeadKey(h)
	made[foldedName], made[foldedAt] = numberValue(int64(at.number)), numberValue(int64(at.commits))
	made[sizeName], made[foldedSize] = numberValue(int64(at.size)), numberValue(len(value))
	if len(old) > 0 {
		made[earlierEnd] = old[foldedName]
		if old[blobName] != nil {
			made[earlier], made[earlierLen] = old[blobName], old[partsName]
		}
	}
	if err := m.attach(ctx, h, made, value); err != nil {
		return nil, err
	}
	in := &dynamodb.PutItemInput{Item: made, ConditionExpression: ref("attribute_not_exists(p)")}
	if len(old) > 0 {
		in.ConditionExpression, in.ExpressionAttributeValues = ref("u = :u"), item{":u": old[foldedName]}
	}
	if tried, err := m.server.put(ctx, in); err != nil {
		if tried.unknown == 0 { // else it may be there
			m.dropBlob(ctx, h, bytesOf(made, blobName), partsOf(made, partsName))
		}
		if isCondition(err) {
			err = nil
		}
		return nil, err
	}
	m.dropBlob(ctx, h, bytesOf(old, earlier), partsOf(old, earlierLen)) // nobody has read it since it was replaced who is reading still
	return made, nil
}

// clearedAtOnce is how many steps are deleted at a time: more than come meanwhile.
const clearedAtOnce = 2 * foldEvery

// clear deletes some of the steps that the snapshot before the last one had, and that
// nobody can rely on.
func (m *sharedMap) clear(ctx context.Context, h bittorrent.InfoHash, snapshot item) error {
	end := numberOf(snapshot, earlierEnd)
	if end == 0 {
		return nil
	}
	old, _, err := m.server.page(ctx, &dynamodb.QueryInput{
		KeyConditionExpression:    ref("p = :p AND s BETWEEN :from AND :to"),
		ProjectionExpression:      ref("p, s, t, i, a"),
		ExpressionAttributeValues: item{":p": binaryValue(mapOf(h)), ":from": binaryValue(logPlace(0)), ":to": binaryValue(logPlace(uint64(end)))},
		Limit:                     ref(int32(clearedAtOnce)),
	})
	if err != nil {
		return err
	}
	before := m.now().Add(-keptFor).Unix()
	for n := range old {
		if numberOf(old[n], latestName) >= before {
			old = old[:n]
			break
		}
	}
	return m.deleteSteps(ctx, h, old)
}

// deleteSteps deletes items of a log, and the parts that they name.
func (m *sharedMap) deleteSteps(ctx context.Context, h bittorrent.InfoHash, some []item) error {
	deleting, ctx := errgroup.WithContext(ctx)
	deleting.SetLimit(removedAtOnce)
	for _, i := range some {
		deleting.Go(func() error {
			m.dropBlob(ctx, h, bytesOf(i, blobName), partsOf(i, partsName))
			_, _, err := m.server.remove(ctx, &dynamodb.DeleteItemInput{Key: item{partition: i[partition], place: i[place]}})
			return err
		})
	}
	return deleting.Wait()
}

// dropBlob deletes the parts of a payload, also where ctx has ended. What it leaves is
// garbage, and nothing else, until the log is forgotten.
func (m *sharedMap) dropBlob(ctx context.Context, h bittorrent.InfoHash, id []byte, parts int) {
	if parts == 0 {
		return
	}
	ctx, cancel := m.bounded(ctx)
	defer cancel()
	for part := range parts {
		if _, _, err := m.server.remove(ctx, &dynamodb.DeleteItemInput{Key: key(mapOf(h), blobPlace(id, part))}); err != nil {
			m.log.Warn("a part of a snapshot could not be deleted", "torrent", h, "error", err)
			return
		}
	}
}

// forgottenFor is after what time the service may delete the head of a log that nobody
// writes to.
const forgottenFor = 30 * 24 * time.Hour

// forgetLog deletes the log of a torrent that has no peers, if nobody has written to it for
// long, and reports whether it did. The head stays, with the number from which
// on whoever comes back goes on: a tracker may still know it.
func (m *sharedMap) forgetLog(ctx context.Context, h bittorrent.InfoHash) (forgotten bool, err error) {
	old, err := m.server.get(ctx, mapHeadKey(h))
	if err != nil {
		return false, err
	}
	_, at, err := m.loadFrom(ctx, h, old)
	if err != nil {
		return false, err
	}
	if at.number == 0 {
		return true, nil
	}
	before := m.now().Add(-keptFor)
	last, err := m.server.get(ctx, m.logKey(h, at.number))
	if err != nil || numberOf(last, latestName) > before.Unix() {
		return false, err
	}
	empty := mapHeadKey(h)
	empty[valueName], empty[foldedSize] = binaryValue((&payload{}).encode()), numberValue(0)
	empty[foldedName], empty[foldedAt], empty[sizeName] = numberValue(int64(at.number)), numberValue(int64(at.commits)), numberValue(int64(at.size))
	empty[expiry] = numberValue(m.now().Add(forgottenFor).Unix())
	in := &dynamodb.PutItemInput{Item: empty, ConditionExpression: ref("attribute_not_exists(p)")}
	if len(old) > 0 {
		in.ConditionExpression, in.ExpressionAttributeValues = ref("u = :u"), item{":u": old[foldedName]}
	}
	if _, err := m.server.put(ctx, in); err != nil {
		if isCondition(err) {
			return false, nil
		}
		return false, err
	}
	return true, m.between(ctx, h, []byte{0}, logPlace(at.number), func(some []item) error {
		some = slices.DeleteFunc(some, func(i item) bool { return len(bytesOf(i, place)) == 1 }) // the head
		return m.deleteSteps(ctx, h, some)
	})
}
