package main

import (
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"waggle/bittorrent"
	"waggle/internal/freeport"
	"waggle/metrics"
	"waggle/tracker"
)

// TestPeersAreTriedAndShown has one that answers its handshake, and one whose port is closed.
func TestPeersAreTriedAndShown(t *testing.T) {
	tryLoopback = true
	defer func() { tryLoopback = false }()
	open, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := open.Accept()
			if err != nil {
				return
			}
			_, _ = io.CopyN(conn, conn, 68) // the handshake, as a peer of the same torrent answers it
			_ = conn.Close()
		}
	}()
	defer func() {
		_ = open.Close()
		<-ended
	}()
	ports := map[string]uint16{"yes": netip.MustParseAddrPort(open.Addr().String()).Port(), "no": freeport.For(t)}

	s := startServe(t, "--store", "memory:", "--announce-nat-check=true", "--announce-nat-warning=true")
	warnings := map[string]string{}
	announce := func() {
		for found, port := range ports {
			a := bittorrent.AnnounceRequest{InfoHash: bittorrent.InfoHash{1}, PeerID: bittorrent.PeerID{2}, Port: port, Left: 1, NumWant: -1}
			var r bittorrent.AnnounceResponse
			if err := bittorrent.ParseHTTPAnnounceResponse(get(t, s.url(t, "http")+"?"+string(bittorrent.AppendHTTPAnnounce(nil, &a))), &r); err != nil {
				t.Fatal(err)
			}
			warnings[found] = r.Warning
		}
	}
	announce()
	s.scrape(t, `waggle_nat_addresses{reachable="yes"} 1`)
	text := s.scrape(t, `waggle_nat_addresses{reachable="no"} 1`)
	for _, m := range metrics.ReachTable {
		if !strings.Contains(text, "# TYPE "+m.Name+" ") {
			t.Errorf("%s is missing", m.Name)
		}
	}
	announce()
	if warnings["yes"] != "" || warnings["no"] != tracker.WarnUnreachable {
		t.Errorf("clients are told %q", warnings)
	}
	for found, port := range ports {
		peers, err := s.client(t, "").PeersAt(t.Context(), netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port).String())
		if err != nil || len(peers) != 1 || peers[0].Reachable != found {
			t.Errorf("%+v, %v; want that it is %s", peers, err, found)
		}
	}
	if out, err := runWaggle(t, "peers", "--console", s.console(t)); err != nil || !strings.Contains(out, "reachable") || !strings.Contains(out, "yes") {
		t.Errorf("%s, %v", out, err)
	}
	page := string(get(t, s.console(t)+"/peers"))
	if !strings.Contains(page, ">reachable<") || !strings.Contains(page, ">not reachable<") {
		t.Error("the page of peers does not show it")
	}
}
