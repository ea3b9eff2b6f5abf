package locality

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
)

// mmdb writes a file in MaxMind's format with MaxMind's own writer.
func mmdb(t *testing.T, path string, version int, records map[string]mmdbtype.Map) string {
	t.Helper()
	tree, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "test", IPVersion: version, IncludeReservedNetworks: true})
	if err != nil {
		t.Fatal(err)
	}
	for network, record := range records {
		_, prefix, err := net.ParseCIDR(network)
		if err != nil {
			t.Fatal(err)
		}
		if err := tree.Insert(prefix, record); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tree.WriteTo(f); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func country(code string) mmdbtype.Map {
	return mmdbtype.Map{"country": mmdbtype.Map{"iso_code": mmdbtype.String(code)}}
}

func autonomous(number uint32) mmdbtype.Map {
	return mmdbtype.Map{"autonomous_system_number": mmdbtype.Uint32(number)}
}

func TestCountryAndASNumberOfTwoFilesAreThePath(t *testing.T) {
	directory := t.TempDir()
	countries := mmdb(t, filepath.Join(directory, "country.mmdb"), 6, map[string]mmdbtype.Map{
		"192.0.2.0/24": country("NL"), "198.51.100.0/24": country("DE"), "2001:db8::/32": country("NL"), "203.0.113.0/24": country("a/b"),
	})
	numbers := mmdb(t, filepath.Join(directory, "asn.mmdb"), 4, map[string]mmdbtype.Map{
		"192.0.2.0/25": autonomous(3320), "192.0.2.128/25": autonomous(1136), "203.0.113.0/24": autonomous(64500),
	})
	m, err := OpenMaxMind(treeOf(t, "country", "network"), MaxMindOptions{Files: []string{countries, numbers}})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time from memory
		wantPath(t, m, "192.0.2.1", "NL/AS3320", "")
		wantPath(t, m, "192.0.2.200", "NL/AS1136", "")
		wantPath(t, m, "198.51.100.1", "", "") // no AS number
		wantPath(t, m, "2001:db8::1", "", "")  // the second file is of IPv4
		wantPath(t, m, "8.8.8.8", "", "")
	}
	if why, want := m.Why(netip.MustParseAddr("192.0.2.1")), countries+": 192.0.2.0/24, "+numbers+": 192.0.2.0/25"; why != want {
		t.Errorf("%s, want %s", why, want)
	}
	if at, err := m.Dated(); err != nil || time.Since(at) > time.Hour {
		t.Errorf("%v, %v", at, err)
	}
	wantPath(t, m, "203.0.113.1", "", "")
	if _, err := m.Dated(); err == nil || err.Error() != `maxmind: "a/b/AS64500" is no path of 2 names: give country/network` {
		t.Error(err)
	}
	in := netip.MustParseAddr("192.0.2.1")
	if n := testing.AllocsPerRun(100, func() { m.Group(in) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAnyFieldOfARecordMayBeInThePath(t *testing.T) {
	file := mmdb(t, filepath.Join(t.TempDir(), "city.mmdb"), 6, map[string]mmdbtype.Map{
		"192.0.2.0/24": {
			"subdivisions": mmdbtype.Slice{mmdbtype.Map{"iso_code": mmdbtype.String("NH")}},
			"city":         mmdbtype.Map{"names": mmdbtype.Map{"en": mmdbtype.String("Amsterdam")}},
			"is_anycast":   mmdbtype.Bool(true),
		},
	})
	for path, want := range map[string]string{
		"{subdivisions.0.iso_code}/{city.names.en}": "NH/Amsterdam", "{subdivisions.1.iso_code}/{city.names.en}": "", "{city}/x": "", "{is_anycast}/x": "",
		"{city.names.en.short}/x": "", "nl/x": "nl/x",
	} {
		m, err := OpenMaxMind(treeOf(t, "a", "b"), MaxMindOptions{Files: []string{file}, Path: path})
		if err != nil {
			t.Fatal(err)
		}
		wantPath(t, m, "192.0.2.1", want, "")
	}
}

func TestReloadOfABrokenMaxMindFileKeepsTheOldOne(t *testing.T) {
	file := mmdb(t, filepath.Join(t.TempDir(), "country.mmdb"), 6, map[string]mmdbtype.Map{"192.0.2.0/24": country("NL")})
	m, err := OpenMaxMind(treeOf(t, "country"), MaxMindOptions{Files: []string{file}, Path: "{country.iso_code}"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("no database"), 0o600); err != nil {
		t.Fatal(err)
	}
	err = m.Reload()
	if _, kept := m.Dated(); err == nil || kept == nil || kept.Error() != err.Error() || !strings.HasPrefix(err.Error(), "maxmind: "+file+": ") {
		t.Errorf("%v, kept as %v", err, kept)
	}
	wantPath(t, m, "192.0.2.1", "NL", "")
	mmdb(t, file, 6, map[string]mmdbtype.Map{"192.0.2.0/24": country("DE")})
	if err := m.Reload(); err != nil {
		t.Error(err)
	}
	wantPath(t, m, "192.0.2.1", "DE", "")
}

func TestMaxMindOptionsThatCannotBeAreRefused(t *testing.T) {
	file := fileOf(t, "no database")
	for _, o := range []MaxMindOptions{{}, {Files: make([]string, 5)}, {Files: []string{file}}, {Files: []string{file + ".gone"}}, {Files: []string{file}, Path: "{"}, {Files: []string{file}, Path: "{country.iso_code}"}} {
		if _, err := OpenMaxMind(newTree(t), o); err == nil || !strings.HasPrefix(err.Error(), "maxmind: ") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
