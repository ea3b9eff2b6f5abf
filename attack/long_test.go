//go:build long

package attack

import (
	"encoding/json"
	"net"
	"net/http"
	"os/exec"
	"syscall"
	"testing"

	"waggle/bittorrent"
)

func TestLongFloodOfMadeUpTorrentsStaysBelowTheMemoryLimit(t *testing.T) {
	tr := startTracker(t, "", nil, "--limits-memory", "256M") // with the journal
	floodBelow(t, tr, 256e6, 3_000_000, anyTorrent)
}

func TestLongUploadsOfHalfAMillionFilesTakeBoundedMemory(t *testing.T) {
	uploadBelow(t, 256e6, 15_900_000)
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

func TestSpoofedConnectionIDsTakeNoAnswersFromOthers(t *testing.T) {
	tr := startTracker(t, "", nil, "--store", "memory:")
	// Honest ones are few enough that this machine, which makes both, answers them all.
	out, err := exec.CommandContext(t.Context(), waggle(t), "bench", "udp", "udp://"+tr.udp, "--torrents", "1000", "--peers", "4000",
		"--rate", "2000", "--spoofed", "100000", "--duration", "10s", "--timeout", "5s", "--json").Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var report struct {
		Results []struct {
			Median struct {
				Sent, Announces, Spoofed int
			} `json:"median"`
		} `json:"results"`
	}
	if err := json.Unmarshal(out, &report); err != nil || len(report.Results) != 1 {
		t.Fatalf("%v\n%s", err, out)
	}
	got := report.Results[0].Median
	if got.Sent == 0 || got.Spoofed < 10*got.Sent {
		t.Fatalf("%d spoofed packets beside %d announces: this is no attack", got.Spoofed, got.Sent)
	}
	if got.Announces*10 < got.Sent*9 {
		t.Errorf("%d of %d honest announces were answered beside %d spoofed ones; want 90 in 100", got.Announces, got.Sent, got.Spoofed)
	}
	t.Logf("%d of %d honest announces were answered beside %d spoofed ones", got.Announces, got.Sent, got.Spoofed)
}
