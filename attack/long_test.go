//go:build long

package attack

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/ipv4"

	"waggle/bittorrent"
)

func TestLongFloodOfMadeUpTorrentsStaysBelowTheMemoryLimit(t *testing.T) {
	tr := startTracker(t, "", nil, "--limits-memory", "256M") // with the journal
	floodBelow(t, tr, 256e6, 3_000_000, anyTorrent)
}

func TestLongUploadsOfHalfAMillionFilesTakeBoundedMemory(t *testing.T) {
	uploadBelow(t, 256e6, 15_900_000)
}

func TestLongUploadsAtATimeTakeBoundedMemory(t *testing.T) {
	const limit = 256e6
	tr := startTracker(t, "", nil, "--limits-memory", strconv.Itoa(limit)) // what is taken is kept on disk
	var uploaders sync.WaitGroup
	var taken atomic.Int64
	for n := range 8 {
		many := bytes.Replace(manyFiles(15_900_000, ""), []byte("4:name1:m"), fmt.Appendf(nil, "4:name1:%d", n), 1)
		uploaders.Go(func() {
			response, err := http.Post(tr.console+"/api/v1/torrents?file="+strconv.Itoa(n)+".torrent", "application/x-bittorrent", bytes.NewReader(many))
			if err != nil {
				return // who waits for too long is hung up on
			}
			_ = response.Body.Close()
			if response.StatusCode == http.StatusCreated {
				taken.Add(1)
			} else if response.StatusCode != http.StatusServiceUnavailable {
				t.Errorf("%d: %s", n, response.Status)
			}
		})
	}
	uploaders.Wait()
	_, most := resident(t, tr.cmd.Process.Pid)
	if most >= limit || taken.Load() == 0 {
		t.Errorf("%d of 8 were taken; %d MB resident, with a limit of %d", taken.Load(), most/1e6, int(limit/1e6))
	}
	t.Logf("%d of 8 were taken; %d MB resident at most", taken.Load(), most/1e6)
	wantServed(t, tr)
}

func TestTenThousandHalfRequestsKeepNobodyOut(t *testing.T) {
	const half, places = 12_000, 10_000 // as limits.http_connections has them
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil || files.Max < half+1000 {
		t.Fatalf("this test opens %d connections, and may have %d files: %v; raise it with ulimit -n", half, files.Max, err)
	}
	tr := startTracker(t, "", nil, "--store", "memory:", "--limits-memory", "256M")
	ctx, end := context.WithCancel(t.Context())
	var attackers sync.WaitGroup
	defer attackers.Wait()
	defer end()
	var held atomic.Int64
	for n := range half {
		attackers.Go(func() { keepHalfOpen(ctx, tr.http[len("http://"):], n, &held) })
	}
	until(t, "all places are taken", func() bool { return held.Load() >= places })
	wantServed(t, tr)
	for n := range 20 {
		a := bittorrent.AnnounceRequest{InfoHash: bittorrent.InfoHash{1, 2, 3}, PeerID: bittorrent.PeerID{3}, Port: uint16(7000 + n), Left: 1, NumWant: -1}
		status, body := get(t, tr.http+"/announce?"+string(bittorrent.AppendHTTPAnnounce(nil, &a)), "")
		var r bittorrent.AnnounceResponse
		if err := bittorrent.ParseHTTPAnnounceResponse(body, &r); status != http.StatusOK || err != nil || int(r.Incomplete) != 3+n {
			t.Errorf("HTTP beside the attack: status %d, %+v, %v", status, r, err)
		}
	}
	if status, _ := get(t, tr.console+"/api/v1/version", ""); status != http.StatusOK {
		t.Errorf("the console beside the attack: status %d", status)
	}
	if n := held.Load(); n < places*9/10 {
		t.Errorf("in the end there are %d half requests: this is no attack", n)
	}
	if _, most := resident(t, tr.cmd.Process.Pid); most >= 256e6 {
		t.Errorf("%d MB resident, with a limit of 256", most/1e6)
	}
}

// keepHalfOpen has a connection with half a request until ctx ends: another one as soon as the
// tracker closes it. n is one of many, from some hundred addresses.
func keepHalfOpen(ctx context.Context, to string, n int, held *atomic.Int64) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(n%200+1))}}
	for ctx.Err() == nil {
		conn, err := dialer.DialContext(ctx, "tcp", to)
		if err != nil {
			continue // the tracker has its hands full
		}
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
		held.Add(1)
		if _, err := conn.Write([]byte("GET /announce?info_hash=")); err == nil {
			_, _ = io.Copy(io.Discard, conn) // until it is closed
		}
		held.Add(-1)
		stop()
		_ = conn.Close()
	}
}

func TestSpoofedConnectionIDsTakeNoAnswersFromOthers(t *testing.T) {
	tr := startTracker(t, "", nil, "--store", "memory:")
	end := make(chan struct{})
	var spoofed atomic.Int64
	var attackers sync.WaitGroup
	for n := range runtime.GOMAXPROCS(0) {
		attackers.Go(func() { spoof(t, tr.udp, byte(n), end, &spoofed) })
	}
	// Honest ones are few enough that this machine, which makes both, answers them all. Each asks once: none
	// is sent again, as real clients would.
	began := time.Now()
	out, err := exec.CommandContext(t.Context(), waggle(t), "bench", "udp", "udp://"+tr.udp, "--torrents", "1000", "--peers", "4000",
		"--rate", "2000", "--duration", "20s", "--timeout", "5s", "--json").Output()
	took := time.Since(began)
	close(end)
	attackers.Wait()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var report struct {
		Results []struct {
			Median struct {
				Sent, Announces int64
			} `json:"median"`
		} `json:"results"`
	}
	if err := json.Unmarshal(out, &report); err != nil || len(report.Results) != 1 {
		t.Fatalf("%v\n%s", err, out)
	}
	got := report.Results[0].Median
	if got.Sent == 0 || spoofed.Load() < 10*got.Sent {
		t.Fatalf("%d spoofed packets beside %d announces: this is no attack", spoofed.Load(), got.Sent)
	}
	if got.Announces*10 < got.Sent*9 {
		t.Errorf("%d of %d honest announces were answered beside %d spoofed ones; want 90 in 100", got.Announces, got.Sent, spoofed.Load())
	}
	_, body := get(t, tr.console+"/figures", "")
	var figures struct {
		UDP struct{ BadConnection, Overflowed int64 }
	}
	if err := json.Unmarshal(body, &figures); err != nil || figures.UDP.BadConnection == 0 {
		t.Errorf("no packet was refused for its connection id: %s, %v", body, err)
	}
	t.Logf("%d of %d honest announces were answered beside %d spoofed ones, %d a second; %d of all were refused for their ids, and for %d the kernel had no room",
		got.Announces, got.Sent, spoofed.Load(), int(float64(spoofed.Load())/took.Seconds()), figures.UDP.BadConnection, figures.UDP.Overflowed)
}

// spoof sends announces with connection ids that nobody was given as fast as the system takes
// them, from many addresses of loopback, until end.
func spoof(t *testing.T, to string, attacker byte, end <-chan struct{}, sent *atomic.Int64) {
	const batch, sources = 64, 16
	var conns []*ipv4.PacketConn
	for n := range sources {
		dialer := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.IPv4(127, 0, 3+attacker, byte(1+n))}}
		conn, err := dialer.DialContext(t.Context(), "udp4", to)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		conns = append(conns, ipv4.NewPacketConn(conn.(*net.UDPConn)))
	}
	random := rand.New(rand.NewPCG(uint64(attacker), 3))
	a := bittorrent.AnnounceRequest{InfoHash: bittorrent.InfoHash{1, 2, 3}, Port: 6881, Left: 1, Event: bittorrent.EventStarted}
	messages := make([]ipv4.Message, batch)
	for i := range messages {
		messages[i].Buffers = [][]byte{bittorrent.AppendUDPAnnounce(nil, 0, 1, &a, "")}
	}
	for n := 0; ; n++ {
		select {
		case <-end:
			return
		default:
		}
		for i := range messages {
			binary.BigEndian.PutUint64(messages[i].Buffers[0], random.Uint64())
		}
		if done, err := conns[n%sources].WriteBatch(messages, 0); err == nil {
			sent.Add(int64(done))
		} // else the system has no room for more
	}
}
