package udp_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"waggle/bittorrent"
	"waggle/frontend/udp"
	"waggle/store/memory"
	"waggle/tracker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func listen(t *testing.T, addresses ...string) *udp.Server {
	t.Helper()
	tr := tracker.New(memory.New(memory.Options{}), tracker.Settings{Interval: time.Minute, NumWant: 50, MaxNumWant: 50}, tracker.Options{})
	s, err := udp.Listen(t.Context(), addresses, udp.Options{Tracker: tr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// ask connects and announces over a socket that takes answers from the asked
// address only, as those of real clients do.
func ask(t *testing.T, network string, to netip.AddrPort) error {
	t.Helper()
	conn, err := net.Dial(network, to.String())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	exchange := func(packet []byte) (bittorrent.UDPResponse, error) {
		if _, err := conn.Write(packet); err != nil {
			return bittorrent.UDPResponse{}, err
		}
		answer := make([]byte, 2048)
		n, err := conn.Read(answer)
		if err != nil {
			return bittorrent.UDPResponse{}, fmt.Errorf("no answer from %v: %w", to, err)
		}
		return bittorrent.ParseUDPResponse(answer[:n])
	}
	r, err := exchange(bittorrent.AppendUDPConnect(nil, 1))
	if err != nil {
		return err
	}
	id, err := r.ConnectionID()
	if err != nil {
		return err
	}
	a := bittorrent.AnnounceRequest{Port: 1, Left: 1, NumWant: -1}
	if r, err = exchange(bittorrent.AppendUDPAnnounce(nil, id, 2, &a, "")); err != nil {
		return err
	}
	return r.Announce(to.Addr().Is6(), new(bittorrent.AnnounceResponse))
}

func TestWildcardAnswersOnBothFamiliesFromTheAddressThatWasAsked(t *testing.T) {
	s := listen(t, ":0")
	addrs := s.Addrs()
	if len(addrs) != 2 || addrs[0].Port() != addrs[1].Port() {
		t.Fatalf("listens on %v, want IPv4 and IPv6 on one port", addrs)
	}
	port := addrs[0].Port()
	for network, host := range map[string]string{"udp4": "127.0.0.1", "udp": "127.0.0.77", "udp6": "::1"} {
		if err := ask(t, network, netip.AddrPortFrom(netip.MustParseAddr(host), port)); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
}

func TestSeveralListenersServeAtOnce(t *testing.T) {
	s := listen(t, "127.0.0.1:0", "127.0.0.2:0", "[::1]:0")
	for _, addr := range s.Addrs() {
		if err := ask(t, "udp", addr); err != nil {
			t.Error(err)
		}
	}
	if got := s.Figures().Connects; got != 3 {
		t.Errorf("%d connects were counted, want 3", got)
	}
}

func TestAddressInUseIsNamedAndNothingIsKept(t *testing.T) {
	taken := listen(t, "127.0.0.1:0").Addrs()[0].String()
	free, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	first := free.LocalAddr().String()
	_ = free.Close()
	_, err = udp.Listen(context.Background(), []string{first, taken}, udp.Options{})
	if err == nil || !strings.Contains(err.Error(), taken) || !strings.Contains(err.Error(), "in use") {
		t.Errorf("got %v, want an error that names %s", err, taken)
	}
	again, err := net.ListenPacket("udp", first)
	if err != nil {
		t.Errorf("the first address was kept: %v", err)
	} else {
		_ = again.Close()
	}
}

func TestAddressThatCannotBeIsExplained(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.77:0": "not an address of this machine",
		"127.0.0.1":    "listen.udp",
		"127.0.0.1:x":  "listen.udp",
	} {
		if _, err := udp.Listen(context.Background(), []string{address}, udp.Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
}

func TestCloseAnswersWhatHasArrived(t *testing.T) {
	s := listen(t, "127.0.0.1:0")
	conn, err := net.Dial("udp", s.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	const packets = 100
	for n := range packets {
		if _, err := conn.Write(bittorrent.AppendUDPConnect(nil, uint32(n))); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	for n := range packets {
		if _, err := conn.Read(make([]byte, 16)); err != nil {
			t.Fatalf("answer %d of %d: %v", n, packets, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Errorf("a second Close: %v", err)
	}
}
