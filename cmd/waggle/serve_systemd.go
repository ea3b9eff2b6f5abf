package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"waggle/bittorrent"
)

// What systemd is told of, by sd_notify(3).
const (
	notifyReady    = "READY=1"
	notifyStopping = "STOPPING=1"
	notifyWatchdog = "WATCHDOG=1"
)

// manager is systemd, where it started this process and wants to be told how it is. The
// zero value is told nothing.
type manager struct {
	conn     net.Conn
	watchdog time.Duration // after which it takes a silent process for dead; 0: never
	log      *slog.Logger
}

// openManager reaches who started this process, where the environment names one.
func openManager(ctx context.Context, environ []string, log *slog.Logger) (manager, error) {
	m := manager{log: log}
	var process string
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		switch name {
		case "NOTIFY_SOCKET": // @ before the name of one that is in no folder; Go reads it as such
			var dialer net.Dialer
			conn, err := dialer.DialContext(ctx, "unixgram", value)
			if err != nil {
				return manager{}, fmt.Errorf("NOTIFY_SOCKET: %w; unset it where no systemd is", err)
			}
			m.conn = conn
		case "WATCHDOG_USEC":
			usec, err := strconv.ParseInt(value, 10, 64)
			if err != nil || usec <= 0 {
				continue // sd_watchdog_enabled(3)
			}
			m.watchdog = time.Duration(usec) * time.Microsecond
		case "WATCHDOG_PID":
			process = value
		}
	}
	if m.conn == nil || process != "" && process != strconv.Itoa(os.Getpid()) {
		m.watchdog = 0
	}
	return m, nil
}

func (m *manager) tell(state string) {
	if m.conn == nil {
		return
	}
	if _, err := m.conn.Write([]byte(state)); err != nil {
		m.log.Warn("systemd was not told", "of", state, "error", err)
	}
}

// tellReloading tells that the configuration is read again, until notifyReady.
func (m *manager) tellReloading() { m.tell("RELOADING=1\n" + monotonic()) }

// keepAlive tells systemd twice in its time that works has returned, until ctx ends.
func (m *manager) keepAlive(ctx context.Context, works func()) {
	if m.watchdog == 0 {
		return
	}
	ticker := time.NewTicker(m.watchdog / 2)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			works()
			m.tell(notifyWatchdog)
		}
	}
}

// outlive keeps systemd told while files are closed, when nothing can be asked any more,
// until end is called.
func (m *manager) outlive() (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { m.keepAlive(ctx, func() {}) })
	return func() {
		cancel()
		group.Wait()
	}
}

func (m *manager) close() {
	if m.conn != nil {
		_ = m.conn.Close()
	}
}

// works returns once a torrent that nobody has could be looked for, as an announce would.
// A store on a network is not asked: to start again would not bring it back.
func (s *service) works() {
	if s.config.Store.Remote() {
		return
	}
	var hash [1]bittorrent.InfoHash
	_, _ = rand.Read(hash[0][:]) // never fails: crypto/rand
	var counts [1]bittorrent.ScrapeCounts
	if err := s.store.Scrape(context.Background(), hash[:], counts[:]); err != nil {
		s.log.Warn("the store did not answer this process itself", "error", err)
	}
}
