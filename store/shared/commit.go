package shared

import (
	"bytes"
	"net/netip"
	"slices"

	"waggle/roster"
	"waggle/swarm"
)

// changes are the records that should be written.
type changes struct {
	// litter are records of peers that left. A commit removes all of them that are known:
	// else a peer that came back would have its role again beside who took it over.
	litter []Entry

	// decided are what was decided since the values were settled.
	decided []Entry

	// derived are records that say more than is so, because others have changed. Nothing
	// depends on when they are written.
	derived []Entry
}

// tidy is how many records that can wait are written for their own sake.
const tidy = 64

// entries returns what the next commit writes; whole: what was decided is among it.
// Litter goes before, alone, where there is too much of it for one commit.
func (c *changes) entries() (entries []Entry, whole bool) {
	switch {
	case len(c.decided) == 0 && len(c.litter)+len(c.derived) < tidy:
		return nil, true
	case len(c.litter)+len(c.decided) > MaxCommit:
		return c.litter[:min(len(c.litter), MaxCommit)], false
	}
	entries = slices.Concat(c.litter, c.decided)
	return append(entries, c.derived[:min(len(c.derived), MaxCommit-len(entries))]...), true
}

// changes returns the records that should be written, and forgets of the dirty those
// that agree with theirs.
func (t *truth) changes() (c changes) {
	t.collect()
	for _, addr := range sorted(t.dirty) {
		known := t.records[addr]
		record, kind, value := t.wanted(addr)
		entry := Entry{Peer: addr, Value: value}
		switch {
		case known == nil && value == nil, known != nil && (known.foreign || bytes.Equal(known.value, value)):
			delete(t.dirty, addr)
		case known == nil:
			c.decided = append(c.decided, entry)
		case value == nil && !t.isMember(addr):
			c.litter = append(c.litter, entry)
		case t.follows(known, &record, kind):
			c.derived = append(c.derived, entry)
		default:
			c.decided = append(c.decided, entry)
		}
	}
	return c
}

// wanted returns the record that a peer should have, and its bytes; nil: none.
func (t *truth) wanted(addr netip.AddrPort) (record roster.Record, kind swarm.Kind, value []byte) {
	record, member := t.roster.Record(addr)
	if !member {
		return roster.Record{Addr: addr, Gone: true}, 0, nil
	}
	if h, known := t.roster.Known(addr); known {
		kind = h.Kind
	}
	if needed(&record) {
		value = roleValue(&record, kind)
	}
	return record, kind, value
}

func (t *truth) isMember(addr netip.AddrPort) bool {
	_, _, member := t.is(addr)
	return member
}

// follows reports whether what a member has follows from the record that is written,
// by what has become of others.
func (t *truth) follows(known *role, now *roster.Record, kind swarm.Kind) bool {
	if now.Gone || known.kind != kind || known.Location != now.Location || known.Reach != now.Reach ||
		known.Standby != now.Standby || known.Probed != now.Probed {
		return false
	}
	d := t.roster.Derive(&known.Record)
	return d.Depth == now.Depth && slices.Equal(d.Parents, now.Parents) && sameSet(d.Orphans, now.Orphans)
}

func sameSet(a, b []netip.AddrPort) bool {
	if len(a) != len(b) || len(a) == 0 {
		return len(a) == len(b)
	}
	a, b = slices.Clone(a), slices.Clone(b)
	slices.SortFunc(a, netip.AddrPort.Compare)
	slices.SortFunc(b, netip.AddrPort.Compare)
	return slices.Equal(a, b)
}
