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

func TestValuesCanBeReadByPeople(t *testing.T) {
	h := heards(t)[0]
	copy(h.ID[:], "-WG0001-abcdefghijkl")
	const announced = "1 leecher 281474976710656 3 1099511627776 1699999000.123456789 1700000000.123456789 15s 5m0s -WG0001-abcdefghijkl a/r1"
	if got := announcedValue(&h, "a/r1"); string(got) != announced {
		t.Errorf("announced:\n%s, want\n%s", got, announced)
	}
	for i, want := range []string{
		"1 leecher reach 2 probed depth 129 parents [2001:db8::1]:6881 192.0.2.2:1 orphans 192.0.2.2:1 [2001:db8::1]:6881 at a/r1",
		"1 leecher standby orphans 192.0.2.1:65535 at a/r2",
		"1 seeder parents 192.0.2.1:65535",
	} {
		r := roles(t)[i]
		if got := roleValue(&r.Record, r.kind); string(got) != want {
			t.Errorf("record %q, want %q", got, want)
		}
	}
}

func TestDamagedValuesAreRefused(t *testing.T) {
	const good = "1 leecher 1 2 3 1700000000.123456789 1700000001.123456789 45s 5m0s 01234567890123456789 a/r1"
	if _, err := readAnnounced(one, []byte(good)); err != nil {
		t.Fatal(err)
	}
	for was, is := range map[string]string{
		"leecher": "lurker", " 1 2 3 ": " 1 -2 3 ", "123456789 17": "12345678 17", "1700000001": "9999999999", "45s": "45", "5m0s": "-5m0s",
		"01234567890123456789": "0123456789", " a/r1": " a/" + strings.Repeat("r", maxPath), "1 leecher": "0 leecher",
	} {
		bad := strings.Replace(good, was, is, 1)
		if _, err := readAnnounced(one, []byte(bad)); !errors.Is(err, errDamaged) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for _, bad := range []string{
		"", "1", "1 ", "1 leecher reach 9 at a", "1 leecher reach 0 at a", "1 leecher reach 1", "1 leecher standby", "1 leecher depth 2 at a",
		"1 leecher parents at a", "1 leecher parents 192.0.2.1 at a", "1 leecher parents [fe80::1%eth0]:1 at a", "1 leecher probed reach 1 at a",
		"1 leecher loud at a", "1 leecher probed at ", "1 leecher probed at " + strings.Repeat("r", maxPath+1),
	} {
		if r, err := readRole(one, []byte(bad)); !errors.Is(err, errDamaged) {
			t.Errorf("%q: %+v, %v", bad, r, err)
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
	if err != nil || len(value) > MaxValue || len(got.Parents) < 9 || got.Parents[0] != r.Parents[0] || len(got.Orphans) > 0 {
		t.Errorf("%d bytes, %d parents, %d orphans, %v", len(value), len(got.Parents), len(got.Orphans), err)
	}
	h := heards(t)[0]
	if value := announcedValue(&h, r.Location.Path()); len(value) > MaxValue {
		t.Errorf("%d bytes", len(value))
	}
}

func TestValueOfANewerLayoutNamesTheRemedy(t *testing.T) {
	for _, err := range []error{errorOf(readAnnounced(one, []byte("2 x"))), errorOf(readRole(one, []byte("200")))} {
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
	f.Add([]byte("2 x"))
	f.Add([]byte("1 leecher 1 2 3 1700000000.123456789 1700000000.5 45s -1ms 01234567890123456789 "))
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
	f.Add([]byte("1 leecher reach 9 parents at a"))
	f.Fuzz(func(t *testing.T, value []byte) {
		r, err := readRole(one, value)
		if err != nil {
			return
		}
		if len(r.Parents)+len(r.Orphans) > MaxValue || r.Reach > locality.MaxLevels {
			t.Errorf("%q was read as %+v", value, r)
		}
		if r.path != "" {
			return // whose group another tracker may know
		}
		again, err := readRole(one, roleValue(&r.Record, r.kind))
		if err != nil || !reflect.DeepEqual(again.Record, r.Record) || again.kind != r.kind {
			t.Errorf("%q was read as %+v, and that as %+v, %v", value, r, again, err)
		}
	})
}
