package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/catalog"
	"waggle/console"
	"waggle/console/client"
	"waggle/locality"
	"waggle/store/memory"
	"waggle/swarm"
)

// located is a console of a tracker that knows where peers are: 10.1.2.x in rack r2.
type located struct {
	catalog *catalog.Catalog
	store   *memory.Store
	locator *locality.Locator
	policy  swarm.Policy
	url     string
	now     time.Time
}

func startLocated(t *testing.T) *located {
	t.Helper()
	tree, err := locality.NewTree(100, "rack")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "topology.csv")
	if err := os.WriteFile(file, []byte("10.1.1.0/24,r1\n10.1.2.0/24,r2\n10.1.3.0/24,r3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	table, err := locality.OpenSubnets(tree, file)
	if err != nil {
		t.Fatal(err)
	}
	l := &located{store: memory.New(memory.Options{Details: true}), now: time.Unix(1_700_000_000, 0)}
	if l.locator, err = locality.New(tree, locality.Options{Sources: []locality.Source{table}}); err != nil {
		t.Fatal(err)
	}
	if l.policy, err = swarm.NewPolicy("strict", 15*time.Second, 300*time.Second); err != nil {
		t.Fatal(err)
	}
	if l.catalog, err = catalog.Open(t.Context(), catalog.Options{Store: catalog.NewMemory(1 << 20), Profiles: swarm.Profiles}); err != nil {
		t.Fatal(err)
	}
	c, err := console.Listen(t.Context(), "127.0.0.1:0", console.Options{
		Figures: func() any { return nil }, Catalog: l.catalog, Swarms: memory.Shown{Store: l.store}, Roster: l.store, Locality: l.locator,
		Policy: func() console.Policy { return console.Policy{Policy: l.policy, Profile: "strict"} },
	})
	if err != nil {
		t.Fatal(err)
	}
	l.url = "http://" + c.Addr().String()
	t.Cleanup(func() {
		for _, part := range []io.Closer{c, l.catalog, l.store, l.locator} {
			if err := part.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return l
}

func (l *located) client(t *testing.T) *client.Client {
	t.Helper()
	c, err := client.New(l.url, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func (l *located) announce(t *testing.T, h bittorrent.InfoHash, from string, left, downloaded int64) {
	t.Helper()
	addr := netip.MustParseAddrPort(from)
	l.now = l.now.Add(time.Second)
	a := swarm.Announce{From: addr.Addr(), Now: l.now, Policy: &l.policy, Families: swarm.IPv4}
	a.Location, _ = l.locator.Cached(a.From, l.now)
	a.InfoHash, a.Port, a.Left, a.Downloaded, a.NumWant = h, addr.Port(), left, downloaded, 50
	ip := addr.Addr().As16()
	copy(a.PeerID[:], fmt.Sprintf("-TR3000-%x", ip[10:]))
	if err := l.store.Announce(t.Context(), &a, new(swarm.Reply)); err != nil {
		t.Fatal(err)
	}
}

// push registers a torrent of 1,000 bytes, which r1 has and r2 fetches.
func (l *located) push(t *testing.T, name string) bittorrent.InfoHash {
	t.Helper()
	body, h := metainfo(t, name)
	if _, err := l.catalog.Add(t.Context(), name+".torrent", body); err != nil {
		t.Fatal(err)
	}
	l.announce(t, h, "10.1.1.1:6881", 0, 0)
	l.announce(t, h, "10.1.2.1:6881", 1000, 0)
	l.announce(t, h, "10.1.2.2:6881", 1000, 0)
	l.announce(t, h, "10.1.2.1:6881", 500, 500)
	return h
}

func TestExplainSaysInSentencesAndInATableWhyAPeerIsToldOfWhom(t *testing.T) {
	l := startLocated(t)
	h := l.push(t, "image.iso")
	for _, of := range []string{"image.iso", "image.iso.torrent", h.String()} {
		out, err := runWaggle(t, "explain", of, "10.1.2.1:6881", "--console", l.url)
		if err != nil {
			t.Fatal(err)
		}
		sentences, table, _ := strings.Cut(out, "\n\n")
		if !strings.Contains(sentences, "10.1.2.1:6881 is in r2, which has 2 leechers") || !strings.Contains(sentences, "Its source is 10.1.1.1:6881") {
			t.Errorf("in words\n%s", sentences)
		}
		want := "        why     kind        address  location  children\n" +
			"     source   seeder  10.1.1.1:6881        r1  1\n" +
			"  neighbour  leecher  10.1.2.2:6881        r2  0\n"
		if table != want {
			t.Errorf("the table is\n%swant\n%s", table, want)
		}
	}
}

func TestExplainPrintsJSONAsTheAPIHasIt(t *testing.T) {
	l := startLocated(t)
	h := l.push(t, "image.iso")
	out, err := runWaggle(t, "explain", h.String(), "10.1.1.1:6881", "--json", "--console", l.url)
	var e client.Explanation
	if err != nil || json.Unmarshal([]byte(out), &e) != nil || e.Kind != "seeder" || len(e.Told) != 1 || e.Told[0].Why != "child" {
		t.Errorf("printed %s, %v", out, err)
	}
}

func TestPeerThatIsToldOfNobodyIsExplained(t *testing.T) {
	l := startLocated(t)
	h := bittorrent.InfoHash{1}
	l.announce(t, h, "10.1.2.1:6881", 1000, 0)
	if out, err := runWaggle(t, "explain", h.String(), "10.1.2.1:6881", "--console", l.url); err != nil || !strings.HasSuffix(out, "It is told of nobody.\n") {
		t.Errorf("printed %s, %v", out, err)
	}
}

func TestWhatCannotBeExplainedIsAnError(t *testing.T) {
	l := startLocated(t)
	h := l.push(t, "image.iso")
	twin, _ := metainfo(t, "image.iso")
	if _, err := l.catalog.Add(t.Context(), "twin.torrent", []byte(strings.Replace(string(twin), "i1000e", "i1001e", 1))); err != nil {
		t.Fatal(err)
	}
	l.announce(t, h, "192.0.2.1:1", 1000, 0)
	for _, test := range []struct {
		args []string
		code int
		say  string
	}{
		{[]string{h.String(), "10.1.2.9:6881"}, exitFailed, "10.1.2.9:6881 is no peer of this torrent"},
		{[]string{strings.Repeat("0", 40), "10.1.2.1:6881"}, exitFailed, "no such torrent"},
		{[]string{"other.iso", "10.1.2.1:6881"}, exitFailed, "no transfer other.iso"},
		{[]string{"image.iso", "10.1.2.1:6881"}, exitFailed, "2 transfers called image.iso"},
		{[]string{h.String(), "10.1.2.1"}, exitUsage, "write it like 10.1.2.1:6881"},
		{[]string{h.String(), "host:1"}, exitUsage, "write it like 10.1.2.1:6881"},
		{[]string{h.String()}, exitUsage, "two arguments"},
		{[]string{h.String(), "10.1.2.1:6881", "more"}, exitUsage, "two arguments"},
	} {
		out, err := runWaggle(t, append([]string{"explain", "--console", l.url}, test.args...)...)
		if err == nil || out != "" || exitCode(err) != test.code || !strings.Contains(err.Error(), test.say) {
			t.Errorf("%q: %q, %v; want %q", test.args, out, err, test.say)
		}
	}
}

func TestPlacesOfATransferArePrinted(t *testing.T) {
	l := startLocated(t)
	h := l.push(t, "image.iso")
	l.announce(t, h, "10.1.3.1:6881", 1000, 0)
	for _, of := range []string{"image.iso", h.String()} {
		out, err := runWaggle(t, "transfers", of, "--places", "--console", l.url)
		want := "  level  seeders  leechers     done  leases  orphans  across uplink       state  location  representatives\n" +
			"   rack        1         0  100.0 %       2        0         <= 0 B    complete        r1  out 10.1.1.1:6881\n" +
			"   rack        0         2   25.0 %       2        0       <= 500 B  incomplete        r2  in 10.1.2.1:6881\n" +
			"   rack        0         1    0.0 %       2        0         <= 0 B  incomplete        r3  in 10.1.3.1:6881\n"
		if err != nil || out != want {
			t.Errorf("%s prints\n%s%v, want\n%s", of, out, err, want)
		}
		out, err = runWaggle(t, "transfers", of, "--places", "--json", "--console", l.url)
		var places []client.Place
		if err != nil || json.Unmarshal([]byte(out), &places) != nil || len(places) != 3 || places[1].ImportedAtMost != 500 {
			t.Errorf("%s prints %s, %v", of, out, err)
		}
	}
	open := bittorrent.InfoHash{1}
	l.announce(t, open, "10.1.2.1:6881", 1000, 0)
	if out, err := runWaggle(t, "transfers", open.String(), "--places", "--console", l.url); err != nil || !strings.Contains(out, "starving        r2") || !strings.Contains(out, " -  ") {
		t.Errorf("of a torrent that is not listed\n%s%v", out, err)
	}
}

func TestTransferWithoutLocatedPeersHasNoPlacesToPrint(t *testing.T) {
	s, h := serveOne(t)
	if out, err := runWaggle(t, "transfers", h.String(), "--places", "--console", s.console(t)); err != nil || out != "no peer of it is located\n" {
		t.Errorf("printed %q, %v", out, err)
	}
	if out, err := runWaggle(t, "transfers", h.String(), "--places", "--json", "--console", s.console(t)); err != nil || out != "[]\n" {
		t.Errorf("as JSON %q, %v", out, err)
	}
	if _, err := runWaggle(t, "explain", h.String(), "127.0.0.1:1000", "--console", s.console(t)); err == nil || !strings.Contains(err.Error(), "locality.sources") {
		t.Errorf("explained: %v", err)
	}
}
