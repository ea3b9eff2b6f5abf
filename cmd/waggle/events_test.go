package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/events/signature"
	"waggle/metrics"
)

// accounts is a receiver of events, which refuses while it is told to.
type accounts struct {
	*httptest.Server
	secret []byte

	mu      sync.Mutex
	refuses bool
	all     []string // event, peer id, address and passkey of each, in order
	bodies  map[string][]byte
	wrong   []error
}

func newAccounts(t *testing.T, secret string) *accounts {
	a := &accounts{secret: []byte(secret), bodies: map[string][]byte{}}
	a.Server = httptest.NewServer(a)
	t.Cleanup(a.Close)
	return a
}

func (a *accounts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.refuses {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	var batch struct {
		Batch  string
		Events []struct {
			Event, Address, Passkey string
			PeerID                  string `json:"peer_id"`
		}
	}
	if err == nil {
		_, err = signature.Verify([][]byte{a.secret}, r.Header.Get(signature.Header), body, time.Now(), signature.Window)
	}
	if err == nil {
		err = json.Unmarshal(body, &batch)
	}
	if err != nil {
		a.wrong = append(a.wrong, err)
		w.WriteHeader(http.StatusForbidden)
		return
	}
	if a.bodies[r.Header.Get(signature.Header)] = body; len(batch.Events) == 0 {
		return
	}
	for _, e := range batch.Events {
		a.all = append(a.all, strings.TrimSpace(e.Event+" "+e.PeerID[:8]+" "+e.Address+" "+e.Passkey))
	}
}

func (a *accounts) refuse(so bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refuses = so
}

func (a *accounts) got() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.all)
}

// wait waits until a receiver has an event.
func (a *accounts) wait(t *testing.T, want string) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if slices.ContainsFunc(a.got(), func(e string) bool { return strings.HasPrefix(e, want) }) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("no %q in %q; refused %v", want, a.got(), a.wrong)
		}
	}
}

func fileOfSecrets(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "events.secret")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (s *serving) announceAs(t *testing.T, id string, event bittorrent.Event) {
	t.Helper()
	a := bittorrent.AnnounceRequest{InfoHash: bittorrent.InfoHash{1}, PeerID: bittorrent.PeerID([]byte(id + "------------")), Port: 6881, Left: 1, Event: event, NumWant: -1}
	get(t, s.url(t, "http")+"?"+string(bittorrent.AppendHTTPAnnounce(nil, &a)))
}

func TestAnnouncesAreToldFromOneStartToTheNext(t *testing.T) {
	const older, newer = "the older secret", "the newer secret"
	site, path, folder := newAccounts(t, strings.ReplaceAll(older, " ", "-")), fileOfSecrets(t, strings.ReplaceAll(older, " ", "-")), filepath.Join(t.TempDir(), "events")
	args := []string{
		"--store", "sqlite:" + filepath.Join(t.TempDir(), "waggle.db"), "--events-webhook", site.URL + "/hush", "--events-secret-file", path, "--events-directory", folder,
		"--events-every", "100ms", "--announce-interval", "2s", "--announce-min-interval", "1s", "--announce-peer-lifetime", "3s",
	}
	s := startServe(t, args...)
	s.announceAs(t, "-AA0001-", bittorrent.EventStarted)
	site.wait(t, "started -AA0001- 127.0.0.1:6881")
	s.announceAs(t, "-AA0001-", bittorrent.EventStopped)
	site.wait(t, "stopped -AA0001- ")
	s.announceAs(t, "-BB0001-", bittorrent.EventStarted)
	site.wait(t, "expired -BB0001- ") // which the store knows the id of
	text := s.scrape(t, `waggle_events_sent_total{to="webhook"} 4`)
	for _, m := range metrics.EventsTable {
		if !strings.Contains(text, "# TYPE "+m.Name+" ") {
			t.Errorf("%s is missing", m.Name)
		}
	}
	if !strings.Contains(text, "waggle_events_total 4\n") {
		t.Error("four events are not counted as such")
	}

	site.refuse(true)
	s.announceAs(t, "-CC0001-", bittorrent.EventStopped) // or it might expire, which is another event
	s.scrape(t, `waggle_events_waiting{to="webhook"} 1`)
	if page := string(get(t, s.console(t)+"/")); !strings.Contains(page, "Events do not reach "+site.URL+".") && !strings.Contains(page, ">delivering<") {
		t.Error("the console does not show it")
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(s.log.String(), older) || strings.Contains(s.log.String(), "hush") {
		t.Errorf("the log has secrets:\n%s", s.log)
	}
	site.refuse(false)
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(newer+"\n"+older, " ", "-")), 0o600); err != nil {
		t.Fatal(err)
	}
	s = startServe(t, args...)
	site.wait(t, "stopped -CC0001- ")
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(s.log.String(), "waiting=1") || len(site.wrong) > 0 {
		t.Errorf("refused %v; the log:\n%s", site.wrong, s.log)
	}

	// The command that checks a batch agrees.
	for header, body := range site.bodies {
		file := filepath.Join(t.TempDir(), "batch.json")
		if err := os.WriteFile(file, body, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := runWaggle(t, "events", "verify", file, "--signature", header, "--secret-file", path)
		if err != nil || !strings.HasPrefix(out, "good: batch ") {
			t.Errorf("%q, %v", out, err)
		}
		if _, err := runWaggle(t, "events", "verify", file, "--signature", header, "--secret-file", path, "--at", "2020-01-01T00:00:00Z"); err == nil || exitCode(err) != exitFailed {
			t.Errorf("years before: %v", err)
		}
		if _, err := runWaggle(t, "events", "verify", path, "--signature", header, "--secret-file", path); err == nil || !strings.Contains(err.Error(), "not of this body") {
			t.Errorf("another body: %v", err)
		}
	}
	for _, wrong := range [][]string{{}, {"--signature", "x"}, {"--signature", "x", "--secret-file", path, "--at", "now"}, {"a", "b"}} {
		if _, err := runWaggle(t, append([]string{"events", "verify"}, wrong...)...); exitCode(err) != exitUsage {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

func TestEventsNameAPasskeyByItsID(t *testing.T) {
	const secret = "events-with-passkeys"
	site := newAccounts(t, secret)
	s := startServe(
		t, "--store", "memory:", "--access-passkeys", "required", "--events-webhook", site.URL, "--events-secret-file", fileOfSecrets(t, secret),
		"--events-directory", t.TempDir(), "--events-every", "100ms",
	)
	anna := createPasskey(t, s, "anna")
	get(t, bittorrent.PasskeyURL(s.url(t, "http"), anna.Key)+aPeer+"&event=started")
	site.wait(t, "started -XX0001- 127.0.0.1:6881 "+anna.ID)
	if all := strings.Join(site.got(), " "); strings.Contains(all, anna.Key) {
		t.Errorf("the passkey itself is told: %s", all)
	}
}

func TestReloadTakesUpWhatEventsAreSignedWith(t *testing.T) {
	site, path := newAccounts(t, "the-newer-secret"), fileOfSecrets(t, "the-older-secret")
	s := startServe(t, "--store", "memory:", "--events-webhook", site.URL, "--events-secret-file", path, "--events-directory", filepath.Join(t.TempDir(), "events"), "--events-every", "100ms")
	s.announceAs(t, "-AA0001-", bittorrent.EventStarted)
	s.scrape(t, `waggle_events_waiting{to="webhook"} 1`)
	for end := time.Now().Add(patience); !strings.Contains(s.log.String(), "403"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it is not refused:\n%s", s.log)
		}
	}
	if err := os.WriteFile(path, []byte("the-newer-secret\nthe-older-secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.hangup(t, "configuration reloaded")
	site.wait(t, "started -AA0001-")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	s.hangup(t, "make one with")
}

func TestEventsThatCannotBeSignedAreRefusedAtTheStart(t *testing.T) {
	_, err := runWaggle(t, "serve", "--store", "memory:", "--listen-udp", "127.0.0.1:0", "--listen-http", "127.0.0.1:0", "--listen-console", "off",
		"--events-webhook", "http://127.0.0.1:1/", "--events-secret-file", filepath.Join(t.TempDir(), "none"))
	if err == nil || !strings.Contains(err.Error(), "events.secret_file: there is no ") || !strings.Contains(err.Error(), "openssl rand -hex 32") {
		t.Error(err)
	}
}
