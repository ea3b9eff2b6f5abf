package main

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"waggle/bittorrent"
	"waggle/console/client"
)

// browse connects as a browser does.
func (s *serving) browse(t *testing.T) net.Conn {
	t.Helper()
	conn, buffered, _, err := ws.Dial(t.Context(), s.url(t, "ws"))
	if err != nil {
		t.Fatal(err)
	}
	if buffered != nil {
		t.Fatal("something was said before anything was asked")
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// tells sends a message and returns what is answered.
func tells(t *testing.T, conn net.Conn, message string) string {
	t.Helper()
	if err := wsutil.WriteClientText(conn, []byte(message)); err != nil {
		t.Fatal(err)
	}
	answer, err := wsutil.ReadServerText(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

// announceOfBrowser is of the torrent n, by a leecher.
func announceOfBrowser(n byte) string {
	return fmt.Sprintf(`{"action":"announce","event":"started","left":7,"info_hash":"\u00%02x%s","peer_id":"-WW0124-abcdefghijkl"}`,
		n, strings.Repeat(`\u0000`, 19))
}

func TestBrowsersAreServedCountedAndShown(t *testing.T) {
	s := startServe(t, "--store", "memory:", "--console-public", "true")
	conn := s.browse(t)
	if answer := tells(t, conn, announceOfBrowser(1)); !strings.Contains(answer, `"incomplete":1`) {
		t.Errorf("answered is %s", answer)
	}
	tells(t, conn, announceOfBrowser(2))
	if r := s.announce(t, "&numwant=50"); r.Incomplete != 2 || r.Peers.Len() != 0 {
		t.Errorf("over HTTP: %d leechers, told of %d", r.Incomplete, r.Peers.Len())
	}
	c, err := client.New(s.console(t), "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	peers, err := c.Peers(t.Context(), bittorrent.InfoHash{1})
	if err != nil || len(peers) != 2 {
		t.Fatalf("%v: %+v", err, peers)
	}
	found := 0
	for _, p := range peers {
		if p.Browser && p.Address == conn.LocalAddr().String() && *p.Left == 7 && strings.HasPrefix(p.Client, "WebTorrent") {
			found++
		}
	}
	if found != 1 {
		t.Errorf("the browser is not among %+v", peers)
	}
	swarms, err := c.Swarms(t.Context(), client.SwarmQuery{})
	if err != nil || swarms.Total != 2 || swarms.Swarms[0].Leechers != 2 || swarms.Swarms[1].Leechers != 1 {
		t.Errorf("%v: %+v", err, swarms)
	}
	all, err := c.Hashes(t.Context())
	if err != nil || len(all.Hashes) != 2 {
		t.Errorf("%v: %+v", err, all)
	}
	figures := string(get(t, s.console(t)+"/metrics"))
	for _, want := range []string{
		`waggle_websocket_peers{kind="leecher"} 2`, `waggle_websocket_connections 1`, `waggle_announces_total{protocol="websocket"} 2`, `waggle_peers{kind="leecher"} 1`,
	} {
		if !strings.Contains(figures, want+"\n") {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if page := string(get(t, s.console(t)+"/peers")); !strings.Contains(page, `<span class="badge">browser</span>`) {
		t.Error("the page of peers does not tell browsers from others")
	}
	if page := string(get(t, strings.TrimSuffix(s.url(t, "http"), "announce"))); !strings.Contains(page, "Peers: 3") {
		t.Error("the public page does not count browsers")
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	_, err = wsutil.ReadServerText(conn)
	if closed, ok := errors.AsType[wsutil.ClosedError](err); !ok || closed.Code != ws.StatusGoingAway {
		t.Errorf("at the end: %v", err)
	}
	if want := "websocket_messages=2"; !strings.Contains(s.log.String(), want) {
		t.Errorf("the log lacks %q:\n%s", want, s.log)
	}
}

func TestWebSocketIsOffWhereItIsNotWanted(t *testing.T) {
	s := startServe(t, "--store", "memory:", "--listen-websocket", "false")
	for _, line := range s.lines {
		if strings.Contains(line, "ws://") {
			t.Errorf("printed is %s", line)
		}
	}
	_, _, _, err := ws.Dial(t.Context(), strings.Replace(s.url(t, "http"), "http", "ws", 1))
	if status, ok := errors.AsType[ws.StatusError](err); !ok || int(status) == 101 {
		t.Errorf("got %v", err)
	}
}
