package main

import (
	"strings"
	"testing"

	"waggle/bittorrent"
)

func TestPeersAreFoundByTheirAddress(t *testing.T) {
	s := startServe(t, "--store", "memory:")
	for port, h := range []bittorrent.InfoHash{{1}, {2}} {
		if _, err := s.tell(t, bittorrent.AnnounceRequest{InfoHash: h, Port: uint16(6881 + port)}); err != nil {
			t.Fatal(err)
		}
	}
	for address, want := range map[string]int{"127.0.0.1": 2, "127.0.0.0/8": 2, "127.0.0.1:6882": 1, "10.0.0.0/8": 0} {
		out, err := runWaggle(t, "peers", "--address", address, "--console", s.console(t))
		if err != nil || strings.Count(out, "127.0.0.1:688") != want {
			t.Errorf("at %s: %s, %v", address, out, err)
		}
	}
	if _, err := runWaggle(t, "peers", "--address", "somewhere", "--console", s.console(t)); err == nil || !strings.Contains(err.Error(), "is no address of peers") {
		t.Errorf("at no address: %v", err)
	}
	if _, err := runWaggle(t, "peers", "image.iso", "--address", "127.0.0.1", "--console", s.console(t)); exitCode(err) != exitUsage {
		t.Errorf("of a torrent: %v", err)
	}
}
