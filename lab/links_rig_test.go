//go:build lab

package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/internal/binary"
)

// Where each tracker is in its namespace. Its console is on loopback.
const (
	clientPort   = 6969
	leafPort     = 6971
	nodeConsole  = "http://127.0.0.1:6970"
	startLimit   = 20 * time.Second
	requestLimit = 10 * time.Second
)

// buildWaggle builds the binary that the tests are about, once; or it is that of
// -lab.waggle.
var buildWaggle = sync.OnceValues(func() (string, error) {
	if *waggleBinary != "" {
		return filepath.Abs(*waggleBinary)
	}
	path := filepath.Join(scratch, "waggle")
	return path, binary.Build("..", path, nil)
})

// A node is the real tracker on a host, linked with others.
type node struct {
	*process
	host   *host
	name   string
	waggle string
	client http.Client
}

// startNode starts a tracker with its swarms in memory.
func startNode(ctx context.Context, t *testing.T, h *host, name string, flags ...string) *node {
	t.Helper()
	path, err := buildWaggle()
	must(t, err)
	n := &node{host: h, name: name, waggle: path}
	n.client = http.Client{Timeout: requestLimit, Transport: &http.Transport{DialContext: h.dial, DisableKeepAlives: true}}
	at := netip.AddrPortFrom(h.addr, clientPort).String()
	n.process = start(t, h.namespace, t.TempDir(), nil, nil, append([]string{
		path, "serve", "--store", "memory:", "--listen-udp", at, "--listen-http", at, "--listen-console", "127.0.0.1:6970",
		"--limits-announces-per-second-per-address", "0", "--link-name", name, "--link-directory", "links", "--link-share-torrents", "both",
	}, flags...)...)
	must(t, n.eventually(ctx, startLimit, func() error { return n.get(ctx, "/api/v1/links", nil) }))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s, the end of its log:\n%s", name, n.stderr.String())
		}
	})
	return n
}

// eventually waits until probe returns nil, while the tracker lives.
func (n *node) eventually(ctx context.Context, limit time.Duration, probe func() error) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	over := time.After(limit)
	for {
		err := errors.Join(n.alive(), ctx.Err())
		if err == nil {
			if err = probe(); err == nil {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", n.name, err)
		case <-over:
			return fmt.Errorf("%s, after %v: %w", n.name, limit, err)
		case <-tick.C:
		}
	}
}

// command runs waggle beside the tracker, and returns what it prints.
func (n *node) command(ctx context.Context, stdin string, args ...string) (string, error) {
	argv := enter(n.host.namespace, append([]string{n.waggle}, args...)...)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin = strings.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s: waggle %s: %w: %s", n.name, strings.Join(args, " "), err, stderr.Bytes())
	}
	return string(out), err
}

// get asks the tracker's console, and reads the answer's JSON into v, unless that is nil.
func (n *node) get(ctx context.Context, path string, v any) error {
	return n.ask(ctx, http.MethodGet, path, nil, v)
}

func (n *node) ask(ctx context.Context, method, path string, body io.Reader, v any) error {
	request, err := http.NewRequestWithContext(ctx, method, nodeConsole+path, body)
	if err != nil {
		return err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/x-bittorrent")
	}
	answer, err := n.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s", method, path, answer.Status)
	}
	if v == nil {
		return nil
	}
	return json.NewDecoder(answer.Body).Decode(v)
}

// linkStates returns the state of each link, by the name of the other end.
func (n *node) linkStates(ctx context.Context) (map[string]string, error) {
	var shown struct {
		Links []struct{ Name, State string }
	}
	err := n.get(ctx, "/api/v1/links", &shown)
	states := map[string]string{}
	for _, l := range shown.Links {
		states[l.Name] = l.State
	}
	return states, err
}

// waitActive waits until the tracker has so many links, and all are active.
func (n *node) waitActive(ctx context.Context, limit time.Duration, links int) error {
	return n.eventually(ctx, limit, func() error {
		states, err := n.linkStates(ctx)
		if err != nil {
			return err
		}
		active := 0
		for _, state := range states {
			if state == "active" {
				active++
			}
		}
		if active != links || len(states) != links {
			return fmt.Errorf("links are %v", states)
		}
		return nil
	})
}

// swarms returns the counts of all that the tracker's console lists.
func (n *node) swarms(ctx context.Context) (map[bittorrent.InfoHash]bittorrent.ScrapeCounts, error) {
	all := map[bittorrent.InfoHash]bittorrent.ScrapeCounts{}
	for cursor := ""; ; {
		var page struct {
			Swarms []struct {
				InfoHash          bittorrent.InfoHash `json:"info_hash"`
				Seeders, Leechers uint32
				Downloaded        uint32
			}
			Next string
		}
		if err := n.get(ctx, "/api/v1/swarms?limit=100"+cursor, &page); err != nil {
			return nil, err
		}
		for _, s := range page.Swarms {
			all[s.InfoHash] = bittorrent.ScrapeCounts{Complete: s.Seeders, Incomplete: s.Leechers, Downloaded: s.Downloaded}
		}
		if page.Next == "" {
			return all, nil
		}
		cursor = "&cursor=" + page.Next
	}
}

// A caller announces and scrapes from the host of a tracker over UDP.
type caller struct {
	conn   net.Conn
	id     uint64
	number uint32
	until  time.Time // when id is not good any more
}

func newCaller(h *host) (c *caller, err error) {
	c = new(caller)
	err = inNamespace(h.namespace, func() (err error) {
		c.conn, err = net.Dial("udp", netip.AddrPortFrom(h.addr, clientPort).String())
		return err
	})
	return c, err
}

func (c *caller) close() { _ = c.conn.Close() }

// ask sends a packet until it is answered, some times at most.
func (c *caller) ask(packet func(transaction uint32) []byte) (r bittorrent.UDPResponse, err error) {
	answer := make([]byte, 4096)
	for range 5 {
		c.number++
		if _, err = c.conn.Write(packet(c.number)); err != nil {
			continue
		}
		_ = c.conn.SetReadDeadline(time.Now().Add(2 * time.Second))
		for {
			n, failed := c.conn.Read(answer)
			if failed != nil {
				err = failed
				break
			}
			if r, err = bittorrent.ParseUDPResponse(answer[:n]); err == nil && r.TransactionID == c.number {
				return r, nil
			}
		}
	}
	return r, fmt.Errorf("not answered over UDP: %w", err)
}

// connect sees that the connection id is good.
func (c *caller) connect() error {
	if time.Now().Before(c.until) {
		return nil
	}
	r, err := c.ask(func(n uint32) []byte { return bittorrent.AppendUDPConnect(nil, n) })
	if err == nil {
		c.id, err = r.ConnectionID()
	}
	c.until = time.Now().Add(45 * time.Second)
	return err
}

func (c *caller) announce(a *bittorrent.AnnounceRequest) error {
	if err := c.connect(); err != nil {
		return err
	}
	r, err := c.ask(func(n uint32) []byte { return bittorrent.AppendUDPAnnounce(nil, c.id, n, a, "") })
	if err != nil {
		return err
	}
	return r.Announce(false, new(bittorrent.AnnounceResponse))
}

// scrape returns the counts of torrents.
func (c *caller) scrape(hashes []bittorrent.InfoHash) (counts []bittorrent.ScrapeCounts, err error) {
	const most = 70 // in a packet
	for len(hashes) > 0 {
		if err := c.connect(); err != nil {
			return nil, err
		}
		some := hashes[:min(most, len(hashes))]
		r, err := c.ask(func(n uint32) []byte { return bittorrent.AppendUDPScrape(nil, c.id, n, some) })
		if err != nil {
			return nil, err
		}
		if counts, err = r.AppendScrapeCounts(counts); err != nil {
			return nil, err
		}
		hashes = hashes[len(some):]
	}
	return counts, nil
}

// writeTorrent makes a torrent of a small file and returns its metainfo.
func (n *node) writeTorrent(ctx context.Context, dir string) ([]byte, error) {
	payload, torrent := filepath.Join(dir, "release.bin"), filepath.Join(dir, "release.torrent")
	if err := os.WriteFile(payload, bytes.Repeat([]byte("waggle"), 10_000), 0o644); err != nil {
		return nil, err
	}
	if _, err := n.command(ctx, "", "torrent", "create", payload, "-a", "udp://tracker.example:6969/announce", "-o", torrent); err != nil {
		return nil, err
	}
	return os.ReadFile(torrent)
}
