package dynamodb

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"waggle/bittorrent"
	"waggle/swarm"
)

// What the partition of a log has; the first byte of the sort key says.
const (
	mapHead = 'h' // up to where the log is folded, and into what
	mapLog  = 'l' // then a number of eight bytes: one step
	mapBlob = 'b' // then eight random bytes and a number of two: a part of what is too long for an item
)

// Attributes of items of a log beside their nonce, and of its head.
const (
	valueName  = "b" // the payload
	blobName   = "i" // or where the parts of it are
	partsName  = "a" // and how many they are
	sizeName   = "e" // of all payloads up to this one
	commitName = "c" // there: the step has a commit
	foldedName = "u" // of the head: the last number that is folded
	foldedAt   = "j" // the last number of those with a commit
	foldedSize = "d" // bytes of the snapshot
	earlier    = "q" // the snapshot before this one
	earlierLen = "y" // of how many parts it is
	earlierEnd = "r" // and up to where it went
)

func mapOf(h bittorrent.InfoHash) []byte { return append([]byte{mapPartition}, h[:]...) }

func mapHeadKey(h bittorrent.InfoHash) item { return key(mapOf(h), []byte{mapHead}) }

func (m *sharedMap) logKey(h bittorrent.InfoHash, number uint64) item {
	return key(mapOf(h), logPlace(number))
}

func logPlace(number uint64) []byte { return binary.BigEndian.AppendUint64([]byte{mapLog}, number) }

func blobPlace(id []byte, part int) []byte {
	b := append([]byte{mapBlob}, id...)
	return binary.BigEndian.AppendUint16(b, uint16(part))
}

// mostInline is the most bytes of a payload that lie in its item: items have at most
// 400 KB. Parts of longer ones have as many.
const mostInline = 300 << 10

// attach gives an item its payload, or writes it beside and says where. With an error
// nothing is left beside.
func (m *sharedMap) attach(ctx context.Context, h bittorrent.InfoHash, i item, value []byte) error {
	if len(value) <= mostInline {
		i[valueName] = binaryValue(value)
		return nil
	}
	id := nonce()
	parts := 0
	for ; len(value) > 0; parts++ {
		n := min(len(value), mostInline)
		part := key(mapOf(h), blobPlace(id, parts))
		part[valueName] = binaryValue(value[:n])
		if _, err := m.server.put(ctx, &dynamodb.PutItemInput{Item: part}); err != nil {
			m.dropBlob(ctx, h, id, parts+1) // this one may have been written
			return err
		}
		value = value[n:]
	}
	i[blobName], i[partsName] = binaryValue(id), numberValue(parts)
	return nil
}

// mostParts bounds what a payload is read and deleted by; it is 5 GB.
const mostParts = 1 << 14

func partsOf(i item, name string) int { return int(min(numberOf(i, name), mostParts)) }

// errGone says that a part was deleted meanwhile: what names it is old.
var errGone = errors.New("a part of a snapshot is gone")

// attached returns the payload of an item.
func (m *sharedMap) attached(ctx context.Context, h bittorrent.InfoHash, i item) (payload, error) {
	value := bytesOf(i, valueName)
	if parts := partsOf(i, partsName); parts > 0 {
		value = nil
		err := m.between(ctx, h, blobPlace(bytesOf(i, blobName), 0), blobPlace(bytesOf(i, blobName), parts-1), func(some []item) error {
			for _, part := range some {
				value = append(value, bytesOf(part, valueName)...)
				parts--
			}
			return nil
		})
		if err == nil && parts != 0 {
			err = errGone
		}
		if err != nil {
			return payload{}, err
		}
	}
	return decodePayload(value)
}

// between shows items of a log's partition, as they are now.
func (m *sharedMap) between(ctx context.Context, h bittorrent.InfoHash, from, to []byte, see func([]item) error) error {
	return m.server.pages(ctx, &dynamodb.QueryInput{
		KeyConditionExpression:    ref("p = :p AND s BETWEEN :from AND :to"),
		ExpressionAttributeValues: item{":p": binaryValue(mapOf(h)), ":from": binaryValue(from), ":to": binaryValue(to)},
		ConsistentRead:            ref(true),
	}, see)
}

// follow shows the steps after a position, which it moves on. Where there are none it is
// the position of now: one that came after the last look would be there still.
func (m *sharedMap) follow(ctx context.Context, h bittorrent.InfoHash, at *position, see func(*payload)) error {
	began := m.now().Unix()
	err := m.between(ctx, h, logPlace(at.number+1), logPlace(1<<63), func(some []item) error {
		for _, i := range some {
			number, ok := numberOfPlace(bytesOf(i, place))
			if !ok || number != at.number+1 {
				return errGone
			}
			if err := m.take(ctx, h, i, at, see); err != nil {
				return err
			}
			at.number = number
		}
		return nil
	})
	if err == nil {
		at.at = began
	}
	return err
}

// take shows a step, and adds it to a position.
func (m *sharedMap) take(ctx context.Context, h bittorrent.InfoHash, i item, at *position, see func(*payload)) error {
	p, err := m.attached(ctx, h, i)
	if err != nil {
		return err
	}
	at.size = uint64(numberOf(i, sizeName))
	if i[commitName] != nil {
		at.commits, _ = numberOfPlace(bytesOf(i, place))
	}
	see(&p)
	return nil
}

func numberOfPlace(s []byte) (number uint64, ok bool) {
	if len(s) != 9 || s[0] != mapLog {
		return 0, false
	}
	return binary.BigEndian.Uint64(s[1:]), true
}

// readNews adds what others wrote to the answer.
func (s *step) readNews(ctx context.Context) error {
	at := s.at
	err := s.follow(ctx, s.update.InfoHash, &at, func(p *payload) {
		s.news = true
		s.answer.Announced = append(s.answer.Announced, p.announced...)
		s.answer.Records = append(s.answer.Records, p.records...)
	})
	if errors.Is(err, errGone) { // what is known is older than all that is kept
		return s.readAll(ctx)
	}
	s.at = at
	return err
}

// loads is how often reading all begins again where a snapshot is replaced meanwhile.
const loads = 4

// readAll makes the answer all that there is.
func (s *step) readAll(ctx context.Context) error {
	all, at, err := s.load(ctx, s.update.InfoHash)
	if err != nil {
		return err
	}
	s.at = at
	s.answer.Whole = true
	s.answer.Announced = entriesOf(s.answer.Announced[:0], all[0])
	s.answer.Records = entriesOf(s.answer.Records[:0], all[1])
	return nil
}

// load reads the snapshot, and what followed it.
func (m *sharedMap) load(ctx context.Context, h bittorrent.InfoHash) (all state, at position, err error) {
	for range loads {
		var i item
		if i, err = m.server.get(ctx, mapHeadKey(h)); err != nil {
			return all, at, err
		}
		all, at, err = m.loadFrom(ctx, h, i)
		if !errors.Is(err, errGone) {
			return all, at, err
		}
	}
	return all, at, swarm.ErrBusy
}

// loadFrom reads what there is, beginning with the head. Where it is not there, nothing
// was folded yet; or what was, was empty, and forgotten: then the log begins anywhere.
func (m *sharedMap) loadFrom(ctx context.Context, h bittorrent.InfoHash, i item) (all state, at position, err error) {
	all = newState()
	at.at = m.now().Unix()
	if len(i) == 0 {
		at.number, err = m.beginning(ctx, h)
	} else {
		var p payload
		p, err = m.attached(ctx, h, i)
		all.apply(&p)
		at.number, at.commits, at.size = uint64(numberOf(i, foldedName)), uint64(numberOf(i, foldedAt)), uint64(numberOf(i, sizeName))
	}
	if err != nil {
		return all, at, err
	}
	err = m.follow(ctx, h, &at, all.apply)
	return all, at, err
}

// beginning returns the number before the first item of a log.
func (m *sharedMap) beginning(ctx context.Context, h bittorrent.InfoHash) (number uint64, err error) {
	_, err = wholeUnless(m.server.pages(ctx, &dynamodb.QueryInput{
		KeyConditionExpression:    ref("p = :p AND s >= :from"),
		ProjectionExpression:      ref("s"),
		ExpressionAttributeValues: item{":p": binaryValue(mapOf(h)), ":from": binaryValue(logPlace(0))},
		ConsistentRead:            ref(true),
		Limit:                     ref(int32(1)),
	}, func(first []item) error {
		n, ok := numberOfPlace(bytesOf(first[0], place))
		if !ok || n == 0 {
			return errPayload
		}
		number = n - 1
		return stopped{}
	}))
	return number, err
}
