package shared

import (
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"waggle/locality"
	"waggle/roster"
	"waggle/swarm"
)

func mustGroup(t testing.TB, path string) *locality.Group {
	t.Helper()
	levels := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	tree, err := locality.NewTree(10, levels[:strings.Count(path, "/")+1]...)
	if err != nil {
		t.Fatal(err)
	}
	g, err := tree.Group(path)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

var (
	one = netip.MustParseAddrPort("192.0.2.1:65535")
	two = netip.MustParseAddrPort("192.0.2.2:1")
	six = netip.MustParseAddrPort("[2001:db8::1]:6881")
)

func heards(t testing.TB) []roster.Heard {
	now := time.Unix(1_700_000_000, 123_456_789).UnixNano()
	return []roster.Heard{
		{
			Addr: one, ID: [20]byte{1, 19: 2}, Kind: swarm.Leecher, Location: mustGroup(t, "a/r1"), Left: 1 << 48, Uploaded: 3, Downloaded: 1 << 40,
			First: now - 1e12, Last: now, Told: 15 * time.Second, Lag: 300 * time.Second,
		},
		{Addr: six, Kind: swarm.PartialSeed, First: now, Last: now - 5},
		{Addr: two},
	}
}

func TestAnnouncedValuesKeepWhatWasSaid(t *testing.T) {
	for _, want := range heards(t) {
		path := ""
		if want.Location != nil {
			path = want.Location.Path()
		}
		got, err := readAnnounced(want.Addr, announcedValue(&want, path))
		if got.Location = want.Location; err != nil || got.Heard != want || got.path != path {
			t.Errorf("read %+v, %v; want %+v", got, err, want)
		}
	}
}

func roles(t testing.TB) []role {
	return []role{
		{kind: swarm.Leecher, path: "a/r1", Record: roster.Record{
			Addr: one, Location: mustGroup(t, "a/r1"), Reach: 2, Probed: true, Parents: []netip.AddrPort{six, two}, Depth: 129,
			Orphans: []netip.AddrPort{two, six},
		}},
		{kind: swarm.Leecher, path: "a/r2", Record: roster.Record{Addr: six, Location: mustGroup(t, "a/r2"), Standby: true, Orphans: []netip.AddrPort{one}}},
		{Record: roster.Record{Addr: two, Parents: []netip.AddrPort{one}}},
	}
}

func TestRecordsKeepRolesAndLeases(t *testing.T) {
	for _, want := range roles(t) {
		value := roleValue(&want.Record, want.kind)
		got, err := readRole(want.Addr, value)
		if err != nil {
			t.Fatal(err)
		}
		want.value, got.Location = value, want.Location
		if !reflect.DeepEqual(*got, want) {
			t.Errorf("read %+v, want %+v", *got, want)
		}
	}
}

func TestLongestRecordFits(t *testing.T) {
	name := strings.Repeat("x", 64)
	r := roster.Record{Addr: one, Location: mustGroup(t, strings.Repeat(name+"/", 7)+name), Reach: 8, Depth: 129}
	for i := range 200 {
		r.Parents = append(r.Parents, netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x20, 15: byte(i)}), 6881))
		r.Orphans = append(r.Orphans, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 3: byte(i)}), 1))
	}
	value := roleValue(&r, swarm.Leecher)
	got, err := readRole(one, value)
	if err != nil || len(value) > MaxValue || len(got.Parents) < 20 || got.Parents[0] != r.Parents[0] || len(got.Orphans) > 0 {
		t.Errorf("%d bytes, %d parents, %d orphans, %v", len(value), len(got.Parents), len(got.Orphans), err)
	}
	h := heards(t)[0]
	if value := announcedValue(&h, r.Location.Path()); len(value) > MaxValue {
		t.Errorf("%d bytes", len(value))
	}
}

func TestValueOfANewerLayoutNamesTheRemedy(t *testing.T) {
	for _, err := range []error{errorOf(readAnnounced(one, []byte{2, 3})), errorOf(readRole(one, []byte{200}))} {
		var newer newerError
		if !errors.As(err, &newer) || !strings.Contains(err.Error(), "upgrade this tracker") {
			t.Errorf("%v", err)
		}
	}
}

func errorOf[V any](_ V, err error) error { return err }

func FuzzReadAnnounced(f *testing.F) {
	for _, h := range heards(f) {
		f.Add(announcedValue(&h, "a/r1"))
	}
	f.Add([]byte{})
	f.Add([]byte{2})
	f.Fuzz(func(t *testing.T, value []byte) {
		s, err := readAnnounced(one, value)
		if err != nil {
			return
		}
		again, err := readAnnounced(one, announcedValue(&s.Heard, s.path))
		if err != nil || again != s {
			t.Errorf("%x was read as %+v, and that as %+v, %v", value, s, again, err)
		}
	})
}

func FuzzReadRole(f *testing.F) {
	for _, r := range roles(f) {
		f.Add(roleValue(&r.Record, r.kind))
	}
	f.Add([]byte{})
	f.Add([]byte{1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, value []byte) {
		r, err := readRole(one, value)
		if err != nil {
			return
		}
		if len(r.Parents)+len(r.Orphans) > MaxValue || r.Reach > locality.MaxLevels {
			t.Errorf("%x was read as %+v", value, r)
		}
	})
}
