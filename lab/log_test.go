//go:build lab

package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"waggle/bittorrent"
)

// A trackerProcess is the tracker under test, as seen from outside.
type trackerProcess struct {
	*process
	policy string
	log    *log
}

const trackerPort = 6969

// startTracker starts a tracker in the core of a machine room.
func startTracker(ctx context.Context, t *testing.T, r *rig, policy string, seed uint64, hash bittorrent.InfoHash) *trackerProcess {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(orders{
		Policy: policy, Seed: seed, Racks: len(r.racks), InfoHash: hash, Listen: fmt.Sprintf("%s:%d", trackerAddr, trackerPort),
	})
	if err != nil {
		t.Fatal(err)
	}
	tr := &trackerProcess{policy: policy, log: newLog(t)}
	tr.process = start(t, r.name+"-core", scratch, tr.log, []string{trackerOrders + "=" + string(text)}, self)
	if _, err := tr.log.await(ctx, tr.process, func(n *note) bool { return n.Ready }); err != nil {
		t.Fatalf("the tracker does not start: %v: %s", err, tr.stderr.String())
	}
	return tr
}

// places asks what the roster has of each rack; there is nothing where the tracker
// has none.
func (tr *trackerProcess) places(ctx context.Context) (map[string]place, error) {
	seen := tr.log.len()
	if _, err := fmt.Fprintln(tr.stdin); err != nil {
		return nil, err
	}
	n, err := tr.log.await(ctx, tr.process, func(n *note) bool { return len(n.Places) > 0 }, seen)
	if err != nil {
		return nil, err
	}
	byRack := map[string]place{}
	for _, p := range n.Places {
		byRack[p.Rack] = p
	}
	return byRack, nil
}

// representatives returns who of a rack may cross its uplink now, and those who stand
// by. p2ptracker's are the first that announced.
func (tr *trackerProcess) representatives(ctx context.Context, rack int) (now, standby []netip.Addr, err error) {
	if tr.policy == "p2ptracker" {
		return tr.log.first(rack, 2), nil, nil
	}
	places, err := tr.places(ctx)
	if err != nil {
		return nil, nil, err
	}
	p := places[fmt.Sprintf("rack%d", rack)]
	for _, addr := range slices.Concat(p.Importers, p.Exporters) {
		now = append(now, addr.Addr())
	}
	for _, addr := range p.Standbys {
		standby = append(standby, addr.Addr())
	}
	return now, standby, nil
}

// A log is what a tracker has written down.
type log struct {
	mu    sync.Mutex
	rest  []byte // of a line that is not whole yet
	notes []note
	more  chan struct{} // closed when there is more
	file  *os.File      // nil, or what keeps it
	show  func(...any)  // nil, or what prints it
}

func newLog(t *testing.T) *log {
	l := &log{more: make(chan struct{})}
	if *verbose {
		l.show = t.Log
	}
	if *keepIn != "" {
		name := strings.ReplaceAll(t.Name(), "/", "-")
		f, err := os.CreateTemp(*keepIn, name+"-*.jsonl")
		if err != nil {
			t.Fatal(err)
		}
		l.file = f
		t.Cleanup(func() { _ = f.Close() })
	}
	return l
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		_, _ = l.file.Write(b)
	}
	l.rest = append(l.rest, b...)
	for {
		line, rest, whole := bytes.Cut(l.rest, []byte("\n"))
		if !whole {
			return len(b), nil
		}
		l.rest = rest
		var n note
		if err := json.Unmarshal(line, &n); err != nil {
			return 0, fmt.Errorf("the tracker wrote %q: %w", line, err)
		}
		if l.show != nil {
			l.show(string(line))
		}
		l.notes = append(l.notes, n)
		close(l.more)
		l.more = make(chan struct{})
	}
}

func (l *log) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.notes)
}

// await returns the first note, after so many, that is as wanted.
func (l *log) await(ctx context.Context, p *process, wanted func(*note) bool, after ...int) (note, error) {
	at := 0
	if len(after) > 0 {
		at = after[0]
	}
	limit := time.After(30 * time.Second)
	for {
		l.mu.Lock()
		more, notes := l.more, l.notes
		l.mu.Unlock()
		for ; at < len(notes); at++ {
			if wanted(&notes[at]) {
				return notes[at], nil
			}
		}
		select {
		case <-more:
		case <-p.exited:
			return note{}, fmt.Errorf("it ended: %v", p.cmd.ProcessState)
		case <-limit:
			return note{}, fmt.Errorf("it wrote nothing such within 30 seconds")
		case <-ctx.Done():
			return note{}, ctx.Err()
		}
	}
}

// first returns the first n addresses of a rack that announced.
func (l *log) first(rack, n int) (hosts []netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.notes {
		ip := l.notes[i].From.Addr()
		if ip.IsValid() && int(ip.As4()[2]) == rack && len(hosts) < n && !slices.Contains(hosts, ip) {
			hosts = append(hosts, ip)
		}
	}
	return hosts
}
