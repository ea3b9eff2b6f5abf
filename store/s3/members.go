package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"waggle/store/octets"
	"waggle/store/shared"
)

// members is what a [shared.Map] has of one torrent. It is never changed, but cloned.
type members struct {
	birth   uint64 // drawn when the object was written first; 0: there is none
	seq     uint64 // of the last change
	commits uint64 // so far
	last    uint64 // drawn for the last commit: whoever made it knows it again
	since   uint64 // of the last change that was forgotten: a value that was removed
	values  []value
}

// value is what a peer announced, or its record; and for a while that it was removed.
type value struct {
	record bool
	gone   bool
	at     place
	seq    uint64 // of the change that made it what it is
	bytes  []byte
}

func (v *value) compare(w *value) int {
	if v.record != w.record {
		if v.record {
			return 1
		}
		return -1
	}
	return v.at.compare(&w.at)
}

func (m *members) clone() *members {
	c := *m
	c.values = slices.Clone(m.values)
	return &c
}

// blank reports whether the object need not be there: nothing is in it.
func (m *members) blank() bool { return m.live() == 0 }

func (m *members) live() (n int) {
	for i := range m.values {
		if !m.values[i].gone {
			n++
		}
	}
	return n
}

func (m *members) weight() (bytes int) {
	const one = 96
	for i := range m.values {
		bytes += one + len(m.values[i].bytes)
	}
	return bytes
}

// put writes values of a kind, and keeps them.
func (m *members) put(record bool, entries []shared.Entry) {
	for i := range entries {
		v := value{record: record, gone: entries[i].Value == nil, at: placeOf(entries[i].Peer), bytes: entries[i].Value}
		at, has := slices.BinarySearchFunc(m.values, &v, func(a value, b *value) int { return a.compare(b) })
		if v.gone && (!has || m.values[at].gone) {
			continue
		}
		m.seq++
		v.seq = m.seq
		if has {
			m.values[at] = v
		} else {
			m.values = slices.Insert(m.values, at, v)
		}
	}
}

// keptGone is how many removed values are remembered at least, beside as many as there
// are others.
const keptGone = 1024

// trim forgets the removed values that have been so for longest, where there are too
// many, or nothing else is left.
func (m *members) trim() {
	live := m.live()
	gone := len(m.values) - live
	if live == 0 {
		m.since, m.values = m.seq, nil
		return
	}
	if gone <= 2*(keptGone+live) {
		return
	}
	var seqs []uint64
	for i := range m.values {
		if m.values[i].gone {
			seqs = append(seqs, m.values[i].seq)
		}
	}
	slices.Sort(seqs)
	m.since = seqs[len(seqs)-keptGone-live-1]
	m.values = slices.DeleteFunc(m.values, func(v value) bool { return v.gone && v.seq <= m.since })
}

// version is a [shared.Version].
type version struct{ birth, seq, commits uint64 }

func (v version) encode() shared.Version {
	b := binary.BigEndian.AppendUint64(nil, v.birth)
	b = binary.BigEndian.AppendUint64(b, v.seq)
	return binary.BigEndian.AppendUint64(b, v.commits)
}

func readVersion(b shared.Version) (v version, err error) {
	const size = 24
	if len(b) != size {
		return v, fmt.Errorf("a version of %d bytes is none of this store's", len(b))
	}
	return version{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(b[16:])}, nil
}

// peerMap is the map of located peers: an object for each torrent.
type peerMap struct{ s *Store }

// Map returns the map of located peers, which package shared keeps.
func (s *Store) Map() shared.Map { return &peerMap{s} }

// step is an update on its way into an object.
type step struct {
	u       *shared.Update
	known   version
	knows   bool
	id      uint64 // drawn for its commit
	refused bool   // the commit was, as it turned out
}

// Update is documented at [shared.Map]. It is a read where nothing is written, which
// costs little if nothing is new, and else a write, with the updates that wait for it.
func (p *peerMap) Update(ctx context.Context, u *shared.Update, answer *shared.Answer) (err error) {
	st := &step{u: u, knows: u.Known != nil, id: randomNumber()}
	if err := st.check(); err != nil {
		return err
	}
	if st.knows {
		if st.known, err = readVersion(u.Known); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := p.s.server.health.Check(); err != nil {
		return err
	}
	st.u = &shared.Update{InfoHash: u.InfoHash, Announced: cloned(u.Announced), Commit: cloned(u.Commit)} // it may be written after ctx ended
	m, err := p.s.places.change(ctx, placesKey(u.InfoHash), st.apply)
	if err != nil {
		return err
	}
	st.fill(m, answer)
	return nil
}

func cloned(entries []shared.Entry) []shared.Entry {
	own := slices.Clone(entries)
	for i := range own {
		own[i].Value = bytes.Clone(own[i].Value)
	}
	return own
}

func randomNumber() uint64 {
	var b [8]byte
	for {
		_, _ = rand.Read(b[:]) // it never fails
		if n := binary.BigEndian.Uint64(b[:]); n != 0 {
			return n
		}
	}
}

func (st *step) check() error {
	if len(st.u.Announced) > shared.MaxCommit || len(st.u.Commit) > shared.MaxCommit || len(st.u.Commit) > 0 && !st.knows {
		return fmt.Errorf("s3: a step of %d values and %d records for %v", len(st.u.Announced), len(st.u.Commit), st.u.InfoHash)
	}
	for _, entries := range [...][]shared.Entry{st.u.Announced, st.u.Commit} {
		for i := range entries {
			if len(entries[i].Value) > shared.MaxValue || !entries[i].Peer.IsValid() {
				return fmt.Errorf("s3: a value of %d bytes of %v", len(entries[i].Value), entries[i].Peer)
			}
		}
	}
	return nil
}

// apply is documented at [change].
func (st *step) apply(m *members) bool {
	before, commits := m.seq, m.commits
	if m.birth == 0 && len(st.u.Announced)+len(st.u.Commit) > 0 {
		m.birth = st.id
	}
	m.put(false, st.u.Announced)
	st.refused = false
	if len(st.u.Commit) > 0 {
		switch {
		case m.last == st.id: // it was written, and the answer was lost
		case !st.sameBirth(m) || st.known.commits != m.commits:
			st.refused = true
		default:
			m.commits++
			m.last = st.id
			m.put(true, st.u.Commit)
		}
	}
	m.trim()
	return m.seq != before || m.commits != commits
}

// sameBirth reports whether what is known is of this object. That there was none is
// known of the next one, too.
func (st *step) sameBirth(m *members) bool {
	return st.known.birth == m.birth || st.known.birth == 0
}

// fill fills in an answer.
func (st *step) fill(m *members, answer *shared.Answer) {
	*answer = shared.Answer{
		Version: version{m.birth, m.seq, m.commits}.encode(), Conflict: st.refused,
		Announced: answer.Announced[:0], Records: answer.Records[:0],
		Whole: !st.knows || !st.sameBirth(m) || st.known.seq < m.since,
	}
	for i := range m.values {
		v := &m.values[i]
		if answer.Whole && v.gone || !answer.Whole && v.seq <= st.known.seq {
			continue
		}
		e := shared.Entry{Peer: v.at.addr()}
		if !v.gone {
			e.Value = append(make([]byte, 0, len(v.bytes)), v.bytes...)
		}
		if v.record {
			answer.Records = append(answer.Records, e)
		} else {
			answer.Announced = append(answer.Announced, e)
		}
	}
}

// maxMembers is the largest object of located peers in bytes: it is written whole each
// time, so a torrent with more must do without.
const maxMembers = 16 << 20

// ErrTooManyLocated says that a torrent has more located peers than its object can hold.
var ErrTooManyLocated = errors.New("the torrent has more located peers than one object of S3 is let hold: see docs/s3.md, and use another store for so many")

func noMembers(string) (*members, error) { return &members{}, nil }

func (s *Store) storeMembers(ctx context.Context, key string, next *members, was string, _ int) (*members, string, error) {
	body := next.encode()
	if len(body) > maxMembers {
		return nil, "", fmt.Errorf("%w (%d bytes at %s)", ErrTooManyLocated, len(body), key)
	}
	etag, err := s.server.put(ctx, key, body, was)
	return next, etag, err
}

// An object of located peers is, with numbers as varints:
//
//	"wgm", layout 1, flags 1 (none), nonce 8
//	birth 8, last commit 8, number of the last change, of commits, of what is forgotten
//	how many values, and each of them, what was announced before records, in the order of
//	addresses: flags 1, address 16, port 2, number of its change, length, value
const membersMagic = "wgm"

// Flags of a value.
const (
	flagRecord = 1 << iota
	flagGone
	valueFlagsEnd
)

func (m *members) encode() []byte {
	b := begin(membersMagic, 0)
	b = slices.Grow(b, m.weight())
	b = binary.BigEndian.AppendUint64(b, m.birth)
	b = binary.BigEndian.AppendUint64(b, m.last)
	for _, n := range [...]uint64{m.seq, m.commits, m.since, uint64(len(m.values))} {
		b = binary.AppendUvarint(b, n)
	}
	for i := range m.values {
		v := &m.values[i]
		var flags byte
		if v.record {
			flags |= flagRecord
		}
		if v.gone {
			flags |= flagGone
		}
		b = append(append(b, flags), v.at[:]...)
		b = binary.AppendUvarint(b, v.seq)
		b = binary.AppendUvarint(b, uint64(len(v.bytes)))
		b = append(b, v.bytes...)
	}
	return b
}

func decodeMembers(body []byte) (*members, error) {
	flags, rest, err := begun(membersMagic, body)
	if err != nil {
		return nil, err
	}
	r := reading{octets.Reader{B: rest, Failed: flags != 0}}
	m := &members{birth: r.eight(), last: r.eight(), seq: uint64(r.Number()), commits: uint64(r.Number()), since: uint64(r.Number())}
	const smallest = 1 + 18 + 1 + 1
	count := r.Number()
	if r.Failed || m.birth == 0 || count > int64(len(r.B)/smallest) {
		return nil, errDamaged
	}
	m.values = make([]value, count)
	for i := range m.values {
		v := &m.values[i]
		flags := r.Bytes(1)
		if flags == nil || flags[0] >= valueFlagsEnd {
			return nil, errDamaged
		}
		v.record, v.gone = flags[0]&flagRecord != 0, flags[0]&flagGone != 0
		copy(v.at[:], r.Bytes(len(v.at)))
		v.seq = uint64(r.Number())
		v.bytes = bytes.Clone(r.Bytes(int(min(r.Number(), math.MaxInt32))))
		if r.Failed || v.seq > m.seq || len(v.bytes) > shared.MaxValue || v.gone && len(v.bytes) > 0 || i > 0 && m.values[i-1].compare(v) >= 0 {
			return nil, errDamaged
		}
	}
	if len(r.B) > 0 {
		return nil, errDamaged
	}
	return m, nil
}

func (r *reading) eight() uint64 {
	if b := r.Bytes(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}
