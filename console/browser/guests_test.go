//go:build screenshots

package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"waggle/bittorrent"
	"waggle/console/client"
)

// accounting is where the room's events go.
const accounting = "127.0.0.1:6980"

// takeEvents takes events, and nothing else, until the test ends.
func (r *room) takeEvents(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", accounting)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }), ReadHeaderTimeout: patience}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l) })
	t.Cleanup(func() {
		_ = server.Close()
		serving.Wait()
	})
}

// issue makes passkeys, which every other peer shows from now on, and revokes one.
func (r *room) issue(ctx context.Context) error {
	made, err := r.api.CreatePasskeys(ctx, []client.NewPasskey{
		{Name: "build farm", Note: "rows a and b"},
		{Name: "climate group"},
		{Name: "genomics"},
		{Name: "maps", Expires: time.Now().Add(60 * day)},
		{Name: "web team"},
		{Name: "orders database", Note: "backups alone"},
		{Name: "a machine that was sold"},
	})
	if err != nil {
		return err
	}
	for i, p := range r.peers {
		if i%2 == 0 {
			p.passkey = made[i/2%(len(made)-1)].Key
		}
	}
	r.passkey = made[0].ID
	_, err = r.api.ActOnPasskey(ctx, made[len(made)-1].ID, client.RevokePasskey)
	return err
}

// browse has browsers join the image, and stay until the test ends.
func (r *room) browse(t *testing.T) {
	t.Helper()
	var reading sync.WaitGroup
	t.Cleanup(reading.Wait) // after the connections are closed
	for i := range 23 {
		dialer := ws.Dialer{Header: ws.HandshakeHeaderHTTP(http.Header{"X-Forwarded-For": {fmt.Sprintf("10.20.0.%d", 100+i)}})}
		conn, _, _, err := dialer.Dial(t.Context(), strings.Replace(r.announce, "http://", "ws://", 1))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		message, err := json.Marshal(map[string]any{
			"action": "announce", "event": "started", "left": i % 5 * gib / 2,
			"info_hash": characters(r.image), "peer_id": fmt.Sprintf("-WW0202-%012d", i),
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := wsutil.WriteClientText(conn, message); err != nil {
			t.Fatal(err)
		}
		reading.Go(func() { // and answers pings
			for {
				if _, err := wsutil.ReadServerText(conn); err != nil {
					return
				}
			}
		})
	}
}

// characters are the bytes of an info hash, one each, as WebTorrent has them.
func characters(h bittorrent.InfoHash) string {
	var text strings.Builder
	for _, b := range h {
		text.WriteRune(rune(b))
	}
	return text.String()
}
