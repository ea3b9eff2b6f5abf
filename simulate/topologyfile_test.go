package simulate

import (
	"strings"
	"testing"
)

const topologyText = `levels: [row, rack]          # outermost first
host: 1Gbit
uplink: {row: 40Gbit}
oversubscription: {rack: 5}
groups:
  - {name: row1, groups: [{name: rack, count: 3, hosts: 40}]}
  - name: row2
    uplink: {up: 10Gbit, down: 20Gbit}
    groups:
      - {name: old, hosts: 20, host: 100Mbit, uplink: 1Gbit}
      - {name: new, hosts: 10, oversubscription: 2}
`

func TestTopologyIsReadWithWhatHoldsForAllAndWhatForOne(t *testing.T) {
	topology, err := ReadTopology(strings.NewReader(topologyText), "x")
	if err != nil {
		t.Fatal(err)
	}
	nodes, err := topology.lay()
	if err != nil {
		t.Fatal(err)
	}
	const gbit = 1e9 / 8
	for i, want := range []node{
		{path: "row1", height: 2, up: -1, speed: Both(40 * gbit)},
		{path: "row1/rack1", height: 1, up: 0, speed: Both(8 * gbit), hosts: 40, host: Both(gbit)},
		{path: "row1/rack2", height: 1, up: 0, speed: Both(8 * gbit), hosts: 40, host: Both(gbit)},
		{path: "row1/rack3", height: 1, up: 0, speed: Both(8 * gbit), hosts: 40, host: Both(gbit)},
		{path: "row2", height: 2, up: -1, speed: Speed{10 * gbit, 20 * gbit}},
		{path: "row2/old", height: 1, up: 4, speed: Both(gbit), hosts: 20, host: Both(gbit / 10)},
		{path: "row2/new", height: 1, up: 4, speed: Both(5 * gbit), hosts: 10, host: Both(gbit)},
	} {
		if nodes[i].place == nil == (want.height == 1) {
			t.Errorf("%s: only racks have a place", nodes[i].path)
		}
		nodes[i].place = nil
		if nodes[i] != want {
			t.Errorf("%+v, want %+v", nodes[i], want)
		}
	}
}

func TestMistakesInATopologyAreToldWithTheirLine(t *testing.T) {
	for want, change := range map[string][2]string{
		`x:3: a topology has no key "uplinks"`:            {"uplink: {row", "uplinks: {row"},
		`x:11: a group has no key "hostz"`:                {"hosts: 10", "hostz: 10"},
		`x:10: "x" is no number of 1 to 100000`:           {"hosts: 20", "hosts: x"},
		`x:2: "fast" is no speed`:                         {"host: 1Gbit", "host: fast"},
		`x:8: a speed has no key "sideways"`:              {"{up: 10Gbit,", "{sideways: 10Gbit,"},
		`x:8: a speed wants up and down both`:             {", down: 20Gbit", ""},
		`no level is called "cage"`:                       {"{rack: 5}", "{cage: 5}"},
		`x:11: "-1" is no number above 0`:                 {"oversubscription: 2", "oversubscription: -1"},
		`x:11: oversubscription is there twice`:           {"oversubscription: 2", "oversubscription: 2, oversubscription: 3"},
		`x:6: more than 20000 groups cannot be simulated`: {"count: 3", "count: 30000"},
		`want the keys levels and groups`:                 {topologyText, "# nothing"},
		`a topology wants levels`:                         {"levels", "#"},
		`x:11: uplink and oversubscription say the same`:  {"oversubscription: 2", "oversubscription: 2, uplink: 1Gbit"},
		`row2/old is there twice`:                         {"name: new", "name: old"},
		`row1 is a row: want groups of level rack in it`:  {", groups: [{name: rack, count: 3, hosts: 40}]", ""},
		`x:1: 9 levels are more than 8`:                   {"[row, rack]", "[a, b, c, d, e, f, g, h, i]"},
		`groups are in each other more deeply`:            {"[row, rack]", "[rack]"},
		`more than one YAML document`:                     {"new, hosts: 10, oversubscription: 2}", "new, hosts: 10}\n---\n"},
		`did not find expected`:                           {"[row, rack]", "[row, rack"},
	} {
		bad := strings.Replace(topologyText, change[0], change[1], 1)
		if bad == topologyText {
			t.Fatalf("%q changes nothing", change[0])
		}
		if _, err := ReadTopology(strings.NewReader(bad), "x"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := ReadTopology(strings.NewReader(strings.Repeat("#\n", maxFile)), "x"); err == nil || !strings.Contains(err.Error(), "4 MiB") {
		t.Errorf("a file that is too large: %v", err)
	}
}

func FuzzReadTopology(f *testing.F) {
	f.Add([]byte(topologyText))
	f.Add([]byte("levels: [a]\ngroups: [{name: x, count: 20000, hosts: 1, host: 8bit}]"))
	f.Add([]byte("levels: [a, a]\ngroups: []"))
	f.Add([]byte("levels: &a [*a]\ngroups: *a"))
	f.Add([]byte("host: {up: 1Gbit}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		topology, err := ReadTopology(strings.NewReader(string(data)), "x")
		if err == nil && topology.Check() != nil {
			t.Fatal("a topology is read that cannot be")
		}
	})
}

func TestSpeedsAndSizesAreReadAsPeopleWriteThem(t *testing.T) {
	for text, want := range map[string]int64{
		"1Gbit": 125e6, "10 Gbit": 125e7, "100Mbit/s": 125e5, "125MB": 125e6, "1MB/s": 1e6, "8bit": 1, "1Gibit": 1 << 27,
	} {
		if got, err := ParseSpeed(text); err != nil || got != want {
			t.Errorf("%q: %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "bit", "0", "7bit", "-1Gbit", "1e30Gbit", "fast", "1Gbits"} {
		if got, err := ParseSpeed(text); err == nil {
			t.Errorf("%q is read as %d", text, got)
		}
	}
	if got, err := ParseSize("500MB"); err != nil || got != 500e6 {
		t.Errorf("500MB: %d, %v", got, err)
	}
	for _, text := range []string{"", "0", "-1", "NaN", "2000PB"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("%q is read as %d", text, got)
		}
	}
	if late, err := ParseLate("10%@60s"); err != nil || late.Share != 0.1 || late.At.Seconds() != 60 {
		t.Errorf("10%%@60s: %+v, %v", late, err)
	}
	for _, text := range []string{"", "10%", "10@60s", "101%@1s", "x%@1s", "1%@x", "NaN%@1s", "1%@-1s"} {
		if late, err := ParseLate(text); err == nil {
			t.Errorf("%q is read as %+v", text, late)
		}
	}
	for _, text := range []string{"", "origin", "@1s", "origin@", "origin@-1s"} {
		if e, err := ParseEvent(Kill, text); err == nil {
			t.Errorf("%q is read as %+v", text, e)
		}
	}
}
