package main

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/console/client"
	"waggle/torrent"
)

// console returns the URL of the console.
func (s *serving) console(t *testing.T) string {
	t.Helper()
	for _, line := range s.lines {
		if name, address, ok := strings.Cut(line, ": "); ok && strings.HasPrefix(name, "console (") {
			return address
		}
	}
	t.Fatalf("no console in %q", s.lines)
	return ""
}

func (s *serving) client(t *testing.T, token string) *client.Client {
	t.Helper()
	c, err := client.New(s.console(t), token)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// tell announces, and returns the answer or what it failed with.
func (s *serving) tell(t *testing.T, a bittorrent.AnnounceRequest) (r bittorrent.AnnounceResponse, err error) {
	t.Helper()
	a.PeerID, a.NumWant = bittorrent.PeerID{2}, -1
	a.Port = max(a.Port, 1)
	return r, bittorrent.ParseHTTPAnnounceResponse(get(t, s.url(t, "http")+"?"+string(bittorrent.AppendHTTPAnnounce(nil, &a))), &r)
}

// metainfo returns a .torrent of one file of 1,000 bytes, and its hash.
func metainfo(t *testing.T, name string) ([]byte, bittorrent.InfoHash) {
	t.Helper()
	b := fmt.Appendf(nil, "d4:infod6:lengthi1000e4:name%d:%s12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee", len(name), name)
	m, err := torrent.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return b, m.InfoHash()
}

// hangup sends SIGHUP and waits for another line of the log that has want.
func (s *serving) hangup(t *testing.T, want string) {
	t.Helper()
	before := strings.Count(s.log.String(), want)
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	s.await(t, func() bool { return strings.Count(s.log.String(), want) > before })
}

func (s *serving) await(t *testing.T, done func() bool) {
	t.Helper()
	deadline, tick := time.After(patience), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain; the log is\n%s", s.log)
		case <-tick.C:
		}
	}
}

func TestListedModeServesWhatIsUploadedAndWhatIsInTheDirectory(t *testing.T) {
	folder := t.TempDir()
	file, inFolder := metainfo(t, "in the folder")
	if err := os.WriteFile(filepath.Join(folder, "a.torrent"), file, 0o600); err != nil {
		t.Fatal(err)
	}
	s := startServe(t, "--store", "memory:", "--torrents-mode", "listed", "--torrents-directory", folder)
	c := s.client(t, "")
	body, uploaded := metainfo(t, "uploaded")
	if r, err := s.tell(t, bittorrent.AnnounceRequest{InfoHash: uploaded, Left: 1}); err != nil || r.Warning == "" || r.Interval > 6*time.Minute || r.Incomplete != 0 {
		t.Errorf("before it was uploaded: %+v, %v", r, err)
	}
	if _, err := c.Upload(t.Context(), "b.torrent", body); err != nil {
		t.Fatal(err)
	}
	for _, h := range []bittorrent.InfoHash{inFolder, uploaded} {
		if r, err := s.tell(t, bittorrent.AnnounceRequest{InfoHash: h, Left: 500, Event: bittorrent.EventStarted}); err != nil || r.Warning != "" || r.Incomplete != 1 {
			t.Errorf("%v: %+v, %v", h, r, err)
		}
		if got, err := c.Transfer(t.Context(), h); err != nil || got.Leechers != 1 || got.Progress != 0.5 || got.FirstStarted.IsZero() {
			t.Errorf("%v: %+v, %v", h, got, err)
		}
	}
}

func TestTransfersSurviveARestart(t *testing.T) {
	store := "sqlite:" + filepath.Join(t.TempDir(), "sub", "waggle.db")
	body, h := metainfo(t, "a")
	first := startServe(t, "--store", store)
	if _, err := first.client(t, "").Upload(t.Context(), "a.torrent", body); err != nil {
		t.Fatal(err)
	}
	if _, err := first.tell(t, bittorrent.AnnounceRequest{InfoHash: h, Event: bittorrent.EventCompleted}); err != nil {
		t.Fatal(err)
	}
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	c := startServe(t, "--store", store).client(t, "")
	if got, err := c.Transfer(t.Context(), h); err != nil || !got.Active || got.Seeders != 1 || got.FirstCompleted.IsZero() {
		t.Errorf("after the restart %+v, %v", got, err)
	}
	if got, err := c.Torrent(t.Context(), h); err != nil || !bytes.Equal(got, body) {
		t.Errorf("its .torrent is %q, %v", got, err)
	}
}

func TestDeactivatedTransferHasNoPeersInOpenMode(t *testing.T) {
	s := startServe(t, "--store", "memory:")
	body, h := metainfo(t, "a")
	c := s.client(t, "")
	if _, err := c.Upload(t.Context(), "a.torrent", body); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Deactivate(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	if r, err := s.tell(t, bittorrent.AnnounceRequest{InfoHash: h, Left: 1}); err != nil || r.Warning == "" {
		t.Errorf("deactivated: %+v, %v", r, err)
	}
	if r, err := s.tell(t, bittorrent.AnnounceRequest{InfoHash: bittorrent.InfoHash{9}, Left: 1}); err != nil || r.Warning != "" || r.Incomplete != 1 {
		t.Errorf("unknown: %+v, %v", r, err)
	}
}

func TestHangupReadsTheDeniedTorrentsAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "denied.txt")
	deny := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a, b := bittorrent.InfoHash{1}, bittorrent.InfoHash{2}
	deny(a.String() + " # the first\n")
	s := startServe(t, "--store", "memory:", "--torrents-deny", path)
	isDenied := func(h bittorrent.InfoHash) bool {
		t.Helper()
		_, err := s.tell(t, bittorrent.AnnounceRequest{InfoHash: h, Left: 1})
		return err != nil && strings.Contains(err.Error(), "refuses this torrent")
	}
	if !isDenied(a) || isDenied(b) {
		t.Error("at the start the wrong ones are denied")
	}
	deny(b.String())
	s.hangup(t, "configuration reloaded")
	if isDenied(a) || !isDenied(b) {
		t.Error("after the reload the wrong ones are denied")
	}
	deny("ubuntu.iso")
	s.hangup(t, "was not reloaded")
	if isDenied(a) || !isDenied(b) {
		t.Error("a list with a mistake was put into force")
	}
	if !strings.Contains(s.log.String(), "line 1") {
		t.Errorf("the log does not name the line:\n%s", s.log)
	}
}

func TestConsoleWithATokenWantsItForUploads(t *testing.T) {
	const token = "0123456789abcdef-of-the-test"
	path := filepath.Join(t.TempDir(), "token.txt")
	if err := os.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startServe(t, "--store", "memory:", "--console-token-file", path)
	body, _ := metainfo(t, "a")
	if _, err := s.client(t, "").Upload(t.Context(), "a.torrent", body); err == nil || !strings.Contains(err.Error(), "token") {
		t.Errorf("without the token: %v", err)
	}
	if _, err := s.client(t, token).Upload(t.Context(), "a.torrent", body); err != nil {
		t.Error(err)
	}
	if _, err := s.client(t, "").Transfers(t.Context()); err != nil {
		t.Errorf("reading without the token: %v", err)
	}
}

func TestServeRefusesWhatItCannotUse(t *testing.T) {
	folder := t.TempDir()
	open := filepath.Join(folder, "open.txt")
	if err := os.WriteFile(open, []byte("0123456789abcdef"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(folder, "missing")
	for _, test := range []struct{ flag, value, say string }{
		{"--console-token-file", open, "chmod o-rwx"},
		{"--console-token-file", missing, "no such file"},
		{"--torrents-deny", missing, "torrents.deny"},
		{"--torrents-directory", missing, missing},
		{"--listen-console", "0.0.0.0:0", "set console.token_file"},
	} {
		root := newRootCommand()
		root.SetArgs([]string{"serve", "--store", "memory:", "--listen-udp", "127.0.0.1:0", "--listen-http", "127.0.0.1:0", "--listen-console", "127.0.0.1:0", test.flag, test.value})
		root.SetErr(new(syncBuffer))
		if err := root.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), test.say) || exitCode(err) != exitFailed {
			t.Errorf("%s %s: %v, want %q", test.flag, test.value, err, test.say)
		}
	}
}

func TestStoppingWhileTorrentsAreUploadedLosesNoneThatWasConfirmed(t *testing.T) {
	store := "sqlite:" + filepath.Join(t.TempDir(), "waggle.db")
	s := startServe(t, "--store", store)
	c := s.client(t, "")
	confirmed := make(chan bittorrent.InfoHash, 1000)
	begun := make(chan struct{})
	go func() {
		defer close(confirmed)
		for n := range cap(confirmed) {
			body, h := metainfo(t, fmt.Sprint("file ", n))
			if _, err := c.Upload(t.Context(), fmt.Sprintf("%d.torrent", n), body); err != nil {
				return
			}
			confirmed <- h
			if n == 5 {
				close(begun)
			}
		}
	}()
	<-begun
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	again := startServe(t, "--store", store).client(t, "")
	for h := range confirmed {
		if _, err := again.Transfer(t.Context(), h); err != nil {
			t.Error(err)
		}
	}
}

func TestRequestsForUnknownTorrentsAreRemembered(t *testing.T) {
	s := startServe(t, "--store", "memory:", "--torrents-mode", "listed")
	for range 3 {
		if _, err := s.tell(t, bittorrent.AnnounceRequest{InfoHash: bittorrent.InfoHash{7}, Left: 1}); err != nil {
			t.Fatal(err)
		}
	}
	u, err := url.JoinPath(s.console(t), "api/v1/requests")
	if err != nil {
		t.Fatal(err)
	}
	if body := get(t, u); !strings.Contains(string(body), `"info_hash":"0700000000000000000000000000000000000000"`) || !strings.Contains(string(body), `"count":3`) {
		t.Errorf("requests: %s", body)
	}
}
