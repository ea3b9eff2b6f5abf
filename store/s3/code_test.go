package s3

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/store/shared"
	"waggle/swarm"
)

// someNode is a node with so many peers of all groups.
func someNode(n int) *node {
	out := &node{completed: 3, located: true}
	for i := range n {
		a := announced(1, i)
		p := swarm.Peer{
			ID: a.PeerID, Addr: a.Addr(), Key: a.Key, Kind: swarm.Kind(i % 3), Uploaded: int64(i) << 30, Downloaded: int64(i), Left: bittorrent.LeftUnknown,
			First: a.Now.Add(-time.Duration(i) * time.Minute), Last: a.Now.Add(time.Duration(i%50) * time.Second),
		}
		if i%2 == 0 {
			p.Addr = netip.AddrPortFrom(netip.AddrFrom16([16]byte{0: 0x20, 15: byte(i), 14: byte(i >> 8)}), 7)
		}
		out.put(new(peerOf(&p)), p.Kind)
	}
	return out
}

func TestObjectOfASwarmIsReadAsItWasWritten(t *testing.T) {
	names := make([]string, fan)
	for i := range names {
		names[i] = newName(3)
	}
	for name, n := range map[string]*node{
		"blank": {}, "completed": {completed: 1}, "peers": someNode(500), "closed": {closed: true, completed: 9}, "split": {branches: names, split: 7},
		"held": {hold: 1_700_000_000_000, completed: 1},
	} {
		body := n.encode()
		back, err := decode(body)
		if err != nil || !reflect.DeepEqual(back.sum(), n.sum()) || back.hold != n.hold || back.len() != n.len() {
			t.Fatalf("%s: %+v, %v", name, back, err)
		}
		for g := range n.peers {
			for i := range n.peers[g] {
				if n.peers[g][i] != back.peers[g][i] {
					t.Fatalf("%s: %+v, want %+v", name, back.peers[g][i], n.peers[g][i])
				}
			}
		}
		if bytes.Equal(body, n.encode()) {
			t.Errorf("%s: two objects are alike", name)
		}
		if (len(body) == blankSize) != n.blank() || len(body) < blankSize {
			t.Errorf("%s has %d bytes; one that holds nothing has %d, and no other", name, len(body), blankSize)
		}
		for cut := range body[:min(len(body), 300)] {
			if _, err := decode(body[:cut]); err == nil {
				t.Fatalf("%s: the first %d bytes are an object", name, cut)
			}
		}
		t.Logf("%s: %d bytes", name, len(body))
	}
}

func TestObjectOfANewerWaggleIsRefusedInWords(t *testing.T) {
	body := (&node{}).encode()
	body[len(magic)]++
	if _, err := decode(body); err == nil || !strings.Contains(err.Error(), "upgrade this tracker") {
		t.Error(err)
	}
	if _, err := decode([]byte("something else entirely")); !errors.Is(err, errDamaged) {
		t.Error(err)
	}
}

func TestPartsOfASwarmAreTheWhole(t *testing.T) {
	n := someNode(1000)
	h := announced(1, 0).InfoHash
	parts := n.divide(&h, 0)
	smallest := n.len()
	for i, part := range parts {
		smallest = min(smallest, part.len())
		for g := range part.peers {
			for j := range part.peers[g] {
				if branch(part.peers[g][j].at.hash(&h), 0) != i {
					t.Fatal("a peer is in another part than its own")
				}
			}
		}
		if _, err := decode(part.encode()); err != nil {
			t.Fatal(err)
		}
	}
	if smallest < 80 {
		t.Errorf("of 1,000 peers a part has %d", smallest)
	}
	back := merged(parts[:])
	if back.completed != n.completed || !reflect.DeepEqual(back.peers, n.peers) {
		t.Error("put together they are something else")
	}
}

func TestHoldOfAWrongClockDoesNotCount(t *testing.T) {
	now := time.Now()
	for left, want := range map[time.Duration]bool{-time.Second: false, time.Second: true, time.Hour: false} {
		if n := (&node{hold: now.Add(left).UnixMilli()}); n.held(now) != want {
			t.Errorf("%v from now: %v", left, !want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add((&node{}).encode())
	f.Add(someNode(7).encode())
	f.Add((&node{branches: []string{newName(1), newName(1), newName(1), newName(1), newName(1), newName(1), newName(1), newName(1)}}).encode())
	f.Fuzz(func(t *testing.T, body []byte) {
		n, err := decode(body)
		if err != nil {
			return
		}
		again, err := decode(n.encode())
		if err != nil || !reflect.DeepEqual(again, n) {
			t.Errorf("%+v is written and read as %+v, %v", n, again, err)
		}
	})
}

// someMembers is what a map has after random steps.
func someMembers(steps int) *members {
	m, random := &members{}, rand.New(rand.NewPCG(1, 2))
	for i := range steps {
		e := shared.Entry{Peer: netip.AddrPortFrom(ip4(random.IntN(20)), 1)}
		if random.IntN(3) > 0 {
			e.Value = fmt.Append(nil, i)
		}
		st := &step{u: &shared.Update{Announced: []shared.Entry{e}}, knows: true, known: version{m.birth, m.seq, m.commits}, id: randomNumber()}
		if random.IntN(2) == 0 {
			st.u.Announced, st.u.Commit = nil, st.u.Announced
		}
		st.apply(m)
	}
	return m
}

func TestObjectOfLocatedPeersIsReadAsItWasWritten(t *testing.T) {
	m := someMembers(100)
	back, err := decodeMembers(m.encode())
	if err != nil || back.seq != m.seq || back.commits != m.commits || back.birth != m.birth || back.last != m.last || len(back.values) != len(m.values) {
		t.Fatalf("%+v, %v", back, err)
	}
	for i := range m.values {
		if a, b := m.values[i], back.values[i]; a.compare(&b) != 0 || a.seq != b.seq || !bytes.Equal(a.bytes, b.bytes) || a.gone != b.gone {
			t.Fatalf("%+v, want %+v", b, a)
		}
	}
}

func TestRemovedValuesAreForgottenAfterAWhile(t *testing.T) {
	m := &members{}
	update := func(n int, value []byte) {
		(&step{u: &shared.Update{Announced: []shared.Entry{{Peer: netip.AddrPortFrom(ip4(n), 1), Value: value}}}, id: 1}).apply(m)
	}
	update(-1, []byte{1})
	for i := range 10 * keptGone {
		update(i, []byte{1})
		update(i, nil)
	}
	if len(m.values) > 2*(keptGone+1)+1 || m.since == 0 {
		t.Errorf("%d values are kept, since %d", len(m.values), m.since)
	}
	var answer shared.Answer
	st := &step{u: &shared.Update{}, knows: true, known: version{m.birth, 1, 0}}
	if st.fill(m, &answer); !answer.Whole {
		t.Error("who was away for longer than that is not told all")
	}
	st.known.seq = m.seq - 10
	if st.fill(m, &answer); answer.Whole || len(answer.Announced) != 5 {
		t.Errorf("who was not is told of %d, whole %v", len(answer.Announced), answer.Whole)
	}
	if update(-1, nil); len(m.values) != 0 {
		t.Errorf("%d removed values are kept of a torrent that has no others", len(m.values))
	}
	if st.fill(m, &answer); !answer.Whole || len(answer.Announced) != 0 {
		t.Errorf("then all are told that nothing is left, and not %+v", answer)
	}
}

func TestCommitWhoseAnswerWasLostIsNotRefused(t *testing.T) {
	m := &members{}
	st := &step{u: &shared.Update{Commit: []shared.Entry{{Peer: netip.AddrPortFrom(ip4(1), 1), Value: []byte{1}}}}, knows: true, id: 7}
	if !st.apply(m) || st.refused {
		t.Fatal("refused")
	}
	if st.apply(m) || st.refused {
		t.Error("it is written twice, or refused because of itself")
	}
}

func FuzzDecodeMembers(f *testing.F) {
	f.Add((&members{birth: 1}).encode())
	f.Add(someMembers(40).encode())
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := decodeMembers(body)
		if err != nil {
			return
		}
		again, err := decodeMembers(m.encode())
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Errorf("%+v is written and read as %+v, %v", m, again, err)
		}
	})
}

func FuzzDecodeDocument(f *testing.F) {
	f.Add(encodeDocument([]byte("value")))
	f.Add(begin(documentMagic, 0))
	f.Fuzz(func(t *testing.T, body []byte) {
		value, is, err := decodeDocument(body)
		if err != nil || !is {
			return
		}
		if again, is, err := decodeDocument(encodeDocument(value)); err != nil || !is || !bytes.Equal(again, value) {
			t.Errorf("%q, %v, %v", again, is, err)
		}
	})
}
