package simulate

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// world is one run: the hosts, their connections, the network and the tracker.
type world struct {
	o       *Options
	tracker contender
	random  *rand.Rand

	nodes []node
	hosts []host
	edges []edge
	free  []int32 // pairs of edges that nobody uses

	pieces   int
	pieceLen int64
	words    int // of a set of pieces

	now     time.Duration // since the first host started
	tick    time.Duration
	salt    uint64 // breaks ties between pieces
	network network
	done    []finished // pieces of the tick under way
	origin  int32

	announce  swarm.Announce
	reply     swarm.Reply
	announces int
	moved     time.Duration // when anything was transferred last
	order     []int32       // in which hosts are looked at
	events    []Event       // those to come
	ranked    []rank        // reused
	crossed   []crossing
	completed []int32       // hosts that have not told the tracker yet
	probes    time.Duration // the next time
	report    *Report
}

type state uint8

const (
	waiting state = iota // has not started
	up
	gone // was killed, or left
)

type host struct {
	rack     int32
	state    state
	complete bool
	killed   bool
	slow     bool // announces every 300 seconds at most
	starts   time.Duration
	finished time.Duration
	leaves   time.Duration // once its time as a seed is over; 0: never

	have, taken []uint64 // sets of pieces: verified, and those under way too
	rarity      []uint16 // how many neighbours have a piece
	missing     int
	parts       []part
	freeParts   []int32

	conns      []int32 // edges to neighbours
	slots      []int32 // those of them that are unchoked
	optimistic int32   // one of these; -1: none
	rechokes   int
	rechoke    time.Duration // the next time
	turn       int           // where the search for somebody to unchoke goes on
	pool       []int32       // hosts that it was told of and is not connected to

	next      time.Duration // of its announces
	got, gave float64       // bytes
}

// part is a piece under way: what is left of it, and from how many neighbours it
// comes, none of them if they were lost.
type part struct {
	piece   int32 // -1: free
	workers int32
	left    float64 // bytes
}

// edge is one direction of a connection, of a pair of which the other is e^1.
type edge struct {
	to       int32
	part     int32 // of the receiving host's; -1: nothing is under way
	unchoked bool
	given    float64 // bytes since the receiver last chose whom to unchoke
	total    float64 // bytes
}

type finished struct{ host, piece int32 }

// crossing is what a connection between groups carried that is closed.
type crossing struct {
	from, to int32
	bytes    float64
}

// set reports whether a set has a number.
func set(s []uint64, i int32) bool { return s[i>>6]>>(i&63)&1 != 0 }
func put(s []uint64, i int32)      { s[i>>6] |= 1 << (i & 63) }

// newWorld sets everything up, nobody having started.
func newWorld(o *Options, c contender) (*world, error) {
	nodes, err := o.Topology.lay()
	if err != nil {
		return nil, err
	}
	w := &world{
		o: o, tracker: c, nodes: nodes, random: rand.New(rand.NewPCG(o.Seed, 0x77616767)),
		pieceLen: o.Piece, pieces: int((o.Size + o.Piece - 1) / o.Piece),
	}
	w.words = (w.pieces + 63) / 64
	fastest := int64(0)
	for i := range nodes {
		if nodes[i].height == 1 {
			fastest = max(fastest, nodes[i].host.Up, nodes[i].host.Down)
			for range nodes[i].hosts {
				w.hosts = append(w.hosts, host{rack: int32(i), optimistic: -1, finished: -1})
			}
		}
	}
	w.tick = tickFor(o.Piece, o.Size, fastest)
	w.outfit()
	w.network = newNetwork(w)
	w.events = slices.Clone(o.Events)
	slices.SortStableFunc(w.events, func(a, b Event) int { return int(a.At - b.At) })
	w.announce = swarm.Announce{Families: swarm.IPv4, Policy: c.policy}
	w.announce.InfoHash = bittorrent.InfoHash{byte(o.Seed), 'w', 'a', 'g', 'g', 'l', 'e'}
	w.announce.NumWant = int32(o.NumWant)
	return w, nil
}

// tickFor returns how far time goes on at a step: about as long as a host takes for
// two pieces, so that a piece that is shared out over slots takes some steps.
func tickFor(piece, size, fastest int64) time.Duration {
	seconds := max(2*float64(piece), float64(size)/500) / float64(fastest)
	tick := time.Duration(math.Ceil(seconds*1000)) * time.Millisecond
	return min(max(tick, time.Millisecond), time.Second)
}

// outfit gives the hosts their memory, and says when they start. The first host of
// all is the origin.
func (w *world) outfit() {
	n := len(w.hosts)
	sets := make([]uint64, 2*n*w.words)
	rarity := make([]uint16, n*w.pieces)
	late := w.random.Perm(n)
	lateHosts := int(math.Round(w.o.Late.Share * float64(n)))
	for i := range w.hosts {
		h := &w.hosts[i]
		h.have, sets = sets[:w.words:w.words], sets[w.words:]
		h.taken, sets = sets[:w.words:w.words], sets[w.words:]
		h.rarity, rarity = rarity[:w.pieces:w.pieces], rarity[w.pieces:]
		h.missing = w.pieces
		h.slow = w.random.Float64() < w.o.SlowShare
		h.starts = time.Duration(w.random.Float64() * float64(w.o.Stagger))
		if late[i] < lateHosts && i != 0 {
			h.starts += w.o.Late.At
		}
		w.order = append(w.order, int32(i))
	}
	w.random.Shuffle(n, func(i, j int) { w.order[i], w.order[j] = w.order[j], w.order[i] })
	w.hosts[w.origin].starts = 0
	w.order = slices.DeleteFunc(w.order, func(i int32) bool { return i == w.origin })
	w.order = slices.Insert(w.order, 0, w.origin)
}

func (w *world) pieceSize(p int32) float64 {
	if int(p) == w.pieces-1 {
		return float64(w.o.Size - int64(p)*w.pieceLen)
	}
	return float64(w.pieceLen)
}

// addr is where a host is, in the network 10.0.0.0/8.
func addrOf(i int32) netip.AddrPort {
	n := i + 1
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), 6881)
}

func hostAt(addr netip.AddrPort) int32 {
	ip := addr.Addr().As4()
	return int32(ip[1])<<16 + int32(ip[2])<<8 + int32(ip[3]) - 1
}
