package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/console/client"
	"waggle/passkey"
)

// createPasskey makes a passkey by the command.
func createPasskey(t *testing.T, s *serving, name string) client.Passkey {
	t.Helper()
	out, err := runWaggle(t, "passkeys", "create", name, "--json", "--console", s.console(t))
	var made []client.Passkey
	if err != nil || json.Unmarshal([]byte(out), &made) != nil || len(made) != 1 {
		t.Fatalf("printed %q, %v", out, err)
	}
	return made[0]
}

const aPeer = "?info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=-XX0001-abcdefghijkl&port=6881&left=1"

func TestPasskeysByCommandsSurviveARestart(t *testing.T) {
	store := "sqlite:" + filepath.Join(t.TempDir(), "waggle.db")
	s := startServe(t, "--store", store, "--access-passkeys", "required", "--access-passkey-urls", "https://t.example/announce")
	anna := createPasskey(t, s, "anna")
	if want := "https://t.example/" + anna.Key + "/announce"; len(anna.AnnounceURLs) != 1 || anna.AnnounceURLs[0] != want {
		t.Errorf("announce URLs %q, want %s", anna.AnnounceURLs, want)
	}
	url := bittorrent.PasskeyURL(s.url(t, "http"), anna.Key) + aPeer
	for _, query := range []string{"&event=started", "&uploaded=1024&downloaded=2048"} {
		if got := string(get(t, url+query)); !strings.Contains(got, "8:interval") {
			t.Errorf("answered %q", got)
		}
	}
	for path, want := range map[string]string{"/announce": "wants a passkey", "/" + strings.Repeat("x", 32) + "/announce": "not known here"} {
		if got := string(get(t, strings.TrimSuffix(s.url(t, "http"), "/announce")+path+aPeer)); !strings.Contains(got, want) {
			t.Errorf("%s is answered %q", path, got)
		}
	}
	imported := strings.Repeat("k", 40)
	file := secretFile(t, "# from elsewhere\n"+imported+"\tbert b\n\n"+anna.Key+" anna\n")
	if out, err := runWaggle(t, "passkeys", "import", file, "--console", s.console(t)); err != nil || !strings.Contains(out, "1 made, 1 there already") {
		t.Errorf("imported %q, %v", out, err)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(s.log.String(), anna.Key) {
		t.Error("the log has a passkey")
	}

	s = startServe(t, "--store", store, "--access-passkeys", "optional")
	out, err := runWaggle(t, "passkeys", "list", "--console", s.console(t))
	if err != nil || !strings.Contains(out, "1.0 KiB     2.0 KiB") || !strings.Contains(out, "bert b\n") || strings.Contains(out, anna.Key) {
		t.Errorf("listed %s, %v", out, err)
	}
	if out, err := runWaggle(t, "passkeys", "show", "--find", secretFile(t, anna.Key+"\n"), "--console", s.console(t)); err != nil || !strings.Contains(out, anna.ID) || !strings.Contains(out, "/"+anna.Key+"/announce") {
		t.Errorf("found %s, %v", out, err)
	}
	for _, args := range [][]string{{"edit", anna.ID, "--name", "carl", "--expires", "30d"}, {"revoke", anna.ID}, {"restore", anna.ID}, {"renew", anna.ID}, {"reset", anna.ID}} {
		if out, err := runWaggle(t, append(append([]string{"passkeys"}, args...), "--console", s.console(t))...); err != nil || !strings.Contains(out, "carl") {
			t.Errorf("%v: %s, %v", args, out, err)
		}
	}
	if out, err := runWaggle(t, "passkeys", "delete", anna.ID, "--console", s.console(t)); err != nil || out != "" {
		t.Errorf("deleted %q, %v", out, err)
	}
	if out, err := runWaggle(t, "passkeys", "show", anna.ID, "--console", s.console(t)); err == nil {
		t.Errorf("it is there: %s", out)
	}
	if got := string(get(t, s.url(t, "http")+aPeer)); !strings.Contains(got, "8:interval") {
		t.Errorf("without one: %q", got)
	}
}

func TestPathsWithPasskeysAreNoneWhereThereAreNone(t *testing.T) {
	s := startServe(t, "--store", "memory:")
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := c.Get(bittorrent.PasskeyURL(s.url(t, "http"), strings.Repeat("k", 32)) + aPeer)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusNotFound {
		t.Errorf("status %d", response.StatusCode)
	}
	if out, err := runWaggle(t, "passkeys", "list", "--console", s.console(t)); err == nil || !strings.Contains(err.Error(), "set access.passkeys") {
		t.Errorf("listed %q, %v", out, err)
	}
}

func TestPasskeysAreRequiredOrNotWhileItRuns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "waggle.yaml")
	write := func(access string) {
		t.Helper()
		if err := os.WriteFile(path, []byte("access: {passkeys: "+access+"}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("optional")
	s := startServe(t, "--store", "memory:", "--config", path)
	answers := func(want string) {
		t.Helper()
		if got := string(get(t, s.url(t, "http")+aPeer)); !strings.Contains(got, want) {
			t.Errorf("answered %q, want %q", got, want)
		}
	}
	answers("8:interval")
	write("required")
	s.hangup(t, "configuration reloaded")
	answers("wants a passkey")
	if got := s.setting(t, "access.passkeys"); got.Value != "required" {
		t.Errorf("the console shows %+v", got)
	}
	write("required, passkey_rate: 1Gbit, passkey_urls: ['https://t.example/announce']")
	s.hangup(t, "configuration reloaded")
	if anna := createPasskey(t, s, "anna"); len(anna.AnnounceURLs) != 1 || anna.AnnounceURLs[0] != "https://t.example/"+anna.Key+"/announce" {
		t.Errorf("announce URLs %q", anna.AnnounceURLs)
	}
	if strings.Contains(s.log.String(), "takes effect at the next start only") {
		t.Errorf("something takes a restart:\n%s", s.log)
	}
	write("off")
	s.hangup(t, "takes effect at the next start only\" key=access.passkeys")
	answers("wants a passkey")
	if got := s.setting(t, "access.passkeys"); got.Value != "required" {
		t.Errorf("the console shows %+v", got)
	}
}

func TestPasskeysCommandsRefuseWhatTheyCannotUse(t *testing.T) {
	secret := strings.Repeat("k", 32)
	for want, args := range map[string][]string{
		"16 hexadecimal digits":        {"revoke", secret},
		"takes one argument, the id":   {"renew"},
		"an id, or --find":             {"show", "0123456789abcdef", "--find", "x"},
		"say what to change":           {"edit", "0123456789abcdef"},
		"--expires: ":                  {"create", "x", "--expires", "soon"},
		"--count is from 1":            {"create", "x", "--count", "0"},
		"takes one argument, a name":   {"create"},
		"takes one argument, a file":   {"import"},
		"line 2: a passkey is 32":      {"import", secretFile(t, secret+"\nshort name\n")},
		"line 3: this passkey is on l": {"import", secretFile(t, secret+"\n\n"+secret+"\n")},
		"there is no line":             {"show", "--find", secretFile(t, "\n")},
	} {
		out, err := runWaggle(t, append([]string{"passkeys"}, append(args, "--console", "http://127.0.0.1:1")...)...)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), secret) {
			t.Errorf("%v: %q, %v; want %q", args, out, err, want)
		}
	}
}

// announcing announces over UDP with a passkey, again and again.
func announcing(url, key string, n int) error {
	address := strings.TrimSuffix(strings.TrimPrefix(url, "udp://"), "/announce")
	conn, err := net.Dial("udp", address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	buffer := make([]byte, 2048)
	ask := func(packet []byte) (bittorrent.UDPResponse, error) {
		if _, err := conn.Write(packet); err != nil {
			return bittorrent.UDPResponse{}, err
		}
		n, err := conn.Read(buffer)
		if err != nil {
			return bittorrent.UDPResponse{}, err
		}
		return bittorrent.ParseUDPResponse(buffer[:n])
	}
	r, err := ask(bittorrent.AppendUDPConnect(nil, 1))
	if err != nil {
		return err
	}
	id, err := r.ConnectionID()
	if err != nil {
		return err
	}
	for i := range n {
		a := &bittorrent.AnnounceRequest{InfoHash: bittorrent.InfoHash{1}, PeerID: bittorrent.PeerID([]byte(key[:20])), Port: 6881, NumWant: -1, Uploaded: int64(i), Left: 1}
		if i == 0 {
			a.Event = bittorrent.EventStarted
		}
		r, err := ask(bittorrent.AppendUDPAnnounce(nil, id, uint32(i), a, "/"+key+"/announce"))
		if err == nil {
			err = r.Announce(false, new(bittorrent.AnnounceResponse))
		}
		if err != nil {
			return fmt.Errorf("announce %d: %w", i, err)
		}
	}
	return nil
}

func TestNobodyIsRefusedWhileOthersPasskeysAreRotated(t *testing.T) {
	s := startServe(t, "--store", "sqlite:"+filepath.Join(t.TempDir(), "waggle.db"), "--access-passkeys", "required")
	c := s.client(t, "")
	const announces = 300
	var wg sync.WaitGroup
	var going atomic.Int32
	good := make([]client.Passkey, 4)
	for i := range good {
		good[i] = createPasskey(t, s, fmt.Sprint("good ", i))
		going.Add(1)
		wg.Go(func() {
			defer going.Add(-1)
			if i%2 == 0 {
				if err := announcing(s.url(t, "udp"), good[i].Key, announces); err != nil {
					t.Error(err)
				}
				return
			}
			url := bittorrent.PasskeyURL(s.url(t, "http"), good[i].Key) + aPeer
			for n := range announces {
				event := ""
				if n == 0 {
					event = "&event=started"
				}
				if got := string(get(t, fmt.Sprintf("%s%s&uploaded=%d", url, event, n))); !strings.Contains(got, "8:interval") {
					t.Errorf("announce %d is answered %q", n, got)
				}
			}
		})
	}
	rotations := 0
	for ; going.Load() > 0; rotations++ {
		made, err := c.CreatePasskeys(t.Context(), []client.NewPasskey{{Name: "a"}, {Name: "z"}})
		if err == nil {
			_, err = c.ActOnPasskey(t.Context(), made[0].ID, client.RevokePasskey)
		}
		if err == nil {
			_, err = c.ActOnPasskey(t.Context(), made[0].ID, client.RenewPasskey)
		}
		if err = errors.Join(err, c.DeletePasskey(t.Context(), made[1].ID)); err != nil {
			t.Error(err)
			break
		}
	}
	wg.Wait()
	if rotations == 0 {
		t.Error("none were rotated meanwhile")
	}
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		counted := 0
		for i := range good {
			if p, err := c.Passkey(t.Context(), good[i].ID); err == nil && p.Uploaded == announces-1 {
				counted++
			}
		}
		if counted == len(good) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d of %d are counted whole", counted, len(good))
		}
	}
}

func TestFunctionCountsForPasskeysBeforeItAnswers(t *testing.T) {
	f := startFunction(t, "WAGGLE_ACCESS_PASSKEYS=required")
	made, err := f.passkeys.Create(t.Context(), []passkey.New{{Name: "anna"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{"&event=started", "&uploaded=5"} {
		if got := f.ask(t, http.MethodGet, "/"+made[0].Key+"/announce"+aPeer+query, nil).Body.String(); !strings.Contains(got, "8:interval") {
			t.Errorf("answered %q", got)
		}
	}
	if got := f.ask(t, http.MethodGet, "/announce"+aPeer, nil).Body.String(); !strings.Contains(got, "wants a passkey") {
		t.Errorf("without one: %q", got)
	}
	if p, err := f.passkeys.Get(made[0].ID); err != nil || p.Uploaded != 5 || f.passkeys.Figures().Waiting != 0 {
		t.Errorf("%+v, %v", p, err)
	}
}
