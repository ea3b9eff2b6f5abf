package shared

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"waggle/bittorrent"
	"waggle/locality"
	"waggle/roster"
	"waggle/swarm"
)

// Host is the store that the replicas belong to, which keeps the peers themselves.
type Host interface {
	// Drop forgets peers of a torrent that are gone, each unless the store has heard of
	// it after Last, in whole seconds: another tracker may have. It returns the addresses
	// of those that it does not have any more, or never had, and does not call the
	// replicas.
	Drop(ctx context.Context, h bittorrent.InfoHash, gone []Gone) (dropped []netip.AddrPort, err error)
}

// Gone is a peer that is silent or dead.
type Gone struct {
	Addr netip.AddrPort
	Last time.Time // when a tracker heard of it last, as far as the replica knows
}

// Options of replicas. The zero value works, without locality.
type Options struct {
	// Budget bounds the importers of a rack over all torrents that this tracker has in
	// memory; nil: no bound. Roles that other trackers gave count, even beyond it.
	Budget *roster.Budget

	// Group returns the group of a path of locations, made if it is new; nil: there are
	// no locations. A peer at a path that it refuses counts as unlocated.
	Group func(path string) (*locality.Group, error)

	// Seed is what choices follow from. It should be the same in all trackers, so that
	// a peer is told of the same neighbours by each.
	Seed [2]uint64

	// MaxReplicas is how many torrents with located peers are held in memory; others are
	// asked for anew when they are needed. 0 means 10,000.
	MaxReplicas int

	// MaxMembers is how many located peers are held of all torrents together, each about
	// 1 KiB, and where a torrent takes no more in. One to which others took in more than
	// an eighth beyond it is refused. 0 means 500,000.
	MaxMembers int

	// MaxWaiting is how many announces may wait; more are refused. 0 means 8,192.
	MaxWaiting int

	// Idle is for how long a torrent stays in memory, and is tended, after the last
	// announce here. 0 means 10 minutes.
	Idle time.Duration

	Now func() time.Time // nil: the system's
	Log *slog.Logger     // nil: no log
}

// mostMembers is the most members of a torrent that are held: more than newcomers may
// become, so that trackers that take in the last ones at once do not shut all out.
func (o *Options) mostMembers() int { return o.MaxMembers + o.MaxMembers/8 + 8*batchSize }

func (o *Options) complete() {
	defaults := func(n *int, otherwise int) {
		if *n <= 0 {
			*n = otherwise
		}
	}
	defaults(&o.MaxReplicas, 10_000)
	defaults(&o.MaxMembers, 500_000)
	defaults(&o.MaxWaiting, 8192)
	if o.Idle <= 0 {
		o.Idle = 10 * time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// Replicas are the rosters of the torrents that have located peers, as this tracker
// has them, in step with those of all others on the same [Map]. A store with one is a
// [roster.Store]. All methods may be called concurrently.
type Replicas struct {
	m       Map
	host    Host
	o       Options
	waiting atomic.Int64 // announces and tasks
	figures figures
	unknown sync.Once // says that a location is not known here

	life    sync.Mutex
	closed  bool
	running sync.WaitGroup
	ctx     context.Context // ends with Close
	end     context.CancelFunc

	mu      sync.Mutex // taken before that of a queue, which is taken before others
	all     *simplelru.LRU[bittorrent.InfoHash, *replica]
	members int64 // of all
	random  *rand.Rand
}

type figures struct{ steps, loads, commits, conflicts, lost atomic.Uint64 }

// Figures count what replicas did since they were made.
type Figures struct {
	Replicas  int    // torrents in memory
	Waiting   int    // announces and the like that wait for their turn
	Members   int    // their located peers
	Steps     uint64 // updates of the Map: what it costs
	Loads     uint64 // of them, those that asked for all of a torrent
	Commits   uint64 // of them, those that wrote records
	Conflicts uint64 // commits that were refused, because of another one
	Lost      uint64 // decisions that were given up after too many conflicts
}

// New returns replicas over a Map, for a store that keeps the peers.
func New(m Map, host Host, o Options) *Replicas {
	o.complete()
	s := &Replicas{m: m, host: host, o: o, random: rand.New(rand.NewPCG(o.Seed[0], o.Seed[1]^0x9e3779b97f4a7c15))}
	s.ctx, s.end = context.WithCancel(context.Background())
	s.all, _ = simplelru.NewLRU(o.MaxReplicas, func(_ bittorrent.InfoHash, r *replica) { s.evict(r) }) // it fails where there is no room
	return s
}

// Close ends what is under way, and forgets all replicas. What is asked afterwards
// fails.
func (s *Replicas) Close() error {
	s.life.Lock()
	s.closed = true
	s.life.Unlock()
	s.end()
	s.running.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all.Purge()
	return nil
}

// start runs something until it ends, which Close waits for; false: it is closed.
func (s *Replicas) start(run func(context.Context)) bool {
	s.life.Lock()
	defer s.life.Unlock()
	if s.closed {
		return false
	}
	s.running.Go(func() { run(s.ctx) })
	return true
}

// replica returns the replica of a torrent, made if it is new.
func (s *Replicas) replica(h bittorrent.InfoHash) *replica {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, has := s.all.Get(h); has {
		return r
	}
	r := s.newReplica(h)
	s.all.Add(h, r)
	return r
}

// held returns the replica of a torrent if it is in memory.
func (s *Replicas) held(h bittorrent.InfoHash) *replica {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, _ := s.all.Peek(h)
	return r
}

// Holds reports whether a torrent is in memory and had located peers when it was asked
// for last.
func (s *Replicas) Holds(h bittorrent.InfoHash) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, _ := s.all.Peek(h)
	return r != nil && r.counted > 0
}

// each returns all replicas.
func (s *Replicas) each() []*replica {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.Values()
}

// evict is called where a replica is not among the others any more, under the lock. It
// forgets what it knows when nothing waits for it.
func (s *Replicas) evict(r *replica) {
	s.members -= r.counted
	r.counted = 0
	r.evicted.Store(true)
	r.restIdle()
}

// restIdle lets a replica rest that nothing waits for.
func (r *replica) restIdle() {
	r.queue.mu.Lock()
	defer r.queue.mu.Unlock()
	if !r.queue.running {
		r.rest()
	}
}

// account counts the members of a replica anew, and makes room where all have too many.
// It is for the goroutine of the replica's queue.
func (s *Replicas) account(r *replica) {
	r.state.Lock()
	n := int64(r.truth.size())
	blank := n == 0 && r.failure == nil
	r.state.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if now, _ := s.all.Peek(r.hash); now != r {
		return
	}
	s.members += n - r.counted
	r.counted = n
	if blank {
		s.all.Remove(r.hash)
	}
	for s.members > int64(s.o.MaxMembers) && s.all.Len() > 1 {
		s.all.RemoveOldest()
	}
}

// drop takes a replica out of memory.
func (s *Replicas) drop(r *replica) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now, _ := s.all.Peek(r.hash); now == r {
		s.all.Remove(r.hash)
	}
}

// locate returns the group of a path.
func (s *Replicas) locate(path string) (*locality.Group, bool) {
	if s.o.Group == nil {
		return nil, false
	}
	g, err := s.o.Group(path)
	if err != nil {
		s.unknown.Do(func() {
			s.o.Log.Warn("another tracker knows a location that this one does not: give all the same levels and limits; until then its peers count as unlocated here", "error", err)
		})
		return nil, false
	}
	return g, true
}

// selector returns one with a seed of its own.
func (s *Replicas) selector() swarm.Selector {
	return swarm.NewSelector(s.random.Uint64(), s.o.Seed[1])
}

// Bounds of the time that a step is taken to need.
const (
	shortStep = time.Millisecond
	longStep  = 100 * time.Millisecond
)

// pause waits before a decision is made anew: up to as long as a step takes, twice as
// long each time.
func (s *Replicas) pause(ctx context.Context, step time.Duration, try int) {
	s.mu.Lock()
	part := s.random.Float64()
	s.mu.Unlock()
	most := min(max(step, shortStep), longStep) << min(try, 4)
	wait := time.NewTimer(time.Duration(part * float64(most)))
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
	}
}

// Figures returns what was done.
func (s *Replicas) Figures() Figures {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := &s.figures
	return Figures{
		Replicas: s.all.Len(), Waiting: int(s.waiting.Load()), Members: int(s.members), Steps: f.steps.Load(), Loads: f.loads.Load(),
		Commits: f.commits.Load(), Conflicts: f.conflicts.Load(), Lost: f.lost.Load(),
	}
}
