package interop

import (
	"fmt"
	"strings"
	"testing"

	"waggle/bittorrent"
	"waggle/console/client"
)

// console returns a client of the API of a tracker that has a console.
func (tr *tracker) console(t *testing.T) *client.Client {
	t.Helper()
	for _, line := range tr.stdout.lines() {
		if name, url, ok := strings.Cut(line, ": "); ok && strings.HasPrefix(name, "console (") {
			c, err := client.New(url, "")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Close)
			return c
		}
	}
	t.Fatalf("no console in %q", tr.stdout.lines())
	return nil
}

// announceWith returns an announce URL with a passkey. libtorrent asks an HTTP tracker on its own
// machine only at paths that begin with /announce (ssrf_mitigation).
func announceWith(passkey, url string) string {
	if strings.HasPrefix(url, "http:") {
		return url + "/" + passkey
	}
	return bittorrent.PasskeyURL(url, passkey)
}

// Clients show the passkey of the announce URL, over UDP by BEP 41, and what they transfer is
// counted for it.
func TestWhatClientsTransferWithAPasskeyIsCounted(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, scheme    string
		seeder, fetcher startClient
	}{
		{"libtorrent over UDP", "udp", startLibtorrent, startLibtorrent},
		{"libtorrent over HTTP", "http", startLibtorrent, startLibtorrent},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			tr := startTracker(t, loopback, "--store", "memory:", "--access-passkeys", "optional", "--listen-console", "127.0.0.1:0")
			c := tr.console(t)
			made, err := c.CreatePasskeys(t.Context(), []client.NewPasskey{{Name: test.name}})
			if err != nil {
				t.Fatal(err)
			}
			transfer{
				tracker:  tr,
				announce: announceWith(made[0].Key, tr.url(t, test.scheme, loopback4.addrs[0])),
				create:   waggleTorrentCreate,
				seeder:   placed{test.seeder, loopback4},
				fetchers: []placed{{test.fetcher, loopback4}},
			}.run(t)
			eventually(t, patience, "what was transferred is counted", func() error {
				p, err := c.Passkey(t.Context(), made[0].ID)
				if err != nil {
					return err
				}
				const most = payloadSize + payloadSize/2 // pieces may come twice
				if p.Uploaded < payloadSize || p.Uploaded > most || p.Downloaded < payloadSize || p.Downloaded > most || p.Torrents != 0 || p.Seen.IsZero() {
					return fmt.Errorf("%+v", p)
				}
				return nil
			})
		})
	}
}

// A client whose passkey is revoked hears of it; over UDP libtorrent leaves the tracker's words out.
func TestClientWithARevokedPasskeyIsToldSo(t *testing.T) {
	t.Parallel()
	for scheme, words := range map[string]string{"udp": "tracker sent a failure message", "http": "this passkey was revoked"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			tr := startTracker(t, loopback, "--store", "memory:", "--access-passkeys", "required", "--listen-console", "127.0.0.1:0")
			c := tr.console(t)
			made, err := c.CreatePasskeys(t.Context(), []client.NewPasskey{{Name: "anna"}})
			if err == nil {
				_, err = c.ActOnPasskey(t.Context(), made[0].ID, client.RevokePasskey)
			}
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			writePayload(t, dir+"/"+payloadName)
			torrent := dir + "/payload.torrent"
			waggleTorrentCreate(t, dir+"/"+payloadName, announceWith(made[0].Key, tr.url(t, scheme, loopback4.addrs[0])), torrent)
			p := startLibtorrent(t, loopback4, torrent, dir)
			eventually(t, patience, "libtorrent is told", func() error {
				for _, e := range libtorrentEvents(t, p) {
					if e.Event == "tracker_error" && strings.Contains(e.Message, words) {
						return nil
					}
				}
				return fmt.Errorf("it printed %q", p.stdout.lines())
			})
		})
	}
}
