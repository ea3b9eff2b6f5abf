package interop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/events/signature"
)

// books is a receiver of events, which counts the announces of each peer.
type books struct {
	secret []byte

	mu      sync.Mutex
	away    bool // it answers 503
	batches map[string]bool
	seen    map[string]int // by peer id
	lost    uint64
	wrong   string // what was wrong with a batch; "": nothing
}

func (b *books) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	var batch struct {
		Batch  string
		Lost   uint64
		Events []struct {
			PeerID string `json:"peer_id"`
		}
	}
	if err == nil {
		_, err = signature.Verify([][]byte{b.secret}, r.Header.Get(signature.Header), body, time.Now(), signature.Window)
	}
	if err == nil {
		err = json.Unmarshal(body, &batch)
	}
	if err != nil {
		b.wrong = err.Error()
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if b.batches[batch.Batch] {
		return
	}
	b.batches[batch.Batch] = true
	b.lost += batch.Lost
	for _, e := range batch.Events {
		b.seen[e.PeerID]++
	}
}

func (b *books) be(away bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.away = away
}

// has returns an error unless the first n peers were told of, each once.
func (b *books) has(n int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range n {
		if id := accountID(i); b.seen[id] != 1 {
			return fmt.Errorf("of %s %d events came, %d batches in all; refused %q", id, b.seen[id], len(b.batches), b.wrong)
		}
	}
	if b.lost != 0 || b.wrong != "" || len(b.seen) != n {
		return fmt.Errorf("%d peers, %d are said to be lost; refused %q", len(b.seen), b.lost, b.wrong)
	}
	return nil
}

func accountID(n int) string { return fmt.Sprintf("-WG0001-%012d", n) }

// written returns an error unless files of a folder have the peers from one number up to another.
func written(folder string, from, to int) error {
	paths, err := filepath.Glob(filepath.Join(folder, "*.events"))
	if err != nil {
		return err
	}
	var all []byte
	for _, path := range paths {
		if b, err := os.ReadFile(path); err == nil { // or it was delivered meanwhile
			all = append(all, b...)
		}
	}
	for n := from; n < to; n++ {
		if !bytes.Contains(all, []byte(accountID(n))) {
			return fmt.Errorf("%s is not there", accountID(n))
		}
	}
	return nil
}

// TestEventsOutliveAnOutageOfTheirReceiverAndAKill has the tracker killed while its receiver is away: what was written by
// then comes, once.
func TestEventsOutliveAnOutageOfTheirReceiverAndAKill(t *testing.T) {
	const secret = "the-secret-of-both-ends"
	b := &books{secret: []byte(secret), batches: map[string]bool{}, seen: map[string]int{}}
	site := httptest.NewServer(b)
	defer site.Close()
	dir := t.TempDir()
	file := filepath.Join(dir, "events.secret")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := []string{
		"--store", "sqlite:" + filepath.Join(dir, "waggle.db"), "--limits-announces-per-second-per-address", "0",
		"--events-webhook", site.URL, "--events-secret-file", file, "--events-directory", filepath.Join(dir, "events"), "--events-batch", "10",
	}
	told := 0
	announce := func(tr *tracker, n int) {
		t.Helper()
		for range n {
			a := bittorrent.AnnounceRequest{InfoHash: bittorrent.InfoHash{byte(told)}, PeerID: bittorrent.PeerID([]byte(accountID(told))), Port: 6881, Left: 1, NumWant: 0}
			if _, err := tr.get("/announce?" + string(bittorrent.AppendHTTPAnnounce(nil, &a))); err != nil {
				t.Fatal(err)
			}
			told++
		}
	}
	tr := launchTracker(t, loopback4, flags...)
	announce(tr, 25)
	eventually(t, patience, "the first come", func() error { return b.has(told) })
	for range 2 {
		b.be(true)
		announce(tr, 35)
		eventually(t, patience, "all are on disk", func() error { return written(filepath.Join(dir, "events"), told-35, told) })
		if err := tr.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-tr.exited
		b.be(false)
		tr = launchTracker(t, loopback4, flags...)
		eventually(t, patience, "all come", func() error { return b.has(told) })
	}
	b.be(true)
	announce(tr, 15)
	if err := tr.stop(); err != nil { // which keeps what came just now, too
		t.Fatal(err)
	}
	b.be(false)
	tr = launchTracker(t, loopback4, flags...)
	eventually(t, patience, "all come", func() error { return b.has(told) })
	if err := tr.stop(); err != nil {
		t.Fatal(err)
	}
}
