package dynamodb

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"waggle/bittorrent"
)

// foldEvery is after how many steps somebody looks whether the log is to be folded. It is
// then, if what follows the snapshot is as long as the snapshot itself, or more than some:
// so each byte that was announced is written about twice more, however large the swarm is.
const (
	foldEvery = 64
	foldBytes = 32 << 10 // less is not worth it
	foldSteps = 1024     // more are too many to read
)

// fold writes a snapshot of a log, if it is time for it. It does no harm where it fails,
// or several trackers do it at once: only one of them succeeds.
func (m *sharedMap) fold(ctx context.Context, h bittorrent.InfoHash, at position) {
	ctx, cancel := context.WithTimeout(ctx, m.server.patience)
	defer cancel()
	i, err := m.server.get(ctx, mapHeadKey(h))
	if err == nil && timeToFold(i, at) {
		err = m.foldFrom(ctx, h, i)
	}
	if err != nil {
		m.log.Warn("what located peers of a torrent share could not be folded into a snapshot", "torrent", h, "error", err)
	}
}

func timeToFold(i item, at position) bool {
	steps := at.number - min(uint64(numberOf(i, foldedName)), at.number)
	bytes := int64(at.size) - numberOf(i, sizeName)
	return steps >= foldSteps || bytes >= max(foldBytes, numberOf(i, foldedSize))
}

func (m *sharedMap) foldFrom(ctx context.Context, h bittorrent.InfoHash, old item) error {
	all, at, err := m.loadFrom(ctx, h, old)
	if err != nil {
		return err
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
		return err
	}
	in := &dynamodb.PutItemInput{Item: made, ConditionExpression: ref("attribute_not_exists(p)")}
	if len(old) > 0 {
		in.ConditionExpression, in.ExpressionAttributeValues = ref("u = :u"), item{":u": old[foldedName]}
	}
	if _, err := m.server.put(ctx, in); err != nil {
		m.dropBlob(ctx, h, bytesOf(made, blobName), partsOf(made, partsName))
		if isCondition(err) {
			return nil
		}
		return err
	}
	return m.clear(ctx, h, old)
}

// clear deletes what the snapshot before this one had replaced: nobody has read it since
// then who is reading still.
func (m *sharedMap) clear(ctx context.Context, h bittorrent.InfoHash, old item) error {
	m.dropBlob(ctx, h, bytesOf(old, earlier), partsOf(old, earlierLen))
	end := numberOf(old, earlierEnd)
	if end == 0 {
		return nil
	}
	before := m.now().Add(-keptFor).Unix()
	_, err := wholeUnless(m.between(ctx, h, logPlace(0), logPlace(uint64(end)), func(some []item) error {
		for _, i := range some {
			if numberOf(i, latestName) >= before {
				return stopped{}
			}
			m.dropBlob(ctx, h, bytesOf(i, blobName), partsOf(i, partsName))
			if _, _, err := m.server.remove(ctx, &dynamodb.DeleteItemInput{Key: item{partition: i[partition], place: i[place]}}); err != nil {
				return err
			}
		}
		return nil
	}))
	return err
}

// dropBlob deletes the parts of a payload. What it leaves is garbage, and nothing else.
func (m *sharedMap) dropBlob(ctx context.Context, h bittorrent.InfoHash, id []byte, parts int) {
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
		for _, i := range some {
			if s := bytesOf(i, place); len(s) == 1 {
				continue // the head
			}
			if _, _, err := m.server.remove(ctx, &dynamodb.DeleteItemInput{Key: item{partition: i[partition], place: i[place]}}); err != nil {
				return err
			}
		}
		return nil
	})
}
