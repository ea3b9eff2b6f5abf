package s3

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"waggle/store/octets"
)

// An object of a swarm is, with numbers as varints and times in Unix seconds:
//
//	"wgs", layout 1, flags 1
//	nonce 8: no two objects that were ever written are alike, nor are their ETags
//	completed, with the flag for it
//	until when it is held, Unix milliseconds, with the flag for it
//	of one that is split: when, and 8 names, each after its length
//	of one with peers, when the one that was silent longest was seen last,
//	then for each group, seeders, partial seeds, leechers, each IPv4 and IPv6:
//	    how many, and each of them in the order of addresses:
//	    address 4 or 16, port 2, id 20, key 4, left, uploaded, downloaded,
//	    seen last (less the oldest), seen first (less last, signed)
//
// One that holds nothing is as long as no other: see blankSize.

const layout = 1

// Flags of an object of a swarm.
const (
	flagPeers = 1 << iota
	flagCompleted
	flagBranches
	flagClosed
	flagLocated
	flagHeld
	flagsEnd
)

const (
	magic     = "wgs"
	nonceSize = 8
	blankSize = len(magic) + 1 + 1 + nonceSize
)

var errDamaged = errors.New("it is damaged, or no waggle wrote it: see docs/s3.md, or remove it")

// newerError is the error of an object of a layout that this waggle does not know.
type newerError byte

func (e newerError) Error() string {
	return fmt.Sprintf("a newer waggle wrote layout %d, of which this one knows up to %d: upgrade this tracker", byte(e), layout)
}

// begin writes what every object begins with.
func begin(magic string, flags byte) []byte {
	b := append(make([]byte, 0, 256), magic...)
	b = append(b, layout, flags)
	b = append(b, make([]byte, nonceSize)...)
	_, _ = rand.Read(b[len(b)-nonceSize:]) // it never fails
	return b
}

// begun checks what every object begins with, and returns the rest.
func begun(magic string, b []byte) (flags byte, rest []byte, err error) {
	switch {
	case len(b) < len(magic)+2+nonceSize || string(b[:len(magic)]) != magic || b[len(magic)] == 0:
		return 0, nil, errDamaged
	case b[len(magic)] > layout:
		return 0, nil, newerError(b[len(magic)])
	}
	return b[len(magic)+1], b[len(magic)+2+nonceSize:], nil
}

// encode returns the object of a node. No two are alike.
func (n *node) encode() []byte {
	var flags byte
	set := func(flag byte, is bool) {
		if is {
			flags |= flag
		}
	}
	set(flagPeers, n.len() > 0)
	set(flagCompleted, n.completed > 0)
	set(flagBranches, n.branches != nil)
	set(flagClosed, n.closed)
	set(flagLocated, n.located)
	set(flagHeld, n.hold > 0)
	b := begin(magic, flags)
	if n.completed > 0 {
		b = binary.AppendUvarint(b, uint64(n.completed))
	}
	if n.hold > 0 {
		b = binary.AppendUvarint(b, uint64(n.hold))
	}
	if n.branches != nil {
		b = binary.AppendUvarint(b, uint64(n.split))
		for _, name := range n.branches {
			b = append(binary.AppendUvarint(b, uint64(len(name))), name...)
		}
	}
	if n.len() > 0 {
		b = n.appendPeers(b)
	}
	return b
}

func (n *node) appendPeers(b []byte) []byte {
	const one = 64
	b = slices.Grow(b, one*n.len())
	oldest := n.sum().oldest
	b = binary.AppendVarint(b, oldest)
	for g := range n.peers {
		b = binary.AppendUvarint(b, uint64(len(n.peers[g])))
		from := 0
		if g%2 == 0 {
			from = len(clothes) // IPv4 is what comes after the clothes
		}
		for i := range n.peers[g] {
			p := &n.peers[g][i]
			b = append(append(b, p.at[from:]...), p.id[:]...)
			b = binary.BigEndian.AppendUint32(b, p.key)
			for _, number := range [...]int64{p.left, p.uploaded, p.downloaded} {
				b = binary.AppendUvarint(b, uint64(max(number, 0)))
			}
			b = binary.AppendUvarint(b, uint64(p.last-oldest))
			b = binary.AppendVarint(b, p.first-p.last)
		}
	}
	return b
}

// decode reads the object of a node.
func decode(body []byte) (*node, error) {
	flags, rest, err := begun(magic, body)
	if err != nil {
		return nil, err
	}
	r := reading{octets.Reader{B: rest}}
	n := &node{closed: flags&flagClosed != 0, located: flags&flagLocated != 0}
	if flags&flagCompleted != 0 {
		completed := r.Number()
		n.completed = uint32(min(completed, math.MaxUint32))
		r.Failed = r.Failed || completed == 0 || completed > math.MaxUint32
	}
	if flags&flagHeld != 0 {
		n.hold = r.Number()
		r.Failed = r.Failed || n.hold == 0
	}
	if flags&flagBranches != 0 {
		n.split = r.Number()
		n.branches = make([]string, fan)
		for i := range n.branches {
			n.branches[i] = string(r.Bytes(int(min(r.Number(), maxName+1))))
			r.Failed = r.Failed || !isName(n.branches[i]) || depthOf(n.branches[i]) != depthOf(n.branches[0])
		}
	}
	if flags&flagPeers != 0 {
		r.peers(n)
	}
	if r.Failed || len(r.B) > 0 || flags >= flagsEnd || flags&flagBranches != 0 && flags&(flagPeers|flagClosed|flagCompleted|flagHeld) != 0 {
		return nil, errDamaged
	}
	return n, nil
}

// reading takes an object apart.
type reading struct{ octets.Reader }

// maxTime is the latest time that is believed: far off, and far from overflowing.
const maxTime = int64(1) << 40

func (r *reading) time(t int64) int64 {
	if t < -maxTime || t > maxTime {
		r.Failed = true
		return 0
	}
	return t
}

// smallestPeer is the shortest that a peer is written in, in bytes.
const smallestPeer = 4 + 2 + 20 + 4 + 5

func (r *reading) peers(n *node) {
	oldest := r.time(r.Signed())
	for g := range n.peers {
		count := r.Number()
		if r.Failed || count > int64(len(r.B)/smallestPeer) {
			r.Failed = true
			return
		}
		if count > 0 {
			n.peers[g] = make([]peer, count)
		}
		for i := range n.peers[g] {
			r.peer(&n.peers[g][i], g, oldest)
			if i > 0 && n.peers[g][i-1].at.compare(&n.peers[g][i].at) >= 0 {
				r.Failed = true
			}
			if r.Failed {
				return
			}
		}
	}
	r.Failed = r.Failed || n.len() == 0 || n.hasTwice()
}

func (r *reading) peer(p *peer, g int, oldest int64) {
	if g%2 == 0 {
		copy(p.at[:], clothes)
		copy(p.at[len(clothes):], r.Bytes(len(p.at)-len(clothes)))
	} else {
		copy(p.at[:], r.Bytes(len(p.at)))
		r.Failed = r.Failed || p.at.family() == 0
	}
	copy(p.id[:], r.Bytes(len(p.id)))
	if key := r.Bytes(4); key != nil {
		p.key = binary.BigEndian.Uint32(key)
	}
	p.left, p.uploaded, p.downloaded = r.Number(), r.Number(), r.Number()
	p.last = r.time(oldest + min(r.Number(), maxTime))
	p.first = r.time(p.last + r.time(r.Signed()))
}

// hasTwice reports whether an address is in two groups.
func (n *node) hasTwice() bool {
	for family := range 2 {
		var at [groups / 2]int
		for {
			first := -1
			for k := range at {
				list := n.peers[2*k+family]
				if at[k] == len(list) {
					continue
				}
				if first < 0 {
					first = k
					continue
				}
				switch c := list[at[k]].at.compare(&n.peers[2*first+family][at[first]].at); {
				case c == 0:
					return true
				case c < 0:
					first = k
				}
			}
			if first < 0 {
				break
			}
			at[first]++
		}
	}
	return false
}

// seconds is a time as it is kept, which can be read again.
func seconds(t time.Time) int64 { return min(max(t.Unix(), 0), maxTime) }
