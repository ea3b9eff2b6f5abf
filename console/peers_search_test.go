package console_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"waggle/bittorrent"
	"waggle/console/client"
)

func TestPeersOfAllTorrentsHaveTheNamesOfThose(t *testing.T) {
	w := newWorld(t, nil)
	known, unknown := w.add(t, "image.iso").InfoHash, bittorrent.InfoHash{1}
	for _, h := range []bittorrent.InfoHash{known, unknown} {
		w.announce(t, h, "10.0.0.1:1", 1)
		w.announce(t, h, "10.0.0.2:1", 1)
	}
	names := map[bittorrent.InfoHash][]string{}
	for _, p := range decode[client.PeerPage](t, w.do(t, get("/api/v1/peers"))).Peers {
		names[p.InfoHash] = append(names[p.InfoHash], p.Name)
	}
	if !slices.Equal(names[known], []string{"image.iso", "image.iso"}) || !slices.Equal(names[unknown], []string{"", ""}) {
		t.Errorf("got %q", names)
	}
}

func TestPeersAreFoundByAddressInAllTorrents(t *testing.T) {
	w := newWorld(t, nil)
	for torrent := range 30 {
		for _, addr := range []string{"10.1.0.1:1", "10.1.0.1:2", "10.1.200.1:1", "10.2.0.1:1", "[2001:db8::1]:1"} {
			w.announce(t, bittorrent.InfoHash{byte(torrent / 3 * 20), byte(torrent)}, addr, 1)
		}
	}
	for address, want := range map[string]int{
		"10.1.0.1": 60, "10.1.0.1:2": 30, "10.1.0.0/16": 90, "10.0.0.0/8": 120, "2001:db8::/32": 30, "[2001:db8::1]:1": 30, "10.3.0.0/16": 0, "": 150,
	} {
		seen := map[string]bool{}
		for cursor, pages := "", 0; pages == 0 || cursor != ""; pages++ {
			page := decode[client.PeerPage](t, w.do(t, get(fmt.Sprintf("/api/v1/peers?limit=7&cursor=%s&address=%s", cursor, url.QueryEscape(address)))))
			if cursor = page.Next; cursor != "" && len(page.Peers) != 7 {
				t.Errorf("%s: a page before the last has %d peers, want 7", address, len(page.Peers))
			}
			for _, p := range page.Peers {
				seen[p.InfoHash.String()+p.Address] = true
			}
		}
		if len(seen) != want {
			t.Errorf("%s: %d different peers are on the pages, want %d", address, len(seen), want)
		}
	}
}

func TestSearchForWhatIsNoAddressSaysWhatIsWanted(t *testing.T) {
	w := newWorld(t, nil)
	for _, address := range []string{"frob", "10.1.0.0/33", "10.1.2.1:x", strings.Repeat("1", 200)} {
		got := w.do(t, get("/api/v1/peers?address="+url.QueryEscape(address)))
		if got.status != http.StatusUnprocessableEntity || len(address) < 100 && !strings.Contains(got.problem(t).Detail, "10.1.0.0/16") {
			t.Errorf("%s: %d %s", address, got.status, got.body)
		}
	}
}
