package core_test

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/link/core"
	"waggle/swarm"
)

var seedFlag = flag.Uint64("core.seed", 0, "replay this schedule alone, and tell what happens in it")

// TestLinkedTrackersAgreeAfterAnySchedule runs random schedules. One that fails is
// told by its seed: replay it with -core.seed.
func TestLinkedTrackersAgreeAfterAnySchedule(t *testing.T) {
	if *seedFlag != 0 {
		runSchedule(t, *seedFlag)
		return
	}
	var longest time.Duration
	for seed := uint64(1); seed <= schedules; seed++ {
		ok := t.Run(fmt.Sprint(seed), func(t *testing.T) { longest = max(longest, runSchedule(t, seed)) })
		if !ok {
			t.Fatalf("seed %d: replay it with -run TestLinkedTrackersAgree -core.seed %d", seed, seed)
		}
	}
	t.Logf("%d schedules; the slowest agreed %v after the network was whole", schedules, longest)
}

// client is a peer as it is in truth.
type client struct {
	hash    int
	peer    swarm.Peer
	tracker int // where it announced last
	life    int // of that tracker
	running bool
	sure    bool // its latest event is known to a tracker that remembers it
	last    time.Duration
	hopped  bool // it announced there right after it had stopped elsewhere
}

// scene is a schedule that is being played.
type scene struct {
	*world
	clients []*client
	counts  map[core.Origin]map[bittorrent.InfoHash]uint32 // by whom they were counted
	short   bool                                           // lifetimes are short
	skewed  bool                                           // clocks are apart
	verbose bool
}

func (s *scene) say(format string, args ...any) {
	if s.verbose {
		s.t.Logf("%8v "+format, append([]any{s.elapsed}, args...)...)
	}
}

func runSchedule(t *testing.T, seed uint64) time.Duration {
	s := newScene(t, seed)
	s.chaos()
	took := s.calm()
	s.check()
	// Clients announce again within their interval, to trackers that forgot them too.
	for _, c := range s.clients {
		if c.running {
			s.announce(c, c.tracker)
		}
	}
	s.run(3 * time.Second)
	s.agree(20 * time.Second)
	s.check()
	if s.short {
		s.outlive()
	}
	return took
}

// newScene draws trackers, links and clients.
func newScene(t *testing.T, seed uint64) *scene {
	s := &scene{world: newWorld(t, seed), counts: map[core.Origin]map[bittorrent.InfoHash]uint32{}, verbose: *seedFlag != 0}
	r := s.rng
	s.tick = 200 * time.Millisecond
	if s.short = r.IntN(5) == 0; s.short {
		s.lifetime = 60 * time.Second
	}
	size := 2 + r.IntN(5)
	parents := make([]int, size)
	degree := make([]int, size)
	for i := 1; i < size; i++ {
		parents[i] = r.IntN(i)
		degree[i]++
		degree[parents[i]]++
	}
	s.skewed = r.IntN(3) == 0
	lags := r.IntN(2) == 0
	for i := range size {
		var o core.Options
		if i > 0 && r.IntN(5) == 0 {
			o.Listed, o.Relay = true, degree[i] > 1
		}
		if r.IntN(6) == 0 {
			o.MaxWaiting = 5
		}
		tr := s.add(o)
		tr.lags = lags
		if s.skewed {
			tr.clock = time.Duration(r.IntN(7200)-3600) * time.Second
			tr.crash(false)
		}
		tr.hold()
	}
	for i := 1; i < size; i++ {
		s.wire(i, parents[i])
	}
	if size > 2 && r.IntN(4) == 0 {
		a := 1 + r.IntN(size-1)
		if b := r.IntN(size); b != a && b != parents[a] && parents[b] != a && !s.trackers[a].o.Listed && !s.trackers[b].o.Listed {
			s.wire(a, b)
		}
	}
	clients := 4 + r.IntN(40)
	if r.IntN(40) == 0 {
		clients = 700 // torrents that are compared in parts
		for _, wi := range s.wires {
			wi.perSecond *= 20
		}
	}
	for i := range clients {
		c := &client{hash: r.IntN(1 + r.IntN(len(hashes))), peer: peerAt(i, swarm.Leecher)}
		s.clients = append(s.clients, c)
	}
	s.weather = []weather{{}, {}, {loss: 0.01}, {loss: 0.05, twice: 0.05, late: 0.05}, {late: 0.1}}[r.IntN(5)]
	s.say("%d trackers, parents %v, short %v, skewed %v, lags %v, %+v, %d clients", size, parents, s.short, s.skewed, lags, s.weather, len(s.clients))
	return s
}

func (s *scene) wire(a, b int) {
	wi := s.join(s.trackers[a], s.trackers[b], open, open)
	wi.delay = time.Duration(1+s.rng.IntN(150)) * time.Millisecond
	if s.rng.IntN(5) == 0 {
		wi.perSecond = 2000 + s.rng.IntN(20000)
	}
}

// chaos lets anything happen for a while.
func (s *scene) chaos() {
	until := s.elapsed + time.Duration(20+s.rng.IntN(100))*time.Second
	for s.elapsed < until {
		s.run(time.Duration(s.rng.IntN(500)) * time.Millisecond)
		for range 1 + s.rng.IntN(4) + len(s.clients)/40 {
			s.step()
		}
	}
}

func (s *scene) step() {
	r := s.rng
	roll := r.IntN(1000)
	if len(s.clients) > 100 && r.IntN(20) != 0 {
		roll = 0
	}
	switch {
	case roll < 900:
		s.live(s.clients[r.IntN(len(s.clients))])
	case roll < 925:
		wi := s.wires[r.IntN(len(s.wires))]
		s.say("wire %d-%d shuts", wi.ends[0].tracker.at, wi.ends[1].tracker.at)
		wi.shut(nil)
	case roll < 945:
		wi := s.wires[r.IntN(len(s.wires))]
		wi.cut = true
		s.say("wire %d-%d is cut", wi.ends[0].tracker.at, wi.ends[1].tracker.at)
		wi.shut(nil)
		s.after(time.Duration(r.IntN(60))*time.Second, func() { wi.cut = false })
	case roll < 965:
		e := s.wires[r.IntN(len(s.wires))].ends[r.IntN(2)]
		s.say("wire %d-%d is half open", e.tracker.at, e.other.tracker.at)
		e.silent, e.other.silent = true, r.IntN(2) == 0
		s.after(time.Duration(r.IntN(30))*time.Second, func() { e.silent, e.other.silent = false, false })
	case roll < 975:
		tr := s.trackers[r.IntN(len(s.trackers))]
		if !tr.frozen {
			s.say("tracker %d freezes", tr.at)
			tr.finish()
			tr.frozen = true
			s.after(time.Duration(r.IntN(20))*time.Second, func() { tr.frozen = false })
		}
	case roll < 980:
		s.revoke(s.wires[r.IntN(len(s.wires))].ends[r.IntN(2)])
	case roll < 993:
		s.crash(s.trackers[r.IntN(len(s.trackers))], r.IntN(2) == 0)
	default:
		wi := s.wires[r.IntN(len(s.wires))]
		wi.delay = time.Duration(1+r.IntN(400)) * time.Millisecond
	}
}

// revoke forgets what came through a link, which then comes back: those that
// announced to trackers that still live are there again, but for those whose stop at
// another cannot be told from their announce by ages alone.
func (s *scene) revoke(e *end) {
	if e.tracker.frozen {
		return
	}
	s.say("tracker %d revokes %d", e.tracker.at, e.other.tracker.at)
	e.tracker.node.Revoke(e.tracker.now(), e.o.Name)
	for _, c := range s.clients {
		if c.life != s.trackers[c.tracker].life || c.hopped {
			c.sure = false
		}
	}
}

// crash ends a life. What only that tracker knew is lost without memory, and with it what
// happened within a second: stores keep no more.
func (s *scene) crash(tr *tracker, withMemory bool) {
	s.say("tracker %d crashes, memory %v", tr.at, withMemory)
	tr.frozen = false
	if !withMemory {
		s.counts = map[core.Origin]map[bittorrent.InfoHash]uint32{}
		for _, other := range s.trackers {
			if other == tr {
				continue
			}
			other.finish()
			for c := range other.node.Counters() {
				s.raise(c.Origin, c.Hash, c.Count)
			}
		}
	}
	tr.crash(withMemory)
	for _, c := range s.clients {
		if c.tracker == tr.at && (!withMemory || !c.running || c.hopped) {
			c.sure = false
		}
	}
}

// live lets a client do something.
func (s *scene) live(c *client) {
	r := s.rng
	if s.elapsed-c.last < 3*time.Second {
		return
	}
	at := c.tracker
	if !c.running || r.IntN(4) == 0 {
		at = r.IntN(len(s.trackers))
	}
	tr := s.trackers[at]
	if tr.frozen || !tr.holds(c.hash) {
		return
	}
	switch roll := r.IntN(10); {
	case !c.running || roll < 6:
		s.announce(c, at)
	case roll < 8:
		s.stop(c)
		if !s.skewed && r.IntN(2) == 0 {
			s.hop(c)
		}
	case c.peer.Kind == swarm.Leecher:
		c.peer.Kind, c.peer.Left = swarm.Seeder, 0
		s.announce(c, at)
		s.complete(c)
	}
}

func (s *scene) announce(c *client, at int) {
	s.say("%v of torrent %d announces to %d", c.peer.Addr, c.hash, at)
	tr := s.trackers[at]
	if !c.running && s.rng.IntN(3) == 0 {
		c.peer.Key++
		c.peer.ID[19]++
		c.peer.Kind, c.peer.Left = swarm.Leecher, 5000
	}
	c.running, c.tracker, c.life, c.sure, c.last, c.hopped = true, at, tr.life, true, s.elapsed, false
	c.peer.Uploaded += 1000
	tr.announce(hashes[c.hash], c.peer)
}

func (s *scene) complete(c *client) {
	tr := s.trackers[c.tracker]
	counter := tr.o.Counter
	if counter == 0 {
		counter = tr.o.Origin
	}
	s.raise(counter, hashes[c.hash], s.counts[counter][hashes[c.hash]]+1)
	tr.complete(hashes[c.hash])
}

// raise notes how many downloads an origin has counted.
func (s *scene) raise(o core.Origin, h bittorrent.InfoHash, count uint32) {
	if s.counts[o] == nil {
		s.counts[o] = map[bittorrent.InfoHash]uint32{}
	}
	s.counts[o][h] = max(s.counts[o][h], count)
}

func (s *scene) stop(c *client) {
	tr := s.trackers[c.tracker]
	if tr.frozen {
		return
	}
	s.say("%v of torrent %d stops at %d", c.peer.Addr, c.hash, c.tracker)
	// Just before its lifetime ends, a stop looks like its end.
	at := place{hash: hashes[c.hash], addr: c.peer.Addr}
	early := tr.now().Sub(tr.store[at].Last) < s.lifetime-3*time.Second
	c.running, c.last = false, s.elapsed
	c.sure = tr.gone(at) && early
}

// hop lets a client that has just stopped announce to another tracker at once: it is
// there, however the two news of it meet.
func (s *scene) hop(c *client) {
	life := s.trackers[c.tracker].life
	at := s.rng.IntN(len(s.trackers))
	s.after(time.Duration(30+s.rng.IntN(40))*time.Millisecond, func() {
		if tr := s.trackers[at]; !c.running && !tr.frozen && tr.holds(c.hash) && s.trackers[c.tracker].life == life {
			s.announce(c, at)
			c.hopped = true
		}
	})
}

// calm makes the network whole, waits until all agree, and returns for how long.
func (s *scene) calm() time.Duration {
	s.say("all is well from now on")
	s.weather = weather{}
	for _, wi := range s.wires {
		wi.cut, wi.ends[0].silent, wi.ends[1].silent = false, false, false
	}
	for _, tr := range s.trackers {
		tr.frozen = false
	}
	s.run(200 * time.Millisecond) // what was begun
	// What expires meanwhile must not be what they differ in.
	if s.short {
		for _, c := range s.clients {
			if c.running {
				s.announce(c, c.tracker)
			}
		}
	}
	return s.settle()
}

// settle waits until all agree, and checks that they go on to.
func (s *scene) settle() time.Duration {
	took := s.agree(healTime)
	s.run(5 * time.Second)
	if s.short {
		s.agree(s.lifetime + 70*time.Second) // peers of the dead end meanwhile
	} else if d := s.disagreement(); d != "" {
		s.t.Fatalf("they agreed, and do not any more: %s", d)
	}
	return took
}

// healTime is the most that trackers may need to agree: to notice a half-open
// connection, to connect again, to heal, over links of 2 kB/s.
const healTime = 40 * time.Second
