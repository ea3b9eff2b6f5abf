package shared

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"time"

	"waggle/bittorrent"
	"waggle/locality"
	"waggle/roster"
	"waggle/store/octets"
	"waggle/swarm"
)

// layout is the first byte of a value, of both kinds.
const layout = 1

var errDamaged = errors.New("a value that no waggle wrote")

// newerError is the error of a value of a layout that this waggle does not know.
type newerError byte

func (e newerError) Error() string {
	return fmt.Sprintf("a newer waggle shares this store and wrote a value of layout %d, of which this one knows up to %d: upgrade this tracker, or stop the newer one and delete the torrent's shared values", byte(e), layout)
}

// checkLayout returns what follows the layout.
func checkLayout(value []byte) ([]byte, error) {
	switch {
	case len(value) == 0 || value[0] == 0:
		return nil, fmt.Errorf("%w: it has no layout", errDamaged)
	case value[0] > layout:
		return nil, newerError(value[0])
	case len(value) > MaxValue:
		return nil, fmt.Errorf("%w: %d bytes", errDamaged, len(value))
	}
	return value[1:], nil
}

// An announced value is, with numbers as varints and times in Unix nanoseconds:
//
//	layout 1, kind 1, peer id 20
//	left, uploaded, downloaded
//	first 8, last less first (signed)
//	told, lag: milliseconds
//	length of the location's path, the path
//
// The path is empty of an unlocated peer.
func announcedValue(h *roster.Heard, path string) []byte {
	b := make([]byte, 0, 64+len(path))
	b = append(b, layout, byte(h.Kind))
	b = append(b, h.ID[:]...)
	for _, n := range [...]int64{h.Left, h.Uploaded, h.Downloaded} {
		b = binary.AppendUvarint(b, uint64(max(n, 0)))
	}
	b = binary.BigEndian.AppendUint64(b, uint64(h.First))
	b = binary.AppendVarint(b, h.Last-h.First)
	b = binary.AppendUvarint(b, milliseconds(h.Told))
	b = binary.AppendUvarint(b, milliseconds(h.Lag))
	b = binary.AppendUvarint(b, uint64(len(path)))
	return append(b, path...)
}

func milliseconds(d time.Duration) uint64 {
	return uint64(min(max(d/time.Millisecond, 0), math.MaxUint32))
}

// said is what a peer announced last.
type said struct {
	roster.Heard
	path    string // of its location
	foreign bool   // its location is not one of this tracker's tree
}

// readAnnounced reads a value of a peer. Its location is the caller's to look up.
func readAnnounced(peer netip.AddrPort, value []byte) (s said, err error) {
	b, err := checkLayout(value)
	if err != nil {
		return s, err
	}
	r := reading{octets.Reader{B: b}}
	s.Addr, s.Kind = peer, swarm.Kind(r.One())
	copy(s.ID[:], r.Bytes(len(bittorrent.PeerID{})))
	s.Left, s.Uploaded, s.Downloaded = r.Number(), r.Number(), r.Number()
	if first := r.Bytes(8); first != nil {
		s.First = int64(binary.BigEndian.Uint64(first))
	}
	s.Last = s.First + r.Signed()
	s.Told, s.Lag = r.duration(), r.duration()
	s.path = string(r.Bytes(int(r.Number())))
	if r.Failed || len(r.B) > 0 || s.Kind > swarm.Leecher || len(s.path) > maxPath {
		return said{}, fmt.Errorf("%w: what %v announced, %d bytes", errDamaged, peer, len(value))
	}
	return s, nil
}

// maxPath is the longest path of a location in bytes.
const maxPath = locality.MaxLevels * (64 + 1)

// reading takes a value apart.
type reading struct{ octets.Reader }

func (r *reading) duration() time.Duration {
	ms := r.Number()
	if ms > math.MaxUint32 {
		r.Failed = true
		return 0
	}
	return time.Duration(ms) * time.Millisecond
}
