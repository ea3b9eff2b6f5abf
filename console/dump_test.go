package console_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/console"
	"waggle/console/client"
	"waggle/swarm"
)

func TestPeersOfATransferAreExportedAsCSV(t *testing.T) {
	w := newWorld(t, func(o *console.Options) {
		o.Reach = func(addr netip.AddrPort) swarm.Reach {
			return map[netip.Addr]swarm.Reach{netip.MustParseAddr("10.0.0.1"): swarm.Reachable, netip.MustParseAddr("2001:db8::1"): swarm.Unreachable}[addr.Addr()]
		}
	})
	h := w.add(t, "image.iso").InfoHash
	w.announce(t, h, "10.0.0.1:6881", 0)
	w.announce(t, h, "[2001:db8::1]:6882", 600)
	for n := range 1000 {
		w.announce(t, h, fmt.Sprintf("10.1.%d.%d:1", n>>8, n&255), 1)
	}
	got := w.do(t, get("/transfers/"+h.String()+"/peers.csv"))
	if got.status != http.StatusOK || !strings.HasPrefix(got.header.Get("Content-Type"), "text/csv") || !strings.Contains(got.header.Get("Content-Disposition"), "peers-"+h.String()+".csv") {
		t.Fatalf("status %d, %v", got.status, got.header)
	}
	if bytes.Count(got.body, []byte("\n")) != bytes.Count(got.body, []byte("\r\n")) {
		t.Error("not all lines end in CR LF (RFC 4180)")
	}
	lines, err := csv.NewReader(bytes.NewReader(got.body)).ReadAll()
	if err != nil || len(lines) != 1003 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	if head := strings.Join(lines[0], ","); head != "info_hash,ip,port,kind,client,peer_id,left,uploaded,downloaded,first_seen,last_seen,reachable" {
		t.Errorf("columns %s", head)
	}
	want := map[string]string{
		"10.0.0.1":    h.String() + ",10.0.0.1,6881,seeder,qBittorrent 4.5.2,'-qB4520-abcdefghijkl,0,11,22,2023-11-14T22:13:20Z,2023-11-14T22:13:20Z,yes",
		"2001:db8::1": h.String() + ",2001:db8::1,6882,leecher,qBittorrent 4.5.2,'-qB4520-abcdefghijkl,600,11,22,2023-11-14T22:13:20Z,2023-11-14T22:13:20Z,no",
	}
	for _, line := range lines[1:] {
		if w, ok := want[line[1]]; ok && strings.Join(line, ",") != w {
			t.Errorf("%q, want %q", line, w)
		}
		delete(want, line[1])
	}
	if len(want) > 0 {
		t.Errorf("missing are %v", want)
	}
}

func TestFieldThatASpreadsheetTakesForAFormulaIsExportedInert(t *testing.T) {
	w := newWorld(t, nil)
	h := w.add(t, "image.iso").InfoHash
	for n, id := range []string{"=cmd|' /C calc'!A0\"", "+SUM(A1)\x00\r\n,\"......", "-1+1................", "@x..................", "\tx.................."} {
		a := swarm.Announce{From: netip.AddrFrom4([4]byte{10, 0, 0, byte(n)}), Now: time.Unix(1, 0)}
		a.InfoHash, a.Port = h, 1
		copy(a.PeerID[:], id)
		if err := w.store.Announce(t.Context(), &a, new(swarm.Reply)); err != nil {
			t.Fatal(err)
		}
	}
	lines, err := csv.NewReader(bytes.NewReader(w.do(t, get("/transfers/"+h.String()+"/peers.csv")).body)).ReadAll()
	if err != nil || len(lines) != 6 {
		t.Fatalf("%q, %v", lines, err)
	}
	for _, line := range lines[1:] {
		for _, field := range line {
			if field != "" && strings.ContainsRune("=+-@\t\r", rune(field[0])) {
				t.Errorf("%q", field)
			}
		}
	}
}

// halting is a store on a network that stops in the middle of a swarm.
type halting struct{ console.Swarms }

func (h halting) Walk(ctx context.Context, hash bittorrent.InfoHash, buf []swarm.Peer, see func([]swarm.Peer) bool) (whole bool, err error) {
	if _, err := h.Swarms.Walk(ctx, hash, buf, see); err != nil {
		return false, err
	}
	return false, swarm.ErrBusy
}

func TestExportThatIsNotWholeIsNoCSV(t *testing.T) {
	w := newWorld(t, func(o *console.Options) { o.Swarms = halting{o.Swarms} })
	h := w.add(t, "image.iso").InfoHash
	for n := range 100 {
		w.announce(t, h, fmt.Sprintf("10.0.0.%d:1", n), 1)
		got := w.do(t, get("/transfers/"+h.String()+"/peers.csv"))
		_, err := csv.NewReader(bytes.NewReader(got.body)).ReadAll()
		if err == nil || bytes.HasSuffix(got.body, []byte("\n")) || bytes.Count(got.body, []byte("\n")) != n+2 {
			t.Fatalf("of %d peers: %v, it ends in %q", n+1, err, got.body[max(0, len(got.body)-100):])
		}
	}
}

func TestExportOfAnUnknownTorrentSaysSo(t *testing.T) {
	w := newWorld(t, nil)
	for path, status := range map[string]int{strings.Repeat("ab", 20): 404, "xyz": 422} {
		if got := w.do(t, get("/transfers/"+path+"/peers.csv")); got.status != status || got.problem(t).Detail == "" {
			t.Errorf("%s: status %d, %s", path, got.status, got.body)
		}
	}
}

func TestDumpHasEveryInfoHashWithItsCounts(t *testing.T) {
	w := newWorld(t, nil)
	if all := decode[client.Tracked](t, w.do(t, get("/api/v1/hashes"))); all.Hashes == nil || len(all.Hashes) != 0 {
		t.Errorf("an empty tracker has %+v", all)
	}
	for n := range 3000 {
		w.announce(t, bittorrent.InfoHash{byte(n), byte(n >> 8), 1}, "10.0.0.1:1", int64(n%2))
	}
	all := decode[client.Tracked](t, w.do(t, get("/api/v1/hashes")))
	seen := map[bittorrent.InfoHash]bool{}
	for _, s := range all.Hashes {
		seen[s.InfoHash] = true
		if s.Seeders+s.Leechers != 1 || int(s.Leechers) != int(s.InfoHash[0])%2 {
			t.Errorf("%+v", s)
		}
	}
	if len(seen) != 3000 || len(all.Hashes) != 3000 {
		t.Errorf("%d hashes, %d different", len(all.Hashes), len(seen))
	}
	if got, err := w.client(t, "").Hashes(t.Context()); err != nil || len(got.Hashes) != 3000 {
		t.Errorf("the client has %d, %v", len(got.Hashes), err)
	}
}

func TestDumpEndsWithItsRequest(t *testing.T) {
	w := newWorld(t, nil)
	w.announce(t, bittorrent.InfoHash{1}, "10.0.0.1:1", 0)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.client(t, "").Hashes(gone); err == nil {
		t.Error("there is an answer")
	}
}
