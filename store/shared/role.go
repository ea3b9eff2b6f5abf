package shared

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"waggle/locality"
	"waggle/roster"
	"waggle/store/octets"
	"waggle/swarm"
)

// A record is, with numbers as varints:
//
//	layout 1, kind 1, reach 1, flags 1, depth
//	length of the location's path, the path
//	how many parents, each of them, the source first if there is a depth
//	how many orphans, each of them
//
// An address is a byte, 4 or 16: how long it is; the address, and a port. The kind is
// the one for which the roles were settled. What a peer was told and keeps of intervals
// it announces.

// Flags of a record.
const (
	flagStandby = 1 << iota
	flagProbed
	flagsEnd
)

// role is a record as it is kept.
type role struct {
	roster.Record
	kind    swarm.Kind
	path    string // of its location
	foreign bool   // its location is not one of this tracker's tree
	value   []byte // as it is written
}

// needed reports whether a member has anything that must be recorded.
func needed(r *roster.Record) bool {
	return r.Location == nil || r.Reach > 0 || r.Standby || r.Probed || len(r.Parents)+len(r.Orphans) > 0
}

// roleValue returns a record as it is written. Of more leases than there is room for
// it leaves out orphans, and then parents, those that came last.
func roleValue(r *roster.Record, kind swarm.Kind) []byte {
	var flags byte
	if r.Standby {
		flags |= flagStandby
	}
	if r.Probed {
		flags |= flagProbed
	}
	path := ""
	if r.Location != nil {
		path = r.Location.Path()
	}
	b := make([]byte, 0, 32+len(path))
	b = append(b, layout, byte(kind), byte(r.Reach), flags)
	b = binary.AppendUvarint(b, uint64(r.Depth))
	b = binary.AppendUvarint(b, uint64(len(path)))
	b = append(b, path...)
	const counts = 2 + 2 // bytes of how many parents and orphans, at most
	room := MaxValue - len(b) - counts
	parents := fitting(r.Parents, &room)
	orphans := fitting(r.Orphans, &room)
	for _, some := range [...][]netip.AddrPort{parents, orphans} {
		b = binary.AppendUvarint(b, uint64(len(some)))
		for _, addr := range some {
			ip := addr.Addr().AsSlice()
			b = append(append(b, byte(len(ip))), ip...)
			b = binary.BigEndian.AppendUint16(b, addr.Port())
		}
	}
	return b
}

// fitting returns the first addresses, for which there is room.
func fitting(addrs []netip.AddrPort, room *int) []netip.AddrPort {
	for i, addr := range addrs {
		size := 1 + addr.Addr().BitLen()/8 + 2
		if size > *room {
			*room = 0
			return addrs[:i]
		}
		*room -= size
	}
	return addrs
}

// readRole reads the record of a peer. Its location is the caller's to look up.
func readRole(peer netip.AddrPort, value []byte) (*role, error) {
	b, err := checkLayout(value)
	if err != nil {
		return nil, err
	}
	r := reading{octets.Reader{B: b}}
	out := &role{kind: swarm.Kind(r.One()), value: slices.Clone(value)}
	out.Addr, out.Reach = peer, int(r.One())
	flags := r.One()
	out.Standby, out.Probed = flags&flagStandby != 0, flags&flagProbed != 0
	depth := r.Number()
	out.Depth = int(depth)
	out.path = string(r.Bytes(int(r.Number())))
	out.Parents = r.addresses()
	out.Orphans = r.addresses()
	switch {
	case r.Failed, len(r.B) > 0, out.kind > swarm.Leecher, flags >= flagsEnd, out.Reach > locality.MaxLevels, depth > maxDepth,
		len(out.path) > maxPath, out.path == "" && (out.Reach > 0 || out.Standby), out.Depth > 0 && len(out.Parents) == 0:
		return nil, fmt.Errorf("%w: the record of %v, %d bytes", errDamaged, peer, len(value))
	}
	return out, nil
}

// maxDepth is more than a roster makes of a source's depth.
const maxDepth = 1 << 16

func (r *reading) addresses() (addrs []netip.AddrPort) {
	n := r.Number()
	if n > MaxValue {
		r.Failed = true
		return nil
	}
	for range n {
		ip, ok := netip.AddrFromSlice(r.Bytes(int(r.One())))
		port := r.Bytes(2)
		if r.Failed || !ok {
			r.Failed = true
			return nil
		}
		addrs = append(addrs, netip.AddrPortFrom(ip, binary.BigEndian.Uint16(port)))
	}
	return addrs
}
