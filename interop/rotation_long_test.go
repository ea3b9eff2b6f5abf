//go:build long

package interop

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"waggle/bench"
	"waggle/bittorrent"
	"waggle/console/client"
	"waggle/internal/authority"
)

// How long the most that the tracker can do is looked for, how long it then does half of
// that, and how often what it knows is replaced meanwhile.
const (
	fullTime   = 10 * time.Second
	halfTime   = time.Minute
	rotateEach = time.Second
)

// networksOnAList are so many that one takes a while to be read.
const networksOnAList = 100_000

// Announces come over UDP, HTTP and HTTPS at once, at half the rate at which the tracker can
// answer them. So few are under way at a time that no buffer is too small for them, however
// busy the machine is: what is not answered is the tracker's doing.
func TestNoAnswerFailsAtHalfLoadWhileCertificatesListsAndPasskeysRotate(t *testing.T) {
	r := newRotating(t)
	full := r.load(t, fullTime, map[string]float64{})
	half := map[string]float64{}
	for scheme, l := range full {
		half[scheme] = l.rate / 2
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	rotations := make(chan int)
	go func() { rotations <- r.rotateUntil(ctx, t) }()
	loaded := r.load(t, halfTime, half)
	stop()
	n := <-rotations
	for scheme, l := range loaded {
		t.Logf("%s: %.0f answers a second at most, and %.0f of the %.0f that are half of that; of %d announces %d failed, and %d were not answered",
			scheme, full[scheme].rate, l.rate, half[scheme], l.sent, l.failed, l.unanswered)
		if l.sent == 0 || l.failed+l.unanswered > 0 {
			t.Errorf("%s: of %d announces %d failed, and %d were not answered: %v", scheme, l.sent, l.failed, l.unanswered, l.why)
		}
	}
	t.Logf("all was replaced %d times, and clients saw %d certificates", n, r.certificates())
	if n == 0 || r.certificates() < 2 {
		t.Error("nothing was replaced meanwhile")
	}
}

// loaded is what came of announces over one protocol.
type loaded struct {
	rate                     float64 // answers a second
	sent, failed, unanswered int64
	why                      any
}

// rotating is a tracker of which everything is replaced that can be.
type rotating struct {
	*tracker
	binary    string
	folder    string
	authority *authority.Authority
	console   *client.Client
	key       string // a passkey that stays

	mu   sync.Mutex
	seen map[string]bool // serial numbers of certificates
}

func newRotating(t *testing.T) *rotating {
	t.Helper()
	r := &rotating{binary: shipped(t), folder: t.TempDir(), authority: authority.New(t), seen: map[string]bool{}}
	certificate, key := r.authority.Write(t, r.folder, "127.0.0.1")
	if err := r.writeLists(0); err != nil {
		t.Fatal(err)
	}
	r.tracker = launchBinary(t, loopback4, r.binary, "--store", "sqlite:"+filepath.Join(r.folder, "waggle.db"), "--listen-console", "127.0.0.1:0",
		"--listen-https", netip.AddrPortFrom(ipv4Loopback, 0).String(), "--tls-certificate", certificate, "--tls-key", key,
		"--access-passkeys", "required", "--access-networks-allow", r.path("allowed"), "--access-networks-deny", r.path("denied"), "--access-clients-deny", r.path("clients"))
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Errorf("waggle after SIGTERM: %v", err)
		}
	})
	r.console = r.tracker.console(t)
	made, err := r.console.CreatePasskeys(t.Context(), []client.NewPasskey{{Name: "stays"}})
	if err != nil {
		t.Fatal(err)
	}
	r.key = made[0].Key
	return r
}

func (r *rotating) path(name string) string { return filepath.Join(r.folder, name) }

// load has announces come over all protocols, at rates or as fast as they are answered.
func (r *rotating) load(t *testing.T, d time.Duration, rates map[string]float64) map[string]loaded {
	t.Helper()
	all, errs := make([]loaded, 3), make([]error, 3)
	var group sync.WaitGroup
	udp, plain, secure := r.url(t, "udp", ipv4Loopback), r.url(t, "http", ipv4Loopback), r.url(t, "https", ipv4Loopback)
	group.Go(func() {
		all[0], errs[0] = r.bench(t.Context(), udp, d, rates["udp"], "--sockets", "32", "--window", "64")
	})
	group.Go(func() { all[1], errs[1] = r.bench(t.Context(), plain, d, rates["http"], "--connections", "64") })
	group.Go(func() { all[2] = r.loadSecurely(t.Context(), secure, d, rates["https"]) })
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	return map[string]loaded{"udp": all[0], "http": all[1], "https": all[2]}
}

// bench has "waggle bench" announce.
func (r *rotating) bench(ctx context.Context, url string, d time.Duration, rate float64, more ...string) (loaded, error) {
	scheme, _, _ := strings.Cut(url, ":")
	args := append([]string{
		"bench", scheme, bittorrent.PasskeyURL(url, r.key), "--duration", d.String(), "--rate", fmt.Sprint(rate), "--timeout", patience.String(),
		"--torrents", "1000", "--peers", "10000", "--json",
	}, more...)
	cmd := exec.CommandContext(ctx, r.binary, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return loaded{}, fmt.Errorf("waggle bench %s: %w\n%s", scheme, err, stderr.String())
	}
	var report bench.Report
	if err := json.Unmarshal(out, &report); err != nil {
		return loaded{}, err
	}
	round, fill := &report.Results[0].Rounds[0], report.Results[0].Fill
	return loaded{
		rate: round.AnswersPerSecond, sent: round.Sent + fill.Announces, failed: round.Errors + fill.Errors,
		unanswered: round.Sent - round.Announces - round.Errors + fill.Timeouts, why: round.Failures,
	}, nil
}

// secureClients announce over HTTPS at a time, each with a new handshake after some announces.
const (
	secureClients  = 8
	handshakeAfter = 100
)

// loadSecurely announces over HTTPS.
func (r *rotating) loadSecurely(ctx context.Context, url string, d time.Duration, rate float64) loaded {
	var sent, failed atomic.Int64
	var why atomic.Value
	began := time.Now()
	var clients sync.WaitGroup
	for n := range secureClients {
		clients.Go(func() {
			transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: r.authority.Roots}}
			defer transport.CloseIdleConnections()
			c := &http.Client{Transport: transport, Timeout: patience}
			a := bittorrent.AnnounceRequest{InfoHash: bittorrent.InfoHash{byte(n)}, PeerID: bittorrent.PeerID{byte(n)}, Port: 1, Left: 1, NumWant: -1}
			query := bittorrent.PasskeyURL(url, r.key) + "?" + string(bittorrent.AppendHTTPAnnounce(nil, &a))
			for i := 0; time.Since(began) < d && ctx.Err() == nil; i++ {
				if rate > 0 {
					time.Sleep(time.Until(began.Add(time.Duration(float64(i) * secureClients / rate * float64(time.Second)))))
				}
				if i%handshakeAfter == 0 {
					transport.CloseIdleConnections()
				}
				sent.Add(1)
				if err := r.announceSecurely(ctx, c, query); err != nil {
					failed.Add(1)
					why.Store(err.Error())
				}
			}
		})
	}
	clients.Wait()
	l := loaded{sent: sent.Load(), failed: failed.Load(), why: why.Load()}
	l.rate = float64(l.sent-l.failed) / time.Since(began).Seconds()
	return l
}

func (r *rotating) announceSecurely(ctx context.Context, c *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := c.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	r.see(response.TLS.PeerCertificates[0].SerialNumber.String())
	body, err := io.ReadAll(response.Body)
	return errors.Join(err, bittorrent.ParseHTTPAnnounceResponse(body, new(bittorrent.AnnounceResponse)))
}

func (r *rotating) see(serial string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen[serial] = true
}

func (r *rotating) certificates() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.seen)
}

// rotateUntil replaces everything each second until ctx ends, and returns how often.
func (r *rotating) rotateUntil(ctx context.Context, t *testing.T) (n int) {
	ticker := time.NewTicker(rotateEach)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return n
		case <-ticker.C:
		}
		n++
		if err := errors.Join(r.writeLists(n), r.writeCertificate(t), r.cmd.Process.Signal(syscall.SIGHUP), r.rotatePasskeys(ctx)); err != nil && ctx.Err() == nil {
			t.Errorf("rotation %d: %v", n, err)
			return n
		}
	}
}

// writeLists writes lists of others than those who announce.
func (r *rotating) writeLists(n int) error {
	var denied, allowed bytes.Buffer
	for i := range networksOnAList {
		turn := 2*(i>>16) + n%2
		fmt.Fprintf(&denied, "%d.%d.%d.0/24\n", 10+turn, i>>8&255, i&255)
		fmt.Fprintf(&allowed, "%d.%d.%d.0/24\n", 20+turn, i>>8&255, i&255)
	}
	allowed.WriteString("127.0.0.0/8\n")
	return errors.Join(r.replace("denied", denied.Bytes()), r.replace("allowed", allowed.Bytes()), r.replace("clients", []byte("-UT"+strconv.Itoa(n)+"\nUser-Agent: curl\n")))
}

func (r *rotating) writeCertificate(t *testing.T) error {
	certificate, key := r.authority.Today(t, "127.0.0.1")
	return errors.Join(r.replace("fullchain.pem", certificate), r.replace("privkey.pem", key))
}

func (r *rotating) replace(name string, data []byte) error {
	path := r.path(name)
	return errors.Join(os.WriteFile(path+".new", data, 0o600), os.Rename(path+".new", path))
}

// rotatePasskeys makes passkeys, and revokes, renews and deletes them.
func (r *rotating) rotatePasskeys(ctx context.Context) error {
	made, err := r.console.CreatePasskeys(ctx, []client.NewPasskey{{Name: "a"}, {Name: "z"}})
	if err != nil {
		return err
	}
	for _, action := range []client.PasskeyAction{client.RevokePasskey, client.RestorePasskey, client.RenewPasskey} {
		if _, err := r.console.ActOnPasskey(ctx, made[0].ID, action); err != nil {
			return err
		}
	}
	return r.console.DeletePasskey(ctx, made[1].ID)
}
