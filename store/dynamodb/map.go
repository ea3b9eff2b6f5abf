package dynamodb

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"waggle/store/shared"
	"waggle/swarm"
)

// sharedMap is the [shared.Map] of a table: a log for each torrent. A step of a tracker is
// one item, whose number nobody has used, and holds what was announced and what was
// committed; so a commit is whole or not there. Who knows the log up to a number reads
// what follows. Now and then the log is folded into a snapshot, for those who know nothing.
//
// A step that finds its number taken reads what others wrote, which may refuse its commit,
// and takes the next one. Where nobody else writes, a step is one write and no read.
type sharedMap struct{ *Store }

// knownFor is how long what a tracker knows of a log is good for: after that it is told
// all. Items of the log are kept for longer, so that whoever takes the number after the
// last one that it knows can be sure that nobody had it. Clocks that are wrong by as much
// cannot break that: the service takes no request from such a tracker.
const (
	knownFor = 10 * time.Minute
	keptFor  = time.Hour
)

// position is how much of a log is known.
type position struct {
	number  uint64 // of the last item; 0: there is none
	commits uint64 // number of the last item with a commit
	size    uint64 // bytes of all items up to it
	at      int64  // when that was so, in Unix seconds
}

const positionLen = 4 * 8

func (p *position) version() shared.Version {
	v := binary.BigEndian.AppendUint64(make([]byte, 0, positionLen), p.number)
	v = binary.BigEndian.AppendUint64(v, p.commits)
	v = binary.BigEndian.AppendUint64(v, p.size)
	return binary.BigEndian.AppendUint64(v, uint64(p.at))
}

// positionOf reads a version; false: there is none, or it is too old.
func positionOf(v shared.Version, now time.Time) (p position, ok bool) {
	if len(v) != positionLen {
		return p, false
	}
	p.number, p.commits, p.size = binary.BigEndian.Uint64(v), binary.BigEndian.Uint64(v[8:]), binary.BigEndian.Uint64(v[16:])
	p.at = int64(binary.BigEndian.Uint64(v[24:]))
	return p, now.Unix()-p.at < int64(knownFor/time.Second)
}

// Update is documented at [shared.Map].
func (m *sharedMap) Update(ctx context.Context, u *shared.Update, answer *shared.Answer) error {
	ctx, cancel := context.WithTimeout(ctx, m.server.patience)
	defer cancel()
	s := &step{sharedMap: m, update: u, answer: answer}
	err := s.run(ctx)
	if err == nil && s.wrote && s.at.number%foldEvery == 0 {
		m.fold(u.InfoHash, s.at)
	}
	return err
}

// step is one Update.
type step struct {
	*sharedMap
	update *shared.Update
	answer *shared.Answer
	at     position
	knew   uint64 // the last commit that the tracker knew of
	wrote  bool
	news   bool // the answer has what others wrote
}

func (s *step) run(ctx context.Context) error {
	*s.answer = shared.Answer{Announced: s.answer.Announced[:0], Records: s.answer.Records[:0]}
	var known bool
	s.at, known = positionOf(s.update.Known, s.now())
	writes := len(s.update.Announced)+len(s.update.Commit) > 0
	var err error
	switch s.knew = s.at.commits; {
	case !known:
		err = s.readAll(ctx)
	case !writes:
		err = s.readNews(ctx)
	}
	if err != nil {
		return err
	}
	if writes {
		if err := s.write(ctx); err != nil {
			return err
		}
	}
	s.answer.Version = s.at.version()
	return nil
}

// Waits between attempts to be the next one of a log, as between those of requests.
const (
	firstTurn   = 5 * time.Millisecond
	longestTurn = 200 * time.Millisecond
)

// write appends what is to be written, after all that others have.
func (s *step) write(ctx context.Context) error {
	mine := nonce()
	for pause := firstTurn; ; pause = min(2*pause, longestTurn) {
		entry := payload{announced: s.update.Announced}
		if s.answer.Conflict = len(s.update.Commit) > 0 && s.knew != s.at.commits; !s.answer.Conflict {
			entry.records = s.update.Commit
		}
		if entry.empty() {
			return nil
		}
		done, err := s.append(ctx, &entry, mine)
		if err != nil {
			return err
		}
		if done {
			s.tell(&entry)
			return nil
		}
		before := s.at.number
		if err := s.readNews(ctx); err != nil {
			return err
		}
		if s.at.number == before {
			return errLost // the number is taken, and nobody has it
		}
		if !sleep(ctx, rand.N(pause)) {
			return swarm.ErrBusy
		}
	}
}

// errLost has a tracker that knows a log which is not there any more begin anew.
var errLost = errors.New("what located peers of a torrent share was lost, or restored from a backup: it is read anew")

// tell adds what was written to an answer that would have older values otherwise.
func (s *step) tell(entry *payload) {
	if s.news || s.answer.Whole {
		s.answer.Announced = append(s.answer.Announced, entry.announced...)
		s.answer.Records = append(s.answer.Records, entry.records...)
	}
}

// append writes an item after the last one that is known; false: somebody else did.
func (s *step) append(ctx context.Context, entry *payload, mine []byte) (bool, error) {
	value := entry.encode()
	size := uint64(len(value))
	i := s.logKey(s.update.InfoHash, s.at.number+1)
	i[nonceName], i[latestName], i[sizeName] = binaryValue(mine), numberValue(s.now().Unix()), numberValue(int64(s.at.size+size))
	if len(entry.records) > 0 {
		i[commitName] = numberValue(1)
	}
	if err := s.attach(ctx, s.update.InfoHash, i, value); err != nil {
		return false, err
	}
	tried, err := s.server.put(ctx, &dynamodb.PutItemInput{Item: i, ConditionExpression: ref("attribute_not_exists(p)")})
	if isCondition(err) {
		there := item{}
		if tried.unknown > 0 { // did an attempt before do it?
			if there, err = s.server.get(ctx, s.logKey(s.update.InfoHash, s.at.number+1)); err != nil {
				return false, err
			}
		}
		if string(bytesOf(there, nonceName)) != string(mine) {
			s.dropBlob(ctx, s.update.InfoHash, bytesOf(i, blobName), partsOf(i, partsName))
			return false, nil
		}
	} else if err != nil {
		return false, err
	}
	s.at.number++
	s.at.at = s.now().Unix()
	s.at.size += size
	if s.wrote = true; len(entry.records) > 0 {
		s.at.commits = s.at.number
	}
	return true, nil
}
