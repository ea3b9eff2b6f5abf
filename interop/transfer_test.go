package interop

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// payloadSize is large enough for a transfer of many pieces, and is not a
// multiple of the piece size, so that the last piece is short.
const payloadSize = 8<<20 + 12345

const payloadName = "payload.bin"

// transferLimit is how long a transfer may take. It takes seconds; the rest is
// for clients that ask the tracker a second time, and for a busy machine.
const transferLimit = 2 * time.Minute

// startClient starts a BitTorrent client on a host with one torrent. It seeds
// what dir already holds and fetches what is missing, until [process.leaveSwarm].
type startClient func(t *testing.T, h host, torrent, dir string) *process

// A createTorrent makes a .torrent file of a payload.
type createTorrent func(t *testing.T, payload, announce, torrent string)

func mktorrent(t *testing.T, payload, announce, torrent string) {
	t.Helper()
	run(t, program(t, "mktorrent", makeTest), "-a", announce, "-l", "16", "-o", torrent, payload)
}

func waggleTorrentCreate(t *testing.T, payload, announce, torrent string) {
	t.Helper()
	run(t, waggle(t), "torrent", "create", payload, "-a", announce, "-o", torrent)
}

// A placed client is one and where it runs.
type placed struct {
	start startClient
	host  host
}

// A transfer moves one file from a seeding client to others, which find it
// through a tracker.
type transfer struct {
	tracker  *tracker
	announce string
	create   createTorrent
	seeder   placed
	fetchers []placed
	browsers bool // all of them are, whose downloads the tracker does not count
}

// run does the transfer. Every fetcher has to end with the file that was seeded,
// and the tracker to count everyone: when they came, were done and left. It
// returns the processes, which have ended, the seeder's first.
func (x transfer) run(t *testing.T) []*process {
	t.Helper()
	dir := t.TempDir()
	payload := filepath.Join(dir, "seeder", payloadName)
	want := writePayload(t, payload)
	torrent := filepath.Join(dir, "payload.torrent")
	x.create(t, payload, x.announce, torrent)
	infoHash := infoHash(t, torrent)

	all := []*process{x.seeder.start(t, x.seeder.host, torrent, filepath.Dir(payload))}
	x.tracker.waitForCounts(t, infoHash, counts{complete: 1})

	for i, f := range x.fetchers {
		to := filepath.Join(dir, fmt.Sprint("fetcher", i))
		if err := os.Mkdir(to, 0o755); err != nil {
			t.Fatal(err)
		}
		all = append(all, f.start(t, f.host, torrent, to))
	}
	for i := range x.fetchers {
		waitForPayload(t, filepath.Join(dir, fmt.Sprint("fetcher", i), payloadName), want, all)
	}
	n := len(x.fetchers)
	downloaded := n
	if x.browsers {
		downloaded = 0
	}
	x.tracker.waitForCounts(t, infoHash, counts{complete: 1 + n, downloaded: downloaded})

	for _, p := range all {
		if err := p.leaveSwarm(); err != nil {
			t.Errorf("%s does not leave the swarm: %v", p.name, err)
		}
	}
	x.tracker.waitForCounts(t, infoHash, counts{downloaded: downloaded})
	for _, p := range all {
		_ = p.stop() // how clients end is not what is tested
	}
	return all
}

// writePayload writes pseudo-random bytes, the same in every run, and returns
// their SHA-256.
func writePayload(t *testing.T, path string) [sha256.Size]byte {
	t.Helper()
	b := make([]byte, payloadSize)
	_, _ = rand.NewChaCha8(sha256.Sum256([]byte(t.Name()))).Read(b)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(b)
}

// waitForPayload waits until the file at path has the SHA-256 that is wanted,
// which is when its fetcher has all of it. Nobody may end before.
func waitForPayload(t *testing.T, path string, want [sha256.Size]byte, everybody []*process) {
	t.Helper()
	eventually(t, transferLimit, "the whole file is fetched", func() error {
		for _, p := range everybody {
			if err := p.alive(); err != nil {
				return err
			}
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if got := sha256.Sum256(b); got != want {
			return fmt.Errorf("%s has %d of %d bytes and SHA-256 %x, want %x", path, len(b), payloadSize, got, want)
		}
		return nil
	})
}

// infoHash returns the info hash of a .torrent file, as libtorrent reads it.
func infoHash(t *testing.T, torrent string) string {
	t.Helper()
	return strings.TrimSpace(run(t, python, libtorrentScript(t), "hash", torrent))
}
