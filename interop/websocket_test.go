package interop

import (
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"waggle/internal/authority"
)

// browser is a running client of npm's bittorrent-tracker that speaks WebSocket.
type browser struct {
	*process
	id      string
	replies int  // read so far
	mayWarn bool // of a tracker that has gone
}

// A browserEvent is one line from browser.mjs.
type browserEvent struct {
	Event      string // update, scrape, peer, warning
	Complete   int
	Incomplete int
	Downloaded int // in a scrape
	Interval   int // seconds
	ID         string
	Message    string
}

// startBrowser starts one on a host, with variables of its environment.
func startBrowser(t *testing.T, h host, announce, infoHash, peerID string, env ...string) *browser {
	t.Helper()
	node := program(t, "node", makeTest)
	if _, err := os.Stat("node_modules/bittorrent-tracker"); err != nil {
		t.Fatalf("npm's bittorrent-tracker not found: run `%s`, which installs it (%v)", makeTest, err)
	}
	script, err := filepath.Abs("browser.mjs")
	if err != nil {
		t.Fatal(err)
	}
	command := slices.Concat([]string{"env"}, env, []string{node, script, announce, infoHash, peerID})
	return &browser{process: start(t, h, "browser "+peerID, command...), id: peerID}
}

// events returns what has happened so far.
func (b *browser) events(t *testing.T) []browserEvent {
	t.Helper()
	var events []browserEvent
	for _, line := range b.stdout.lines() {
		var e browserEvent
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("browser.mjs printed %q: %v", line, err)
		}
		if e.Event == "warning" && !b.mayWarn {
			t.Fatalf("browser %s warns: %s", b.id, e.Message)
		}
		events = append(events, e)
	}
	return events
}

// reply returns the next reply of a tracker.
func (b *browser) reply(t *testing.T, what string) (reply browserEvent) {
	t.Helper()
	eventually(t, patience, what+" is answered", func() error {
		if err := b.alive(); err != nil {
			return err
		}
		replies := slices.DeleteFunc(b.events(t), func(e browserEvent) bool { return e.Event != "update" && e.Event != "scrape" })
		if len(replies) <= b.replies {
			return fmt.Errorf("%d replies so far", len(replies))
		}
		reply = replies[b.replies]
		return nil
	})
	b.replies++
	return reply
}

// ask sends a request and returns the answer to it.
func (b *browser) ask(t *testing.T, request announcerRequest) browserEvent {
	t.Helper()
	line, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.stdin.Write(append(line, '\n')); err != nil {
		t.Fatalf("%s: %v", request.Do, err)
	}
	return b.reply(t, request.Do)
}

// meets waits until an offer or an answer has come from another browser, beyond so many.
func (b *browser) meets(t *testing.T, other *browser, before int) {
	t.Helper()
	eventually(t, patience, fmt.Sprintf("%s meets %s", b.id, other.id), func() error {
		if n := b.met(t, other); n <= before {
			return fmt.Errorf("%d times so far, want more than %d", n, before)
		}
		return b.alive()
	})
}

// met returns how many offers and answers have come from another browser.
func (b *browser) met(t *testing.T, other *browser) (times int) {
	t.Helper()
	for _, e := range b.events(t) {
		if e.Event == "peer" && e.ID == other.id {
			times++
		}
	}
	return times
}

// Info hash and peer ids of browsers, with bytes of all kinds: each is a code point in JSON,
// where some are escaped and some are two bytes long.
const (
	browserHash = "00010a0d1f20225c7f80a0ff3c3e26270b0c0809"
	seedBrowser = "2d574e303030302d000a0d225c7f80ffc3a9e282" // -WN0000- and what follows
	leechedBy   = "2d574e303030302d1f1e3c3e26275b5d7b7dfefd"
)

// Two clients of npm's bittorrent-tracker go through the life of a download over WebSocket. At
// every step the answer, and a scrape over HTTP, say what happened, and offers and answers
// come from the one to the other.
func TestBrowsersMeetAndAreCounted(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(t *testing.T, flags ...string) (tr *tracker, announce string, env []string){
		"ws over IPv4":       plainlyAt(ipv4Loopback),
		"ws over IPv6":       plainlyAt(netip.IPv6Loopback()),
		"wss":                overTLS,
		"wss behind a proxy": behindTLS,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr, announce, env := begin(t, "--store", "memory:", "--announce-websocket-interval", "30m")
			seed := startBrowser(t, loopback, announce, browserHash, seedBrowser, env...)
			leech := startBrowser(t, loopback, announce, browserHash, leechedBy, env...)
			const size = 1000
			for _, step := range []struct {
				who     *browser
				request announcerRequest
				after   counts
				meets   bool // the other one has an offer, and this one its answer
			}{
				{seed, announcerRequest{Do: "start"}, counts{complete: 1}, false},
				{leech, announcerRequest{Do: "start", Left: size}, counts{complete: 1, incomplete: 1}, true},
				{seed, announcerRequest{Do: "update"}, counts{complete: 1, incomplete: 1}, true},
				{leech, announcerRequest{Do: "update", Left: size / 2, Downloaded: size / 2}, counts{complete: 1, incomplete: 1}, true},
				{leech, announcerRequest{Do: "scrape"}, counts{complete: 1, incomplete: 1}, false},
				{leech, announcerRequest{Do: "complete", Downloaded: size}, counts{complete: 2}, false},
				{leech, announcerRequest{Do: "complete", Downloaded: size}, counts{complete: 2}, false}, // again: counted once
				{leech, announcerRequest{Do: "scrape"}, counts{complete: 2}, false},
				{leech, announcerRequest{Do: "stop", Downloaded: size}, counts{complete: 1}, false},
			} {
				what := fmt.Sprintf("%s with %d left", step.request.Do, step.request.Left)
				other := seed
				if step.who == seed {
					other = leech
				}
				met, answered := other.met(t, step.who), step.who.met(t, other)
				reply := step.who.ask(t, step.request)

				if step.request.Do != "scrape" {
					checkInterval(t, what, time.Duration(reply.Interval)*time.Second)
				}
				if got := (counts{reply.Complete, reply.Incomplete, reply.Downloaded}); got != step.after {
					t.Errorf("%s: answered %+v, want %+v", what, got, step.after)
				}
				if got, err := tr.scrape(browserHash); err != nil || got != step.after {
					t.Errorf("%s: afterwards a scrape says %+v, %v; want %+v", what, got, err, step.after)
				}
				if step.meets {
					other.meets(t, step.who, met)
					step.who.meets(t, other, answered)
				}
			}
			// A browser that ends without a word is gone with its connection.
			if err := syscall.Kill(seed.cmd.Process.Pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			tr.waitForCounts(t, browserHash, counts{})
		})
	}
}

// plainlyAt returns what starts a tracker for ws at an address.
func plainlyAt(addr netip.Addr) func(*testing.T, ...string) (*tracker, string, []string) {
	return func(t *testing.T, flags ...string) (tr *tracker, announce string, env []string) {
		t.Helper()
		tr = startTracker(t, loopback, flags...)
		return tr, tr.url(t, "ws", addr), nil
	}
}

// overTLS starts a tracker that speaks TLS itself, and offers HTTP/2, over which there is no
// WebSocket.
func overTLS(t *testing.T, flags ...string) (tr *tracker, announce string, env []string) {
	t.Helper()
	a, dir := authority.New(t), t.TempDir()
	certificate, key := a.Write(t, dir, "127.0.0.1")
	tr = startTracker(t, loopback, append(flags, "--listen-https", "127.0.0.1:0", "--tls-certificate", certificate, "--tls-key", key)...)
	announce = tr.url(t, "wss", ipv4Loopback)
	at, err := url.Parse(announce)
	if err != nil {
		t.Fatal(err)
	}
	offers, err := tls.Dial("tcp", at.Host, &tls.Config{RootCAs: a.Roots, NextProtos: []string{"h2", "http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = offers.Close() }()
	if got := offers.ConnectionState().NegotiatedProtocol; got != "h2" {
		t.Errorf("offered is %q, want HTTP/2", got)
	}
	return tr, announce, trusting(t, a.Certificate)
}

// behindTLS starts a tracker behind a proxy that speaks TLS.
func behindTLS(t *testing.T, flags ...string) (tr *tracker, announce string, env []string) {
	t.Helper()
	tr = startTracker(t, loopback, flags...)
	to, err := url.Parse(strings.TrimSuffix(tr.url(t, "http", ipv4Loopback), "/announce"))
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewTLSServer(httputil.NewSingleHostReverseProxy(to))
	t.Cleanup(proxy.Close)
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: proxy.Certificate().Raw})
	return tr, "wss" + strings.TrimPrefix(proxy.URL, "https") + "/announce", trusting(t, certificate)
}

// trusting returns the environment in which Node trusts an authority.
func trusting(t *testing.T, certificate []byte) (env []string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "authority.pem")
	if err := os.WriteFile(path, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"NODE_EXTRA_CA_CERTS=" + path}
}

// Browsers and clients of other protocols are in one torrent: all count all, and are told of
// their own kind alone.
func TestBrowsersAndOthersCountEachOtherAndNeverMeet(t *testing.T) {
	t.Parallel()
	tr := startTracker(t, loopback4, "--store", "memory:")
	at := func(scheme string) string { return tr.url(t, scheme, ipv4Loopback) }
	dir := t.TempDir()
	payload, torrent := filepath.Join(dir, payloadName), filepath.Join(dir, "payload.torrent")
	writePayload(t, payload)
	mktorrent(t, payload, at("udp"), torrent)
	infoHash := infoHash(t, torrent)

	const udpPort, httpPort, size = 7011, 7012, 1000
	libtorrent := startLibtorrent(t, loopback4, torrent, dir) // seeds
	overUDP := startAnnouncer(t, at("udp"), infoHash, "2d574e303030302d756470756470756470756470", udpPort)
	overHTTP := startAnnouncer(t, at("http"), infoHash, "2d574e303030302d687474706874747068747470", httpPort)
	seed := startBrowser(t, loopback, at("ws"), infoHash, seedBrowser)
	leech := startBrowser(t, loopback, at("ws"), infoHash, leechedBy)
	tr.waitForCounts(t, infoHash, counts{complete: 1})

	leeches := announcerRequest{Do: "start", Left: size}
	overUDP.ask(t, leeches)
	overHTTP.ask(t, leeches)
	seed.ask(t, announcerRequest{Do: "start"})
	leech.ask(t, leeches)
	leech.meets(t, seed, 0)
	seed.meets(t, leech, 0)

	all := counts{complete: 2, incomplete: 3}
	for _, do := range []string{"update", "scrape"} {
		request := announcerRequest{Do: do, Left: size}
		for name, answer := range map[string]announcerAnswer{"UDP": overUDP.ask(t, request), "HTTP": overHTTP.ask(t, request)} {
			if got := (counts{answer.Complete, answer.Incomplete, answer.Downloaded}); got != all {
				t.Errorf("%s over %s: %+v, want %+v", do, name, got, all)
			}
			if do == "update" && len(answer.Peers) != 2 {
				t.Errorf("%s was told of %q, want libtorrent and the other one", name, answer.Peers)
			}
		}
		if reply := leech.ask(t, request); (counts{reply.Complete, reply.Incomplete, reply.Downloaded}) != all {
			t.Errorf("%s over WebSocket: %+v, want %+v", do, reply, all)
		}
	}
	if got, err := tr.scrape(infoHash); err != nil || got != all {
		t.Errorf("a scrape from outside: %+v, %v, want %+v", got, err, all)
	}
	for _, e := range libtorrentEvents(t, libtorrent) {
		if e.Event == "tracker_reply" && e.Peers > 2 {
			t.Errorf("libtorrent was told of %d peers, want 2 at most", e.Peers)
		}
	}
	for _, b := range []*browser{seed, leech} {
		for _, e := range b.events(t) {
			if e.Event == "peer" && e.ID != seed.id && e.ID != leech.id {
				t.Errorf("browser %s met %s, which is none", b.id, e.ID)
			}
		}
	}
	for _, b := range []*browser{seed, leech} {
		if err := b.stop(); err == nil {
			t.Errorf("browser %s ended by itself", b.id)
		}
	}
	tr.waitForCounts(t, infoHash, counts{complete: 1, incomplete: 2})
}
