package cluster

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"

	"waggle/bittorrent"
)

// pair is a master and a slave that are equal.
func pair(t *testing.T) (w *wire, master, slave *Node) {
	w = newWire()
	master = w.start(testOptions, 0, nil)
	w.tick(400)
	slave = w.start(testOptions, 0, nil)
	w.tick(400)
	if master.role != Master || slave.role != Slave || master.members[w.order[1]].standing != equal {
		t.Fatalf("they are a %v and a %v", master.role, slave.role)
	}
	return w, master, slave
}

// A flood of requests that no master commits does not keep a slave from those that the master
// waits for.
func TestSlaveThatKeepsAllItMayHasRoomForItsMaster(t *testing.T) {
	w, master, slave := pair(t)
	for i := range mostHeard + 1 {
		r := requestOf(i)
		slave.Heard(w.now, &r)
	}
	w.queue = nil
	if len(slave.heard) != mostHeard || slave.figures.Refused != 1 {
		t.Fatalf("it keeps %d requests, %d were refused", len(slave.heard), slave.figures.Refused)
	}
	const more = 2 * window
	for i := range more {
		r := requestOf(mostHeard + 1 + i)
		for _, n := range []*Node{master, slave} {
			n.Heard(w.now, &r)
		}
	}
	w.carry()
	w.tick(200)
	if w.done != more {
		t.Errorf("%d of %d requests are committed", w.done, more)
	}
	if len(slave.heard) > mostHeard {
		t.Errorf("it keeps %d requests", len(slave.heard))
	}
	for range 160 {
		w.now = w.now.Add(490 * time.Millisecond)
		w.tick(1)
	}
	if len(slave.heard) != 0 {
		t.Errorf("after 80 s it keeps %d requests", len(slave.heard))
	}
}

// Requests of one peer are committed one after the other: it must not take all room while it
// waits for itself.
func TestOnePeerTakesLittleRoom(t *testing.T) {
	w, master, _ := pair(t)
	w.deaf[w.order[1]] = true
	r := requestOf(0)
	for i := range 10 * mostOfPeer {
		binary.BigEndian.PutUint32(r.Packet[12:], uint32(i))
		master.Heard(w.now, &r)
	}
	if n := len(master.flying); n != 1+mostOfPeer {
		t.Errorf("%d requests of it are kept", n)
	}
	other := requestOf(100)
	master.Heard(w.now, &other)
	w.deaf = map[netip.AddrPort]bool{}
	w.tick(2000)
	if w.done != 10*mostOfPeer+1 || len(master.flying) > 0 {
		t.Errorf("%d requests are answered, %d under way", w.done, len(master.flying))
	}
}

func TestMasterWithoutRoomRefuses(t *testing.T) {
	w := newWire()
	o := testOptions
	o.MaxRows = 3
	n := w.start(o, 0, nil)
	w.tick(400)
	for i := range 10 {
		r := requestOf(i)
		n.Propose(w.now, &r)
	}
	if n.table.rows != 3 || n.figures.Full != 7 || w.done != 10 {
		t.Errorf("%d rows, %d without room, %d told", n.table.rows, n.figures.Full, w.done)
	}
}

// DS-ready messages without a request, keepalives and requests to join are held in bounds, who
// ever sends them.
func TestWhatMembersSendIsHeldInBounds(t *testing.T) {
	w, master, slave := pair(t)
	for i := range 5 * mostEarly {
		r := requestOf(i)
		master.Receive(w.now, w.order[1], appendSync(nil, typeReady, r.Transaction(), r.InfoHash()))
		if i%mostEarly == 0 {
			w.tick(50)
		}
	}
	if n := len(master.early[0]) + len(master.early[1]); n > 2*mostEarly {
		t.Errorf("%d early messages are held", n)
	}
	for i := range 4 * maxMembers {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 9, byte(i >> 8), byte(i)}), 1)
		id := ID{0: 0xff, 1: byte(i >> 8), 2: byte(i)}
		master.Receive(w.now, from, appendKeepalive(nil, id))
	}
	if len(master.members) != maxMembers {
		t.Errorf("there are %d members", len(master.members))
	}
	for i := range mostRecent + 1000 {
		slave.done.add(Transaction{ID: uint32(i), Action: 1}, fate{})
	}
	if len(slave.done.known) != mostRecent || len(slave.done.ring) != mostRecent || slave.done.has(Transaction{ID: 1, Action: 1}) {
		t.Errorf("%d requests are remembered", len(slave.done.known))
	}
}

// sentTo returns the types of what is on its way to an instance, and takes all that is off it.
func (w *wire) sentTo(to netip.AddrPort) (kinds []uint32) {
	for _, l := range w.queue {
		if l.to == to {
			kinds = append(kinds, binary.BigEndian.Uint32(l.message))
		}
	}
	w.queue = nil
	return kinds
}

// A commit of what was committed before, under another time, is that of another master, which has
// to send the request again.
func TestSlaveSaysDoneOnlyForTheCommitThatItHasRecorded(t *testing.T) {
	w, master, slave := pair(t)
	r := requestOf(1)
	master.Heard(w.now, &r)
	slave.Heard(w.now, &r)
	w.carry()
	row, _, _ := peerOf(&r)
	at := slave.table.get(row.cursor()).Stamp
	for _, c := range []struct {
		later   int64
		request bool
		done    bool
	}{{0, false, true}, {5, false, false}, {5, true, true}, {5, false, true}, {0, false, false}} {
		if c.request {
			slave.Receive(w.now, w.order[0], r.append(nil, at))
		}
		slave.Receive(w.now, w.order[0], appendStamp(nil, r.Transaction(), stamp{at: at + c.later}, slave.clusterNow()))
		slave.Receive(w.now, w.order[0], appendSync(nil, typeCommit, r.Transaction()))
		if done := slices.Contains(w.sentTo(w.order[0]), typeDone); done != c.done {
			t.Errorf("it says done to a commit that is %d later: %v", c.later, done)
		}
	}
	if s := slave.table.get(row.cursor()).Stamp; s != at+5 {
		t.Errorf("its row is %d late", s-at)
	}
}

// A DS-ready that comes before its request counts if it is of the torrent that the request is of.
func TestEarlyReadyOfAnotherTorrentDoesNotCount(t *testing.T) {
	w, master, _ := pair(t)
	r := requestOf(1)
	for _, c := range []struct {
		hash      bittorrent.InfoHash
		committed uint64
	}{{bittorrent.InfoHash{0xee}, 0}, {r.InfoHash(), 1}} {
		r.Packet[15]++
		master.Receive(w.now, w.order[1], appendSync(nil, typeReady, r.Transaction(), c.hash))
		before := master.figures.Committed
		master.Heard(w.now, &r)
		if n := master.figures.Committed - before; n != c.committed {
			t.Errorf("%d requests are committed, want %d", n, c.committed)
		}
		slave := w.nodes[w.order[1]]
		slave.Heard(w.now, &r)
		w.carry()
	}
}

// A master that stood still reads anew what the others have, before it answers.
func TestMasterThatStoodStillReadsBeforeItServes(t *testing.T) {
	w, master, _ := pair(t)
	w.now = w.now.Add(testOptions.Times.Keepalive + time.Millisecond)
	master.Tick(w.now)
	if master.serving || master.role != Master {
		t.Error("it serves")
	}
	w.nodes[w.order[1]].Tick(w.now)
	w.tick(200)
	if !master.serving || !master.whole {
		t.Error("it does not serve again")
	}
}

// A slave that its master does not wait for, because it is being read, answers its client when it
// has pulled what that has asked for.
func TestSlaveThatIsReadAnswersItsClientOnceItHasTheRow(t *testing.T) {
	w, master, slave := pair(t)
	master.distrust(master.members[w.order[1]])
	w.queue = nil
	r := requestOf(1)
	slave.Propose(w.now, &r)
	w.carry()
	if master.table.rows != 1 || slave.table.rows != 0 || w.done != 0 {
		t.Fatalf("%d and %d rows, %d clients are answered", master.table.rows, slave.table.rows, w.done)
	}
	w.tick(300)
	if slave.table.rows != 1 || w.done != 1 {
		t.Errorf("in the end there are %d rows, %d clients are answered", slave.table.rows, w.done)
	}
}

// A newcomer that lacks a part of its master's answer is no slave before that was sent again.
func TestNewcomerWaitsForThePartThatWasLost(t *testing.T) {
	w := newWire()
	w.start(testOptions, 0, manyRows(3*MaxTriplets+1, w.now.UnixMicro()))
	w.tick(400)
	n := w.start(testOptions, 0, nil)
	parts := 0
	for range 900 {
		w.now = w.now.Add(10 * time.Millisecond)
		for _, a := range w.order {
			w.nodes[a].Tick(w.time(a))
		}
		for len(w.queue) > 0 {
			l := w.queue[0]
			w.queue = w.queue[1:]
			if l.to == w.order[1] && binary.BigEndian.Uint32(l.message) == typeHello {
				if parts++; parts == 2 {
					continue
				}
			}
			w.nodes[l.to].Receive(w.now, l.from, l.message)
		}
	}
	if parts != 4 || n.role != Newcomer || n.joining.triplets.count != 2*MaxTriplets+1 {
		t.Fatalf("after %d parts it is a %v with %d triplets", parts, n.role, n.joining.triplets.count)
	}
	w.tick(300)
	if n.role != Slave || n.table.rows != 3*MaxTriplets+1 {
		t.Errorf("in the end it is a %v with %d rows", n.role, n.table.rows)
	}
}

// What waits is begun a part at a time, and all of it, where the last member that was waited for
// is gone.
func TestMasterThatIsLeftAloneTakesUpAllThatWaits(t *testing.T) {
	w, master, _ := pair(t)
	w.deaf[w.order[1]] = true
	const many = window + 3*mostInCall
	for i := range many {
		r := requestOf(i)
		master.Heard(w.now, &r)
	}
	w.queue, w.order = nil, w.order[:1]
	master.notWaitFor(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, 2}), 6968))
	if w.done == 0 || w.done > window+mostInCall {
		t.Errorf("%d requests are done in one call", w.done)
	}
	w.tick(300)
	if w.done != many || master.table.rows != many {
		t.Errorf("%d of %d requests are done", w.done, many)
	}
}

// A slave with many requests tells a new master of some in each call, and of all.
func TestSlaveTellsANewMasterOfAllThatWaits(t *testing.T) {
	w, _, slave := pair(t)
	const many = 3 * mostInCall
	for i := range many {
		r := requestOf(i)
		slave.Heard(w.now, &r)
	}
	w.queue = nil
	slave.sayReady()
	said := 0
	for range 10 {
		now := len(w.sentTo(w.order[0]))
		if said += now; now > mostInCall {
			t.Errorf("%d messages in one call", now)
		}
		slave.saySome()
	}
	if said != many {
		t.Errorf("it tells of %d", said)
	}
	slave.sayReady()
	w.queue = nil
	slave.Tick(w.now)
	if len(w.queue) < mostInCall {
		t.Error("a tick does not go on")
	}
}

// One whose clock is set back goes on in the cluster's time; one whose clock goes on while it does
// not was asleep.
func TestClockThatIsSetIsNotTheClustersTime(t *testing.T) {
	w, _, slave := pair(t)
	before := slave.clusterNow()
	slave.now = slave.now.Add(10*time.Millisecond - time.Hour) // as the clock is
	slave.pass(10*time.Millisecond-time.Hour, 10*time.Millisecond)
	if n := slave.clusterNow() - before; n != 10_000 {
		t.Errorf("the cluster's time goes on by %d microseconds", n)
	}
	if slave.deaf.After(slave.now) {
		t.Error("it stood still")
	}
	slave.pass(time.Hour, 10*time.Millisecond)
	if !slave.deaf.After(slave.now) || w.happened[StoodStill] != 1 {
		t.Error("it was not asleep")
	}
}

// A row of a time that is not yet would never be forgotten, and no other would take its place.
func TestRowsOfATimeToComeAreNotTaken(t *testing.T) {
	_, master, _ := pair(t)
	row := manyRows(1, master.clusterNow()+2*mostAhead.Microseconds())[0]
	if master.take(&row) || master.last > master.clusterNow() {
		t.Error("it is taken")
	}
	row.Stamp = maxStamp
	n := newWire().start(testOptions, 0, []Row{row})
	if n.table.rows != 1 || n.last > n.clusterNow() {
		t.Errorf("of an old disk there are %d rows, the last stamp is %d, now is %d", n.table.rows, n.last, n.clusterNow())
	}
}
