//go:build !function

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waggle/frontend/udp"
	"waggle/store/memory"
	"waggle/torrent"
	"waggle/tracker"
)

// shared is a file that one "waggle seed" seeds until the test ends.
type shared struct {
	path, torrent string
	content       []byte
}

// share starts a tracker and a seed.
func share(t *testing.T) shared {
	t.Helper()
	store := memory.New(memory.Options{})
	decides := tracker.New(store, tracker.Settings{Interval: time.Minute, NumWant: 50, MaxNumWant: 50, PeerLifetime: time.Hour}, tracker.Options{})
	u, err := udp.Listen(t.Context(), []string{"127.0.0.1:0"}, udp.Options{Tracker: decides})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(u.Close(), store.Close()); err != nil {
			t.Error(err)
		}
	})
	s := shared{path: filepath.Join(t.TempDir(), "image.bin"), content: bytes.Repeat([]byte("waggle "), 150_000)}
	if err := os.WriteFile(s.path, s.content, 0o644); err != nil {
		t.Fatal(err)
	}
	s.torrent = s.path + ".torrent"
	b, err := torrent.Create(t.Context(), torrent.CreateOptions{Path: s.path, Announce: [][]string{{"udp://" + u.Addrs()[0].String()}}})
	if err == nil {
		err = os.WriteFile(s.torrent, b, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.seed(t)
	return s
}

// seed runs "waggle seed" until the test ends, and returns once it seeds.
func (s *shared) seed(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	cmd := newSeedCommand()
	cmd.SetOut(in)
	cmd.SetErr(io.Discard)
	cmd.SetArgs([]string{s.torrent, "--data", filepath.Dir(s.path), "--listen", "127.0.0.1"})
	ended := make(chan error, 1)
	go func() {
		err := cmd.ExecuteContext(ctx)
		_ = in.CloseWithError(errors.Join(err, io.EOF))
		ended <- err
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("waggle seed ended with %v, want no error after a signal", err)
		}
	})
	line := make([]byte, 200)
	if n, err := out.Read(line); err != nil || !strings.Contains(string(line[:n]), "image.bin: seeding") {
		t.Fatalf("waggle seed printed %q, %v", line[:n], err)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
}

func (s *shared) want(t *testing.T, folder string) {
	t.Helper()
	if have, err := os.ReadFile(filepath.Join(folder, "image.bin")); err != nil || !bytes.Equal(have, s.content) {
		t.Errorf("there are %d bytes, %v; want the %d that are seeded", len(have), err, len(s.content))
	}
}

func TestGetFetchesATorrentFromAFileAURLOrAMagnetLink(t *testing.T) {
	s := share(t)
	server := httptest.NewServer(http.FileServer(http.Dir(filepath.Dir(s.path))))
	defer server.Close()
	m, err := torrent.Read(s.torrent)
	if err != nil {
		t.Fatal(err)
	}
	for name, what := range map[string]string{"a file": s.torrent, "a URL": server.URL + "/image.bin.torrent", "a magnet link": m.Magnet()} {
		to := t.TempDir()
		stdout, stderr, err := output(t.Context(), newGetCommand(), what, "-o", to, "--listen", "127.0.0.1")
		if err != nil || !strings.Contains(stdout, filepath.Join(to, "image.bin")+": complete, 1.0 MiB fetched") {
			t.Errorf("%s: %v; it printed %q and %q", name, err, stdout, stderr)
		}
		s.want(t, to)
	}
}

func TestGetAgainSaysHowMuchWasNotFetched(t *testing.T) {
	s := share(t)
	to := t.TempDir()
	if err := execute(t, newGetCommand(), []string{s.torrent, "-o", to, "--listen", "127.0.0.1"}); err != nil {
		t.Fatal(err)
	}
	stdout, _, err := output(t.Context(), newGetCommand(), s.torrent, "-o", to, "--listen", "127.0.0.1")
	if want := "image.bin: 1050000 bytes resumed, not fetched again; 1050000 of them not even hashed"; err != nil || !strings.Contains(stdout, want) {
		t.Errorf("%v; it printed %q, want %q", err, stdout, want)
	}
}

func TestGetPrintsJSONWithStableNamesAndHowItEnded(t *testing.T) {
	s := share(t)
	to := t.TempDir()
	stdout, _, err := output(t.Context(), newGetCommand(), s.torrent, "-o", to, "--listen", "127.0.0.1", "--json")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	var last map[string]any
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{"event": "done", "name": "image.bin", "size": 1050000.0, "have": 1050000.0, "resumed": 0.0, "downloaded": 1050000.0, "path": filepath.Join(to, "image.bin")} {
		if last[key] != want {
			t.Errorf("%s is %v, want %v", key, last[key], want)
		}
	}
}

// onWrite does something with each write.
type onWrite struct {
	bytes.Buffer
	do func()
}

func (w *onWrite) Write(b []byte) (int, error) {
	w.do()
	return w.Buffer.Write(b)
}

func TestGetThatIsStoppedEarlySaysSoAndGoesOnLater(t *testing.T) {
	s := share(t)
	to := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &onWrite{do: cancel} // with the first line, which is after a second
	cmd := newGetCommand()
	cmd.SetOut(out)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs([]string{s.torrent, "-o", to, "--listen", "127.0.0.1", "--down", "256KiB", "--json"})
	err := cmd.ExecuteContext(ctx)
	if exitCode(err) != exitFailed || !strings.Contains(err.Error(), "the same command goes on from there") {
		t.Errorf("exit code %d: %v", exitCode(err), err)
	}
	if !strings.Contains(out.String(), `"event":"stopped"`) {
		t.Errorf("it printed %q", out.String())
	}
	if _, err := os.Lstat(filepath.Join(to, "image.bin")); err == nil {
		t.Error("what is not whole has the final name")
	}
	if err := execute(t, newGetCommand(), []string{s.torrent, "-o", to, "--listen", "127.0.0.1"}); err != nil {
		t.Fatal(err)
	}
	s.want(t, to)
}

func TestGetOfANameThatNobodyKnowsSaysWhereItAsked(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	_, _, err := output(t.Context(), newGetCommand(), "nothing", "--console", closed.URL, "-o", t.TempDir())
	if exitCode(err) != exitFailed || !strings.Contains(err.Error(), "nobody listens there") {
		t.Errorf("exit code %d: %v", exitCode(err), err)
	}
}

func TestGetRefusesAURLThatIsNoTorrent(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }))
	defer server.Close()
	_, _, err := output(t.Context(), newGetCommand(), server.URL, "-o", t.TempDir())
	if !errors.Is(err, torrent.ErrMalformed) {
		t.Errorf("error %v, want %v", err, torrent.ErrMalformed)
	}
}

func TestSeedRefusesDataThatAreMissingAndNamesTheFlag(t *testing.T) {
	s := share(t)
	empty := t.TempDir()
	_, _, err := output(t.Context(), newSeedCommand(), s.torrent, "--data", empty)
	if exitCode(err) != exitFailed || !strings.Contains(err.Error(), "--data") || !strings.Contains(err.Error(), empty) {
		t.Errorf("exit code %d: %v", exitCode(err), err)
	}
	if entries, _ := os.ReadDir(empty); len(entries) != 0 {
		t.Errorf("it left %v", entries)
	}
}
