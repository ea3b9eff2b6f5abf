package echo

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"

	"waggle/bittorrent"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience ends a test that would never end.
const patience = 20 * time.Second

var loopback = netip.MustParseAddrPort("127.0.0.1:0")

// serve runs a server until the test ends.
func serve(t *testing.T, server interface{ Serve(context.Context) error }) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func listenUDP(t *testing.T, sockets int) *net.UDPConn {
	t.Helper()
	u, err := ListenUDP(loopback, sockets, 30)
	if err != nil {
		t.Fatal(err)
	}
	serve(t, u)
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(u.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn
}

func ask(t *testing.T, conn net.Conn, packet []byte) bittorrent.UDPResponse {
	t.Helper()
	if _, err := conn.Write(packet); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 2_000)
	n, err := conn.Read(answer)
	if err != nil {
		t.Fatal(err)
	}
	r, err := bittorrent.ParseUDPResponse(answer[:n])
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestUDPAnswersEachKindOfRequest(t *testing.T) {
	for _, sockets := range []int{1, 2} {
		conn := listenUDP(t, sockets)
		r := ask(t, conn, bittorrent.AppendUDPConnect(nil, 7))
		id, err := r.ConnectionID()
		if err != nil || r.TransactionID != 7 {
			t.Fatalf("connect: %+v, %v", r, err)
		}
		for transaction := range uint32(200) {
			r = ask(t, conn, bittorrent.AppendUDPAnnounce(nil, id, transaction, &bittorrent.AnnounceRequest{Port: 1}, ""))
			var a bittorrent.AnnounceResponse
			if err := r.Announce(false, &a); err != nil || r.TransactionID != transaction || a.Peers.Len() != 30 {
				t.Fatalf("announce %d: %+v, %d peers, %v", transaction, r, a.Peers.Len(), err)
			}
		}
		r = ask(t, conn, bittorrent.AppendUDPScrape(nil, id, 9, make([]bittorrent.InfoHash, 3)))
		if counts, err := r.AppendScrapeCounts(nil); err != nil || r.TransactionID != 9 || len(counts) != 3 {
			t.Errorf("scrape: %+v, %v", counts, err)
		}
	}
}

func TestUDPPassesOverWhatIsNoRequest(t *testing.T) {
	conn := listenUDP(t, 1)
	for _, packet := range [][]byte{
		{},
		make([]byte, 15),
		bittorrent.AppendUDPError(make([]byte, 8), 1, "nonsense"),
		bittorrent.AppendUDPAnnounce(nil, 1, 1, &bittorrent.AnnounceRequest{}, "")[:97],
	} {
		if _, err := conn.Write(packet); err != nil {
			t.Fatal(err)
		}
	}
	if r := ask(t, conn, bittorrent.AppendUDPConnect(nil, 7)); r.TransactionID != 7 {
		t.Errorf("the first answer is to %d, want 7", r.TransactionID)
	}
}

func TestHTTPAnswersAnnounceAndScrape(t *testing.T) {
	h, err := ListenHTTP(t.Context(), loopback, 30)
	if err != nil {
		t.Fatal(err)
	}
	serve(t, h)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	get := func(path string) []byte {
		response, err := client.Get("http://" + h.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	var a bittorrent.AnnounceResponse
	if err := bittorrent.ParseHTTPAnnounceResponse(get("/announce?x=y"), &a); err != nil || a.Peers.Len() != 30 {
		t.Errorf("announce: %d peers, %v", a.Peers.Len(), err)
	}
	if _, ok, err := bittorrent.ParseHTTPScrapeResponse(get("/scrape"), bittorrent.InfoHash{}); err != nil || ok {
		t.Errorf("scrape: %t, %v", ok, err)
	}
}

func TestAddressInUseIsNamed(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	if _, err := ListenHTTP(t.Context(), taken.Addr().(*net.TCPAddr).AddrPort(), 1); err == nil {
		t.Error("it was taken twice")
	}
}
