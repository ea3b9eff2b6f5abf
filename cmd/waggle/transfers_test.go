package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/console/client"
)

// runWaggle runs a command to its end; complaints come after what it prints.
func runWaggle(t *testing.T, args ...string) (stdout string, err error) {
	t.Helper()
	out, complaints, err := runCommand(t.Context(), args...)
	return out + complaints, err
}

// serveOne serves a torrent called "image.iso", of which 10.0.0.1's half is there.
func serveOne(t *testing.T) (s *serving, h bittorrent.InfoHash) {
	t.Helper()
	s = startServe(t, "--store", "memory:")
	body, h := metainfo(t, "image.iso")
	if _, err := s.client(t, "").Upload(t.Context(), "image.torrent", body); err != nil {
		t.Fatal(err)
	}
	for port, left := range []int64{0, 500} {
		if _, err := s.tell(t, bittorrent.AnnounceRequest{InfoHash: h, Port: uint16(1000 + port), Left: left}); err != nil {
			t.Fatal(err)
		}
	}
	return s, h
}

func TestTransfersArePrintedAsATable(t *testing.T) {
	s, h := serveOne(t)
	for _, args := range [][]string{{}, {"image.iso"}, {"image.torrent"}, {h.String()}} {
		out, err := runWaggle(t, append([]string{"transfers", "--console", s.console(t)}, args...)...)
		want := "  peers  seeders  leechers    done  downloads    size   state                                 info hash  name\n" +
			"      2        1         1  75.0 %          0  1000 B  active  " + h.String() + "  image.iso\n"
		if err != nil || out != want {
			t.Errorf("%q prints\n%s%v, want\n%s", args, out, err, want)
		}
	}
}

func TestTransfersArePrintedAsJSON(t *testing.T) {
	s, h := serveOne(t)
	out, err := runWaggle(t, "transfers", "--json", "--console", s.console(t))
	var transfers []client.Transfer
	if err != nil || json.Unmarshal([]byte(out), &transfers) != nil || len(transfers) != 1 || transfers[0].InfoHash != h || transfers[0].Peers != 2 {
		t.Errorf("printed %s, %v", out, err)
	}
	empty := startServe(t, "--store", "memory:")
	if out, err := runWaggle(t, "transfers", "--json", "--console", empty.console(t)); err != nil || out != "[]\n" {
		t.Errorf("without transfers %q, %v", out, err)
	}
}

func TestTransferThatIsNotThereIsAnError(t *testing.T) {
	s, _ := serveOne(t)
	for _, args := range [][]string{{"transfers", "other.iso"}, {"transfers", strings.Repeat("0", 40)}, {"peers", "other.iso"}, {"peers", strings.Repeat("0", 40)}} {
		out, err := runWaggle(t, append(args, "--console", s.console(t))...)
		if err == nil || out != "" || exitCode(err) != exitFailed || !strings.Contains(err.Error(), args[1]) {
			t.Errorf("%q: %q, %v", args, out, err)
		}
	}
}

func TestTrackerThatDoesNotRunIsAnErrorWithTheRemedy(t *testing.T) {
	s := startServe(t, "--store", "memory:")
	address := s.console(t)
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"transfers", "peers"} {
		if out, err := runWaggle(t, command, "--console", address); out != "" || !errors.Is(err, client.ErrNobody) || !strings.Contains(err.Error(), address) || exitCode(err) != exitFailed {
			t.Errorf("%s: %q, %v", command, out, err)
		}
	}
}

func TestWrongUsageOfTransfersAndPeersIsAUsageError(t *testing.T) {
	for _, command := range []string{"transfers", "peers"} {
		for _, args := range [][]string{{"a", "b"}, {"--frob"}, {"--console", "127.0.0.1:6970"}, {"--places"}} {
			if _, err := runWaggle(t, append([]string{command}, args...)...); exitCode(err) != exitUsage {
				t.Errorf("%s %q: %v", command, args, err)
			}
		}
	}
}

func TestPeersArePrintedAsATableAndAsJSON(t *testing.T) {
	s, h := serveOne(t)
	for _, args := range [][]string{{}, {"image.iso"}, {h.String()}} {
		args = append([]string{"peers", "--console", s.console(t)}, args...)
		out, err := runWaggle(t, args...)
		lines := strings.Split(out, "\n")
		if err != nil || len(lines) != 4 || !strings.Contains(lines[1], "127.0.0.1:1000   seeder") || !strings.Contains(lines[2], "127.0.0.1:1001  leecher") || !strings.Contains(lines[2], "500 B") {
			t.Errorf("%q prints\n%s%v", args, out, err)
		}
		out, err = runWaggle(t, append(args, "--json")...)
		var peers []client.Peer
		if err != nil || json.Unmarshal([]byte(out), &peers) != nil || len(peers) != 2 {
			t.Errorf("%q prints %s, %v", args, out, err)
		}
	}
}

func TestNameOfATransferCannotMoveTheCursor(t *testing.T) {
	var b bytes.Buffer
	err := printTransfers(&b, []client.Transfer{{Torrent: client.Torrent{Name: "a\x1b[2Jb"}}})
	if err != nil || strings.Contains(b.String(), "\x1b") || !strings.Contains(b.String(), `"a\x1b[2Jb"`) || !strings.Contains(b.String(), "inactive") {
		t.Errorf("printed %q, %v", b.String(), err)
	}
}

func TestShareIsRoundedDownSoThatAllIsAll(t *testing.T) {
	for share, want := range map[float64]string{0: "0.0 %", 0.5: "50.0 %", 0.99999: "99.9 %", 1: "100.0 %"} {
		if got := percentage(share); got != want {
			t.Errorf("%v is %s, want %s", share, got, want)
		}
	}
	now := time.Unix(100, 0)
	for at, want := range map[time.Time]string{{}: "-", time.Unix(10, 0): "1m30s", time.Unix(101, 0): "0s"} {
		if got := ago(at, now); got != want {
			t.Errorf("%v is %s, want %s", at, got, want)
		}
	}
}
