//go:build lab

package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// An rtorrent begins when it joins. It waits for five to ten minutes between announces
// at least, whatever it is told.
type rtorrent struct {
	*process
	t    *testing.T
	host *host
	dir  string
}

const rtorrentConfig = `system.daemon.set = true
session.path.set = %[1]s
directory.default.set = %[1]s
network.bind_address.set = %[2]s
network.port_range.set = 51413-51413
network.port_random.set = no
network.scgi.open_local = %[1]s/scgi
dht.mode.set = disable
protocol.pex.set = no
protocol.encryption.set = none
trackers.use_udp.set = no
pieces.hash.on_completion.set = no
`

func startRtorrent(t *testing.T, h *host, dir string) client {
	t.Helper()
	return &rtorrent{t: t, host: h, dir: dir}
}

func (c *rtorrent) join(_ context.Context, file *payload) error {
	config := filepath.Join(c.dir, "rtorrent.rc")
	if err := os.WriteFile(config, fmt.Appendf(nil, rtorrentConfig, c.dir, c.host.addr), 0o644); err != nil {
		return err
	}
	c.process = start(c.t, c.host.namespace, c.dir, nil, nil, "rtorrent", "-n", "-o", "import="+config, file.path)
	return nil
}

var xmlNumber = regexp.MustCompile(`<i[48]>(-?\d+)</i[48]>`)

func (c *rtorrent) left(ctx context.Context, file *payload) (int64, error) {
	if err := c.alive(); err != nil {
		return 0, err
	}
	answer, err := c.call(ctx, "d.left_bytes", strings.ToUpper(file.hash.String()))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return file.length, nil // it is just starting
	}
	if err != nil {
		return 0, err
	}
	if number := xmlNumber.FindStringSubmatch(answer); number != nil {
		return strconv.ParseInt(number[1], 10, 64)
	}
	return file.length, nil // it has not read the torrent yet
}

// call calls a method by XML-RPC over SCGI.
func (c *rtorrent) call(ctx context.Context, method, argument string) (string, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", filepath.Join(c.dir, "scgi"))
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	body := "<methodCall><methodName>" + method + "</methodName><params><param><value><string>" + argument +
		"</string></value></param></params></methodCall>"
	headers := fmt.Sprintf("CONTENT_LENGTH\x00%d\x00SCGI\x001\x00", len(body))
	if _, err := fmt.Fprintf(conn, "%d:%s,%s", len(headers), headers, body); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(conn)
	return string(answer), err
}

func (c *rtorrent) leave() { c.quit(syscall.SIGINT) }

func (c *rtorrent) running() *process { return c.process }
