package interop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/console/client"
	"waggle/internal/freeport"
)

// listens waits until somebody answers at an address.
func listens(t *testing.T, p *process, address string) {
	t.Helper()
	eventually(t, patience, p.name+" listens", func() error {
		if err := p.alive(); err != nil {
			return err
		}
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			_ = conn.Close()
		}
		return err
	})
}

// startRedis starts a Redis, whose data outlives it in dir.
func startRedis(t *testing.T, address, dir string) *process {
	t.Helper()
	at := netip.MustParseAddrPort(address)
	p := start(t, loopback, "redis-server", program(t, "redis-server", makeTest), "--port", fmt.Sprint(at.Port()), "--bind", at.Addr().String(),
		"--dir", dir, "--save", "", "--appendonly", "yes", "--appendfsync", "always")
	listens(t, p, address)
	return p
}

// redisStore returns the URL of a store on a Redis of its own.
func redisStore(t *testing.T) string {
	t.Helper()
	address := freeport.Address(t)
	startRedis(t, address, t.TempDir())
	return "redis://" + address + "/0"
}

// dynamoDBStore returns the URL of a store in a table of a dynalite of its own.
func dynamoDBStore(t *testing.T) string {
	t.Helper()
	address := freeport.Address(t)
	cli := filepath.Join("..", "store", "dynamodb", "node_modules", "dynalite", "cli.js")
	cli, err := filepath.Abs(cli)
	if err == nil {
		_, err = os.Stat(cli)
	}
	if err != nil {
		t.Fatalf("dynalite: %v: run `%s`, which installs it", err, makeTest)
	}
	host, port, _ := net.SplitHostPort(address)
	p := start(t, loopback, "dynalite", program(t, "node", makeTest), cli, "--host", host, "--port", port)
	listens(t, p, address)
	store := "dynamodb://waggle?region=us-east-1&endpoint=" + url.QueryEscape("http://"+address)
	run(t, waggle(t), "dynamodb", "create-table", store)
	return store
}

// s3Store returns the URL of a store in a bucket of a versitygw of its own.
func s3Store(t *testing.T) string {
	t.Helper()
	address, dir := freeport.Address(t), t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "bucket"), 0o755); err != nil {
		t.Fatal(err)
	}
	p := start(t, loopback, "versitygw", program(t, "versitygw", makeTest), "--access", os.Getenv("AWS_ACCESS_KEY_ID"), "--secret", os.Getenv("AWS_SECRET_ACCESS_KEY"),
		"--port", address, "posix", dir)
	listens(t, p, address)
	return "s3://bucket/waggle?region=us-east-1&endpoint=" + url.QueryEscape("http://"+address)
}

func TestTrackersOnOneStoreActAsOne(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(*testing.T) string{"Redis": redisStore, "DynamoDB": dynamoDBStore, "S3": s3Store} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := open(t)
			flags := []string{"--store", store, "--listen-console", "127.0.0.1:0", "--access-passkeys", "optional"}
			one, other := startTracker(t, loopback4, flags...), startTracker(t, loopback4, flags...)
			sharePasskey(t, one, other)

			// The seeder announces to one over UDP, the fetcher to the other over HTTP.
			dir := t.TempDir()
			payload := filepath.Join(dir, "seeder", payloadName)
			want := writePayload(t, payload)
			torrents := [2]string{filepath.Join(dir, "one.torrent"), filepath.Join(dir, "other.torrent")}
			waggleTorrentCreate(t, payload, one.url(t, "udp", ipv4Loopback), torrents[0])
			waggleTorrentCreate(t, payload, other.url(t, "http", ipv4Loopback), torrents[1])
			hash := infoHash(t, torrents[0])

			// A torrent that is uploaded at one is known to the other.
			upload(t, consoleOf(t, one), torrents[0])
			eventually(t, patience, "the other one lists the transfer", func() error { return lists(consoleOf(t, other), hash) })

			seeder := startLibtorrent(t, loopback4, torrents[0], filepath.Dir(payload))
			other.waitForCounts(t, hash, counts{complete: 1})
			to := filepath.Join(dir, "fetcher")
			if err := os.Mkdir(to, 0o755); err != nil {
				t.Fatal(err)
			}
			fetcher := startLibtorrent(t, loopback4, torrents[1], to)
			waitForPayload(t, filepath.Join(to, payloadName), want, []*process{seeder, fetcher})
			one.waitForCounts(t, hash, counts{complete: 2, downloaded: 1})
			for _, p := range []*process{seeder, fetcher} {
				if err := p.leaveSwarm(); err != nil {
					t.Error(err)
				}
			}
			other.waitForCounts(t, hash, counts{downloaded: 1})
			if out := run(t, waggle(t), "store", "check", store); !strings.Contains(out, "1 transfers") {
				t.Errorf("waggle store check says\n%s", out)
			}
		})
	}
}

// sharePasskey has a client announce to either of two trackers with the same passkeys, until both
// know what it has transferred; then it is revoked at one, and refused by the other.
func sharePasskey(t *testing.T, one, other *tracker) {
	t.Helper()
	consoles := [2]*client.Client{one.console(t), other.console(t)}
	made, err := consoles[0].CreatePasskeys(t.Context(), []client.NewPasskey{{Name: "anna"}})
	if err != nil {
		t.Fatal(err)
	}
	announce := func(tr *tracker, tells string) string {
		answer, err := tr.get("/" + made[0].Key + "/announce?info_hash=bbbbbbbbbbbbbbbbbbbb&peer_id=-XX0001-abcdefghijkl&port=6881&left=1" + tells)
		if err != nil {
			return err.Error()
		}
		return answer
	}
	until := func(what string, so func() error) {
		t.Helper()
		eventually(t, patience, what, so)
	}
	for _, tr := range []*tracker{one, other} {
		until("a client with the passkey has begun", func() error {
			if answer := announce(tr, "&event=started"); !strings.Contains(answer, "8:interval") {
				return errors.New(answer)
			}
			return nil
		})
	}
	until("what it told either tracker counts at both, once", func() error {
		announce(one, "&uploaded=1000&downloaded=50")
		announce(other, "&uploaded=900&downloaded=70")
		for _, c := range consoles {
			p, err := c.Passkey(t.Context(), made[0].ID)
			if err != nil {
				return err
			}
			if p.Uploaded != 1000 || p.Downloaded != 70 {
				return fmt.Errorf("%+v", p)
			}
		}
		return nil
	})
	until("it is revoked", func() error {
		_, err := consoles[1].ActOnPasskey(t.Context(), made[0].ID, client.RevokePasskey)
		return err
	})
	until("the other tracker refuses it", func() error {
		if answer := announce(one, ""); !strings.Contains(answer, "this passkey was revoked") {
			return errors.New(answer)
		}
		return nil
	})
}

// upload gives a .torrent to a tracker.
func upload(t *testing.T, console, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, console+"/api/v1/torrents?file=payload.torrent", strings.NewReader(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-bittorrent")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusCreated {
		t.Fatalf("uploading %s: %s", path, answer.Status)
	}
}

// lists returns an error unless a tracker's catalogue has a transfer.
func lists(console, hash string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, console+"/api/v1/transfers/"+hash, nil)
	if err != nil {
		return fatal{err}
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the transfer: %s", answer.Status)
	}
	return nil
}

// TestTrackerOutlivesItsStore kills Redis under announces, and brings it back.
func TestTrackerOutlivesItsStore(t *testing.T) {
	t.Parallel()
	address, dir := freeport.Address(t), t.TempDir()
	redis := startRedis(t, address, dir)
	tr := startTracker(t, loopback4, "--store", "redis://"+address+"/0", "--listen-console", "127.0.0.1:0")
	hash := bittorrent.InfoHash{1}.String()
	announce := func(peer int) error {
		query := url.Values{
			"info_hash": {string(append([]byte{1}, make([]byte, 19)...))}, "peer_id": {fmt.Sprintf("-XX0001-%012d", peer)},
			"port": {fmt.Sprint(1000 + peer)}, "left": {"0"}, "compact": {"1"},
		}
		body, err := tr.get("/announce?" + query.Encode())
		if err == nil && strings.Contains(body, "failure reason") {
			err = fmt.Errorf("announce: %q", body)
		}
		return err
	}
	for peer := range 50 {
		if err := announce(peer); err != nil {
			t.Fatal(err)
		}
	}
	if err := redis.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-redis.exited
	began := time.Now()
	for peer := range 50 {
		err := announce(peer)
		if err == nil || !strings.Contains(err.Error(), "retry in") {
			t.Fatalf("without its store it answers %v, not when to come back", err)
		}
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("50 clients waited %v together", took)
	}
	if body, err := tr.get("/health"); err == nil || !strings.Contains(err.Error(), "Redis") {
		t.Errorf("/health: %q, %v", body, err)
	}
	startRedis(t, address, dir)
	eventually(t, patience, "it answers again", func() error { return announce(50) })
	tr.waitForCounts(t, hash, counts{complete: 51})
	if _, err := tr.get("/health"); err != nil {
		t.Error(err)
	}
}
