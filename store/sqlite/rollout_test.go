package sqlite

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/locality"
	"waggle/roster"
	"waggle/store/memory"
	"waggle/swarm"
)

// rollout is a history of located announces to a store that is restarted now and then.
type rollout struct {
	t      *testing.T
	store  *Store
	path   string
	tree   *locality.Tree
	policy *swarm.Policy
	most   int // importers of a rack over all torrents; 0: any number
	now    time.Time
	hosts  []*client
}

// client is a peer of a roll-out.
type client struct {
	hash  bittorrent.InfoHash
	addr  netip.AddrPort
	place string // "": nobody knows
	left  int64
	gone  bool
}

const fileSize = 100

func newRollout(t *testing.T, profile string, levels ...string) *rollout {
	t.Helper()
	tree, err := locality.NewTree(100, levels...)
	if err != nil {
		t.Fatal(err)
	}
	policy, err := swarm.NewPolicy(profile, 15*time.Second, 300*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	r := &rollout{t: t, tree: tree, policy: &policy, now: time.Unix(1_700_000_000, 0), path: filepath.Join(t.TempDir(), "waggle.db")}
	return r
}

func (r *rollout) options() Options {
	return Options{
		Memory: memory.Options{Details: true, Budget: roster.NewBudget(r.most)},
		Group:  r.tree.Group, Now: func() time.Time { return r.now },
	}
}

func (r *rollout) open() { r.store = openQuiet(r.t, r.path, r.options()) }

func (r *rollout) close() { closeStore(r.t, r.store) }

// kill goes on with a store that is opened on what was in the file.
func (r *rollout) kill() {
	copied := copyOf(r.t, r.path)
	r.close()
	r.path = copied
	r.open()
}

func (r *rollout) add(torrent byte, place string, left int64) *client {
	n := len(r.hosts) + 1
	c := &client{hash: bittorrent.InfoHash{torrent, 7}, place: place, left: left}
	c.addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}), 6881)
	if n%5 == 0 {
		c.addr = netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 15: byte(n)}), 6881)
	}
	r.hosts = append(r.hosts, c)
	return c
}

func (r *rollout) announce(c *client, event bittorrent.Event) {
	a := swarm.Announce{From: c.addr.Addr(), Now: r.now, Policy: r.policy, Families: swarm.IPv4 | swarm.IPv6}
	a.InfoHash, a.Port, a.Left, a.Event, a.NumWant = c.hash, c.addr.Port(), c.left, event, 50
	a.Downloaded, a.Uploaded = fileSize-c.left, fileSize-c.left
	copy(a.PeerID[:], c.addr.String())
	if c.place != "" {
		g, err := r.tree.Group(c.place)
		if err != nil {
			r.t.Fatal(err)
		}
		a.Location = g
	}
	if err := r.store.Announce(context.Background(), &a, new(swarm.Reply)); err != nil {
		r.t.Fatal(err)
	}
	c.gone = event == bittorrent.EventStopped
}

// role is what a peer may do, and has. What orphans are over, and who does not stand by
// any more, may show in the file only when such a peer has announced again.
type role struct {
	place   string
	kind    swarm.Kind
	reach   int
	standby bool
	probed  bool
	depth   int
	leases  []string
	orphans []string
}

func (r *rollout) roles() map[string]role {
	r.t.Helper()
	all := map[string]role{}
	for _, c := range r.hosts {
		e, ok, err := r.store.Explain(context.Background(), c.hash, c.addr)
		if err != nil {
			r.t.Fatal(err)
		}
		if !ok {
			continue
		}
		one := role{kind: e.Kind, reach: e.Reach, standby: e.Standby, probed: e.Health == "reachable", depth: e.Depth}
		if e.Location != nil {
			one.place = e.Location.Path()
		}
		for _, told := range e.Told {
			if told.Why != roster.Neighbour {
				one.leases = append(one.leases, fmt.Sprintf("%s %v", told.Why, told.Peer))
			}
		}
		for _, told := range e.Orphans {
			one.orphans = append(one.orphans, told.Peer.String())
		}
		slices.Sort(one.leases)
		all[fmt.Sprintf("%v %v", c.hash, c.addr)] = one
	}
	return all
}

// lostRole says what a peer lost by a restart, or "".
func lostRole(before, after role) string {
	orphanLost := slices.ContainsFunc(before.orphans, func(o string) bool { return !slices.Contains(after.orphans, o) })
	switch {
	case before.standby && !after.standby, orphanLost, !slices.Equal(before.leases, after.leases):
		return fmt.Sprintf("%+v, was %+v", after, before)
	}
	before.standby, before.orphans, before.leases = after.standby, after.orphans, after.leases
	if fmt.Sprint(before) != fmt.Sprint(after) {
		return fmt.Sprintf("%+v, was %+v", after, before)
	}
	return ""
}

type failer interface{ Fatalf(string, ...any) }

func wantRoles(t failer, got, want map[string]role) {
	for _, key := range slices.Sorted(maps.Keys(want)) {
		after, ok := got[key]
		if !ok {
			t.Fatalf("%s has no role any more, was %+v", key, want[key])
		}
		if lost := lostRole(want[key], after); lost != "" {
			t.Fatalf("%s: %s", key, lost)
		}
	}
	for key, one := range got {
		if _, ok := want[key]; !ok {
			t.Fatalf("%s was no member, and has the role %+v", key, one)
		}
	}
}

// checkHolders checks that no group has more lease holders than its policy says: a
// lease that one without a role has is an orphan, and counted.
func (r *rollout) checkHolders(t failer) {
	for _, h := range r.hashes() {
		places, err := r.store.Places(context.Background(), h)
		if err != nil {
			t.Fatalf("%v", err)
		}
		for _, p := range places {
			height := p.Group.Height()
			if k, x := r.policy.Importers[height], r.policy.Exporters[height]; len(p.Importers)+len(p.Exporters) > k+x {
				t.Fatalf("%s has importers %v and exporters %v: %d may be, and %d", p.Group.Path(), p.Importers, p.Exporters, k, x)
			}
		}
	}
	for key, one := range r.roles() {
		if one.place != "" && one.reach == 0 && len(one.leases) > 0 {
			t.Fatalf("%s has leases without a role: %+v", key, one)
		}
	}
}

func (r *rollout) hashes() (hashes []bittorrent.InfoHash) {
	for _, c := range r.hosts {
		if !slices.Contains(hashes, c.hash) {
			hashes = append(hashes, c.hash)
		}
	}
	return hashes
}

// rackRollout has an origin and three racks of four, of which one host each imports.
func rackRollout(t *testing.T) *rollout {
	t.Helper()
	r := newRollout(t, "strict", "rack")
	r.open()
	r.announce(r.add(1, "r0", 0), bittorrent.EventStarted)
	for range 3 {
		for _, rack := range []string{"r1", "r2", "r3"} {
			r.announce(r.add(1, rack, fileSize), bittorrent.EventStarted)
		}
	}
	r.everybody()
	return r
}

func (r *rollout) everybody() {
	for range 2 {
		r.now = r.now.Add(time.Second)
		for _, c := range r.hosts {
			r.announce(c, bittorrent.EventNone)
		}
	}
}

// records takes those of a torrent, of which none changed.
func records(s *Store, h bittorrent.InfoHash) (all []roster.Record) {
	s.Roles(h, nil, func(some []roster.Record) { all = append(all, some...) })
	slices.SortFunc(all, func(a, b roster.Record) int { return a.Addr.Compare(b.Addr) })
	return all
}

// rowsOf returns how many rows a table has.
func rowsOf(t *testing.T, s *Store, table string) (n int) {
	t.Helper()
	if err := s.writer.conn.QueryRowContext(context.Background(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
