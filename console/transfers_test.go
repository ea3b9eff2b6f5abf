package console_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/console/client"
)

func TestTransferTellsOfItsPeers(t *testing.T) {
	w := newWorld(t, nil)
	h := w.add(t, "image.iso").InfoHash
	read := func() client.Transfer {
		t.Helper()
		return decode[client.Transfer](t, w.do(t, get("/api/v1/transfers/"+h.String())))
	}
	if got := read(); got.Live != (client.Live{}) {
		t.Errorf("without peers: %+v", got.Live)
	}
	w.announce(t, h, "10.0.0.1:1", 0)
	w.announce(t, h, "10.0.0.2:1", 250)
	w.announce(t, h, "[2001:db8::1]:1", 5000)              // more than there is
	w.announce(t, h, "10.0.0.3:1", bittorrent.LeftUnknown) // a magnet link
	w.catalog.Started(&h, time.Unix(10, 0))
	w.catalog.Started(&h, time.Unix(20, 0))
	w.catalog.Completed(&h, time.Unix(30, 0))
	got := read()
	want := client.Live{Peers: 4, Seeders: 1, Leechers: 3, Left: 250 + 1000 + 1000, Progress: 1 - 2250./4000}
	if got.Live != want {
		t.Errorf("the peers are %+v, want %+v", got.Live, want)
	}
	if !got.FirstStarted.Equal(time.Unix(10, 0)) || !got.LastStarted.Equal(time.Unix(20, 0)) || !got.FirstCompleted.Equal(time.Unix(30, 0)) {
		t.Errorf("the times are %+v", got.Times)
	}
	if page := decode[client.TransferPage](t, w.do(t, get("/api/v1/transfers"))); len(page.Transfers) != 1 || page.Transfers[0] != got {
		t.Errorf("the list has %+v, want %+v", page, got)
	}
}

func TestTransfersAreFoundByNameAndByWhetherTheyAreActive(t *testing.T) {
	w := newWorld(t, nil)
	w.add(t, "a")
	b := w.add(t, "b")
	for n := range 5 { // of one name, and of other hashes for their lengths
		body := strings.Replace(string(metainfo("twin")), "i1000e", fmt.Sprintf("i%de", 2000+n), 1)
		if _, err := w.catalog.Add(t.Context(), fmt.Sprintf("twin%d.torrent", n), []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.catalog.Deactivate(t.Context(), b.InfoHash); err != nil {
		t.Fatal(err)
	}
	count := func(query string) int {
		t.Helper()
		return len(decode[client.TransferPage](t, w.do(t, get("/api/v1/transfers?"+query))).Transfers)
	}
	for query, want := range map[string]int{
		"": 7, "active=true": 6, "active=false": 1, "name=a": 1, "name=a.torrent": 1, "name=nothing": 0, "name=b&active=true": 0, "name=b&active=false": 1, "name=twin": 5,
	} {
		if got := count(query); got != want {
			t.Errorf("%q finds %d, want %d", query, got, want)
		}
	}
	page := decode[client.TransferPage](t, w.do(t, get("/api/v1/transfers?name=twin&limit=3")))
	rest := decode[client.TransferPage](t, w.do(t, get("/api/v1/transfers?name=twin&limit=3&cursor="+page.Next)))
	seen := map[bittorrent.InfoHash]bool{}
	for _, transfer := range append(page.Transfers, rest.Transfers...) {
		seen[transfer.InfoHash] = true
	}
	if len(page.Transfers) != 3 || len(rest.Transfers) != 2 || len(seen) != 5 || rest.Next != "" {
		t.Errorf("pages of %d and %d with %d different ones", len(page.Transfers), len(rest.Transfers), len(seen))
	}
	if got := w.do(t, get("/api/v1/transfers?active=maybe")); got.status != 422 || !strings.Contains(got.problem(t).Error(), "query.active") {
		t.Errorf("active=maybe: %d %s", got.status, got.body)
	}
}

func TestTransferIsDeactivatedActivatedAndKeptInTheHistory(t *testing.T) {
	w := newWorld(t, nil)
	h := w.add(t, "a").InfoHash
	post := func(what string) client.Transfer {
		t.Helper()
		got := w.do(t, request{method: http.MethodPost, path: "/api/v1/transfers/" + h.String() + "/" + what})
		if got.status != http.StatusOK {
			t.Errorf("%s: status %d, %s", what, got.status, got.body)
		}
		return decode[client.Transfer](t, got)
	}
	if got := post("deactivate"); got.Active || got.Deactivated.IsZero() || w.catalog.Active(&h) {
		t.Errorf("after it was deactivated: %+v", got)
	}
	if got := post("activate"); !got.Active || !got.Deactivated.IsZero() || !w.catalog.Active(&h) {
		t.Errorf("after it was activated: %+v", got)
	}
	post("deactivate")
	history := decode[client.PeriodPage](t, w.do(t, get("/api/v1/history?limit=1")))
	if len(history.Periods) != 1 || history.Periods[0].InfoHash != h || history.Periods[0].Deactivated.IsZero() || history.Next == "" {
		t.Errorf("the history begins with %+v", history)
	}
	if rest := decode[client.PeriodPage](t, w.do(t, get("/api/v1/history?cursor="+history.Next))); len(rest.Periods) != 1 || rest.Next != "" {
		t.Errorf("the history ends with %+v", rest)
	}
	for _, what := range []string{"activate", "deactivate"} {
		if got := w.do(t, request{method: http.MethodPost, path: "/api/v1/transfers/" + strings.Repeat("0", 40) + "/" + what}); got.status != http.StatusNotFound {
			t.Errorf("%s of what is not there: status %d, %s", what, got.status, got.body)
		}
	}
}

func TestRequestsAreWhatWasAskedForInVain(t *testing.T) {
	w := newWorld(t, nil)
	for n := range 5 {
		for range n + 1 {
			w.catalog.Ask(&bittorrent.InfoHash{byte(n)}, time.Unix(int64(100+n/2), 0)) // two at a time
		}
	}
	var hashes []byte
	for cursor, pages := "", 0; pages == 0 || cursor != ""; pages++ {
		page := decode[client.RequestPage](t, w.do(t, get("/api/v1/requests?limit=2&cursor="+cursor)))
		for _, r := range page.Requests {
			hashes = append(hashes, r.InfoHash[0])
			if r.Count != uint64(r.InfoHash[0])+1 || r.First.Unix() != 100+int64(r.InfoHash[0])/2 || r.Last.Unix() != r.First.Unix() {
				t.Errorf("request %+v", r)
			}
		}
		cursor = page.Next
	}
	if want := []byte{4, 2, 3, 0, 1}; !slices.Equal(hashes, want) {
		t.Errorf("the pages have %v, want %v", hashes, want)
	}
}

func TestPeersOfATransferHavePages(t *testing.T) {
	w := newWorld(t, nil)
	h := w.add(t, "a").InfoHash
	want := map[string]bool{}
	for n := range 1000 { // a big list, which is walked in steps
		addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}), uint16(1+n%7))
		if n%3 == 0 {
			addr = netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x20, 1, 14: byte(n >> 8), 15: byte(n)}), 1)
		}
		w.announce(t, h, addr.String(), int64(n%2)*500)
		want[addr.String()] = true
	}
	var last netip.AddrPort
	for cursor, pages := "", 0; pages == 0 || cursor != ""; pages++ {
		page := decode[client.PeerPage](t, w.do(t, get(fmt.Sprintf("/api/v1/transfers/%v/peers?limit=77&cursor=%s", h, cursor))))
		for _, p := range page.Peers {
			addr := netip.MustParseAddrPort(p.Address)
			if !want[p.Address] || addr.Compare(last) <= 0 {
				t.Fatalf("%v comes twice or in the wrong place", addr)
			}
			delete(want, p.Address)
			last = addr
		}
		cursor = page.Next
	}
	if len(want) > 0 {
		t.Errorf("%d peers are on no page", len(want))
	}
}

func TestPeerTellsWhatIsKnownOfIt(t *testing.T) {
	w := newWorld(t, nil)
	h := w.add(t, "a").InfoHash
	w.announce(t, h, "10.0.0.1:6881", 500)
	w.announce(t, h, "10.0.0.2:6881", bittorrent.LeftUnknown)
	page := decode[client.PeerPage](t, w.do(t, get("/api/v1/transfers/"+h.String()+"/peers")))
	if len(page.Peers) != 2 || page.Peers[0].Left == nil || *page.Peers[0].Left != 500 || page.Peers[1].Left != nil {
		t.Fatalf("peers %+v", page.Peers)
	}
	at := time.Unix(1_700_000_000, 0)
	want := client.Peer{
		InfoHash: h, Address: "10.0.0.2:6881", Kind: "leecher", Client: "qBittorrent 4.5.2", ID: "-qB4520-abcdefghijkl",
		Uploaded: 11, Downloaded: 22, FirstSeen: at.UTC(), LastSeen: at.UTC(),
	}
	if page.Peers[1] != want {
		t.Errorf("peer %+v, want %+v", page.Peers[1], want)
	}
}

func TestPeersOfAllTorrentsHavePages(t *testing.T) {
	w := newWorld(t, nil)
	total := 0
	for torrent := range 20 {
		for peer := range torrent * torrent % 23 {
			h := bittorrent.InfoHash{byte(torrent / 3 * 40), byte(torrent)} // some begin with the same byte
			w.announce(t, h, fmt.Sprintf("10.0.0.%d:1", peer+1), 1)
			total++
		}
	}
	seen := map[string]bool{}
	for cursor, pages := "", 0; pages == 0 || cursor != ""; pages++ {
		page := decode[client.PeerPage](t, w.do(t, get("/api/v1/peers?limit=10&cursor="+cursor)))
		if cursor = page.Next; cursor != "" && len(page.Peers) != 10 {
			t.Errorf("a page before the last has %d peers, want 10", len(page.Peers))
		}
		for _, p := range page.Peers {
			seen[p.InfoHash.String()+p.Address] = true
		}
	}
	if len(seen) != total {
		t.Errorf("%d different peers are on the pages, want %d", len(seen), total)
	}
}

func TestPeersOfATorrentThatIsNotListedAreShown(t *testing.T) {
	w := newWorld(t, nil)
	h := bittorrent.InfoHash{1}
	w.announce(t, h, "10.0.0.1:1", 1)
	if page := decode[client.PeerPage](t, w.do(t, get("/api/v1/transfers/"+h.String()+"/peers"))); len(page.Peers) != 1 {
		t.Errorf("peers %+v, want one", page.Peers)
	}
}

func TestVersionAndFiguresAreTold(t *testing.T) {
	w := newWorld(t, nil)
	if got := decode[client.Version](t, w.do(t, get("/api/v1/version"))); got != (client.Version{Name: "waggle", Version: "1.2.3"}) {
		t.Errorf("version %+v", got)
	}
	if got := decode[map[string]int](t, w.do(t, get("/api/v1/figures"))); got["announces"] != 7 {
		t.Errorf("figures %v", got)
	}
}

func TestWhatIsNotThereIsAProblem(t *testing.T) {
	w := newWorld(t, nil)
	for _, path := range []string{"/api/v1/frob", "/api/v1/", "/api/v2/torrents", "/api/"} {
		if got := w.do(t, get(path)); got.status != http.StatusNotFound || !strings.Contains(got.problem(t).Detail, path) {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	got := w.do(t, request{method: http.MethodPut, path: "/api/v1/torrents"})
	if got.status != http.StatusMethodNotAllowed || !strings.Contains(got.problem(t).Detail, "GET, HEAD, POST") {
		t.Errorf("PUT: %d %s", got.status, got.body)
	}
}

func TestTransfersWithTheLongestNamesHavePages(t *testing.T) {
	w := newWorld(t, nil)
	for n := range 3 { // names of torrents have 4,096 bytes at most
		if _, err := w.catalog.Add(t.Context(), "x.torrent", metainfo(strings.Repeat("n", 4095)+strconv.Itoa(n))); err != nil {
			t.Fatal(err)
		}
	}
	for _, list := range []string{"/api/v1/torrents?", "/api/v1/transfers?", "/api/v1/transfers?active=true&", "/api/v1/swarms?"} {
		seen := map[bittorrent.InfoHash]int{}
		for cursor, more := "", true; more; more = cursor != "" {
			got := w.do(t, get(list+"limit=1&cursor="+cursor))
			if got.status != http.StatusOK || len(seen) > 3 {
				t.Fatalf("%s: status %d, %s", list, got.status, got.body)
			}
			page := decode[struct {
				Torrents, Transfers, Swarms []map[string]any
				Total                       int
				Next                        string
			}](t, got)
			for _, row := range slices.Concat(page.Torrents, page.Transfers, page.Swarms) {
				h, err := bittorrent.ParseInfoHash(fmt.Sprint(row["info_hash"]))
				if err != nil {
					t.Fatal(err)
				}
				seen[h]++
			}
			cursor = page.Next
		}
		if len(seen) != 3 {
			t.Errorf("%s: %v, want each of 3 once", list, seen)
		}
	}
}
