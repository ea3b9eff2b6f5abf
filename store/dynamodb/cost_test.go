package dynamodb_test

import (
	"fmt"
	"testing"
	"time"

	"waggle/store/dynamodb"
	"waggle/swarm"
)

// cost is what something asks of the service.
type cost struct {
	requests    uint64
	read, write float64
}

func costOf(s *dynamodb.Store, do func()) cost {
	before := s.Figures()
	do()
	after := s.Figures()
	sum := func(f dynamodb.Figures) uint64 {
		return f.GetItem + f.BatchGetItem + f.Query + f.UpdateItem + f.PutItem + f.DeleteItem
	}
	return cost{sum(after) - sum(before), after.ReadUnits - before.ReadUnits, after.WriteUnits - before.WriteUnits}
}

// TestAnnouncesCostWhatTheManualSays prints the table of docs/dynamodb.md, and checks it.
// dynalite counts units as the service does; those of the index, a write of a unit where a
// peer comes, changes its kind or goes, it leaves out.
func TestAnnouncesCostWhatTheManualSays(t *testing.T) {
	o := newTable(t)
	o.Group = newTree(t).Group
	o.HeadAge = time.Hour // this machine may be slow
	s := open(t, o)
	for n := range 50 {
		do(t, s, leecher(hash(1), n))
	}
	located := located(t, o, 1)
	located.InfoHash = hash(2)
	do(t, s, located)
	do(t, s, located) // the torrent is known now as one with located peers
	for _, test := range []struct {
		what string
		do   func(*dynamodb.Store)
		want cost
	}{
		{"an announce as before, torrent known for seconds", func(s *dynamodb.Store) { do(t, s, leecher(hash(1), 1)) }, cost{2, 0.5, 1}},
		{"a peer comes", func(s *dynamodb.Store) { do(t, s, leecher(hash(1), 100)) }, cost{3, 0.5, 2}},
		{"a peer completes", func(s *dynamodb.Store) { do(t, s, completed(hash(1), 100)) }, cost{3, 0.5, 2}},
		{"a peer stops", func(s *dynamodb.Store) { do(t, s, stop(hash(1), 100)) }, cost{2, 0, 2}},
		{"a located peer without a change of roles", func(s *dynamodb.Store) { do(t, s, located) }, cost{3, 0.5, 2}},
		{"a count of all torrents, of two partitions", func(s *dynamodb.Store) { wantTotals(t, s, swarm.Totals{Torrents: 2, Peers: 51}) }, cost{2, 2, 0}},
		{"a scrape", func(s *dynamodb.Store) { wantCounts(t, s, hash(9), scrapeOf(0)) }, cost{1, 1, 0}},
	} {
		got := costOf(s, func() { test.do(s) })
		fmt.Printf("%-50s %d requests, %4.1f read units, %4.1f write units\n", test.what, got.requests, got.read, got.write)
		if got != test.want {
			t.Errorf("%s: %+v, want %+v", test.what, got, test.want)
		}
	}
	cold := open(t, o)
	got := costOf(cold, func() { do(t, cold, leecher(hash(1), 1)) })
	fmt.Printf("%-50s %d requests, %4.1f read units, %4.1f write units\n", "an announce as before, torrent not known", got.requests, got.read, got.write)
	if want := (cost{3, 1.5, 1}); got != want {
		t.Errorf("an announce of a torrent that is not known: %+v, want %+v", got, want)
	}
}
