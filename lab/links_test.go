//go:build lab

package lab

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"waggle/bittorrent"
)

const (
	crowdSize     = 10_000 // peers that come while the leaf is cut off, half of them at it
	crowdBefore   = 2_000  // peers that are there before
	crowdTorrents = 200
	agreeLimit    = 5 * time.Second  // after the cable is back
	splitLimit    = 10 * time.Second // in which a cut is noticed
)

// A visit is the announces of one peer at one tracker. Times are parts of the whole, 0 to
// 1, in order; a peer that is done or leaves does so after it came.
type visit struct {
	at    float64
	hash  bittorrent.InfoHash
	port  uint16
	left  int64
	event bittorrent.Event
}

// A crowd is who comes to each tracker, and what all trackers count when that is over.
type crowd struct {
	random *rand.Rand
	hashes []bittorrent.InfoHash
	ports  map[int]uint16 // the last that was given, by tracker
	truth  map[bittorrent.InfoHash]bittorrent.ScrapeCounts
}

func newCrowd() *crowd {
	c := &crowd{random: rand.New(rand.NewPCG(1, 2)), ports: map[int]uint16{}, truth: map[bittorrent.InfoHash]bittorrent.ScrapeCounts{}}
	for i := range crowdTorrents {
		var h bittorrent.InfoHash
		binary.BigEndian.PutUint64(h[:], uint64(i+1)*0x9e3779b97f4a7c15)
		c.hashes = append(c.hashes, h)
	}
	return c
}

// visits returns what n peers do at a tracker: a third is done, and a quarter leaves.
func (c *crowd) visits(tracker, n int) (all []visit) {
	for range n {
		c.ports[tracker]++
		v := visit{at: c.random.Float64(), hash: c.hashes[c.random.IntN(len(c.hashes))], port: 1000 + c.ports[tracker], left: 1 << 20, event: bittorrent.EventStarted}
		all = append(all, v)
		counts := c.truth[v.hash]
		done, leaves := c.random.IntN(3) == 0, c.random.IntN(4) == 0
		if done {
			v.at, v.left, v.event = v.at+(1-v.at)*c.random.Float64(), 0, bittorrent.EventCompleted
			all = append(all, v)
			counts.Downloaded++
		}
		switch {
		case leaves:
			v.at, v.event = v.at+(1-v.at)*c.random.Float64(), bittorrent.EventStopped
			all = append(all, v)
		case done:
			counts.Complete++
		default:
			counts.Incomplete++
		}
		c.truth[v.hash] = counts
	}
	slices.SortStableFunc(all, func(a, b visit) int {
		switch {
		case a.at < b.at:
			return -1
		case a.at > b.at:
			return 1
		}
		return 0
	})
	return all
}

// play has peers announce at a tracker, over so long a time.
func play(ctx context.Context, n *node, all []visit, during time.Duration) error {
	c, err := newCaller(n.host)
	if err != nil {
		return err
	}
	defer c.close()
	began := time.Now()
	for i := range all {
		v := &all[i]
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Until(began.Add(time.Duration(v.at * float64(during))))):
		}
		a := bittorrent.AnnounceRequest{
			InfoHash: v.hash, PeerID: bittorrent.PeerID{n.host.addr.As4()[2], byte(v.port >> 8), byte(v.port)},
			Port: v.port, Left: v.left, NumWant: 1, Event: v.event,
		}
		if err := c.announce(&a); err != nil {
			return fmt.Errorf("%s: %w", n.name, err)
		}
	}
	return nil
}

// come has so many peers come to each tracker at the same time.
func (c *crowd) come(ctx context.Context, t *testing.T, nodes []*node, peers []int, during time.Duration) (announces int) {
	t.Helper()
	var group sync.WaitGroup
	errs := make([]error, len(nodes))
	for i, n := range nodes {
		all := c.visits(i, peers[i])
		announces += len(all)
		group.Go(func() { errs[i] = play(ctx, n, all, during) })
	}
	group.Wait()
	must(t, errors.Join(errs...))
	return announces
}

// differs returns how a tracker's counts are others than the truth: those that it answers
// a scrape with, and those that its console lists.
func (c *crowd) differs(ctx context.Context, n *node) error {
	listed, err := n.swarms(ctx)
	if err != nil {
		return err
	}
	maps.DeleteFunc(listed, func(h bittorrent.InfoHash, _ bittorrent.ScrapeCounts) bool { return !slices.Contains(c.hashes, h) })
	caller, err := newCaller(n.host)
	if err != nil {
		return err
	}
	defer caller.close()
	scraped, err := caller.scrape(c.hashes)
	if err != nil {
		return err
	}
	wrong := 0
	var first error
	for i, h := range c.hashes {
		scraped[i].Downloaders = 0 // the console has none
		if want := c.truth[h]; scraped[i] != want || listed[h] != want {
			wrong++
			if first == nil {
				first = fmt.Errorf("%v: scrape %+v, console %+v, want %+v", h, scraped[i], listed[h], want)
			}
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%s counts %d of %d torrents otherwise: %w", n.name, wrong, len(c.hashes), first)
	}
	return nil
}

// agree waits until all trackers count the truth, and returns how long after since that
// was for the last of them.
func (c *crowd) agree(ctx context.Context, nodes []*node, since time.Time, limit time.Duration) (time.Duration, error) {
	var group sync.WaitGroup
	errs := make([]error, len(nodes))
	for i, n := range nodes {
		group.Go(func() { errs[i] = n.eventually(ctx, limit, func() error { return c.differs(ctx, n) }) })
	}
	group.Wait()
	return time.Since(since), errors.Join(errs...)
}

// Four trackers, a hub and three leaves, each in a rack of its own. The uplink of one goes
// down while peers come, are done and leave on both sides, and a torrent is released.
func TestLeafThatWasCutOffAgreesWithAllWithinFiveSeconds(t *testing.T) {
	ctx := working(t)
	r := newRig(t, 1, 1, 1, 1)
	nodes := linkNodes(ctx, t, r)
	hub, cut := nodes[0], nodes[3]
	c := newCrowd()
	c.come(ctx, t, nodes, []int{crowdBefore / 4, crowdBefore / 4, crowdBefore / 4, crowdBefore / 4}, 3*time.Second)
	took, err := c.agree(ctx, nodes, time.Now(), agreeLimit)
	must(t, err)
	t.Logf("before the cut all agree after %v", took.Round(time.Millisecond))

	uplink := fmt.Sprint("up", cut.host.rack)
	run(t, "ip", "-n", r.name+"-fabric", "link", "set", uplink, "down")
	began := time.Now()
	must(t, hub.eventually(ctx, splitLimit, func() error {
		states, err := hub.linkStates(ctx)
		if is := states[cut.name]; err == nil && (is == "active" || is == "healing") {
			err = fmt.Errorf("the link is %s", is)
		}
		return err
	}))
	t.Logf("the hub noticed after %v", time.Since(began).Round(time.Millisecond))
	released, err := hub.writeTorrent(ctx, t.TempDir())
	must(t, err)
	var transfer struct {
		InfoHash string `json:"info_hash"`
	}
	must(t, hub.ask(ctx, http.MethodPost, "/api/v1/torrents?file=release.torrent", bytes.NewReader(released), &transfer))
	announces := c.come(ctx, t, nodes, []int{crowdSize / 6, crowdSize / 6, crowdSize / 6, crowdSize / 2}, time.Until(began.Add(*cutFor)))
	if err := c.differs(ctx, cut); err == nil {
		t.Fatal("the leaf knows all, so it was not cut off")
	}

	run(t, "ip", "-n", r.name+"-fabric", "link", "set", uplink, "up")
	back := time.Now()
	took, err = c.agree(ctx, nodes, back, time.Minute)
	must(t, err)
	t.Logf("cut off for %v, %d announces: all four agree %v after the cable is back", back.Sub(began).Round(time.Second), announces, took.Round(time.Millisecond))
	if took > agreeLimit {
		t.Errorf("that is more than %v", agreeLimit)
	}
	for _, n := range nodes {
		must(t, n.eventually(ctx, splitLimit, func() error { return n.get(ctx, "/api/v1/transfers/"+transfer.InfoHash, nil) }))
	}
	t.Logf("the release is at all four %v after the cable is back", time.Since(back).Round(time.Millisecond))
	must(t, hub.waitActive(ctx, splitLimit, 3))
}

// linkNodes starts a tracker in each rack but the origin's, and makes the first one the
// hub of the others.
func linkNodes(ctx context.Context, t *testing.T, r *rig) (nodes []*node) {
	t.Helper()
	hubHost := r.racks[1][0]
	hub := startNode(ctx, t, hubHost, "ams", "--link-listen", fmt.Sprintf("%v:%d", hubHost.addr, leafPort))
	nodes = append(nodes, hub)
	for i, name := range []string{"fra", "lon", "par"} {
		leaf := startNode(ctx, t, r.racks[2+i][0], name)
		line, err := hub.command(ctx, "", "link", "invite", name, "--share", "both")
		must(t, err)
		_, err = leaf.command(ctx, line, "link", "join", "-")
		must(t, err)
		nodes = append(nodes, leaf)
	}
	for _, leaf := range nodes[1:] {
		must(t, leaf.waitActive(ctx, startLimit, 1))
	}
	must(t, hub.waitActive(ctx, startLimit, 3))
	return nodes
}
