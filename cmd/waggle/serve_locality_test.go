package main

import (
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/config"
)

// racksFile writes a table of subnets and returns its path.
func racksFile(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "topology.csv")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// announceFrom announces from a loopback address, and returns the interval and who
// it is told of.
func (s *serving) announceFrom(t *testing.T, ip string, left int64) (time.Duration, []string) {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       dialer.DialContext,
	}}
	a := bittorrent.AnnounceRequest{InfoHash: bittorrent.InfoHash{1}, Port: 6881, Left: left, NumWant: -1}
	copy(a.PeerID[:], "-XX0000-"+ip)
	response, err := client.Get(s.url(t, "http") + "?" + string(bittorrent.AppendHTTPAnnounce(nil, &a)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var r bittorrent.AnnounceResponse
	if err := bittorrent.ParseHTTPAnnounceResponse(body, &r); err != nil {
		t.Fatal(err)
	}
	var told []string
	for addr := range r.Peers.All() {
		told = append(told, addr.Addr().String())
	}
	return r.Interval, told
}

func TestServeLetsOneHostOfARackFetchAcrossItsUplink(t *testing.T) {
	path := racksFile(t, "127.1.0.0/16,r1", "127.2.0.0/16,r2")
	s := startServe(t, "--store", "memory:", "--locality-sources", "subnets: "+path)
	s.announceFrom(t, "127.2.0.1", 0)
	for _, host := range []string{"127.1.0.1", "127.1.0.2", "127.1.0.3"} {
		s.announceFrom(t, host, 100)
	}
	if interval, told := s.announceFrom(t, "127.1.0.1", 90); interval > 17*time.Second || !slices.Equal(told, []string{"127.2.0.1", "127.1.0.2", "127.1.0.3"}) {
		t.Errorf("the importer is told of %v every %v", told, interval)
	}
	if interval, told := s.announceFrom(t, "127.1.0.3", 90); interval < 4*time.Minute || !slices.Equal(told, []string{"127.1.0.1", "127.1.0.2"}) {
		t.Errorf("another one is told of %v every %v", told, interval)
	}
}

func TestReloadedTableOfSubnetsMovesHostsAndABrokenOneStaysUnused(t *testing.T) {
	path := racksFile(t, "127.1.0.0/16,r1", "127.2.0.0/16,r2")
	s := startServe(t, "--store", "memory:", "--locality-sources", "subnets: "+path)
	s.announceFrom(t, "127.1.0.1", 100)
	s.announceFrom(t, "127.1.0.2", 100)
	if _, told := s.announceFrom(t, "127.2.0.1", 100); len(told) != 1 {
		t.Fatalf("the only host of its rack is told of %v", told)
	}
	if err := os.WriteFile(path, []byte("127.1.0.0/16,r1\n127.2.0.0/33,r1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.hangup(t, "was not reloaded")
	if !strings.Contains(s.log.String(), "topology.csv:2") {
		t.Errorf("the log does not name file and line:\n%s", s.log)
	}
	if _, told := s.announceFrom(t, "127.2.0.1", 100); len(told) != 1 {
		t.Errorf("with a broken table, it is told of %v", told)
	}
	if err := os.WriteFile(path, []byte("127.0.0.0/8,r1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.hangup(t, "configuration reloaded")
	if _, told := s.announceFrom(t, "127.2.0.1", 100); len(told) != 2 {
		t.Errorf("moved into rack r1, it is told of %v", told)
	}
}

func TestLevelsOfThePolicyAreThoseOfTheConfiguration(t *testing.T) {
	c := config.Default().Locality
	c.Levels = []config.Level{"site", "row", "rack"}
	c.Importers = []config.LevelCount{{Level: "site", Count: 4}, {Level: "rack", Count: 3}}
	c.Exporters = []config.LevelCount{{Level: "row", Count: 7}}
	c.Edges, c.Standby = 5, 2
	p, err := policyOf("strict", c)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Importers[1:4]; !slices.Equal(got, []int{3, 1, 4}) {
		t.Errorf("importers from the rack outwards: %v", got)
	}
	if got := p.Exporters[1:4]; !slices.Equal(got, []int{1, 7, 1}) {
		t.Errorf("exporters from the rack outwards: %v", got)
	}
	if p.Edges != 5 || p.Standby != 2 || p.Active != 15*time.Second || p.Passive != 5*time.Minute {
		t.Errorf("%+v", p)
	}
	for bandwidth, want := range map[[2]config.Bandwidth]int{{0, 0}: 0, {10e9, 1e9}: 10, {1e9, 1e9}: 1} {
		c.RackBandwidth, c.ClientBandwidth = bandwidth[0], bandwidth[1]
		if n := importersOfARack(c); n != want {
			t.Errorf("%v: %d importers, want %d", bandwidth, n, want)
		}
	}
}

func TestAnnouncesAreRecordedAndReplayed(t *testing.T) {
	recorded := filepath.Join(t.TempDir(), "announces.jsonl")
	s := startServe(t, "--store", "memory:", "--announce-record", recorded, "--locality-sources", "subnets: "+racksFile(t, "127.1.0.0/16,r1", "127.2.0.0/16,r2"))
	s.announceFrom(t, "127.2.0.1", 0)
	s.announceFrom(t, "127.1.0.1", 100)
	s.announceFrom(t, "127.1.0.2", 100)
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(s.log.String(), "written=3 dropped=0") {
		t.Errorf("the log does not say what was recorded:\n%s", s.log)
	}
	out, err := runWaggle(t, "simulate", "--replay", recorded, "--policy", "strict,random")
	if err != nil || !strings.Contains(out, "strict") {
		t.Errorf("%v\n%s", err, out)
	}
}
