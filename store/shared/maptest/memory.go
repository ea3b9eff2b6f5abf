package maptest

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"waggle/bittorrent"
	"waggle/store/shared"
)

// Memory is a [shared.Map] in the memory of this process. The zero value is empty, and
// may be used by any number of trackers.
type Memory struct {
	// Before is called before a step does anything, where it is not nil. Its error is
	// the step's, of which nothing is written then.
	Before func(context.Context, *shared.Update) error

	// After is called when a step has written and its answer is there. Its error is the
	// step's: the caller does not get the answer.
	After func(context.Context, *shared.Update, *shared.Answer) error

	// Keep is how many changes of a torrent are remembered at least, beyond two for
	// each value: who knows less is told all. 0 means 1,024; negative: none.
	Keep int

	mu       sync.Mutex
	torrents map[bittorrent.InfoHash]*torrent
}

// The kinds of values.
const (
	announced = iota
	records
	kinds
)

type torrent struct {
	seq     uint64 // of the last change
	commits uint64
	values  [kinds]map[netip.AddrPort]stamped
	changes []change // the last ones, in their order
	since   uint64   // of the last change that was forgotten
}

type stamped struct {
	value []byte
	seq   uint64
}

type change struct {
	seq  uint64
	kind int
	peer netip.AddrPort
}

// Update is documented at [shared.Map].
func (m *Memory) Update(ctx context.Context, u *shared.Update, answer *shared.Answer) error {
	if m.Before != nil {
		if err := m.Before(ctx, u); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := check(u); err != nil {
		return err
	}
	m.update(u, answer)
	if m.After != nil {
		return m.After(ctx, u, answer)
	}
	return nil
}

// check refuses what no caller may ask for.
func check(u *shared.Update) error {
	if len(u.Commit) > 0 && u.Known == nil {
		return fmt.Errorf("a commit to %v by a tracker that knows nothing of it", u.InfoHash)
	}
	for _, entries := range [...][]shared.Entry{u.Announced, u.Commit} {
		if len(entries) > shared.MaxCommit {
			return fmt.Errorf("%d entries in one step", len(entries))
		}
		seen := map[netip.AddrPort]bool{}
		for _, e := range entries {
			if len(e.Value) > shared.MaxValue || seen[e.Peer] || !e.Peer.IsValid() {
				return fmt.Errorf("a value of %d bytes of %v, or one of two", len(e.Value), e.Peer)
			}
			seen[e.Peer] = true
		}
	}
	return nil
}

func (m *Memory) update(u *shared.Update, answer *shared.Answer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.torrents[u.InfoHash]
	if t == nil {
		t = &torrent{values: [kinds]map[netip.AddrPort]stamped{{}, {}}}
		if m.torrents == nil {
			m.torrents = map[bittorrent.InfoHash]*torrent{}
		}
		m.torrents[u.InfoHash] = t
	}
	known, commits := readVersion(u.Known)
	t.put(announced, u.Announced)
	*answer = shared.Answer{Announced: answer.Announced[:0], Records: answer.Records[:0]}
	if answer.Conflict = len(u.Commit) > 0 && commits != t.commits; !answer.Conflict && len(u.Commit) > 0 {
		t.commits++
		t.put(records, u.Commit)
	}
	if answer.Whole = u.Known == nil || known < t.since; answer.Whole {
		answer.Announced, answer.Records = t.all(announced, answer.Announced), t.all(records, answer.Records)
	} else {
		t.news(known, answer)
	}
	answer.Version = appendVersion(nil, t.seq, t.commits)
	t.trim(m.keep())
}

func (m *Memory) keep() int {
	switch {
	case m.Keep < 0:
		return 0
	case m.Keep == 0:
		return 1024
	}
	return m.Keep
}

func (t *torrent) put(kind int, entries []shared.Entry) {
	for _, e := range entries {
		if _, has := t.values[kind][e.Peer]; e.Value == nil && !has {
			continue
		}
		t.seq++
		t.changes = append(t.changes, change{t.seq, kind, e.Peer})
		if e.Value == nil {
			delete(t.values[kind], e.Peer)
		} else {
			t.values[kind][e.Peer] = stamped{slices.Clone(e.Value), t.seq}
		}
	}
}

// all appends the values of a kind, in the order in which they were written.
func (t *torrent) all(kind int, dst []shared.Entry) []shared.Entry {
	peers := make([]netip.AddrPort, 0, len(t.values[kind]))
	for peer := range t.values[kind] {
		peers = append(peers, peer)
	}
	slices.SortFunc(peers, func(a, b netip.AddrPort) int {
		return int(t.values[kind][a].seq) - int(t.values[kind][b].seq)
	})
	for _, peer := range peers {
		dst = append(dst, shared.Entry{Peer: peer, Value: slices.Clone(t.values[kind][peer].value)})
	}
	return dst
}

// news appends what has changed since a number.
func (t *torrent) news(known uint64, answer *shared.Answer) {
	i, _ := slices.BinarySearchFunc(t.changes, known+1, func(c change, seq uint64) int { return int(c.seq) - int(seq) })
	for _, c := range t.changes[i:] {
		now, there := t.values[c.kind][c.peer]
		if there && now.seq != c.seq {
			continue // it was written again
		}
		e := shared.Entry{Peer: c.peer, Value: slices.Clone(now.value)}
		if c.kind == announced {
			answer.Announced = append(answer.Announced, e)
		} else {
			answer.Records = append(answer.Records, e)
		}
	}
}

// trim forgets the oldest changes where there are too many.
func (t *torrent) trim(keep int) {
	most := keep + 2*(len(t.values[announced])+len(t.values[records]))
	if len(t.changes) <= 2*most {
		return
	}
	i := len(t.changes) - most
	if t.since = t.seq; i < len(t.changes) {
		t.since = t.changes[i].seq - 1
	}
	t.changes = slices.Delete(t.changes, 0, i)
}

// Version is the number of the last change and that of commits.
func appendVersion(v shared.Version, seq, commits uint64) shared.Version {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(v, seq), commits)
}

func readVersion(v shared.Version) (seq, commits uint64) {
	if v == nil {
		return 0, 0
	}
	return binary.BigEndian.Uint64(v), binary.BigEndian.Uint64(v[8:])
}

// Values returns what a torrent has, by peer: what was announced, and the records.
func (m *Memory) Values(h bittorrent.InfoHash) (announcedValues, recordValues map[netip.AddrPort][]byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out [kinds]map[netip.AddrPort][]byte
	for kind := range out {
		out[kind] = map[netip.AddrPort][]byte{}
		if t := m.torrents[h]; t != nil {
			for peer, v := range t.values[kind] {
				out[kind][peer] = slices.Clone(v.value)
			}
		}
	}
	return out[announced], out[records]
}
