package roster

import (
	"waggle/bittorrent"
	"waggle/swarm"
)

// Member is a located peer of a torrent, or an unlocated one that has a lease.
type Member struct {
	Record
	ID      bittorrent.PeerID // zero of an unlocated peer that was never asked
	Kind    swarm.Kind
	Left    int64 // bytes, as announced last; [UnknownLeft] of one that cannot say
	Stalled bool  // it was replaced as an importer because it got nothing
	Rooted  bool  // it is complete, or its sources lead to a seeder

	// Of its rack; zero of an unlocated one.
	RackImported int64 // bytes across its uplink at most: what its importers downloaded
	RackSpent    bool  // it has as many importers, over all torrents, as its bandwidth allows
}

// MembersBelow takes up to n members, downwards from a number of them. It appends
// them, and returns the number to go on with, 0 at the end. The first number is
// math.MaxInt. In between members may come, who are left out, go, or be appended
// twice, rightly the second time.
func (r *Roster) MembersBelow(dst []Member, below, n int) (_ []Member, next int) {
	top := min(below, len(r.all)) // whoever goes is replaced by one from above
	next = max(top-n, 0)
	for _, m := range r.all[next:top] {
		shown := Member{Record: r.record(m), ID: m.id, Kind: m.kind, Left: m.left, Stalled: m.stalled, Rooted: rooted(m, nil)}
		if m.leaf != nil {
			shown.RackImported, shown.RackSpent = m.leaf.imported, r.budget.spent(m.leaf.place)
		}
		dst = append(dst, shown)
	}
	return dst, next
}
