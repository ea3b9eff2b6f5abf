package sqlite

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/locality"
	"waggle/roster"
)

func mustGroup(t testing.TB, path string) *locality.Group {
	t.Helper()
	tree, err := locality.NewTree(10, "row", "rack")
	if err != nil {
		t.Fatal(err)
	}
	g, err := tree.Group(path)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func memberRecords(t testing.TB) []roster.Record {
	one, two, six := netip.MustParseAddrPort("192.0.2.1:65535"), netip.MustParseAddrPort("192.0.2.2:1"), netip.MustParseAddrPort("[2001:db8::1]:6881")
	return []roster.Record{
		{
			Addr: one, Location: mustGroup(t, "a/r1"), Reach: 2, Probed: true, Told: 15 * time.Second, Lag: 300 * time.Second,
			Parents: []netip.AddrPort{six, two}, Depth: 129, Orphans: []netip.AddrPort{two, six, two},
		},
		{Addr: six, Location: mustGroup(t, "a/r2"), Standby: true, Told: 1500 * time.Millisecond, Orphans: []netip.AddrPort{one}},
		{Addr: two, Parents: []netip.AddrPort{one}},
	}
}

func TestMemberRowsKeepRolesAndLeases(t *testing.T) {
	h := bittorrent.InfoHash{3, 19: 4}
	for _, want := range memberRecords(t) {
		row := newMemberRow(&h, &want)
		hash, got, err := readMember(row.place, row.location != "", row.role)
		if err != nil || hash != h {
			t.Fatalf("read of %v (%v)", hash, err)
		}
		got.Location = want.Location
		if !equalRecords(got, want) {
			t.Errorf("read %+v, want %+v", got, want)
		}
	}
}

func equalRecords(a, b roster.Record) bool {
	return a.Addr == b.Addr && a.Location == b.Location && a.Reach == b.Reach && a.Standby == b.Standby && a.Probed == b.Probed &&
		a.Told == b.Told && a.Lag == b.Lag && a.Depth == b.Depth && slices.Equal(a.Parents, b.Parents) && slices.Equal(a.Orphans, b.Orphans)
}

func TestMemberRowsAreBounded(t *testing.T) {
	many := make([]netip.AddrPort, 2*maxLeases)
	for i := range many {
		many[i] = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), 6881)
	}
	row := newMemberRow(&bittorrent.InfoHash{}, &roster.Record{Addr: many[0], Location: mustGroup(t, "a/r1"), Parents: many, Orphans: many})
	_, got, err := readMember(row.place, true, row.role)
	if err != nil || len(got.Parents) != maxLeases || len(got.Orphans) != maxLeases {
		t.Errorf("%d parents and %d orphans were kept (%v), want %d each", len(got.Parents), len(got.Orphans), err, maxLeases)
	}
}

func FuzzReadMember(f *testing.F) {
	for _, r := range memberRecords(f) {
		row := newMemberRow(&bittorrent.InfoHash{5}, &r)
		f.Add(row.place, row.location != "", row.role)
	}
	f.Add(make([]byte, place4), true, make([]byte, roleHead-1))
	f.Add(make([]byte, place4), false, append([]byte{1}, make([]byte, roleHead-1)...))
	f.Fuzz(func(t *testing.T, place []byte, located bool, role []byte) {
		h, r, err := readMember(place, located, role)
		if err != nil {
			return
		}
		if row := newMemberRow(&h, &r); !bytes.Equal(row.place, place) || !bytes.Equal(row.role, role) {
			t.Errorf("%x %x was read as %+v, and written as %x %x", place, role, r, row.place, row.role)
		}
	})
}
