//go:build long

package interop

import (
	"path/filepath"
	"slices"
	"testing"
)

// A client of each kind seeds to another of its kind.
func TestClientsTransferBetweenNamespaces(t *testing.T) {
	for _, test := range []struct {
		name   string
		client startClient
		scheme string
		create createTorrent
	}{
		{"Transmission over UDP", startTransmission, "udp", mktorrent},
		{"Transmission over HTTP", startTransmission, "http", waggleTorrentCreate},
		{"aria2 over UDP", startAria2WithDHT, "udp", waggleTorrentCreate},
		{"aria2 over HTTP", startAria2, "http", mktorrent},
		{"Deluge over UDP", startDeluge, "udp", mktorrent},
		{"Deluge over HTTP", startDeluge, "http", waggleTorrentCreate},
		{"rtorrent over UDP", startRtorrent, "udp", waggleTorrentCreate},
		{"rtorrent over HTTP", startRtorrent, "http", mktorrent},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := newNetwork(t)
			tracked := n.addHost(t)
			tr := startTracker(t, tracked, "--store", sqliteStore(t))
			transfer{
				tracker:  tr,
				announce: tr.url(t, test.scheme, tracked.addrs[0]),
				create:   test.create,
				seeder:   placed{test.client, n.addHost(t)},
				fetchers: []placed{{test.client, n.addHost(t)}},
			}.run(t)
		})
	}
}

func TestTransmissionTransfersOverIPv6BetweenNamespaces(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	tracked, seeding, fetching := n.addHost(t), n.addHost(t), n.addHost(t)
	for _, h := range []host{tracked, seeding, fetching} {
		slices.Reverse(h.addrs)
	}
	tr := startTracker(t, tracked, "--store", sqliteStore(t))
	transfer{
		tracker:  tr,
		announce: tr.url(t, "http", tracked.addrs[0]),
		create:   mktorrent,
		seeder:   placed{startTransmission, seeding},
		fetchers: []placed{{startTransmission, fetching}},
	}.run(t)
}

func TestMixedSwarmCompletesBetweenNamespaces(t *testing.T) {
	for _, scheme := range []string{"udp", "http"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			n := newNetwork(t)
			tracked := n.addHost(t)
			tr := startTracker(t, tracked, "--store", sqliteStore(t))
			transfer{
				tracker:  tr,
				announce: tr.url(t, scheme, tracked.addrs[0]),
				create:   waggleTorrentCreate,
				seeder:   placed{startLibtorrent, n.addHost(t)},
				fetchers: []placed{
					{startTransmission, n.addHost(t)},
					{startAria2WithDHT, n.addHost(t)},
					{startRtorrent, n.addHost(t)},
					{startLibtorrent, n.addHost(t)},
				},
			}.run(t)
		})
	}
}

// sqliteStore is the store that a user has who chooses none, in a directory of
// the test's.
func sqliteStore(t *testing.T) string {
	t.Helper()
	return "sqlite://" + filepath.Join(t.TempDir(), "waggle.db")
}
