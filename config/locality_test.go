package config

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// everySource has an entry of each kind, and of each way to write one.
const everySource = `locality:
  levels: [site, rack]
  importers: {rack: 1, site: 4}
  rack_bandwidth: 10Gbit
  client_bandwidth: 0.5Gbit
  sources:
    - subnets: topology.csv
    - subnets: {file: more.csv}
    - rest:
        url: http://smdb.example
        path: "{/server/site}/{/server/cabinet}"
        host: "{/server/name}"
    - dns: "{reversed}.loc.example.com"
    - {dns: {loc: "{arpa}", path: "{lat.1},{long.1}/{lat.4},{long.4}", server: "[::1]:5353"}}
    - hostname: (?P<rack>r\d+)\.(?P<site>[a-z0-9]+)\.example\.com
    - program: /usr/local/bin/where
    - program: {command: [where, --path]}
    - maxmind: [a.mmdb, b.mmdb]
    - kubernetes:
        path: "{zone}/{rack}"
        interval: 30s
`

func TestEverySourceIsReadWithItsDefaults(t *testing.T) {
	c, err := read(everySource)
	if err != nil {
		t.Fatal(err)
	}
	want := []LocalitySource{
		{Subnets: &SubnetsSource{File: "topology.csv"}},
		{Subnets: &SubnetsSource{File: "more.csv"}},
		{REST: &RESTSource{URL: "http://smdb.example", Path: "{/server/site}/{/server/cabinet}", Host: "{/server/name}"}},
		{DNS: &DNSSource{TXT: "{reversed}.loc.example.com"}},
		{DNS: &DNSSource{LOC: "{arpa}", Path: "{lat.1},{long.1}/{lat.4},{long.4}", Server: "[::1]:5353"}},
		{Hostname: &HostnameSource{Pattern: `(?P<rack>r\d+)\.(?P<site>[a-z0-9]+)\.example\.com`, Confirm: true}},
		{Program: &ProgramSource{Command: []string{"/usr/local/bin/where"}}},
		{Program: &ProgramSource{Command: []string{"where", "--path"}}},
		{MaxMind: &MaxMindSource{Files: []Path{"a.mmdb", "b.mmdb"}, Path: "{country.iso_code}/AS{autonomous_system_number}"}},
		{Kubernetes: &KubernetesSource{Path: "{zone}/{rack}", Interval: 30 * time.Second}},
	}
	if !reflect.DeepEqual(c.Locality.Sources, want) {
		t.Errorf("%+v", c.Locality.Sources)
	}
	if l := c.Locality; fmt.Sprint(l.Importers) != "[rack=1 site=4]" || l.RackBandwidth != 1e10 || l.ClientBandwidth != 5e8 || !l.On() {
		t.Errorf("%+v", l)
	}
}

func TestSourcesArePrintedAKeyALineAndReadBack(t *testing.T) {
	c, err := read(everySource)
	if err != nil {
		t.Fatal(err)
	}
	text := printed(&Loaded{Config: c, Sources: map[string]Source{sourcesPath: {"waggle.yaml", 6}}})
	for _, want := range []string{
		"\n  importers: {rack: 1, site: 4}\n",
		"\n  sources: # from waggle.yaml:6; the default is []\n    - subnets:\n        file: topology.csv\n",
		"\n    - dns:\n        txt: \"{reversed}.loc.example.com\"\n",
		"\n        interval: 30s\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	back, err := read(text)
	if err != nil || !reflect.DeepEqual(back, c) {
		t.Errorf("%+v, %v", back.Locality, err)
	}
}

func TestEveryKeyOfASourceIsExplained(t *testing.T) {
	text := printed(&Loaded{Config: Default()})
	for _, kind := range sourceKinds() {
		if !strings.HasSuffix(kind.doc, ".") || !strings.Contains(text, "\n  # "+kind.name+": ") {
			t.Errorf("%s is explained as %q", kind.name, kind.doc)
		}
		for _, k := range kind.keys {
			if !strings.HasSuffix(k.doc, ".") || !strings.Contains(text, "\n  #   - "+last(k.path)+": ") {
				t.Errorf("%s is explained as %q", k.path, k.doc)
			}
		}
	}
}

func TestFlagAndVariableHaveSourcesAsTheFileHasThem(t *testing.T) {
	for _, text := range []string{
		"[subnets: a.csv, {dns: {txt: '{reversed}.x'}}]", "subnets: a.csv, dns: '{reversed}.x'",
		"{subnets: {file: a.csv}}, {dns: '{reversed}.x'}",
	} {
		l, err := Load(nil, []string{"WAGGLE_LOCALITY_SOURCES=" + text, "WAGGLE_LOCALITY_IMPORTERS=rack=3"})
		if err != nil || len(l.Config.Locality.Sources) != 2 || l.Config.Locality.Sources[1].DNS.TXT != "{reversed}.x" {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if from := l.Sources[sourcesPath].String(); from != "WAGGLE_LOCALITY_SOURCES" || l.Config.Locality.Importers[0].Count != 3 {
			t.Errorf("%s: from %s, importers %v", text, from, l.Config.Locality.Importers)
		}
	}
	l, err := Load(flagSet(t, "--locality-sources=subnets: a.csv", "--locality-sources", "program: where"), nil)
	if err != nil || len(l.Config.Locality.Sources) != 2 {
		t.Errorf("%+v, %v", l, err)
	}
	l, err = Load(nil, []string{"WAGGLE_LOCALITY_SOURCES="})
	if err != nil || l.Config.Locality.On() {
		t.Errorf("%+v, %v", l, err)
	}
	_, err = Load(nil, []string{"WAGGLE_LOCALITY_SOURCES=rest: {url: ftp://x}"})
	wantProblems(t, err, `WAGGLE_LOCALITY_SOURCES: locality.sources.rest.url wants a URL such as https://smdb.example, not "ftp://x"`)
	_, err = Load(nil, []string{"WAGGLE_LOCALITY_SOURCES=[}"})
	wantProblems(t, err, `WAGGLE_LOCALITY_SOURCES: locality.sources wants a list such as [subnets: topology.csv], not "[}"`)
}

func TestMistakesOfLocalityAreReportedWithLineAndKey(t *testing.T) {
	for _, c := range []struct{ name, file, want string }{
		{"unknown level", "levels: [row, rack]\n  importers: {rack: 1, cage: 2}", "3: locality.importers names level cage, and locality.levels are [row, rack] (waggle.yaml:2)"},
		{"level twice", "levels: [rack, rack]", "2: locality.levels has rack twice"},
		{"no levels", "levels: []", "2: locality.levels has 0 levels, and must have 1 to 8"},
		{"importers of a level twice", "exporters:\n    rack: 1\n    rack: 2", "2: locality.exporters has level rack twice"},
		{"importers without number", "importers: {rack: many}", `2: locality.importers wants a level and a number such as rack=1, not "rack=many": the number is from 1 to 1000`},
		{"importers as a list", "importers: [rack]", "2: locality.importers wants keys such as {rack: 1}, not a list"},
		{"intervals", "active_interval: 10m", "2: locality.active_interval must be at most locality.passive_interval; they are 10m (waggle.yaml:2) and 5m (default)"},
		{"one bandwidth", "rack_bandwidth: 1Gbit", "2: locality.rack_bandwidth must be set, or 0, together with locality.client_bandwidth; they are 1Gbit (waggle.yaml:2) and 0 (default)"},
		{"client above rack", "rack_bandwidth: 1Gbit\n  client_bandwidth: 2Gbit", "3: locality.client_bandwidth must be at most locality.rack_bandwidth; they are 2Gbit (waggle.yaml:3) and 1Gbit (waggle.yaml:2)"},
		{"bandwidth in bytes", "rack_bandwidth: 10GB", `2: locality.rack_bandwidth wants 0, or bits a second such as 500Mbit or 10Gbit, not "10GB"`},
		{"source without list", "sources: topology.csv", `2: locality.sources wants a list such as [subnets: topology.csv], not "topology.csv"`},
		{"no value", "sources:", "2: locality.sources has no value; give it a list such as [subnets: topology.csv], or leave out the key"},
		{"source as a word", "sources:\n    - topology.csv", "3: locality.sources wants an entry with one of subnets:, rest:, dns:, hostname:, program:, maxmind:, kubernetes: in it, as in - subnets: topology.csv"},
		{"two kinds in one entry", "sources:\n    - subnets: a\n      dns: b", "3: locality.sources wants an entry with one of subnets:, rest:, dns:, hostname:, program:, maxmind:, kubernetes: in it, as in - subnets: topology.csv"},
		{"unknown kind", "sources:\n    - subnet: a", "3: locality.sources has no kind of source subnet; did you mean subnets?"},
		{"nothing like a kind", "sources:\n    - ldap: a", "3: locality.sources has no kind of source ldap; they are subnets, rest, dns, hostname, program, maxmind, kubernetes"},
		{"unknown key", "sources:\n    - rest:\n        url: http://a\n        pth: b", "5: locality.sources has no key pth in rest; did you mean path?"},
		{"key twice", "sources:\n    - rest:\n        url: http://a\n        url: http://b", "5: locality.sources has url already on line 4; keep one of them"},
		{"source without what it needs", "sources:\n    - rest: {path: a}", "3: locality.sources rest lacks url"},
		{"txt and loc", "sources:\n    - dns: {txt: a, loc: b}", "3: locality.sources dns wants one of txt and loc"},
		{"loc without path", "sources:\n    - dns: {loc: b}", `3: locality.sources dns with loc wants path, as in path: "{lat.1},{long.1}"`},
		{"unclosed brace", "sources:\n    - dns: '{reversed.x'", `3: locality.sources.dns.txt wants a text with names in braces such as {/server/cabinet}, not "{reversed.x": a { is not followed by a name and }`},
		{"bad pattern", "sources:\n    - hostname: (", "3: locality.sources.hostname.pattern wants a regular expression such as (?P<rack>r[0-9]+)-.*, not \"(\": missing closing ): `(`"},
		{"pattern without a level", "sources:\n    - subnets: a\n    - hostname: r12", "4: locality.sources.hostname.pattern has no named group for level rack, as in (?P<rack>[^.]+)"},
		{"password in a URL", "sources: [{rest: 'http://u:p@x/'}]", `2: locality.sources.rest.url wants a URL such as https://smdb.example, not "http://u:***@x/": a password does not belong here; put a token into a file`},
		{"too often", "sources: [{kubernetes: {interval: 1s}}]", `2: locality.sources.kubernetes.interval must be 5s to 1h, not "1s"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := problemsOf(Check("waggle.yaml", []byte("locality:\n  "+c.file+"\n")))
			if len(got) == 0 || got[len(got)-1] != "waggle.yaml:"+c.want {
				t.Errorf("got  %s\nwant waggle.yaml:%s", strings.Join(got, "\n     "), c.want)
			}
		})
	}
}

func TestMoreSourcesThanAChainHoldsAreRefused(t *testing.T) {
	err := Check("waggle.yaml", []byte("locality: {sources: ["+strings.Repeat("subnets: a,", 33)+"]}"))
	wantProblems(t, err, "waggle.yaml:1: locality.sources has 33 entries, and may have 32")
}

func TestBandwidthIsPrintedShortlyAndReadBack(t *testing.T) {
	for text, want := range map[string]Bandwidth{"0": 0, "1bit": 1, "2.5Gbit": 2_500_000_000, "10Gbit/s": 1e10, "64kbit": 64_000, "1000Mbit": 1e9} {
		if got, err := parseBandwidth(text); err != nil || got != want {
			t.Errorf("%q is %d, %v; want %d", text, int64(got), err, want)
		}
	}
	for _, text := range []string{"", "1", "10G", "10 Gbit", "-1bit", "1.5bit", "1e3bit", "9999Tbit", "10gbit", "10MB"} {
		if got, err := parseBandwidth(text); err == nil {
			t.Errorf("%q is read as %d", text, int64(got))
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		b := Bandwidth(rapid.Int64Range(0, 1e15).Draw(t, "b"))
		if back, err := parseBandwidth(b.String()); err != nil || back != b {
			t.Fatalf("%d is printed as %s and read as %d, %v", int64(b), b, int64(back), err)
		}
	})
}

func TestServerHasAPortOrNone(t *testing.T) {
	for _, text := range []string{"", "192.0.2.53", "2001:db8::53", "[2001:db8::53]:5353", "ns.example", "ns.example:53"} {
		if got, err := parseServer(text); err != nil || string(got) != text {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{":53", "udp://ns", "a b", "ns:port", "[::1]"} {
		if got, err := parseServer(text); err == nil {
			t.Errorf("%q is read as %q", text, got)
		}
	}
}

// anyLocality is a section on locality that keeps to the rules.
func anyLocality() *rapid.Generator[Locality] {
	return rapid.Custom(func(t *rapid.T) Locality {
		c := Default().Locality
		c.Levels = rapid.SampledFrom([][]Level{{"rack"}, {"site", "row", "rack"}, {"null", "true", "rack"}}).Draw(t, "levels")
		for _, level := range c.Levels {
			if rapid.Bool().Draw(t, "counted") {
				c.Importers = append(c.Importers, LevelCount{level, rapid.IntRange(1, 1000).Draw(t, "count")})
			}
		}
		c.Profile = rapid.SampledFrom([]string{"strict", "balanced", "parity"}).Draw(t, "profile")
		c.ClientBandwidth = Bandwidth(rapid.Int64Range(0, 1e12).Draw(t, "client_bandwidth"))
		c.RackBandwidth = c.ClientBandwidth * 3
		text := rapid.StringMatching(`[^\pC{}]{1,20}`)
		anySource := rapid.Custom(func(t *rapid.T) LocalitySource {
			path := Template("{" + text.Draw(t, "path") + "}")
			return rapid.SampledFrom([]LocalitySource{
				{Subnets: &SubnetsSource{File: Path(text.Draw(t, "file"))}},
				{REST: &RESTSource{URL: "https://a", Path: path, TokenFile: Path(text.Draw(t, "token"))}},
				{DNS: &DNSSource{LOC: path, Path: path, Server: "ns.example:53"}},
				{Hostname: &HostnameSource{Pattern: "(?P<site>a)(?P<row>a)(?P<null>b)(?P<true>c)(?P<rack>.*)", Confirm: false}},
				{Program: &ProgramSource{Command: []string{text.Draw(t, "program"), text.Draw(t, "argument")}}},
				{MaxMind: &MaxMindSource{Files: []Path{Path(text.Draw(t, "a")), Path(text.Draw(t, "b"))}, Path: path}},
				{Kubernetes: &KubernetesSource{Path: path, URL: "http://[::1]:80/x", Interval: time.Hour}},
			}).Draw(t, "source")
		})
		c.Sources = rapid.SliceOfN(anySource, 0, 4).Draw(t, "sources")
		return c
	})
}

// withoutLocality is a configuration as text, but for what it says of locality, which has pointers.
func withoutLocality(c Config) string {
	c.Locality = Locality{}
	return fmt.Sprintf("%+v", c)
}
