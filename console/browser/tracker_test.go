package browser

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"waggle/bittorrent"
	"waggle/console/client"
	"waggle/torrent"
)

// tracker is a running waggle, with a console.
type tracker struct {
	*process
	console  string // its URL, without a slash at the end
	announce string // URL of HTTP
	udp      string // URL of UDP
	api      *client.Client
}

// adminToken is what the API is asked with, where a tracker has a token file.
const adminToken = "browser-tests-0123456789"

// withToken are the flags of a tracker that is closed: nobody but who has the token may
// change anything.
var withToken = []string{"--console-token-file", "admin.token"}

// run starts waggle on free ports in a directory, where its store is kept. Peers may
// announce for others: what they send as X-Forwarded-For counts.
func run(dir string, flags ...string) (*tracker, error) {
	return serve(dir, append([]string{
		"--listen-udp", "127.0.0.1:0", "--listen-http", "127.0.0.1:0", "--listen-console", "127.0.0.1:0",
		"--access-trusted-proxies", "127.0.0.1/32", "--locality-probe-interval", "0s",
	}, flags...)...)
}

// serve starts waggle and waits until it is ready.
func serve(dir string, flags ...string) (*tracker, error) {
	path, err := waggle()
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "admin.token"), []byte(adminToken+"\n"), 0o600); err != nil {
		return nil, err
	}
	tr := new(tracker)
	if tr.process, err = launch("waggle", dir, append([]string{path, "serve"}, flags...)...); err != nil {
		return nil, err
	}
	if err := tr.says("\nready"); err != nil {
		return nil, errors.Join(err, tr.stop())
	}
	said := tr.stdout.String()
	tr.console, tr.announce = consoleLine.FindStringSubmatch(said)[1], httpLine.FindStringSubmatch(said)[1]
	tr.udp = udpLine.FindStringSubmatch(said)[1]
	if tr.api, err = client.New(tr.console, adminToken); err != nil {
		return nil, errors.Join(err, tr.stop())
	}
	return tr, nil
}

// What waggle says when it starts.
var (
	consoleLine = regexp.MustCompile(`(?m)^console.*(http://[0-9.:]+)$`)
	httpLine    = regexp.MustCompile(`(?m)^  (http://[0-9.:]+/announce)$`)
	udpLine     = regexp.MustCompile(`(?m)^  (udp://[0-9.:]+/announce)$`)
)

// close ends the tracker, which has to drain, end with status 0 and have had no race.
func (tr *tracker) close() error {
	tr.api.Close()
	err := tr.stop()
	if strings.Contains(tr.stderr.String(), "WARNING: DATA RACE") {
		err = errors.Join(err, fmt.Errorf("waggle reported a data race:\n%s", tr.stderr.String()))
	}
	return err
}

// startTracker starts a tracker of a test's own.
func startTracker(t *testing.T, flags ...string) *tracker {
	t.Helper()
	return startTrackerIn(t, t.TempDir(), flags...)
}

func startTrackerIn(t *testing.T, dir string, flags ...string) *tracker {
	t.Helper()
	tr, err := run(dir, flags...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tr.close(); err != nil {
			t.Error(err)
		}
	})
	return tr
}

// account makes an account that has a password.
func (tr *tracker) account(ctx context.Context, name, role string) error {
	_, err := tr.api.CreateAccount(ctx, client.NewAccount{Name: name, Role: role, Password: password})
	return err
}

// password is that of all accounts.
const password = "correct horse battery"

// metainfo returns the .torrent of one file whose data nobody has.
func metainfo(name string, size int64) []byte {
	piece := int64(16 << 10)
	for size/piece > 500 {
		piece *= 2
	}
	pieces := (size + piece - 1) / piece
	hashes := make([]byte, 20*pieces)
	for i := range hashes {
		hashes[i] = byte(i*7) ^ byte(len(name)) // what they are makes no difference
	}
	return fmt.Appendf(nil, "d4:infod6:lengthi%de4:name%d:%s12:piece lengthi%de6:pieces%d:%s7:privatei1eee", size, len(name), name, piece, len(hashes), hashes)
}

// add registers a torrent of a name.
func (tr *tracker) add(ctx context.Context, name string, size int64) (bittorrent.InfoHash, error) {
	b := metainfo(name, size)
	m, err := torrent.Parse(b)
	if err != nil {
		return bittorrent.InfoHash{}, err
	}
	uploaded, err := tr.api.Upload(ctx, fmt.Sprintf("%x.torrent", m.InfoHashes()[0][:4]), b)
	return uploaded.InfoHash, err
}

// mustAdd registers a torrent for a test alone.
func mustAdd(t *testing.T, tr *tracker, name string, size int64) bittorrent.InfoHash {
	t.Helper()
	h, err := tr.add(t.Context(), name, size)
	if err != nil {
		t.Fatal(err)
	}
	forget(t, tr, h)
	return h
}

// forget has the tracker forget a torrent when the test ends, where the test has not.
func forget(t *testing.T, tr *tracker, h bittorrent.InfoHash) {
	t.Cleanup(func() { _ = tr.api.Delete(context.Background(), h) })
}

// hashOf returns the info hash of a .torrent.
func hashOf(t *testing.T, metainfo []byte) bittorrent.InfoHash {
	t.Helper()
	m, err := torrent.Parse(metainfo)
	if err != nil {
		t.Fatal(err)
	}
	return m.InfoHash()
}

// peer is one that announces by hand.
type peer struct {
	at         string // address and port
	id         string // 20 bytes
	left       int64
	uploaded   int64
	downloaded int64
	event      bittorrent.Event
	passkey    string
}

// tell has a peer announce to a torrent over HTTP, from wherever it is.
func (tr *tracker) tell(ctx context.Context, h bittorrent.InfoHash, p peer) error {
	at, err := netip.ParseAddrPort(p.at)
	if err != nil {
		return err
	}
	a := bittorrent.AnnounceRequest{InfoHash: h, Port: at.Port(), Left: p.left, Uploaded: p.uploaded, Downloaded: p.downloaded, Event: p.event, NumWant: -1}
	copy(a.PeerID[:], p.id)
	path := ""
	if p.passkey != "" {
		path = "/" + p.passkey
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, tr.announce+path+"?"+string(bittorrent.AppendHTTPAnnounce(nil, &a)), nil)
	if err != nil {
		return err
	}
	r.Header.Set("X-Forwarded-For", at.Addr().String())
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err == nil && strings.Contains(string(body), "failure reason") {
		err = fmt.Errorf("%s was answered %q", p.at, body)
	}
	return err
}
