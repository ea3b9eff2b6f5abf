package peer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"waggle/frontend/http"
	"waggle/frontend/udp"
	"waggle/store/memory"
	"waggle/swarm"
	"waggle/torrent"
	"waggle/tracker"
)

// pieceLength is small, so that little data are many pieces.
const pieceLength = 16 << 10

// patience is how long anything may take that comes for sure: mostly milliseconds, and the
// rest is for machines that are busy with other tests, and for peers that ask their tracker
// a second time.
const patience = 2 * time.Minute

// aTracker is a real one on loopback.
type aTracker struct {
	store     *memory.Store
	udp, http string
}

func startTracker(t *testing.T) *aTracker {
	t.Helper()
	s := &aTracker{store: memory.New(memory.Options{Details: true})}
	decides := tracker.New(s.store, tracker.Settings{Interval: time.Minute, NumWant: 50, MaxNumWant: 50, PeerLifetime: time.Hour}, tracker.Options{})
	address := []string{"127.0.0.1:0"}
	u, err := udp.Listen(t.Context(), address, udp.Options{Tracker: decides})
	if err != nil {
		t.Fatal(err)
	}
	h, err := http.Listen(t.Context(), address, nil, http.Options{Tracker: decides})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(h.Close(), u.Close(), s.store.Close()); err != nil {
			t.Error(err)
		}
	})
	s.udp, s.http = "udp://"+u.Addrs()[0].String()+"/announce", "http://"+h.Addrs()[0].String()+"/announce"
	return s
}

// peers returns what the tracker knows of a torrent.
func (s *aTracker) peers(m *torrent.Metainfo) (peers []swarm.Peer, downloaded uint32) {
	s.store.Walk(m.InfoHash(), nil, func(some []swarm.Peer) bool {
		peers = append(peers, some...)
		return true
	})
	counts, _ := s.store.Counts(m.InfoHash())
	return peers, counts.Downloaded
}

// noise is bytes that are the same in each run.
func noise(n int, seed string) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(sha256.Sum256([]byte(seed))).Read(b)
	return b
}

// aFolder writes a folder of several files, one empty, and returns its path.
func aFolder(t *testing.T) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "release")
	for path, b := range map[string][]byte{
		"a/b/deep":  noise(3*pieceLength+17, "deep"),
		"empty":     nil,
		"small":     noise(100, "small"),
		"z/last":    noise(5*pieceLength-1, "last"),
		"z/whole":   noise(2*pieceLength, "whole"),
		"z/.hidden": noise(1, "hidden"),
	} {
		path = filepath.Join(root, filepath.FromSlash(path))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, b, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// aFile writes a file of n bytes and returns its path.
func aFile(t *testing.T, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.bin")
	if err := os.WriteFile(path, noise(n, "image"), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func create(t *testing.T, path string, trackers ...string) []byte {
	t.Helper()
	return createVersion(t, torrent.V1, path, trackers...)
}

func createVersion(t *testing.T, v torrent.Version, path string, trackers ...string) []byte {
	t.Helper()
	o := torrent.CreateOptions{Path: path, PieceLength: pieceLength, Version: v}
	for _, u := range trackers {
		o.Announce = append(o.Announce, []string{u})
	}
	b, err := torrent.Create(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// said keeps what a client says.
type said struct {
	mu    sync.Mutex
	lines []string
}

func (s *said) say(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, text)
}

func (s *said) about(t *testing.T, text string) bool {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.lines, func(line string) bool { return strings.Contains(line, text) })
}

// loopbackOnly are options of a peer that does not leave the machine.
func loopbackOnly(o Options) Options {
	o.Addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	return o
}

// client starts one that is closed with the test.
func client(t *testing.T, o Options) *Client {
	t.Helper()
	c, err := New(loopbackOnly(o))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func add(t *testing.T, c *Client, d *Data, err error) *Torrent {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	added, err := c.Add(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return added
}

// seed seeds what a torrent was made of.
func seed(t *testing.T, b []byte, path string, o Options) *Torrent {
	t.Helper()
	d, err := OpenHashed(t.Context(), b, path)
	return add(t, client(t, o), d, err)
}

// fetch fetches to folder until all is in place.
func fetch(t *testing.T, b []byte, folder string, o Options) *Torrent {
	t.Helper()
	d, err := OpenPart(t.Context(), b, folder)
	got := add(t, client(t, o), d, err)
	wait(t, got)
	return got
}

func wait(t *testing.T, got *Torrent) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := got.Wait(ctx); err != nil {
		t.Fatalf("%v; %+v", err, got.Stats())
	}
}

// eventually waits for what nothing tells of: what a tracker has heard.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// wantSame compares two files, or two folders with all in them.
func wantSame(t *testing.T, have, want string) {
	t.Helper()
	found := contents(t, have)
	for path, b := range contents(t, want) {
		if got, ok := found[path]; !ok || !bytes.Equal(got, b) {
			t.Errorf("%s: there: %t, %d bytes; want the %d of %s", filepath.Join(have, path), ok, len(got), len(b), want)
		}
		delete(found, path)
	}
	for path := range found {
		t.Errorf("%s is more than there should be", filepath.Join(have, path))
	}
}

func contents(t *testing.T, root string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		relative, _ := filepath.Rel(root, path)
		files[relative], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// names lists what is in a folder.
func names(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}
