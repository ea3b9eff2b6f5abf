package sqlite

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"time"

	"waggle/bittorrent"
	"waggle/locality"
	"waggle/roster"
)

// The role of a member, in bytes. Numbers are big-endian, times milliseconds.
//
//	reach 1, flags 1, depth 1, told 4, lag 4, parents 2: how many
//	18 for each parent, the source first if there is a depth
//	18 for each orphan
//
// An address is 16 bytes of IPv6, into which one of IPv4 is mapped (RFC 4291, 2.5.5.2),
// and a port.
const (
	roleHead    = 1 + 1 + 1 + 4 + 4 + 2
	roleAddress = 16 + 2
)

// Flags of a role.
const (
	flagStandby = 1 << iota
	flagProbed
	flagsEnd
)

// maxLeases is the most parents, and the most orphans, that are kept of a member. A
// policy gives it some hundred at most.
const maxLeases = 4096

// memberRow is a row of the table of members, or the news that it is gone. A member
// is a peer that the roster of its torrent knows.
type memberRow struct {
	place    []byte // as in the table of swarms
	location string // a path; "": unlocated
	role     []byte // nil: the row is gone
}

// newMemberRow makes the row of a member of a torrent.
func newMemberRow(h *bittorrent.InfoHash, r *roster.Record) memberRow {
	size := place6 + roleHead + roleAddress*(len(r.Parents)+len(r.Orphans))
	place := appendPlace(make([]byte, 0, size), h, r.Addr)
	row := memberRow{place: place[:len(place):len(place)]}
	if r.Gone {
		return row
	}
	if r.Location != nil {
		row.location = r.Location.Path()
	}
	row.role = appendRole(place[len(place):], r)
	return row
}

func appendRole(role []byte, r *roster.Record) []byte {
	var flags byte
	if r.Standby {
		flags |= flagStandby
	}
	if r.Probed {
		flags |= flagProbed
	}
	parents := r.Parents[:min(len(r.Parents), maxLeases)]
	role = append(role, byte(r.Reach), flags, byte(min(r.Depth, math.MaxUint8)))
	role = binary.BigEndian.AppendUint32(role, milliseconds(r.Told))
	role = binary.BigEndian.AppendUint32(role, milliseconds(r.Lag))
	role = binary.BigEndian.AppendUint16(role, uint16(len(parents)))
	for _, addr := range parents {
		role = appendAddress(role, addr)
	}
	for _, addr := range r.Orphans[:min(len(r.Orphans), maxLeases)] {
		role = appendAddress(role, addr)
	}
	return role
}

func appendAddress(b []byte, addr netip.AddrPort) []byte {
	ip := addr.Addr().As16()
	return binary.BigEndian.AppendUint16(append(b, ip[:]...), addr.Port())
}

func milliseconds(d time.Duration) uint32 {
	return uint32(min(max(d/time.Millisecond, 0), math.MaxUint32))
}

func compareMembers(a, b memberRow) int { return bytes.Compare(a.place, b.place) }

func sameMembers(a, b memberRow) bool {
	return bytes.Equal(a.place, b.place) && a.location == b.location && bytes.Equal(a.role, b.role)
}

// readMember reads a member's place and role. Its location is the caller's to look up.
func readMember(place []byte, located bool, role []byte) (h bittorrent.InfoHash, r roster.Record, err error) {
	if r.Addr, err = readPlace(place); err != nil {
		return h, r, err
	}
	h = bittorrent.InfoHash(place)
	if len(role) < roleHead || (len(role)-roleHead)%roleAddress != 0 {
		return h, r, fmt.Errorf("%w: the role of %v, of %d bytes", errRow, r.Addr, len(role))
	}
	r.Reach, r.Depth = int(role[0]), int(role[2])
	r.Standby, r.Probed = role[1]&flagStandby != 0, role[1]&flagProbed != 0
	r.Told = time.Duration(binary.BigEndian.Uint32(role[3:])) * time.Millisecond
	r.Lag = time.Duration(binary.BigEndian.Uint32(role[7:])) * time.Millisecond
	parents, leases := int(binary.BigEndian.Uint16(role[11:])), (len(role)-roleHead)/roleAddress
	switch {
	case role[1] >= flagsEnd, r.Reach > locality.MaxLevels, !located && (r.Reach > 0 || r.Standby), r.Depth > 0 && parents == 0:
		return h, r, fmt.Errorf("%w: the role of %v, %x", errRow, r.Addr, role[:roleHead])
	case parents > min(leases, maxLeases), leases-parents > maxLeases:
		return h, r, fmt.Errorf("%w: %v has %d parents of %d leases", errRow, r.Addr, parents, leases)
	}
	for b := role[roleHead:]; len(b) > 0; b = b[roleAddress:] {
		ip := netip.AddrFrom16([16]byte(b)).Unmap()
		addr := netip.AddrPortFrom(ip, binary.BigEndian.Uint16(b[16:]))
		if len(r.Parents) < parents {
			r.Parents = append(r.Parents, addr)
		} else {
			r.Orphans = append(r.Orphans, addr)
		}
	}
	return h, r, nil
}
