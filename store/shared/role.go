package shared

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"waggle/locality"
	"waggle/roster"
	"waggle/swarm"
)

// A record is
//
//	1 leecher reach 2 standby probed depth 3 parents 10.0.0.1:6881 10.0.0.2:6881 orphans 10.0.0.3:6881 at site/rack
//
// its layout, and the kind of the peer for which the roles were settled. Of what follows
// there is what there is: how many boundaries it may cross; that it is a standby, that it
// could be connected to; how deep its source was, plus one; its parents, the source first
// if there is a depth; parents that were taken back; the path of its location. What a peer
// was told and keeps of intervals it announces.

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
	at := ""
	if r.Location != nil {
		at = wordAt + r.Location.Path()
	}
	b := make([]byte, 0, 64+len(at))
	b = strconv.AppendInt(b, layout, 10)
	b = append(append(b, ' '), kindWords[kind]...)
	b = appendCount(b, wordReach, r.Reach)
	if r.Standby {
		b = append(b, wordStandby...)
	}
	if r.Probed {
		b = append(b, wordProbed...)
	}
	b = appendCount(b, wordDepth, min(r.Depth, maxDepth))
	b = appendAddresses(b, wordParents, r.Parents, MaxValue-len(at))
	b = appendAddresses(b, wordOrphans, r.Orphans, MaxValue-len(at))
	return append(b, at...)
}

// Words of a record.
const (
	wordReach, wordStandby, wordProbed, wordDepth = " reach", " standby", " probed", " depth"
	wordParents, wordOrphans, wordAt              = " parents", " orphans", " at "
)

func appendCount(b []byte, word string, n int) []byte {
	if n == 0 {
		return b
	}
	return strconv.AppendInt(append(append(b, word...), ' '), int64(n), 10)
}

// appendAddresses appends a word and the first addresses, as long as b is not longer
// than a most.
func appendAddresses(b []byte, word string, addrs []netip.AddrPort, most int) []byte {
	for i, addr := range addrs {
		longer := b
		if i == 0 {
			longer = append(longer, word...)
		}
		if longer = addr.AppendTo(append(longer, ' ')); len(longer) > most {
			return b
		}
		b = longer
	}
	return b
}

// readRole reads the record of a peer. Its location is the caller's to look up.
func readRole(peer netip.AddrPort, value []byte) (*role, error) {
	text, err := checkLayout(value)
	if err != nil {
		return nil, err
	}
	before, path, located := strings.Cut(text, wordAt)
	r := reading{text: before}
	out := &role{kind: r.kind(), path: path, value: slices.Clone(value)}
	out.Addr = peer
	out.Reach = r.count(wordReach, locality.MaxLevels)
	out.Standby, out.Probed = r.has(wordStandby), r.has(wordProbed)
	out.Depth = r.count(wordDepth, maxDepth)
	out.Parents, out.Orphans = r.addresses(wordParents), r.addresses(wordOrphans)
	switch {
	case r.failed, r.text != "", len(path) > maxPath, located == (path == ""),
		!located && (out.Reach > 0 || out.Standby), out.Depth > 0 && len(out.Parents) == 0:
		return nil, fmt.Errorf("%w: the record of %v, %d bytes", errDamaged, peer, len(value))
	}
	return out, nil
}

// maxDepth is more than a roster makes of a source's depth.
const maxDepth = 1 << 16

// has takes a word, if it is the next one.
func (r *reading) has(word string) bool {
	next, rest, _ := strings.Cut(r.text, " ")
	if next != word[1:] {
		return false
	}
	r.text = rest
	return true
}

// count takes a word and its number, of 1 to most; there may be none.
func (r *reading) count(word string, most uint64) int {
	if !r.has(word) {
		return 0
	}
	n, ok := decimal(r.word(), most)
	r.failed = r.failed || !ok || n == 0
	return int(n)
}

// addresses takes a word and the addresses behind it; there may be none.
func (r *reading) addresses(word string) (addrs []netip.AddrPort) {
	if !r.has(word) {
		return nil
	}
	for r.text != "" && r.text != wordOrphans[1:] && !strings.HasPrefix(r.text, wordOrphans[1:]+" ") {
		addr, err := netip.ParseAddrPort(r.word())
		if err != nil || addr.Addr().Zone() != "" {
			r.failed = true
			return nil
		}
		addrs = append(addrs, addr)
	}
	r.failed = r.failed || len(addrs) == 0
	return addrs
}
