package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"waggle/bittorrent"
)

// keys is who signs tokens for tests, and shows the keys that they are signed by.
type keys struct {
	*httptest.Server
	mu      sync.Mutex
	private map[string]ed25519.PrivateKey
}

func newKeys(t *testing.T) *keys {
	k := &keys{private: map[string]ed25519.PrivateKey{}}
	k.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		k.mu.Lock()
		defer k.mu.Unlock()
		var set jose.JSONWebKeySet
		for id, key := range maps.All(k.private) {
			set.Keys = append(set.Keys, jose.JSONWebKey{Key: key.Public(), KeyID: id})
		}
		_ = json.NewEncoder(w).Encode(set)
	}))
	t.Cleanup(k.Close)
	return k
}

// rotate puts a new key in the place of what an id stood for.
func (k *keys) rotate(t testing.TB, id string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.private[id] = private
}

func (k *keys) token(t testing.TB, id, torrent string) string {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: k.private[id]}, new(jose.SignerOptions).WithHeader("kid", id))
	if err != nil {
		t.Fatal(err)
	}
	claims := map[string]any{"iss": "https://login.example", "aud": "waggle", "exp": time.Now().Add(time.Hour).Unix()}
	if torrent != "" {
		claims["infohash"] = torrent
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (k *keys) flags() []string {
	return []string{"--access-tokens-jwks", k.URL, "--access-tokens-issuer", "https://login.example", "--access-tokens-audience", "waggle"}
}

// writeList writes a list whole.
func writeList(t *testing.T, path string, lines ...string) {
	t.Helper()
	half := path + ".half"
	if err := errors.Join(os.WriteFile(half, []byte(strings.Join(lines, "\n")+"\n"), 0o600), os.Rename(half, path)); err != nil {
		t.Error(err)
	}
}

// visitor asks a tracker over HTTP or UDP.
type visitor struct {
	t       testing.TB
	url     string
	from    string // 127.0.0.1 and so on
	request bittorrent.AnnounceRequest
	token   string
	agent   string
	conn    *net.UDPConn

	transaction uint32
}

func (s *serving) visitor(t *testing.T, scheme, from string) *visitor {
	v := &visitor{t: t, url: s.url(t, scheme), from: from}
	v.request = bittorrent.AnnounceRequest{InfoHash: bittorrent.InfoHash{1}, PeerID: bittorrent.PeerID([]byte("-TR4050-abcdefghijkl")), Port: 6881, Left: 1, NumWant: -1}
	if scheme == "udp" {
		to, err := net.ResolveUDPAddr("udp", strings.TrimSuffix(strings.TrimPrefix(v.url, "udp://"), "/announce"))
		if err != nil {
			t.Fatal(err)
		}
		if v.conn, err = net.DialUDP("udp", &net.UDPAddr{IP: net.ParseIP(from)}, to); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = v.conn.Close() })
	}
	return v
}

// announce returns why an announce was refused, or nil.
func (v *visitor) announce() error {
	var r bittorrent.AnnounceResponse
	if strings.HasPrefix(v.url, "udp:") {
		return v.announceUDP(&r)
	}
	request, err := http.NewRequestWithContext(v.t.Context(), http.MethodGet, v.url+"?"+string(bittorrent.AppendHTTPAnnounce(nil, &v.request))+"&jwt="+v.token, nil)
	if err != nil {
		return err
	}
	request.Header.Set("User-Agent", v.agent)
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(v.from)}}
	client := http.Client{Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return errors.Join(err, bittorrent.ParseHTTPAnnounceResponse(body, &r))
}

func (v *visitor) announceUDP(r *bittorrent.AnnounceResponse) error {
	answer, err := v.ask(func(transaction uint32) []byte { return bittorrent.AppendUDPConnect(nil, transaction) })
	if err != nil {
		return err
	}
	id, err := answer.ConnectionID()
	if err != nil {
		return err
	}
	if answer, err = v.ask(func(transaction uint32) []byte {
		return bittorrent.AppendUDPAnnounce(nil, id, transaction, &v.request, "/announce?jwt="+v.token)
	}); err != nil {
		return err
	}
	return answer.Announce(false, r)
}

// errSilence is that there is no answer, however long one waits.
var errSilence = errors.New("no answer")

// ask sends a packet, again and again as clients do, and waits for its answer.
func (v *visitor) ask(packet func(transaction uint32) []byte) (answer bittorrent.UDPResponse, err error) {
	v.transaction++
	for range patience / time.Second {
		if _, err := v.conn.Write(packet(v.transaction)); err != nil {
			return answer, err
		}
		_ = v.conn.SetReadDeadline(time.Now().Add(time.Second))
		for buf := make([]byte, 2048); ; { // until the answer is not one to an earlier packet
			n, err := v.conn.Read(buf)
			if err != nil {
				break
			}
			if answer, err = bittorrent.ParseUDPResponse(buf[:n]); err != nil || answer.TransactionID == v.transaction {
				return answer, err
			}
		}
	}
	return answer, errSilence
}

// silent reports whether nothing comes back to a connect request, where others are answered.
func (v *visitor) silent(other *visitor) bool {
	v.t.Helper()
	connect := func(transaction uint32) []byte { return bittorrent.AppendUDPConnect(nil, transaction) }
	_, err := v.conn.Write(connect(9999))
	for range 2 { // an answer to the first would be there by then
		if _, failed := other.ask(connect); failed != nil || err != nil {
			v.t.Fatal(err, failed)
		}
	}
	_ = v.conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	_, err = v.conn.Read(make([]byte, 2048))
	return errors.Is(err, os.ErrDeadlineExceeded)
}

func TestNetworksAndClientsAreLetInByLists(t *testing.T) {
	networks, clients := filepath.Join(t.TempDir(), "networks"), filepath.Join(t.TempDir(), "clients")
	writeList(t, networks, "127.0.0.7")
	writeList(t, clients, "-UT", "User-Agent: curl")
	s := startServe(t, "--store", "memory:", "--listen-udp", "127.0.0.1:0", "--access-networks-deny", networks, "--access-clients-deny", clients)
	good := s.visitor(t, "http", "127.0.0.1")
	denied := s.visitor(t, "http", "127.0.0.7")
	old := s.visitor(t, "http", "127.0.0.1")
	copy(old.request.PeerID[:], "-UT2210-")
	script := s.visitor(t, "http", "127.0.0.1")
	script.agent = "curl/8.1"
	wants := func(v *visitor, want string) {
		t.Helper()
		if err := v.announce(); want == "" && err != nil || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	wants(good, "")
	wants(denied, "this tracker does not serve your network")
	wants(old, "this tracker does not allow your client: use another one, or another version of it")
	wants(script, "this tracker does not allow your client: use another one, or another version of it")

	overUDP, silent, oldUDP := s.visitor(t, "udp", "127.0.0.1"), s.visitor(t, "udp", "127.0.0.7"), s.visitor(t, "udp", "127.0.0.1")
	oldUDP.request.PeerID = old.request.PeerID
	wants(overUDP, "")
	wants(oldUDP, "this tracker does not allow your client: use another one, or another version of it")
	if !silent.silent(s.visitor(t, "udp", "127.0.0.1")) {
		t.Error("a denied network is answered over UDP")
	}

	writeList(t, networks, "127.0.0.8")
	s.await(t, func() bool { return denied.announce() == nil })
	wants(silent, "")
	writeList(t, clients, "-XX")
	s.hangup(t, "configuration reloaded")
	wants(old, "")
	writeList(t, clients, "-*-")
	s.hangup(t, "was not reloaded")
	if !strings.Contains(s.log.String(), clients+":1: ") {
		t.Errorf("the log does not name file and line:\n%s", s.log)
	}
	s.scrape(t, `waggle_access_refused_total{reason="client"} 3`)
}

// A peer of a network that is denied stays until it is silent for its lifetime, and
// nothing that it says is heard.
func TestPeersOfANetworkThatIsDeniedStayUntilTheyExpire(t *testing.T) {
	networks := filepath.Join(t.TempDir(), "networks")
	writeList(t, networks, "# none")
	s := startServe(t, "--store", "memory:", "--access-networks-deny", networks,
		"--announce-interval", "1s", "--announce-min-interval", "0s", "--announce-peer-lifetime", "3s")
	peer := s.visitor(t, "http", "127.0.0.7")
	if err := peer.announce(); err != nil {
		t.Fatal(err)
	}
	writeList(t, networks, "127.0.0.7")
	s.hangup(t, "configuration reloaded")
	if err := peer.announce(); err == nil {
		t.Error("the peer is answered still")
	}
	s.await(t, func() bool { return s.announce(t, "").Incomplete == 1 })
}

func TestAnnouncesWantATokenOverBothProtocols(t *testing.T) {
	k := newKeys(t)
	k.rotate(t, "a")
	s := startServe(t, append(k.flags(), "--store", "memory:")...)
	torrent := bittorrent.InfoHash{1}
	for _, scheme := range []string{"http", "udp"} {
		v := s.visitor(t, scheme, "127.0.0.1")
		if err := v.announce(); err == nil || !strings.Contains(err.Error(), "wants a token") {
			t.Errorf("%s without a token: %v", scheme, err)
		}
		v.token = k.token(t, "a", torrent.String())
		if err := v.announce(); err != nil {
			t.Errorf("%s with a token: %v", scheme, err)
		}
		v.token = k.token(t, "a", strings.Repeat("ab", 20))
		if err := v.announce(); err == nil || !strings.Contains(err.Error(), "another torrent") {
			t.Errorf("%s with another torrent's token: %v", scheme, err)
		}
	}
	if strings.Contains(s.log.String(), "eyJ") {
		t.Error("the log holds a token")
	}
}

func TestTrackerStartsWithoutTheKeysOfTokensAndSaysSo(t *testing.T) {
	k := newKeys(t)
	k.rotate(t, "a")
	k.Close()
	s := startServe(t, append(k.flags(), "--store", "memory:")...)
	v := s.visitor(t, "http", "127.0.0.1")
	v.token = k.token(t, "a", "")
	if err := v.announce(); err == nil || !strings.Contains(err.Error(), "cannot check tokens now") {
		t.Errorf("without keys: %v", err)
	}
	if !strings.Contains(s.log.String(), "the keys of tokens were not fetched: announces are refused until they are") {
		t.Errorf("the log says nothing of it:\n%s", s.log)
	}
}

// Lists and keys of others change all the time, by signals and by their files; whoever may
// announce is always answered.
func TestAnnouncesNeverFailWhileListsAndKeysRotate(t *testing.T) {
	const rotations = 30
	networks, clients, allowed := filepath.Join(t.TempDir(), "networks"), filepath.Join(t.TempDir(), "clients"), filepath.Join(t.TempDir(), "allowed")
	writeList(t, networks, "10.0.0.0/8")
	writeList(t, clients, "-UT")
	writeList(t, allowed, "0.0.0.0/0")
	k := newKeys(t)
	k.rotate(t, "good")
	k.rotate(t, "other")
	s := startServe(t, append(k.flags(), "--store", "memory:",
		"--access-networks-deny", networks, "--access-networks-allow", allowed, "--access-clients-deny", clients)...)
	var group sync.WaitGroup
	var ended atomic.Bool
	var answered [4]atomic.Uint64
	for n := range answered {
		v := s.visitor(t, []string{"http", "udp"}[n%2], fmt.Sprintf("127.0.1.%d", 1+n))
		v.token, v.agent = k.token(t, "good", ""), "Transmission/4.0.5"
		group.Go(func() {
			for !ended.Load() && !t.Failed() {
				if err := v.announce(); err != nil {
					t.Errorf("a good client is refused: %v", err)
				}
				answered[n].Add(1)
			}
		})
	}
	defer group.Wait()
	defer ended.Store(true)
	for n := range rotations {
		lines := make([]string, 500)
		for i := range lines {
			lines[i] = fmt.Sprintf("10.%d.%d.0/24", n, i&255)
		}
		writeList(t, networks, append(lines[:256], fmt.Sprintf("127.0.2.%d", n))...)
		writeList(t, clients, fmt.Sprintf("-U%d", n), "-XL0012-")
		writeList(t, allowed, "0.0.0.0/0", fmt.Sprintf("127.0.1.%d", n))
		k.rotate(t, "other")
		k.rotate(t, fmt.Sprint("another", n%3))
		before := [...]uint64{answered[0].Load(), answered[1].Load(), answered[2].Load(), answered[3].Load()}
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		s.await(t, func() bool {
			for i := range answered {
				if answered[i].Load() < before[i]+2 && !t.Failed() {
					return false
				}
			}
			return true
		})
	}
	denied := s.visitor(t, "http", fmt.Sprintf("127.0.2.%d", rotations-1))
	denied.token = k.token(t, "good", "")
	s.await(t, func() bool { return denied.announce() != nil })
}
