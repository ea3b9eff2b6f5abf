//go:build lab

package lab

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/torrent"
)

// A payload is a file to be rolled out, and its torrent.
type payload struct {
	dir     string // that holds the file, and nothing else
	length  int64
	torrent []byte
	path    string // of the .torrent
	hash    bittorrent.InfoHash
}

const megabyte = 1_000_000

// newPayload makes a file of random bytes and a private torrent of it.
func newPayload(ctx context.Context, t *testing.T, length int64) *payload {
	t.Helper()
	p := &payload{dir: t.TempDir(), length: length}
	path := filepath.Join(p.dir, "file")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(f, rand.Reader, length); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return p.announcedTo(ctx, t, fmt.Sprintf("http://%s:%d/announce", trackerAddr, trackerPort))
}

// announcedTo returns the same file with a torrent that names another tracker.
func (p *payload) announcedTo(ctx context.Context, t *testing.T, url string) *payload {
	t.Helper()
	other := &payload{dir: p.dir, length: p.length, path: filepath.Join(t.TempDir(), "file.torrent")}
	var err error
	if other.torrent, err = torrent.Create(ctx, torrent.CreateOptions{
		Path: filepath.Join(p.dir, "file"), Private: true, Announce: [][]string{{url}},
	}); err != nil {
		t.Fatal(err)
	}
	m, err := torrent.Parse(other.torrent)
	if err != nil {
		t.Fatal(err)
	}
	other.hash = m.InfoHash()
	if err := os.WriteFile(other.path, other.torrent, 0o644); err != nil {
		t.Fatal(err)
	}
	return other
}

// startClient starts a client on a host.
type startClient func(t *testing.T, h *host, dir string) client

// A rollout is a file on its way to the hosts of a machine room.
type rollout struct {
	rig     *rig
	tracker *trackerProcess
	file    *payload
	members []*member // without the origin
	origin  *member

	began    time.Time // when the first joined; zero: none has
	moved    time.Time // when anybody last got anything
	patience time.Duration
	into     []int64 // that had come into each rack before
	out      int64   // that had left the origin's before
	last     []int64 // as of the last sample
	sampled  time.Time
	full     []float64
	busy     busy
}

// A member is a host of a roll-out.
type member struct {
	*host
	client client
	joined bool
	gone   bool          // it was killed, or has left
	left   int64         // bytes that it lacks
	moved  time.Time     // when it last got anything
	done   time.Duration // since the roll-out began; 0: it is not done
}

// How long nobody gets anything before a roll-out counts as stuck: longer than any
// client waits to announce again.
const (
	patienceOwn   = passiveInterval + passiveInterval/5
	patienceOther = 2*45*time.Second + 30*time.Second
)

// begin starts the tracker of a policy, the origin and all clients of a machine room.
// kind says which client a host has.
func begin(ctx context.Context, t *testing.T, r *rig, policy string, seed uint64, file *payload, kind func(*host) startClient) *rollout {
	t.Helper()
	ro := &rollout{rig: r, file: file, patience: patienceOther}
	if slices.Contains([]string{"strict", "balanced", "parity"}, policy) {
		ro.patience = patienceOwn
	}
	ro.tracker = startTracker(ctx, t, r, policy, seed, file.hash)
	seeding := t.TempDir()
	if err := os.Link(filepath.Join(file.dir, "file"), filepath.Join(seeding, "file")); err != nil {
		t.Fatal(err)
	}
	ro.origin = &member{host: r.origin, client: startTransmission(t, r.origin, seeding)}
	for _, hosts := range r.racks[1:] {
		for _, h := range hosts {
			ro.members = append(ro.members, &member{host: h, client: kind(h)(t, h, t.TempDir()), left: file.length})
		}
	}
	for _, m := range append(ro.members, ro.origin) {
		if c, ok := m.client.(*transmission); ok {
			if err := c.ready(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := ro.origin.client.join(ctx, file); err != nil {
		t.Fatal(err)
	}
	origin := func(n *note) bool { return n.From.Addr() == r.origin.addr && n.Left == 0 }
	if _, err := ro.tracker.log.await(ctx, ro.tracker.process, origin); err != nil {
		t.Fatalf("the origin does not announce that it has the file: %v", err)
	}
	return ro
}

// everywhere puts the same client on all hosts.
func everywhere(c startClient) func(*host) startClient {
	return func(*host) startClient { return c }
}

// join gives the torrent to hosts at the same moment.
func (ro *rollout) join(ctx context.Context, members ...*member) error {
	if ro.began.IsZero() {
		into, out, err := ro.rig.crossed()
		if err != nil {
			return err
		}
		now := time.Now()
		ro.into, ro.out, ro.last, ro.full = into, out[0], into, make([]float64, len(into))
		ro.began, ro.moved, ro.sampled = now, now, now
		ro.busy.begin()
	}
	return atOnce(members, func(m *member) error {
		m.joined = true
		return m.client.join(ctx, ro.file)
	})
}

// atOnce does something with all members at the same time.
func atOnce(members []*member, do func(*member) error) error {
	errs := make([]error, len(members))
	var all sync.WaitGroup
	for i, m := range members {
		all.Go(func() {
			if err := do(m); err != nil {
				errs[i] = fmt.Errorf("%s: %w", m, err)
			}
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// tick is how often clients are asked how far they are.
const tick = 500 * time.Millisecond

// watch follows the roll-out until over says so, all that have joined and live are
// done, or nobody has got anything for too long.
func (ro *rollout) watch(ctx context.Context, over func() bool) error {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for !over() && len(ro.waiting()) > 0 && time.Since(ro.moved) < ro.patience {
		select {
		case <-ctx.Done():
			return fmt.Errorf("interrupted, or go test's -timeout is too short: %w", ctx.Err())
		case <-ticker.C:
		}
		if err := ro.sample(); err != nil {
			return err
		}
		if err := atOnce(ro.waiting(), func(m *member) error { return ro.ask(ctx, m) }); err != nil {
			return err
		}
		for _, m := range ro.members {
			if m.moved.After(ro.moved) {
				ro.moved = m.moved
			}
		}
	}
	return nil
}

// waiting returns those that have joined, live and are not done.
func (ro *rollout) waiting() (members []*member) {
	for _, m := range ro.members {
		if m.joined && !m.gone && m.done == 0 {
			members = append(members, m)
		}
	}
	return members
}

// ask asks a member how far it is.
func (ro *rollout) ask(ctx context.Context, m *member) error {
	asking, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	left, err := m.client.left(asking, ro.file)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return m.client.running().alive() // it is busy, and is asked again
	}
	if err != nil {
		return err
	}
	if left < m.left {
		m.left, m.moved = left, time.Now()
	}
	if left == 0 {
		m.done = time.Since(ro.began)
	}
	return nil
}

// after returns a condition that holds some time after the roll-out began.
func (ro *rollout) after(d time.Duration) func() bool {
	return func() bool { return time.Since(ro.began) >= d }
}

func never() bool { return false }

// sample looks, about every second, at how full the uplinks are.
func (ro *rollout) sample() error {
	elapsed := time.Since(ro.sampled)
	if elapsed < time.Second-tick/2 {
		return nil
	}
	into, _, err := ro.rig.crossed()
	if err != nil {
		return err
	}
	for rack := range into {
		if bits := 8 * float64(into[rack]-ro.last[rack]); bits > 0.9*uplinkRate*elapsed.Seconds() {
			ro.full[rack] += elapsed.Seconds()
		}
	}
	ro.last, ro.sampled = into, time.Now()
	return nil
}

// end says what the roll-out came to, and ends it: nothing runs any more.
func (ro *rollout) end() (r result, err error) {
	into, out, err := ro.rig.crossed()
	if err != nil {
		return r, err
	}
	r.busy = ro.busy.share()
	length := float64(ro.file.length)
	for rack := 1; rack < len(into); rack++ {
		r.into = append(r.into, float64(into[rack]-ro.into[rack])/length)
	}
	r.origin, r.full, r.never = float64(out[0]-ro.out)/length, ro.full[1:], len(ro.waiting())
	for _, m := range ro.members {
		if m.done > 0 {
			r.done = append(r.done, m.done)
		}
	}
	slices.Sort(r.done)
	for _, m := range append(ro.members, ro.origin) {
		if p := m.client.running(); p != nil {
			p.kill()
		}
	}
	ro.tracker.kill()
	return r, nil
}

// kill ends members as if their hosts had lost their power, but that the connections
// of a process that is killed are closed.
func kill(members []*member) {
	for _, m := range members {
		m.gone = true
		m.client.running().kill()
	}
}

// busy measures what of the machine's processors is in use.
type busy struct{ idle, all int64 }

func (b *busy) begin() { b.idle, b.all = processorTimes() }

func (b *busy) share() float64 {
	idle, all := processorTimes()
	return 1 - float64(idle-b.idle)/float64(all-b.all)
}

// processorTimes returns how long processors had nothing to do, and how long there
// were any.
func processorTimes() (idle, all int64) {
	text, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(text), "\n")
	for i, field := range strings.Fields(line)[1:] {
		n, _ := strconv.ParseInt(field, 10, 64)
		if i < 8 { // what follows is counted in the others already
			all += n
		}
		if i == 3 || i == 4 {
			idle += n
		}
	}
	return idle, all
}
