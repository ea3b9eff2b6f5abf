package console_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"waggle/bittorrent"
	"waggle/console/client"
)

// names returns what is listed, by name or, of what has none, by info hash.
func names(swarms []client.Swarm) string {
	var out []string
	for _, s := range swarms {
		if s.Name == "" {
			out = append(out, s.InfoHash.String()[:4])
		} else {
			out = append(out, s.Name)
		}
	}
	return strings.Join(out, " ")
}

// swarmsWorld has five torrents, of which one is not active, and an unlisted swarm.
func swarmsWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, nil)
	for i, name := range []string{"delta", "Alpha", "charlie", "bravo", "Echo"} {
		h := w.add(t, name).InfoHash
		for peer := range i {
			w.announce(t, h, fmt.Sprintf("10.0.%d.%d:1", i, peer), int64(peer%2))
		}
	}
	all, err := w.client(t, "").Named(t.Context(), "charlie")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.catalog.Deactivate(t.Context(), all[0].InfoHash); err != nil {
		t.Fatal(err)
	}
	for peer := range 7 {
		w.announce(t, bittorrent.InfoHash{0xab, 0xcd}, fmt.Sprintf("10.1.0.%d:1", peer), 5)
	}
	return w
}

func TestSwarmsAreListedInTheOrderThatIsAskedFor(t *testing.T) {
	w := swarmsWorld(t)
	c := w.client(t, "")
	for query, want := range map[client.SwarmQuery]string{
		{}:                                   "Alpha bravo charlie delta Echo abcd",
		{Order: "desc"}:                      "Echo delta charlie bravo Alpha abcd",
		{Sort: "peers"}:                      "delta Alpha charlie bravo Echo abcd",
		{Sort: "peers", Order: "desc"}:       "abcd Echo bravo charlie Alpha delta",
		{Sort: "seeders", Order: "desc"}:     "bravo Echo Alpha charlie abcd delta",
		{Sort: "leechers", Order: "desc"}:    "abcd Echo bravo charlie Alpha delta",
		{Sort: "registered"}:                 "delta Alpha charlie bravo Echo abcd",
		{State: "active"}:                    "Alpha bravo delta Echo",
		{State: "inactive"}:                  "charlie",
		{State: "unlisted"}:                  "abcd",
		{Query: "A"}:                         "Alpha bravo charlie delta abcd",
		{Query: "ECHO"}:                      "Echo",
		{Query: ".torrent", State: "active"}: "Alpha bravo delta Echo",
		{Query: "abCD"}:                      "abcd",
		{Query: "abce"}:                      "",
		{Query: strings.Repeat("0", 41)}:     "",
	} {
		page, err := c.Swarms(t.Context(), query)
		if got := names(page.Swarms); err != nil || page.Next != "" || page.Total != len(page.Swarms) || !sameOrder(query, got, want) {
			t.Errorf("%+v: %s of %d, %v; want %s", query, got, page.Total, err, want)
		}
	}
}

// sameOrder compares listings; those registered at one moment may stand in any order.
func sameOrder(q client.SwarmQuery, got, want string) bool {
	if q.Sort != "registered" {
		return got == want
	}
	a, b := strings.Fields(got), strings.Fields(want)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b) && strings.HasSuffix(got, "abcd")
}

func TestSwarmTellsWhatIsKnownOfIt(t *testing.T) {
	w := swarmsWorld(t)
	page := decode[client.SwarmPage](t, w.do(t, get("/api/v1/swarms?query=echo")))
	s := page.Swarms[0]
	if s.Name != "Echo" || s.File != "Echo.torrent" || s.Size != 1000 || s.State != "active" || s.Source != "upload" || s.Registered.IsZero() ||
		s.Peers != 4 || s.Seeders != 2 || s.Leechers != 2 || s.Profile != "" {
		t.Errorf("%+v", s)
	}
	page = decode[client.SwarmPage](t, w.do(t, get("/api/v1/swarms?state=unlisted")))
	if s := page.Swarms[0]; s.State != "unlisted" || s.Peers != 7 || s.Leechers != 7 || !s.Registered.IsZero() || s.InfoHash != (bittorrent.InfoHash{0xab, 0xcd}) {
		t.Errorf("%+v", s)
	}
}

func TestHybridTorrentIsOneSwarmOfTheList(t *testing.T) {
	w := newWorld(t, nil)
	root, pieces := strings.Repeat("r", 32), strings.Repeat("p", 20)
	body := "d4:infod9:file treed1:ad0:d6:lengthi100e11:pieces root32:" + root + "eee6:lengthi100e12:meta versioni2e4:name1:a12:piece lengthi16384e6:pieces20:" + pieces + "ee"
	transfer, err := w.catalog.Add(t.Context(), "a.torrent", []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	hashes := transfer.InfoHashes()
	w.announce(t, hashes[0], "10.0.0.1:1", 5)
	w.announce(t, hashes[1], "10.0.0.1:1", 5)
	w.announce(t, hashes[1], "10.0.0.2:1", 0)
	for _, q := range []client.SwarmQuery{{Sort: "peers"}, {}, {Query: hashes[1].String()[:10]}, {Query: hashes[0].String()}} {
		page, err := w.client(t, "").Swarms(t.Context(), q)
		if err != nil || len(page.Swarms) != 1 || page.Swarms[0].Peers != 2 || page.Swarms[0].Seeders != 1 || page.Swarms[0].InfoHash != hashes[0] {
			t.Errorf("%+v: %+v, %v", q, page, err)
		}
	}
}

func TestSwarmsHavePagesInEveryOrder(t *testing.T) {
	w := swarmsWorld(t)
	c := w.client(t, "")
	for _, sort := range []string{"name", "size", "peers", "seeders", "leechers", "completed", "registered"} {
		for _, order := range []string{"asc", "desc"} {
			whole, err := c.Swarms(t.Context(), client.SwarmQuery{Sort: sort, Order: order})
			if err != nil {
				t.Fatal(err)
			}
			for limit := 1; limit < 8; limit++ {
				var all []client.Swarm
				q := client.SwarmQuery{Sort: sort, Order: order, Limit: limit}
				for more := true; more; more = q.Cursor != "" {
					page, err := c.Swarms(t.Context(), q)
					if err != nil || page.Total != 6 || len(page.Swarms) > limit {
						t.Fatalf("%+v: %+v, %v", q, page, err)
					}
					all = append(all, page.Swarms...)
					q.Cursor = page.Next
				}
				if got, want := names(all), names(whole.Swarms); got != want {
					t.Errorf("by %s %s with %d a page: %s, want %s", sort, order, limit, got, want)
				}
			}
		}
	}
}

func TestCursorOfAnotherOrderIsRefused(t *testing.T) {
	w := swarmsWorld(t)
	c := w.client(t, "")
	page, err := c.Swarms(t.Context(), client.SwarmQuery{Limit: 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []client.SwarmQuery{
		{Cursor: page.Next, Order: "desc"},
		{Cursor: page.Next, Sort: "size"},
		{Cursor: "x"},
		{Cursor: page.Next[:10]},
		{Sort: "colour"},
		{State: "gone"},
		{Query: strings.Repeat("x", 257)},
		{Limit: 1001},
	} {
		_, err := c.Swarms(t.Context(), q)
		var p *client.Problem
		if !errors.As(err, &p) || p.Status != http.StatusUnprocessableEntity {
			t.Errorf("%+v: %v", q, err)
		}
	}
}

func TestNameInAnyAlphabetIsFound(t *testing.T) {
	w := newWorld(t, nil)
	w.add(t, "ÉTÉ à Zürich")
	for query, found := range map[string]int{"été": 1, "ZÜRICH": 1, "zurich": 0, "É à z": 1} {
		page, err := w.client(t, "").Swarms(t.Context(), client.SwarmQuery{Query: query})
		if err != nil || page.Total != found {
			t.Errorf("%s: %d, %v; want %d", query, page.Total, err, found)
		}
	}
}

func TestListingSwarmsEndsWithItsRequest(t *testing.T) {
	w := swarmsWorld(t)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.client(t, "").Swarms(gone, client.SwarmQuery{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
