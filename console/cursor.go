package console

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/netip"

	"waggle/bittorrent"
	"waggle/catalog"
)

// place is where a page of a list ends.
type place struct {
	hash bittorrent.InfoHash
	time int64          // of a request, in ns of Unix; else 0
	addr netip.AddrPort // of a peer; else invalid
}

// String returns the place as a cursor.
func (p place) String() string {
	b := binary.BigEndian.AppendUint64(p.hash[:], uint64(p.time))
	if p.addr.IsValid() {
		b = append(b, p.addr.Addr().AsSlice()...)
		b = binary.BigEndian.AppendUint16(b, p.addr.Port())
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// parsePlace reads a cursor. The empty one is the zero place, before all others. The
// error is [catalog.ErrCursor].
func parsePlace(cursor string) (p place, err error) {
	if cursor == "" {
		return p, nil
	}
	const head = len(p.hash) + 8
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(b) != head && len(b) != head+6 && len(b) != head+18 {
		return place{}, fmt.Errorf("%.80q: %w: begin with the first page", cursor, catalog.ErrCursor)
	}
	p.hash, p.time = bittorrent.InfoHash(b[:len(p.hash)]), int64(binary.BigEndian.Uint64(b[len(p.hash):]))
	if ip, ok := netip.AddrFromSlice(b[head:max(head, len(b)-2)]); ok {
		p.addr = netip.AddrPortFrom(ip, binary.BigEndian.Uint16(b[len(b)-2:]))
	}
	return p, nil
}

// groupPlace is where a page of places ends.
type groupPlace struct {
	hash bittorrent.InfoHash
	path string
}

// String returns the place as a cursor.
func (p groupPlace) String() string {
	return base64.RawURLEncoding.EncodeToString(append(p.hash[:], p.path...))
}

// parseGroupPlace reads a cursor. The empty one is the zero place, before all others.
// The error is [catalog.ErrCursor].
func parseGroupPlace(cursor string) (p groupPlace, err error) {
	if cursor == "" {
		return p, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(b) < len(p.hash) {
		return groupPlace{}, fmt.Errorf("%.80q: %w: begin with the first page", cursor, catalog.ErrCursor)
	}
	return groupPlace{bittorrent.InfoHash(b[:len(p.hash)]), string(b[len(p.hash):])}, nil
}

func (p groupPlace) compare(q groupPlace) int {
	return cmp.Or(compareHashes(p.hash, q.hash), cmp.Compare(p.path, q.path))
}

func compareHashes(a, b bittorrent.InfoHash) int { return bytes.Compare(a[:], b[:]) }
