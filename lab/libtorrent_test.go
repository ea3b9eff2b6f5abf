//go:build lab

package lab

import (
	"context"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// A libtorrent is a client of libtorrent's, which begins when it joins.
type libtorrent struct {
	*process
	t    *testing.T
	host *host
	dir  string
	says lastLine
}

func startLibtorrent(t *testing.T, h *host, dir string) client {
	t.Helper()
	return &libtorrent{t: t, host: h, dir: dir}
}

func (c *libtorrent) join(_ context.Context, file *payload) error {
	script, err := filepath.Abs("libtorrent_client.py")
	if err != nil {
		return err
	}
	listen := netip.AddrPortFrom(c.host.addr, 51413).String()
	c.process = start(c.t, c.host.namespace, c.dir, &c.says, nil, python, script, file.path, c.dir, listen)
	return nil
}

func (c *libtorrent) left(_ context.Context, file *payload) (int64, error) {
	if err := c.alive(); err != nil {
		return 0, err
	}
	text := c.says.String()
	if text == "" {
		return file.length, nil
	}
	return strconv.ParseInt(text, 10, 64)
}

func (c *libtorrent) leave() { c.quit(syscall.SIGTERM) }

func (c *libtorrent) running() *process { return c.process }

// lastLine keeps the last whole line of what is written to it.
type lastLine struct {
	mu   sync.Mutex
	line string
	rest string
}

func (l *lastLine) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest += string(b)
	if end := strings.LastIndexByte(l.rest, '\n'); end >= 0 {
		whole := l.rest[:end]
		l.line, l.rest = whole[strings.LastIndexByte(whole, '\n')+1:], l.rest[end+1:]
	}
	return len(b), nil
}

func (l *lastLine) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.line
}
