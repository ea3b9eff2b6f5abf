package interop

import (
	"testing"
)

func TestLibtorrentTransfersOverLoopback(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		scheme string
		host   host
		create createTorrent
	}{
		{"UDP and IPv4", "udp", loopback4, mktorrent},
		{"UDP and IPv6", "udp", loopback6, waggleTorrentCreate},
		{"HTTP and IPv4", "http", loopback4, waggleTorrentCreate},
		{"HTTP and IPv6", "http", loopback6, mktorrent},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			tr := startTracker(t, loopback, "--store", "memory:")
			announce := tr.url(t, test.scheme, test.host.addrs[0])
			processes := transfer{
				tracker:  tr,
				announce: announce,
				create:   test.create,
				seeder:   placed{startLibtorrent, test.host},
				fetchers: []placed{{startLibtorrent, test.host}},
			}.run(t)
			for _, p := range processes {
				checkTrackerReplies(t, p, announce)
			}
		})
	}
}

// checkTrackerReplies fails the test unless a libtorrent process had replies, no
// errors, and all of that from the tracker at announce.
func checkTrackerReplies(t *testing.T, p *process, announce string) {
	t.Helper()
	replies := 0
	for _, e := range libtorrentEvents(t, p) {
		switch e.Event {
		case "tracker_reply":
			replies++
			if e.URL != announce {
				t.Errorf("a reply came from %s, want %s", e.URL, announce)
			}
		case "tracker_error", "error":
			t.Errorf("libtorrent complains of %s: %s", e.URL, e.Message)
		}
	}
	if replies == 0 {
		t.Errorf("libtorrent had no reply from %s", announce)
	}
}

func TestQBittorrentTransfersOverLoopback(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name            string
		scheme          string
		seeder, fetcher startClient
	}{
		{"fetches over UDP", "udp", startLibtorrent, startQBittorrent},
		{"seeds over HTTP", "http", startQBittorrent, startLibtorrent},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			tr := startTracker(t, loopback, "--store", "memory:")
			transfer{
				tracker:  tr,
				announce: tr.url(t, test.scheme, ipv4Loopback),
				create:   mktorrent,
				seeder:   placed{test.seeder, loopback4},
				fetchers: []placed{{test.fetcher, loopback4}},
			}.run(t)
		})
	}
}
