package shared_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"waggle/bittorrent"
	"waggle/roster"
	"waggle/store/shared"
	"waggle/swarm"
)

// history is a random one of a torrent that several trackers serve, whose steps meet
// between each other, fail, and lose their answers. What must hold of a roster
// (roster/invariants_test.go) holds of what the Map has after each step, and each
// tracker has the same.
type history struct {
	*cluster
	paths []string
	peers []*peer
	known map[netip.AddrPort]*peer // and those that left
	next  int
	last  map[netip.AddrPort]roster.Member // of the check before

	// Of the action under way.
	steps     int             // of the Map
	between   map[int]func()  // what comes before a step
	fails     map[int]failure // steps
	wrong     error           // of what came between
	nested    bool            // something comes between now
	disturbed bool            // something did, or failed
}

type failure int

const (
	notWritten failure = iota // the step fails and writes nothing
	busy                      // so it does, for the server is busy
	lostAnswer                // it fails and was written
	lostBusy                  // it fails for the server is busy, and was written
)

var errServer = errors.New("the server is away")

func newHistory(t *testing.T, rt *rapid.T) *history {
	levels, paths := []string{"rack"}, []string{"r1", "r2", "r3"}
	if rapid.Bool().Draw(rt, "two levels") {
		levels, paths = []string{"row", "rack"}, []string{"a/r1", "a/r2", "b/r1", "b/r2", "b/r3"}
	}
	trackers := rapid.SampledFrom([]int{1, 2, 2, 4}).Draw(rt, "trackers")
	h := &history{cluster: newCluster(t, trackers, rapid.SampledFrom(swarm.Profiles).Draw(rt, "profile"), levels...), paths: append(paths, ""), known: map[netip.AddrPort]*peer{}}
	h.m.Keep = rapid.SampledFrom([]int{0, 0, 1}).Draw(rt, "keep")
	h.m.Before = func(context.Context, *shared.Update) error { return h.beforeStep() }
	h.m.After = func(context.Context, *shared.Update, *shared.Answer) error { return h.afterStep() }
	return h
}

func (h *history) close() {
	for _, s := range h.trackers {
		_ = s.Close()
	}
}

func (h *history) beforeStep() error {
	if h.nested {
		return nil
	}
	h.steps++
	if other := h.between[h.steps]; other != nil {
		h.nested, h.disturbed = true, true
		other()
		h.nested = false
	}
	if f, fails := h.fails[h.steps]; fails && f < lostAnswer {
		return h.fail(f)
	}
	return nil
}

func (h *history) fail(f failure) error {
	if h.disturbed = true; f == busy || f == lostBusy {
		return swarm.ErrBusy
	}
	return errServer
}

func (h *history) afterStep() error {
	if f, fails := h.fails[h.steps]; fails && f >= lostAnswer && !h.nested {
		return h.fail(f)
	}
	return nil
}

// draw draws what disturbs an action of a tracker, and returns the tracker.
func (h *history) draw(t *rapid.T) int {
	n := rapid.IntRange(0, len(h.trackers)-1).Draw(t, "tracker")
	h.steps, h.disturbed, h.between, h.fails = 0, false, map[int]func(){}, map[int]failure{}
	if len(h.trackers) > 1 && rapid.IntRange(0, 1).Draw(t, "meets") == 1 {
		for range rapid.IntRange(1, 3).Draw(t, "times") {
			h.between[rapid.IntRange(1, 4).Draw(t, "before step")] = h.drawOther(t, n)
		}
	}
	if rapid.IntRange(0, 5).Draw(t, "fails") == 0 {
		h.fails[rapid.IntRange(1, 3).Draw(t, "step")] = failure(rapid.IntRange(0, 3).Draw(t, "how"))
	}
	return n
}

// drawOther draws what a tracker that is not n does between the steps of n.
func (h *history) drawOther(t *rapid.T, n int) func() {
	other := h.trackers[(n+rapid.IntRange(1, len(h.trackers)-1).Draw(t, "other"))%len(h.trackers)]
	c := h.drawPeer(t)
	got := rapid.SampledFrom([]int64{0, 100, fileSize}).Draw(t, "bytes")
	stops := rapid.IntRange(0, 3).Draw(t, "stops") == 0
	return func() {
		h.pass(time.Millisecond)
		if !c.partial {
			c.get(got)
		}
		a := h.announceOf(c)
		if stops {
			a.Event = bittorrent.EventStopped
			h.forget(c)
		} else if !slices.Contains(h.peers, c) {
			h.peers = append(h.peers, c)
		}
		if _, err := h.try(other, a); err != nil {
			h.wrong = fmt.Errorf("what came between: %w", err)
		}
	}
}

func (h *history) forget(c *peer) {
	h.peers = slices.DeleteFunc(h.peers, func(p *peer) bool { return p == c })
}

// drawPeer draws one that is there, or a new one.
func (h *history) drawPeer(t *rapid.T) *peer {
	if len(h.peers) > 0 && (len(h.peers) >= 24 || rapid.IntRange(0, 2).Draw(t, "known") > 0) {
		return rapid.SampledFrom(h.peers).Draw(t, "peer")
	}
	h.next++
	c := leecher(h.next, rapid.SampledFrom(h.paths).Draw(t, "path"))
	h.known[c.addr] = c
	switch rapid.IntRange(0, 7).Draw(t, "has") {
	case 0:
		c.left = 0
	case 1:
		c.left = fileSize / 2
	case 2:
		c.partial, c.left = true, fileSize/2
	}
	return c
}

func (h *history) announce(t *rapid.T) {
	c := h.drawPeer(t)
	if !slices.Contains(h.peers, c) {
		h.peers = append(h.peers, c)
	}
	if got := rapid.SampledFrom([]int64{0, 0, 100, fileSize}).Draw(t, "bytes"); !c.partial {
		c.get(got)
		c.uploaded += got
	}
	h.announceAt(t, h.draw(t), c)
}

func (h *history) announceAt(t *rapid.T, n int, c *peer) {
	r, err := h.try(h.trackers[n], h.announceOf(c))
	switch {
	case err == nil:
		h.checkTold(t, c, told(r))
	case !h.disturbed || !errors.Is(err, errServer) && !errors.Is(err, swarm.ErrBusy):
		t.Fatalf("%v", err)
	}
}

func (h *history) move(t *rapid.T) {
	c := h.drawPeer(t)
	c.path = rapid.SampledFrom(h.paths).Draw(t, "new path")
	if !slices.Contains(h.peers, c) {
		h.peers = append(h.peers, c)
	}
	h.announceAt(t, h.draw(t), c)
}

func (h *history) leave(t *rapid.T) {
	c := h.drawPeer(t)
	a := h.announceOf(c)
	a.Event = bittorrent.EventStopped
	h.forget(c)
	if _, err := h.try(h.trackers[h.draw(t)], a); err != nil && !h.disturbed {
		t.Fatalf("%v", err)
	}
}

// stall lets one get nothing for a while, as all others go on.
func (h *history) stall(t *rapid.T) {
	if len(h.peers) == 0 {
		return
	}
	c := rapid.SampledFrom(h.peers).Draw(t, "stalls")
	n := h.draw(t)
	for range 3 {
		h.pass(15 * time.Second)
		for _, other := range slices.Clone(h.peers) {
			if other != c {
				other.uploaded++
			}
			h.announceAt(t, n, other)
		}
	}
}

// silence lets time pass, and trackers forget who was silent.
func (h *history) silence(t *rapid.T) {
	h.pass(time.Duration(rapid.SampledFrom([]int{1, 15, 40, 700}).Draw(t, "seconds")) * time.Second)
	n := h.draw(t)
	for i := range h.trackers {
		if _, err := h.trackers[(n+i)%len(h.trackers)].Tend(context.Background(), h.clock(), 0); err != nil && !h.disturbed {
			t.Fatalf("%v", err)
		}
		h.between, h.fails = nil, nil // which were for tracker n
	}
	h.peers = slices.DeleteFunc(h.peers, func(c *peer) bool { return !h.host.has(c.addr) })
}

func (h *history) probe(t *rapid.T) {
	if len(h.peers) == 0 {
		return
	}
	c := rapid.SampledFrom(h.peers).Draw(t, "probed")
	n := h.draw(t)
	for range 3 {
		alive := rapid.Bool().Draw(t, "alive")
		dead, err := h.trackers[n].Probed(context.Background(), roster.Probe{InfoHash: torrent, Addr: c.addr}, alive)
		if err != nil && !h.disturbed || dead && alive {
			t.Fatalf("dead %v, %v", dead, err)
		}
	}
	if !h.host.has(c.addr) {
		h.forget(c)
	}
}

// expire lets the store forget somebody by itself.
func (h *history) expire(t *rapid.T) {
	if len(h.peers) == 0 {
		return
	}
	c := rapid.SampledFrom(h.peers).Draw(t, "expires")
	h.forget(c)
	a := h.announceOf(c)
	a.Event = bittorrent.EventStopped
	h.host.record(a)
	if err := h.trackers[h.draw(t)].Remove(context.Background(), torrent, []netip.AddrPort{c.addr}, h.clock().Add(time.Second)); err != nil && !h.disturbed {
		t.Fatalf("%v", err)
	}
}

// die replaces a tracker by one that knows nothing.
func (h *history) die(t *rapid.T) {
	n := rapid.IntRange(0, len(h.trackers)-1).Draw(t, "dies")
	_ = h.trackers[n].Close()
	h.trackers[n] = h.tracker()
}

// everybody lets all announce three times, getting little: then nobody starves that
// need not.
func (h *history) everybody(t *rapid.T) {
	h.between, h.fails, h.disturbed = nil, nil, false
	for i := range 3 {
		h.pass(time.Second)
		for n, c := range slices.Clone(h.peers) {
			if c.left > 1 && !c.partial {
				c.get(1)
			}
			h.announceAt(t, (n+i)%len(h.trackers), c)
		}
	}
	seeded := slices.ContainsFunc(h.peers, func(c *peer) bool { return c.left == 0 })
	places, err := h.trackers[0].Places(context.Background(), torrent)
	for _, p := range places {
		if seeded && p.Starving || err != nil {
			t.Fatalf("%s starves although there is a seeder (%v):%s", p.Group.Path(), err, dump(h.truthOf(t)))
		}
	}
}
