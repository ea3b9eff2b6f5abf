package cluster

import (
	"encoding/binary"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"waggle/bittorrent"
)

// manyRows makes peers, a hundred of each torrent.
func manyRows(n int, stamp int64) []Row {
	list := make([]Row, n)
	for i := range list {
		r := Row{Left: 1, First: stamp, Stamp: stamp, PeerID: bittorrent.PeerID{1}}
		binary.BigEndian.PutUint32(r.InfoHash[:], uint32(i/100)*2654435761)
		r.Addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 6881)
		list[i] = r
	}
	return list
}

func large(rows int) (o Options) {
	o = testOptions
	o.MaxRows = 2*rows + 100_000
	return o
}

// grown runs two instances, of which the first has rows, until they are equal: the second has
// nothing, and another clock.
func grown(t testing.TB, rows int) (w *wire, master, slave *Node) {
	w = newWire()
	master = w.start(large(rows), 0, manyRows(rows, w.now.UnixMicro()))
	w.tick(400)
	slave = w.start(large(rows), time.Hour, nil)
	for range 30_000 {
		if w.tick(1); slave.id != (ID{}) && master.members[w.order[1]].standing == equal {
			break
		}
	}
	if err := equalTables(&master.table, &slave.table); err != nil {
		t.Fatal(err)
	}
	return w, master, slave
}

// A table that takes many calls to copy, to verify and to move to another time is equal in the
// end.
func TestLargeTableComesToANewInstanceWithAnotherClock(t *testing.T) {
	_, master, slave := grown(t, 5*rowsAtOnce)
	if slave.table.live != 5*rowsAtOnce || !slave.aligned {
		t.Errorf("it has %d peers", slave.table.live)
	}
	if master.snapshot != nil {
		t.Error("the snapshot is still held")
	}
}

// Copies of a large table that are on their way to newcomers are one.
func TestNewcomersAreGivenOneSnapshotOfALargeTable(t *testing.T) {
	w := newWire()
	master := w.start(large(4*rowsAtOnce), 0, manyRows(4*rowsAtOnce, w.now.UnixMicro()))
	w.tick(400)
	h := Hello{Request: true}
	for i := range 2 * maxMembers {
		h.Connection++
		master.Receive(w.now, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 1, byte(i)}), 6968), h.append(nil))
		w.queue = nil
	}
	if len(master.members) != maxMembers {
		t.Errorf("there are %d members", len(master.members))
	}
	for _, m := range master.members {
		if m.greeting.table != master.snapshot {
			t.Fatal("there are two snapshots")
		}
	}
}

// A row of a table that is looked through in parts is forgotten when its time has come, wherever
// it is.
func TestRowsOfALargeTableAreForgottenAfterTheirLifetime(t *testing.T) {
	w := newWire()
	rows := manyRows(3*rowsAtOnce, w.now.UnixMicro())
	for i := range rows { // all of one torrent
		rows[i].InfoHash = bittorrent.InfoHash{1}
		if i%3 > 0 {
			rows[i].Stamp -= testOptions.Lifetime.Microseconds() * 3 / 4
		}
	}
	n := w.start(large(len(rows)), 0, rows)
	w.tick(2 * sweepEvery)
	if n.table.rows != len(rows) {
		t.Fatalf("%d rows are left before their time", n.table.rows)
	}
	w.now = w.now.Add(testOptions.Lifetime / 2)
	w.tick(2 * sweepEvery)
	if n.table.rows != len(rows)/3 || n.table.live != n.table.rows {
		t.Errorf("%d rows are left, want %d", n.table.rows, len(rows)/3)
	}
}

// BenchmarkRow is what a row takes.
func BenchmarkRow(b *testing.B) {
	const million = 1_000_000
	for b.Loop() {
		w := newWire()
		n := w.start(large(million), 0, nil)
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range million {
			r := requestOf(i)
			row, _, _ := peerOf(&r)
			row.Stamp = w.now.UnixMicro()
			n.take(&row)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(n.table.rows), "B/row")
		runtime.KeepAlive(n)
	}
}

// until ticks until something is so.
func (w *wire) until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for range 5000 {
		if is() {
			return
		}
		w.tick(1)
	}
	t.Fatalf("it never %s", what)
}

// One that is left alone while it takes over a large table is master with what it has, and no
// row of it is in another time.
func TestMasterDiesWhileALargeTableIsTakenOver(t *testing.T) {
	for _, when := range []struct {
		what string
		is   func(*Node) bool
	}{
		{"puts rows in", func(n *Node) bool { return n.joining.taking }},
		{"moves its rows", func(n *Node) bool { return n.shift.on }},
	} {
		w := newWire()
		w.start(large(5*rowsAtOnce), 0, manyRows(5*rowsAtOnce, w.now.UnixMicro()))
		w.tick(400)
		n := w.start(large(5*rowsAtOnce), time.Minute, nil)
		w.until(t, when.what, func() bool { return when.is(n) })
		w.deaf[w.order[0]] = true
		w.order = w.order[1:]
		w.until(t, "is master", func() bool { return n.role == Master && n.serving })
		if n.shift.on {
			t.Error("it still moves its rows")
		}
		now := n.clusterNow()
		for leaf := range leaves {
			sum := uint64(0)
			for _, r := range n.table.leaf[leaf] {
				sum ^= r.digest()
				if age := now - r.Stamp; age < 0 || age > (30*time.Second).Microseconds() {
					t.Fatalf("when it %s: a row is %v old", when.what, time.Duration(age*1000))
				}
			}
			if sum != n.table.digest[leaf] {
				t.Fatalf("when it %s: the digest of leaf %d is none of its rows", when.what, leaf)
			}
		}
		if n.table.live == 0 {
			t.Errorf("when it %s: it has no peers", when.what)
		}
	}
}
