package cluster

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"waggle/bittorrent"
)

// Times are those of the document, and what it leaves open.
type Times struct {
	Keepalive time.Duration // between KA messages; a member is down after two that are missed
	Election  time.Duration // between ME messages; and how long a new instance listens for others
	Confirm   time.Duration // until an answer to HI is sent again
	Resend    time.Duration // until a request or a DS-commit is sent again at the latest
	FirstTry  time.Duration // until it is sent again for the first time; then twice as long each time
	Request   time.Duration // how long a request is kept that no master commits
}

// Document are the times of sections 4 and 5 of the document; FirstTry makes up for a lost
// message earlier than the 10 s that it gives.
var Document = Times{
	Keepalive: time.Second,
	Election:  3 * time.Second,
	Confirm:   10 * time.Second,
	Resend:    10 * time.Second,
	FirstTry:  200 * time.Millisecond,
	Request:   75 * time.Second,
}

// Options are those of a [Node].
type Options struct {
	Times    Times
	Lifetime time.Duration // for which a silent peer is kept
	MaxRows  int           // peers, those that have left lately and counts together; 1 and up
}

// Host is what a [Node] acts upon. Its methods are called from within those of the Node: they
// must not block, nor call the Node.
type Host interface {
	// Send sends messages to an instance, Broadcast to all others. Those of one call belong
	// together and fit into one packet. They are good during the call. Either may be lost,
	// doubled, or overtaken.
	Send(to netip.AddrPort, messages ...[]byte)
	Broadcast(messages ...[]byte)

	// Changed tells of a peer that has come, has other figures or was seen again; or has left or
	// was silent for too long, if it is Gone; and when it was seen, by this instance's clock. The
	// row is good during the call.
	Changed(r *Row, seen time.Time)

	// Completed tells how many downloads of a torrent were completed.
	Completed(h bittorrent.InfoHash, n int64)

	// Finished tells that all members have committed a request, which is to be answered now; or
	// why that did not come about.
	Finished(r *Request, err error)

	// Happened tells what a log and a console show.
	Happened(e Event)

	// Random fills b.
	Random(b []byte)
}

// EventKind is what an [Event] tells.
type EventKind uint8

// What happens in a cluster.
const (
	BecameMaster    EventKind = iota
	BecameSlave               // of Addr
	ElectionStarted           // Words say why
	MemberUp                  // Addr
	MemberDown                // Addr; Words say why
	Joined                    // Addr was given its ID by this master
	Alone                     // the ID of this instance is another's: it joins anew
	StoodStill                // for longer than a second
	Aligned                   // the time of the cluster is another one than was thought
)

// Event is something that people want to know of.
type Event struct {
	Kind  EventKind
	Addr  netip.AddrPort
	ID    ID
	Words string
}

// Role is what an instance is.
type Role uint8

// The roles.
const (
	Newcomer Role = iota // has no ID yet
	Slave
	Master
)

func (r Role) String() string { return [...]string{"newcomer", "slave", "master"}[r] }

// Errors of [Host.Finished].
var (
	ErrBusy   = errors.New("the cluster has more requests than it can commit")
	ErrNobody = errors.New("the cluster has no master now, or cannot reach it")
	ErrFull   = errors.New("the cluster has as many peers as it may")
)

// Overtaken is the error of [Host.Finished] for a request that was committed, and of whose peer
// something else is known since: the answer goes by that.
type Overtaken struct{ By Row }

func (*Overtaken) Error() string { return "the peer has told something else since" }

// Node is an instance of a cluster: a state machine without time, randomness or network of its
// own. Messages, ticks and requests go in; through its [Host] messages, commits and answers
// come out. It is not safe for concurrent use.
type Node struct {
	o    Options
	t    Times
	host Host
	now  time.Time

	role    Role
	id      ID
	since   time.Time // when it began to listen for others
	spoke   time.Time // when its last KA went out
	members map[netip.AddrPort]*member
	master  netip.AddrPort // of a slave

	electing bool
	voted    time.Time // when its last ME went out
	vote     ID

	joining  joining
	snapshot *snapshot
	round    uint32 // of pulls, of a master
	serving  bool   // a master has what its members had, and answers
	whole    bool   // and they have had what it had
	took     time.Time
	pull     *puller // a slave's, from its master
	pulls    uint32
	pulled   uint32 // the last round of its master that it has begun
	aligned  bool   // it has its master's time
	tenure   int64  // when it became the slave of its master, in the cluster's time then

	table table
	deaf  time.Time // until when nothing is heard but keepalives

	swept place // the next to look at
	shift shift
	ahead int64 // by how much the cluster's time is ahead of this instance's, in microseconds
	last  int64 // the last stamp

	waiting  []*transaction // of a master, in their order
	begun    int            // how many are under way
	starting bool
	flying   map[Transaction]*transaction // those that have begun
	busy     map[cursor]*transaction      // the peers that these are of
	heard    map[Transaction]*pending
	turns    map[cursor]*pending // of the clients' among them, which of a peer's its master is told
	unsaid   []*pending          // of these, that a new master was not told of yet
	done     recent
	early    [2]map[readiness]bittorrent.InfoHash // of this second, and of the last
	turned   time.Time
	looked   time.Time   // when requests were last looked through
	stampOf  Transaction // the DS-commit that the last stamp belongs to
	stamp    stamp

	figures Figures
	out     []byte
}

// New returns a node that has just been started. Rows are what it kept of an earlier life; they
// count until a master knows better. Those without a peer ID are [Row.Bare]: no store says so.
func New(o Options, host Host, now time.Time, rows []Row) *Node {
	n := &Node{
		o: o, t: o.Times, host: host, now: now, since: now,
		members: map[netip.AddrPort]*member{},
		flying:  map[Transaction]*transaction{}, busy: map[cursor]*transaction{},
		heard: map[Transaction]*pending{}, turns: map[cursor]*pending{},
	}
	n.done.init()
	n.early[0] = map[readiness]bittorrent.InfoHash{}
	n.joining.begin(n)
	for i := range rows {
		if n.table.rows < o.MaxRows {
			row := rows[i]
			row.Bare = row.Bare || !row.Count && row.PeerID == bittorrent.PeerID{}
			row.First, row.Stamp = min(row.First, n.clusterNow()), min(row.Stamp, n.clusterNow()) // the clock was wrong then
			n.table.put(&row)
			n.last = max(n.last, row.Stamp)
		}
	}
	return n
}

// clusterNow is the cluster's time in microseconds: that of its first master, which all
// others have taken over.
func (n *Node) clusterNow() int64 { return min(max(n.now.UnixMicro()+n.ahead, 1), maxStamp) }

// enter takes over the time. An instance that stood still, its process frozen or its machine
// asleep, may find messages that have waited for it since: requests whose peers have asked
// others meanwhile, and which must not be recorded as if they were new. So it hears none for a
// while, and a master asks the members again what they have.
func (n *Node) enter(now time.Time) {
	wall := time.Duration(now.UnixMicro()-n.now.UnixMicro()) * time.Microsecond
	passed := now.Sub(n.now)
	n.now = now
	n.pass(wall, passed)
}

// pass has so much time pass, by the clock that people set and by the one that only goes on, which
// does not while the machine is asleep. Where the first was set back, the cluster's time is not.
func (n *Node) pass(wall, passed time.Duration) {
	if back := passed - wall; back > n.t.Keepalive/2 {
		n.ahead += back.Microseconds()
	}
	if max(wall, passed) <= n.t.Keepalive {
		return
	}
	n.deaf = n.now.Add(n.t.Keepalive)
	n.happened(StoodStill, netip.AddrPort{}, n.id, "")
	if n.role == Master {
		n.resign()
		n.role = Slave // for a moment
		n.becomeMaster()
	}
}

// Receive takes in a message from another instance. It reports whether it was one, from one
// that may send it now.
func (n *Node) Receive(now time.Time, from netip.AddrPort, message []byte) bool {
	n.enter(now)
	if len(message) < 4 {
		n.figures.Bad++
		return false
	}
	known, err := n.receive(from, message)
	if err != nil {
		n.figures.Bad++
		return false
	}
	if !known {
		n.figures.Strange++
	}
	return known
}

// receive reports whether the message was for this instance as things are.
func (n *Node) receive(from netip.AddrPort, b []byte) (bool, error) {
	kind := binary.BigEndian.Uint32(b)
	if n.now.Before(n.deaf) && kind != typeKeepalive {
		return false, nil
	}
	if m := n.members[from]; m != nil {
		m.heard = n.now // where packets are lost, others than keepalives show that it lives
		m.ours = m.ours || kind > typeDone
	}
	switch kind {
	case typeKeepalive:
		if len(b) != keepaliveLen {
			return false, errMessage
		}
		n.keepalive(from, ID(b[4:]))
		return true, nil
	case typeElection:
		if len(b) != electionLen {
			return false, errMessage
		}
		return n.election(from, ID(b[4:])), nil
	case typeHello:
		h, err := parseHello(b)
		return err == nil && n.hello(from, &h), err
	case typeReady:
		t, hashes, err := parseSync(b)
		return err == nil && n.ready(from, t, hashes), err
	case typeCommit:
		t, _, err := parseSync(b)
		return err == nil && n.commit(from, t), err
	case typeDone:
		t, _, err := parseSync(b)
		return err == nil && n.finished(from, t), err
	case typeForward:
		r, heardAt, err := parseForward(b)
		return err == nil && n.forwarded(from, &r, heardAt), err
	case typeStamp:
		t, s, at, err := parseStamp(b)
		return err == nil && n.takeStamp(from, t, s, at), err
	case typeAsk:
		a, err := parseAsk(b)
		return err == nil && n.asked(from, &a), err
	case typeDigests:
		pull, node, d, err := parseDigests(b)
		return err == nil && n.digests(from, pull, node, &d), err
	case typeRows:
		r, err := parseRows(b)
		return err == nil && n.rowsCame(from, &r), err
	case typePull:
		round, at, tenure, err := parsePull(b)
		return err == nil && n.toPull(from, round, at, tenure), err
	case typePulled:
		round, _, tenure, err := parsePull(b)
		return err == nil && n.hasPulled(from, round, tenure), err
	case typeBye:
		return len(b) == keepaliveLen && n.bye(from, ID(b[4:])), nil
	}
	return false, errMessage
}

// Tick lets time pass. It should be called every 10 ms or so.
func (n *Node) Tick(now time.Time) {
	n.enter(now)
	n.tickMembers()
	n.tickElection()
	n.tickJoin()
	n.goOnShifting(rowsAtOnce)
	n.tickPulls()
	n.tickTransactions()
	n.sweep()
}

// rowsAtOnce is how many rows one call looks at where all of them have to be.
const rowsAtOnce = 1 << 13

// sweepEvery is how many ticks it takes to look through the table once.
const sweepEvery = 256

// countsLifetime is how long the counts of a torrent are kept after the last.
const countsLifetime = 30 * 24 * time.Hour

func (n *Node) sweep() {
	if n.shift.on {
		return
	}
	before := n.clusterNow() - n.o.Lifetime.Microseconds()
	countsBefore := n.clusterNow() - countsLifetime.Microseconds()
	n.swept = n.table.sweep(n.swept, (n.table.rows+leaves)/sweepEvery+1, before, countsBefore, func(r *Row) {
		if !r.Gone && !r.Count {
			gone := *r
			gone.Gone = true
			n.changed(&gone)
		}
	})
}

func (n *Node) changed(r *Row) { n.host.Changed(r, time.UnixMicro(r.Stamp-n.ahead)) }

func (n *Node) send(to netip.AddrPort, messages ...[]byte) { n.host.Send(to, messages...) }

func (n *Node) happened(kind EventKind, addr netip.AddrPort, id ID, words string) {
	n.host.Happened(Event{Kind: kind, Addr: addr, ID: id, Words: words})
}

// StepDown has a master give its place to the slave with the lowest ID, and join as one
// with a new ID. It does nothing to others.
func (n *Node) StepDown(now time.Time) {
	n.enter(now)
	if n.role == Master {
		n.host.Broadcast(append(header(nil, typeBye), n.id[:]...))
		n.restart()
	}
}

// Leave tells the others that this instance goes.
func (n *Node) Leave(now time.Time) {
	n.enter(now)
	n.host.Broadcast(append(header(nil, typeBye), n.id[:]...))
	n.restart()
}

// restart makes a newcomer of an instance. It keeps its rows.
func (n *Node) restart() {
	n.resign()
	n.pull = nil
	n.role, n.id, n.electing, n.master = Newcomer, ID{}, false, netip.AddrPort{}
	n.since = n.now
	n.joining.begin(n)
}
