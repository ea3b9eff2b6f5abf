//go:build lab

package lab

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A client is a BitTorrent client on a host, which has nothing to do until it joins.
type client interface {
	// join gives it the torrent.
	join(ctx context.Context, file *payload) error

	// left returns how many bytes of the file it lacks.
	left(ctx context.Context, file *payload) (int64, error)

	// leave has it tell the tracker that it leaves, and end.
	leave()

	running() *process
}

// A transmission is Transmission's daemon, spoken to by its RPC over the loopback of its host.
type transmission struct {
	*process
	dir     string
	web     *http.Client
	session string
}

const transmissionRPC = "http://127.0.0.1:9091/transmission/rpc"

// startTransmission starts a client that has nothing but the files of dir, on its
// defaults but for what is named here. Encryption, which it prefers, only costs
// processors.
func startTransmission(t *testing.T, h *host, dir string) client {
	t.Helper()
	config := filepath.Join(dir, "config")
	settings, err := json.Marshal(map[string]any{
		"bind-address-ipv4": h.addr.String(), "peer-port": 51413, "port-forwarding-enabled": false,
		"dht-enabled": false, "lpd-enabled": false, "pex-enabled": false, "utp-enabled": false, "encryption": 0,
		"rpc-bind-address": "127.0.0.1", "rpc-port": 9091, "rpc-authentication-required": false,
		"download-dir": dir, "start-added-torrents": true, "download-queue-enabled": false, "preallocation": 0,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(config, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(config, "settings.json"), settings, 0o644); err != nil {
		t.Fatal(err)
	}
	c := &transmission{process: start(t, h.namespace, dir, nil, nil, "transmission-daemon", "--foreground", "--config-dir", config), dir: dir}
	c.web = &http.Client{Transport: &http.Transport{DialContext: h.dial, MaxConnsPerHost: 1}}
	t.Cleanup(c.web.CloseIdleConnections)
	return c
}

func (c *transmission) running() *process { return c.process }

// call calls a method, and waits for a daemon that is just starting.
func (c *transmission) call(ctx context.Context, method string, arguments, into any) error {
	body, err := json.Marshal(map[string]any{"method": method, "arguments": arguments})
	if err != nil {
		return err
	}
	for {
		answer, err := c.post(ctx, body)
		switch {
		case err == nil && answer == nil: // there is a session now
			continue
		case err == nil:
			return decode(answer, into)
		case !errors.Is(err, syscall.ECONNREFUSED):
			return err
		}
		if err := c.alive(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func decode(answer []byte, into any) error {
	reply := struct {
		Result    string
		Arguments any
	}{Arguments: into}
	if err := json.Unmarshal(answer, &reply); err != nil {
		return fmt.Errorf("Transmission answers %q: %w", answer, err)
	}
	if reply.Result != "success" {
		return fmt.Errorf("Transmission says %q", reply.Result)
	}
	return nil
}

// post sends a call, and returns nil where the daemon wanted a session id, which
// the client has then.
func (c *transmission) post(ctx context.Context, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, transmissionRPC, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-Transmission-Session-Id", c.session)
	resp, err := c.web.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if resp.StatusCode == http.StatusConflict {
		c.session = resp.Header.Get("X-Transmission-Session-Id")
		return nil, err
	}
	return answer, err
}

func (c *transmission) join(ctx context.Context, file *payload) error {
	return c.call(ctx, "torrent-add", map[string]any{"metainfo": base64.StdEncoding.EncodeToString(file.torrent)}, nil)
}

// ready waits until the client takes orders.
func (c *transmission) ready(ctx context.Context) error { return c.call(ctx, "session-get", nil, nil) }

func (c *transmission) left(ctx context.Context, file *payload) (int64, error) {
	var reply struct {
		Torrents []struct {
			LeftUntilDone int64
			ErrorString   string
		}
	}
	if err := c.call(ctx, "torrent-get", map[string]any{"fields": []string{"leftUntilDone"}}, &reply); err != nil {
		return 0, err
	}
	if len(reply.Torrents) == 0 {
		return file.length, nil
	}
	return reply.Torrents[0].LeftUntilDone, nil
}

// leave has the client stop the torrent, which tells the tracker, and end.
func (c *transmission) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = c.call(ctx, "torrent-stop", map[string]any{}, nil)
	c.quit(syscall.SIGTERM)
}
