package sqlite

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"waggle/bittorrent"
	"waggle/store/memory"
	"waggle/swarm"
)

// openQuiet opens a store that writes only when it is told to.
func openQuiet(t *testing.T, path string, o Options) *Store {
	t.Helper()
	o.FlushEvery = time.Hour
	s, err := Open(context.Background(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closeStore(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func flush(t *testing.T, s *Store) {
	t.Helper()
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}
}

// announceTo announces peers of one torrent, the given figure uploaded.
func announceTo(t *testing.T, s *Store, torrent byte, peers, uploaded int) {
	t.Helper()
	for n := range peers {
		a := swarm.Announce{
			AnnounceRequest: bittorrent.AnnounceRequest{
				InfoHash: bittorrent.InfoHash{torrent, 7}, Port: 6881, Left: 1, Uploaded: int64(uploaded),
			},
			From: netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}),
			Now:  time.Unix(1_700_000_000, 0),
		}
		if err := s.Announce(context.Background(), &a, new(swarm.Reply)); err != nil {
			t.Fatal(err)
		}
	}
}

// crash returns a store that is opened on what the file and its log are now, as
// if the process of the other one had been killed.
func crash(t *testing.T, path string, o Options) *Store {
	t.Helper()
	return openQuiet(t, copyOf(t, path), o)
}

// copyOf copies what the file and its log are now.
func copyOf(t *testing.T, path string) (copied string) {
	t.Helper()
	copied = filepath.Join(t.TempDir(), "crashed.db")
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(copied+suffix, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return copied
}

// uploads returns how many peers a store has by what they uploaded.
func uploads(t *testing.T, s *Store) map[int64]int {
	t.Helper()
	counts := map[int64]int{}
	for snapshot, err := range s.Swarms(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range snapshot.Peers {
			counts[p.Uploaded]++
		}
	}
	return counts
}

var details = Options{Memory: memory.Options{Details: true}}

func TestWhatWasFlushedSurvivesAKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "waggle.db")
	s := openQuiet(t, path, details)
	defer closeStore(t, s)
	announceTo(t, s, 1, 5, 1)
	flush(t, s)
	announceTo(t, s, 2, 5, 1)
	killed := crash(t, path, details)
	defer closeStore(t, killed)
	if got := uploads(t, killed); got[1] != 5 {
		t.Errorf("%d peers survived, want the 5 that were flushed", got[1])
	}
}

func TestKillWhileLanesAreWrittenWholeLeavesEachPeerOldOrNew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "waggle.db")
	s := openQuiet(t, path, details)
	defer closeStore(t, s)
	for lane := range lanes {
		announceTo(t, s, byte(lane<<4), 3, 1)
	}
	flush(t, s)
	for lane := range lanes {
		announceTo(t, s, byte(lane<<4), 3, 2)
	}
	s.forgetLanes()
	for lane := range lanes / 2 {
		if err := s.flushLane(lane, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	killed := crash(t, path, details)
	defer closeStore(t, killed)
	if got := uploads(t, killed); got[1] != 3*lanes/2 || got[2] != 3*lanes/2 {
		t.Errorf("peers by what they uploaded: %v, want half of them old and half new", got)
	}
}

func TestRewriteOfATorrentThatBreaksOffLeavesEachPeerOldOrNew(t *testing.T) {
	const peers = 3 * maxTransaction
	path := filepath.Join(t.TempDir(), "waggle.db")
	s := openQuiet(t, path, details)
	defer closeStore(t, s)
	announceTo(t, s, 1, peers, 1)
	flush(t, s)
	fails := fmt.Sprintf(`CREATE TEMP TRIGGER fails BEFORE UPDATE ON main.swarms
		WHEN hex(substr(new.place, 21, 4)) = '0A00%04X' BEGIN SELECT RAISE(ABORT, 'disk on fire'); END`, maxTransaction+2)
	if _, err := s.writer.conn.ExecContext(context.Background(), fails); err != nil {
		t.Fatal(err)
	}
	announceTo(t, s, 1, peers, 2)
	s.forgetLanes()
	if err := s.flush(); err == nil || !strings.Contains(err.Error(), "disk on fire") {
		t.Fatalf("got %v, want the trigger's error", err)
	}
	killed := crash(t, path, details)
	defer closeStore(t, killed)
	if got := uploads(t, killed); got[2] != maxTransaction || got[1] != peers-maxTransaction {
		t.Errorf("peers by what they uploaded: %v, want those of the first transaction to be new", got)
	}

	if _, err := s.writer.conn.ExecContext(context.Background(), "DROP TRIGGER fails"); err != nil {
		t.Fatal(err)
	}
	s.forgetLanes()
	flush(t, s)
	whole := crash(t, path, details)
	defer closeStore(t, whole)
	if got := uploads(t, whole); got[2] != peers {
		t.Errorf("peers by what they uploaded: %v, want all to be new", got)
	}
}

// TestBigTorrentIsWrittenWholeInParts has small torrents on both sides of a big
// one, so that all that belongs to neither must stay out of its parts.
func TestBigTorrentIsWrittenWholeInParts(t *testing.T) {
	const peers = 7*piece + 5
	path := filepath.Join(t.TempDir(), "waggle.db")
	s := openQuiet(t, path, details)
	defer closeStore(t, s)
	for round, n := range []int{peers, peers / 2, 3 * piece} {
		for _, torrent := range []byte{1, 2, 3} {
			announceTo(t, s, torrent, 3, round)
		}
		announceTo(t, s, 2, n, round)
		for n < peers {
			stop := swarm.Announce{From: netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}), Now: time.Unix(1_700_000_000, 0)}
			stop.InfoHash, stop.Port, stop.Event = bittorrent.InfoHash{2, 7}, 6881, bittorrent.EventStopped
			_ = s.Announce(context.Background(), &stop, new(swarm.Reply))
			n++
		}
		s.forgetLanes()
		flush(t, s)
		killed := crash(t, path, details)
		if got, want := uploads(t, killed), uploads(t, s); !maps.Equal(got, want) {
			t.Errorf("round %d: the file has %v, want %v", round, got, want)
		}
		closeStore(t, killed)
	}
	parts := s.bounds(&bittorrent.InfoHash{2, 7}, 3*piece)
	if len(parts) != 2 || !slices.IsSortedFunc(parts, bytes.Compare) {
		t.Errorf("parts of %d peers begin at %x", 3*piece, parts)
	}
}

func TestWritingWholeTouchesOnlyWhatDiffers(t *testing.T) {
	ctx := context.Background()
	s := openQuiet(t, filepath.Join(t.TempDir(), "waggle.db"), details)
	defer closeStore(t, s)
	changes := func() (n int) {
		t.Helper()
		if err := s.writer.conn.QueryRowContext(ctx, "SELECT total_changes()").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for torrent := range byte(200) {
		announceTo(t, s, torrent, 20, 1)
	}
	flush(t, s)
	for _, test := range []struct {
		name   string
		change func()
		want   int
	}{
		{"nothing differs", func() {}, 0},
		{"peers announced", func() { announceTo(t, s, 9, 5, 2) }, 5},
		{"peers came", func() { announceTo(t, s, 9, 23, 2) }, 18},
		{"all expired", func() { _, _ = s.Expire(ctx, time.Unix(1_800_000_000, 0)) }, 200*20 + 3},
	} {
		before := changes()
		test.change()
		s.forgetLanes()
		flush(t, s)
		if got := changes() - before; got != test.want {
			t.Errorf("%s: %d rows were written, want %d", test.name, got, test.want)
		}
	}
}

func TestLostShardsAreWrittenInTurnAndTheirChangesWaitAgain(t *testing.T) {
	l := lane{max: 2}
	add := func(shard int) bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.add(shard) != nil
	}
	for n, want := range []bool{true, true, false, false} {
		if add(5) != want {
			t.Errorf("change %d of a lane of two: waits %v, want %v", n, !want, want)
		}
	}
	if shard, ok := l.takeLost(); shard != 0 || !ok {
		t.Errorf("the first lost shard is %d (%v), want 0", shard, ok)
	}
	if !add(0) || add(1) {
		t.Error("changes should wait of the shard that is being written, not of the next")
	}
	l.forget()
	for want := 1; want < laneShards; want++ {
		if shard, ok := l.takeLost(); shard != want || !ok {
			t.Fatalf("the next lost shard is %d (%v), want %d", shard, ok, want)
		}
	}
	if shard, ok := l.takeLost(); shard != 0 || !ok {
		t.Errorf("the last lost shard is %d (%v), want 0, which was lost again", shard, ok)
	}
	if _, ok := l.takeLost(); ok || l.holds() {
		t.Error("the lane should hold nothing any more")
	}
}

func TestJournalRestsAfterASliceOfWorkUnlessItHurries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hurry := make(chan struct{})
		p := pace{hurry: hurry, began: time.Now()}
		rests := func() time.Duration {
			began := time.Now()
			p.step()
			return time.Since(began)
		}
		if got := rests(); got != 0 {
			t.Errorf("within a slice it rests for %v", got)
		}
		p.began = time.Now().Add(-slice)
		if got := rests(); got != rest {
			t.Errorf("after a slice it rests for %v, want %v", got, rest)
		}
		close(hurry)
		p.began = time.Now().Add(-slice)
		if got := rests(); got != 0 {
			t.Errorf("in a hurry it rests for %v", got)
		}
	})
}

func TestLongReadingIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		s := newStore(Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
		defer func() { _ = s.Store.Close() }()
		r := &restoring{store: s, ended: make(chan struct{})}
		r.done.Store(parts / 2)
		reported := make(chan struct{})
		go r.report(reported)
		time.Sleep(2*reportEvery + 1) // of the bubble's clock
		close(r.ended)
		<-reported
		if got := strings.Count(log.String(), "percent=50 peers=0"); got != 2 {
			t.Errorf("reported %d times, want 2: %s", got, &log)
		}
	})
}

func TestPeriodsEndBeforeTheNextBegins(t *testing.T) {
	const last = 1<<32 - 1
	for _, test := range []struct {
		every             period
		shift, time, want uint32
	}{
		{0, 7, 1234, 1234},
		{1, 7, 1234, 1234},
		{600, 0, 0, 599},
		{600, 0, 599, 599},
		{600, 0, 600, 1199},
		{600, 1, 599, 1198},
		{600, 1, 598, 598},
		{600, 599, 0, 0},
		{600, last, 0, 599 - last%600},
		{600, 0, last, last},
		{600, last, last, last},
		{last, 0, last - 1, last - 1},
	} {
		if got := test.every.end(test.time, test.shift); got != test.want {
			t.Errorf("the period of %d s that %d lies in ends at %d, want %d", test.every, test.time, got, test.want)
		}
	}
	if period(0).same(time.Unix(5, 0), time.Unix(5, 0), 0) {
		t.Error("without a period every announce is written")
	}
}

func TestPeersOfATorrentAreNotAllWrittenAtOnce(t *testing.T) {
	ends := map[uint32]int{}
	for n := range 6000 {
		addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}), 6881)
		ends[period(60).end(1_700_000_000, shiftOf(&bittorrent.InfoHash{1}, addr))]++
	}
	for end, n := range ends {
		if n > 200 {
			t.Errorf("%d of 6,000 periods of 60 s end at %d", n, end)
		}
	}
}

func TestPlacesOfAShardLieBetweenItsBounds(t *testing.T) {
	for shard := range memory.Shards {
		from, end := shardPlaces(shard)
		for _, fill := range []string{"\x00", "\xff"} {
			place := []byte(strings.Repeat(fill, place6))
			const step = 1 << 16 / memory.Shards
			first := uint16(shard*step) | binary.BigEndian.Uint16(place)&(step-1)
			binary.BigEndian.PutUint16(place, first)
			if string(place) < string(from) || string(place) >= string(end) {
				t.Errorf("%x lies outside of %x to %x", place, from, end)
			}
			if got := memory.ShardOf(bittorrent.InfoHash(place)); got != shard {
				t.Fatalf("%x is of shard %d, want %d", place, got, shard)
			}
		}
	}
	if got := fmt.Sprintf("%x", above([]byte{1})[:3]); got != "01ffff" {
		t.Errorf("above 01 is %s", got)
	}
}
