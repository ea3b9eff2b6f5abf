//go:build long

package attack

import (
	"net"
	"net/http"
	"syscall"
	"testing"

	"waggle/bittorrent"
)

func TestLongFloodOfMadeUpTorrentsStaysBelowTheMemoryLimit(t *testing.T) {
	tr := startTracker(t, "", nil, "--limits-memory", "256M") // with the journal
	floodBelow(t, tr, 256e6, 3_000_000)
}

func TestTenThousandHalfRequestsKeepNobodyOut(t *testing.T) {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil || files.Max < 11_000 {
		t.Fatalf("this test opens 10,000 connections, and may have %d files: %v; raise it with ulimit -n", files.Max, err)
	}
	tr := startTracker(t, "", nil, "--store", "memory:", "--limits-memory", "256M")
	address := tr.http[len("http://"):]
	for n := range 10_000 { // as many as limits.http_connections
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(n%200+1))}}
		conn, err := dialer.DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatalf("connection %d: %v", n, err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := conn.Write([]byte("GET /announce?info_hash=")); err != nil {
			t.Fatalf("connection %d: %v", n, err)
		}
	}
	wantServed(t, tr)
	a := bittorrent.AnnounceRequest{InfoHash: bittorrent.InfoHash{1, 2, 3}, PeerID: bittorrent.PeerID{3}, Port: 6883, Left: 1, NumWant: -1}
	status, body := get(t, tr.http+"/announce?"+string(bittorrent.AppendHTTPAnnounce(nil, &a)), "")
	var r bittorrent.AnnounceResponse
	if err := bittorrent.ParseHTTPAnnounceResponse(body, &r); status != http.StatusOK || err != nil || r.Incomplete != 3 {
		t.Errorf("HTTP beside the attack: status %d, %+v, %v", status, r, err)
	}
	if status, _ := get(t, tr.console+"/api/v1/version", ""); status != http.StatusOK {
		t.Errorf("the console beside the attack: status %d", status)
	}
	if _, most := resident(t, tr.cmd.Process.Pid); most >= 256e6 {
		t.Errorf("%d MB resident, with a limit of 256", most/1e6)
	}
}
