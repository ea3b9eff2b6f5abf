package interop

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// announcer is a running client of npm's bittorrent-tracker: it talks to the
// tracker as it is told, and transfers nothing.
type announcer struct {
	*process
	answers int // read so far
}

// An announcerRequest is one line for announce.mjs.
type announcerRequest struct {
	Do         string `json:"do"` // start, update, complete, stop, scrape
	Left       int    `json:"left"`
	Downloaded int    `json:"downloaded"`
}

// An announcerAnswer is one line from announce.mjs: what the client made of the
// tracker's answer.
type announcerAnswer struct {
	Complete   int
	Incomplete int
	Downloaded int      // in a scrape
	Interval   int      // seconds; HTTP only: the client keeps UDP's to itself
	Peers      []string // addresses with ports
	Warning    string
}

func startAnnouncer(t *testing.T, announce, infoHash, peerID string, port uint16) *announcer {
	t.Helper()
	node := program(t, "node", makeTest)
	if _, err := os.Stat("node_modules/bittorrent-tracker"); err != nil {
		t.Fatalf("npm's bittorrent-tracker not found: run `%s`, which installs it (%v)", makeTest, err)
	}
	script, err := filepath.Abs("announce.mjs")
	if err != nil {
		t.Fatal(err)
	}
	return &announcer{process: start(t, loopback, "bittorrent-tracker", node, script, announce, infoHash, peerID, fmt.Sprint(port))}
}

// ask sends a request and returns the answer to it.
func (a *announcer) ask(t *testing.T, request announcerRequest) announcerAnswer {
	t.Helper()
	line, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.stdin.Write(append(line, '\n')); err != nil {
		t.Fatalf("%s: %v", request.Do, err)
	}
	var answer announcerAnswer
	eventually(t, patience, request.Do+" is answered", func() error {
		lines := a.stdout.lines()
		if len(lines) > a.answers {
			return json.Unmarshal([]byte(lines[a.answers]), &answer)
		}
		if err := a.alive(); err != nil {
			return err
		}
		return fmt.Errorf("no answer")
	})
	a.answers++
	if answer.Warning != "" {
		t.Fatalf("%s: the client warns: %s", request.Do, answer.Warning)
	}
	return answer
}

// Two clients of npm's bittorrent-tracker go through the life of a download. At
// every step the answer, and a scrape from outside, say what happened.
func TestBittorrentTrackerFromNPMAnnouncesAndScrapes(t *testing.T) {
	t.Parallel()
	const (
		infoHash  = "0102030405060708090a0b0c0d0e0f1011121314"
		seedID    = "2d574e303030302d736565646572736565646572" // -WN0000-seederseeder
		leechID   = "2d574e303030302d6c656563682d6c656563682d" // -WN0000-leech-leech-
		seedPort  = 7001
		leechPort = 7002
		size      = 1000
	)
	for _, test := range []struct {
		scheme string
		addr   netip.Addr
	}{
		{"udp", ipv4Loopback}, // the client has no UDP over IPv6
		{"http", ipv4Loopback},
		{"http", netip.IPv6Loopback()},
	} {
		t.Run(fmt.Sprint(test.scheme, " to ", test.addr), func(t *testing.T) {
			t.Parallel()
			tr := startTracker(t, loopback, "--store", "memory:", "--announce-interval", "30m")
			announce := tr.url(t, test.scheme, test.addr)
			seed := startAnnouncer(t, announce, infoHash, seedID, seedPort)
			leech := startAnnouncer(t, announce, infoHash, leechID, leechPort)
			seedAddr := netip.AddrPortFrom(test.addr, seedPort).String()
			leechAddr := netip.AddrPortFrom(test.addr, leechPort).String()

			for _, step := range []struct {
				who     *announcer
				request announcerRequest
				peers   []string // that the tracker may name
				after   counts
			}{
				{seed, announcerRequest{Do: "start"}, nil, counts{complete: 1}},
				{leech, announcerRequest{Do: "start", Left: size}, []string{seedAddr}, counts{complete: 1, incomplete: 1}},
				{seed, announcerRequest{Do: "update"}, []string{leechAddr}, counts{complete: 1, incomplete: 1}},
				{leech, announcerRequest{Do: "update", Left: size / 2, Downloaded: size / 2}, []string{seedAddr}, counts{complete: 1, incomplete: 1}},
				{leech, announcerRequest{Do: "scrape"}, nil, counts{complete: 1, incomplete: 1}},
				{leech, announcerRequest{Do: "complete", Downloaded: size}, nil, counts{complete: 2, downloaded: 1}},
				{leech, announcerRequest{Do: "complete", Downloaded: size}, nil, counts{complete: 2, downloaded: 1}}, // again: counted once
				{leech, announcerRequest{Do: "scrape"}, nil, counts{complete: 2, downloaded: 1}},
				{leech, announcerRequest{Do: "stop", Downloaded: size}, nil, counts{complete: 1, downloaded: 1}},
				{seed, announcerRequest{Do: "stop"}, nil, counts{downloaded: 1}},
			} {
				what := fmt.Sprintf("%s with %d left", step.request.Do, step.request.Left)
				answer := step.who.ask(t, step.request)

				got, want := counts{answer.Complete, answer.Incomplete, answer.Downloaded}, step.after
				if step.request.Do != "scrape" {
					want.downloaded = 0 // an announce does not tell
				}
				if got != want {
					t.Errorf("%s: answered %+v, want %+v", what, got, want)
				}
				if !slices.Equal(answer.Peers, step.peers) {
					t.Errorf("%s: peers %q, want %q", what, answer.Peers, step.peers)
				}
				if test.scheme == "http" && step.request.Do != "scrape" {
					checkInterval(t, what, time.Duration(answer.Interval)*time.Second)
				}
				if got, err := tr.scrape(infoHash); err != nil || got != step.after {
					t.Errorf("%s: afterwards a scrape says %+v, %v; want %+v", what, got, err, step.after)
				}
			}
			for _, a := range []*announcer{seed, leech} {
				if extra := a.stdout.lines()[a.answers:]; len(extra) > 0 {
					t.Errorf("the client said more than it was asked: %s", strings.Join(extra, "\n"))
				}
			}
		})
	}
}

// checkInterval fails the test if an interval is not about 30 minutes. It need
// not be exact: clients are spread by chance.
func checkInterval(t *testing.T, what string, got time.Duration) {
	t.Helper()
	if got < 20*time.Minute || got > 40*time.Minute {
		t.Errorf("%s: interval %v, want about 30m", what, got)
	}
}
