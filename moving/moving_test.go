package moving_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"waggle/account"
	"waggle/bittorrent"
	"waggle/catalog"
	"waggle/document/documenttest"
	"waggle/moving"
	"waggle/store/memory"
	"waggle/swarm"
	"waggle/torrent"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var start = time.Unix(1_700_000_000, 0).UTC()

// kept is an empty tracker in memory.
func kept(t *testing.T) moving.Kept {
	t.Helper()
	s := memory.New(memory.Options{Details: true})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return moving.Kept{Swarms: s, Catalog: catalog.NewMemory(0), Accounts: account.NewMemory()}
}

func announce(t *testing.T, k moving.Kept, torrent byte, peer int, at time.Time) {
	t.Helper()
	a := swarm.Announce{
		AnnounceRequest: bittorrent.AnnounceRequest{
			InfoHash: bittorrent.InfoHash{torrent}, PeerID: bittorrent.PeerID{byte(peer >> 8), byte(peer)}, Port: 6881, Left: int64(peer % 2),
		},
		From: netip.AddrFrom4([4]byte{10, 0, byte(peer >> 8), byte(peer)}), Now: at, Families: swarm.IPv4,
	}
	if peer%2 == 0 {
		a.Event = bittorrent.EventCompleted
	}
	if err := k.Swarms.Announce(t.Context(), &a, new(swarm.Reply)); err != nil {
		t.Fatal(err)
	}
}

// metainfo is a real .torrent, of a name.
func metainfo(t *testing.T, name string) (bittorrent.InfoHash, []byte) {
	t.Helper()
	b := fmt.Appendf(nil, "d4:infod6:lengthi1e4:name%d:%s12:piece lengthi16384e6:pieces20:%see", len(name), name, strings.Repeat("x", 20))
	m, err := torrent.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return m.InfoHash(), b
}

func apply(t *testing.T, k moving.Kept, changes ...catalog.Change) {
	t.Helper()
	if err := k.Catalog.Apply(t.Context(), changes); err != nil {
		t.Fatal(err)
	}
}

// full fills a tracker with some of everything, and returns the hash of its transfer.
func full(t *testing.T, k moving.Kept) bittorrent.InfoHash {
	t.Helper()
	for peer := range 2500 {
		announce(t, k, 1, peer, start)
	}
	for torrent := range 50 {
		announce(t, k, byte(2+torrent), 1, start)
	}
	h, b := metainfo(t, "one")
	record := catalog.Record{Transfer: catalog.Transfer{InfoHash: h, Name: "one", Source: catalog.Upload, Registered: start, FirstStarted: start, LastStarted: start}}
	for n := range 3 {
		apply(t, k, catalog.Change{Record: record, Metainfo: b, Ended: &catalog.Period{Transfer: catalog.Transfer{InfoHash: bittorrent.InfoHash{byte(n)}, Name: fmt.Sprint(n)}}})
	}
	if err := k.Accounts.Put(t.Context(), account.Record{Account: account.Account{Name: "ann"}, Hash: "x"}); err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		if err := k.Accounts.Append(t.Context(), account.Entry{Time: start, Name: "ann", What: fmt.Sprint(n)}); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

func copyAll(t *testing.T, from, to moving.Kept, o moving.Options) moving.Result {
	t.Helper()
	r, err := moving.Copy(t.Context(), from, to, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// right checks a tracker, and wants nothing to be wrong.
func right(t *testing.T, k moving.Kept) moving.Result {
	t.Helper()
	r, err := moving.Check(t.Context(), k, func(what string) { t.Error(what) }, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestCopyHasAllThatIsKept(t *testing.T) {
	from, to := kept(t), kept(t)
	h := full(t, from)
	var last moving.Result
	r := copyAll(t, from, to, moving.Options{Progress: func(r moving.Result) { last = r }})
	want := moving.Result{Torrents: 51, Peers: 2550, Transfers: 1, Periods: 3, Accounts: 1, Entries: 3}
	if r != want || last != want {
		t.Errorf("copied %+v, reported last %+v, want %+v", r, last, want)
	}
	if got := right(t, to); got != want {
		t.Errorf("there is %+v, want %+v", got, want)
	}
	var counts [1]bittorrent.ScrapeCounts
	if err := to.Swarms.Scrape(t.Context(), []bittorrent.InfoHash{{1}}, counts[:]); err != nil || counts[0].Complete != 1250 || counts[0].Downloaded != 1250 {
		t.Errorf("%+v, %v", counts[0], err)
	}
	_, b := metainfo(t, "one")
	if got, err := to.Catalog.Torrent(t.Context(), h); err != nil || string(got) != string(b) {
		t.Errorf("the .torrent: %q, %v", got, err)
	}
	periods, _, _ := to.Catalog.History(t.Context(), 0, 10)
	entries, _, _ := to.Accounts.Entries(t.Context(), 0, 10)
	if len(periods) != 3 || periods[0].Name != "2" || len(entries) != 3 || entries[0].What != "2" {
		t.Errorf("the latest do not come first: %+v, %+v", periods, entries)
	}
}

func TestCopyingAgainBringsWhatHasComeSince(t *testing.T) {
	from, to := kept(t), kept(t)
	full(t, from)
	copyAll(t, from, to, moving.Options{})
	announce(t, from, 1, 3000, start)
	r := copyAll(t, from, to, moving.Options{})
	if r.Accounts+r.Entries+r.Periods != 0 {
		t.Errorf("there already, and copied again: %+v", r)
	}
	if got := right(t, to); got.Peers != 2551 || got.Periods != 3 || got.Entries != 3 {
		t.Errorf("%+v", got)
	}
}

func TestCopyKeepsWhatIsNewerThere(t *testing.T) {
	from, to := kept(t), kept(t)
	h := full(t, from)
	copyAll(t, from, to, moving.Options{})
	theirs := catalog.Record{Transfer: catalog.Transfer{
		InfoHash: h, Name: "renamed", Source: catalog.Upload, Registered: start,
		FirstStarted: start.Add(time.Hour), LastStarted: start.Add(2 * time.Hour), FirstCompleted: start.Add(time.Hour),
	}}
	apply(t, to, catalog.Change{Record: theirs})
	if err := to.Accounts.Put(t.Context(), account.Record{Account: account.Account{Name: "ann"}, Hash: "new"}); err != nil {
		t.Fatal(err)
	}
	copyAll(t, from, to, moving.Options{})
	want := theirs
	want.FirstStarted = start
	if got := record(t, to, h); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if a, _ := to.Accounts.Accounts(t.Context()); a[0].Hash != "new" {
		t.Errorf("the account was replaced: %+v", a)
	}
	copyAll(t, from, to, moving.Options{Overwrite: true})
	if got := record(t, to, h); got.Name != "one" {
		t.Errorf("overwriting leaves %+v", got)
	}
	if a, _ := to.Accounts.Accounts(t.Context()); a[0].Hash != "x" {
		t.Errorf("the account was not replaced: %+v", a)
	}
}

func record(t *testing.T, k moving.Kept, h bittorrent.InfoHash) catalog.Record {
	t.Helper()
	for r, err := range k.Catalog.Records(t.Context()) {
		if err == nil && r.InfoHash == h {
			return r
		}
	}
	t.Fatalf("%v is not there", h)
	return catalog.Record{}
}

// broken is a store that cannot be written.
type broken struct{ *memory.Store }

var errBroken = errors.New("the disk is full")

func (broken) Restore(context.Context, swarm.Snapshot) error { return errBroken }

func TestFaultOfAStoreEndsTheCopyWithItsName(t *testing.T) {
	from, to := kept(t), kept(t)
	full(t, from)
	to.Swarms = broken{to.Swarms.(*memory.Store)}
	if _, err := moving.Copy(t.Context(), from, to, moving.Options{}); !errors.Is(err, errBroken) || !strings.Contains(err.Error(), "writing the swarm of") {
		t.Error(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := moving.Copy(ended, from, kept(t), moving.Options{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// liar counts one peer too many.
type liar struct{ *memory.Store }

func (l liar) Scrape(ctx context.Context, hashes []bittorrent.InfoHash, counts []bittorrent.ScrapeCounts) error {
	err := l.Store.Scrape(ctx, hashes, counts)
	counts[0].Complete++
	return err
}

func (l liar) Totals(context.Context) (swarm.Totals, error) { return swarm.Totals{Torrents: 7}, nil }

func (l liar) Swarms(ctx context.Context) iter.Seq2[swarm.Snapshot, error] {
	return func(yield func(swarm.Snapshot, error) bool) {
		for s, err := range l.Store.Swarms(ctx) {
			s.Peers = append(s.Peers, s.Peers[0], swarm.Peer{Kind: 9, Last: start}, swarm.Peer{Addr: netip.MustParseAddrPort("10.0.0.1:1"), First: start.Add(1), Last: start})
			if !yield(s, err) {
				return
			}
		}
	}
}

func TestCheckFindsWhatIsWrong(t *testing.T) {
	k := kept(t)
	announce(t, k, 1, 1, start)
	k.Swarms = liar{k.Swarms.(*memory.Store)}
	h, _ := metainfo(t, "one")
	_, other := metainfo(t, "two")
	apply(t, k,
		catalog.Change{Record: catalog.Record{Transfer: catalog.Transfer{InfoHash: h, Source: catalog.Upload}}, Metainfo: other},
		catalog.Change{Record: catalog.Record{Transfer: catalog.Transfer{InfoHash: bittorrent.InfoHash{2}, Source: catalog.Upload}}},
		catalog.Change{Record: catalog.Record{Transfer: catalog.Transfer{InfoHash: bittorrent.InfoHash{3}, Source: catalog.Upload}}, Metainfo: []byte("x")},
		catalog.Change{Record: catalog.Record{Transfer: catalog.Transfer{InfoHash: bittorrent.InfoHash{4}, Source: catalog.Directory}}},
	)
	var found []string
	if _, err := moving.Check(t.Context(), k, func(what string) { found = append(found, what) }, nil); err != nil {
		t.Fatal(err)
	}
	all := strings.Join(found, "\n")
	for _, want := range []string{"twice", "without an address", "first at", "counts 1 seeders", "the store counts 7 torrents", "is missing", "is damaged", "is that of"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not found", want)
		}
	}
	if len(found) != 8 {
		t.Errorf("found\n%s", all)
	}
}

// weak are accounts whose log takes a few entries, and then fails.
type weak struct {
	account.Store
	left *int
}

func (w weak) Append(ctx context.Context, e account.Entry) error {
	if *w.left--; *w.left < 0 {
		return errBroken
	}
	return w.Store.Append(ctx, e)
}

// feeble is a catalogue that takes a few changes one by one, and then fails.
type feeble struct {
	catalog.Store
	left *int
}

func (f feeble) Apply(ctx context.Context, changes []catalog.Change) error {
	if *f.left--; *f.left < 0 {
		return errBroken
	}
	return narrow{f.Store}.Apply(ctx, changes)
}

func TestCopyThatFailedGoesOnWhereItEnded(t *testing.T) {
	from, to := kept(t), kept(t)
	full(t, from)
	for tries, left := 1, 0; ; tries++ {
		left = tries
		weakly := moving.Kept{Swarms: to.Swarms, Catalog: feeble{to.Catalog, &left}, Accounts: weak{to.Accounts, &left}}
		_, err := moving.Copy(t.Context(), from, weakly, moving.Options{})
		if err == nil {
			break
		}
		if !errors.Is(err, errBroken) || tries > 10 {
			t.Fatal(err)
		}
	}
	periods, _, _ := to.Catalog.History(t.Context(), 0, 10)
	entries, _, _ := to.Accounts.Entries(t.Context(), 0, 10)
	for i, want := range []string{"2", "1", "0"} {
		if len(periods) != 3 || periods[i].Name != want || len(entries) != 3 || entries[i].What != want {
			t.Fatalf("%+v and %+v", periods, entries)
		}
	}
}

func TestLogAndHistoryOfOnesOwnAreNotMixedWithOthers(t *testing.T) {
	from, to := kept(t), kept(t)
	full(t, from)
	apply(t, to, catalog.Change{Record: catalog.Record{Transfer: catalog.Transfer{InfoHash: bittorrent.InfoHash{9}}}, Ended: &catalog.Period{Transfer: catalog.Transfer{InfoHash: bittorrent.InfoHash{9}}}})
	if err := to.Accounts.Append(t.Context(), account.Entry{Time: start, Name: "bob", What: "0"}); err != nil {
		t.Fatal(err)
	}
	if r := copyAll(t, from, to, moving.Options{}); r.Entries+r.Periods != 0 || r.Accounts != 1 || r.Transfers != 1 {
		t.Errorf("%+v", r)
	}
}

// busy is a catalogue that another tracker changes between each look and each change.
type busy struct {
	catalog.Shared
	change func()
}

func (b busy) Apply(ctx context.Context, changes []catalog.Change) error {
	b.change()
	return b.Shared.Apply(ctx, changes)
}

func (b busy) Mark(ctx context.Context, records []catalog.Record) error {
	b.change()
	return b.Shared.Mark(ctx, records)
}

func openShared(t *testing.T, m *documenttest.Memory) catalog.Shared {
	t.Helper()
	c, err := catalog.OpenDocuments(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCopyTakesNothingBackThatOthersChangeInTheMeantime(t *testing.T) {
	for name, there := range map[string]bool{"a transfer that was there": true, "one that is registered just then": false} {
		t.Run(name, func(t *testing.T) {
			from, to := kept(t), kept(t)
			h := full(t, from)
			m := documenttest.NewMemory()
			theirs := catalog.Record{Transfer: catalog.Transfer{InfoHash: h, Name: "theirs", Source: catalog.Upload, Registered: start, LastStarted: start.Add(time.Hour)}}
			change := func() {
				others := openShared(t, m)
				if err := others.Apply(t.Context(), []catalog.Change{{Record: theirs}}); err != nil {
					t.Fatal(err)
				}
			}
			if there {
				change()
			}
			theirs.Profile = "changed"
			from.Catalog = withoutHistory{from.Catalog}
			to.Catalog = busy{openShared(t, m), change}
			copyAll(t, from, to, moving.Options{})
			to.Catalog = openShared(t, m)
			got := record(t, to, h)
			if got.Profile != "changed" || got.Name != "theirs" || there && !got.FirstStarted.Equal(start) {
				t.Errorf("%+v", got)
			}
		})
	}
}

// withoutHistory is a catalogue none of whose periods has ended.
type withoutHistory struct{ catalog.Store }

func (withoutHistory) History(context.Context, int64, int) ([]catalog.Period, int64, error) {
	return nil, 0, nil
}

// narrow is a catalogue that takes few changes at a time.
type narrow struct{ catalog.Store }

func (n narrow) Apply(ctx context.Context, changes []catalog.Change) error {
	if len(changes) > 1 {
		return catalog.ErrTooMuch
	}
	return n.Store.Apply(ctx, changes)
}

func TestHistoryIsCopiedInStepsThatTheStoreTakes(t *testing.T) {
	from, to := kept(t), kept(t)
	full(t, from)
	to.Catalog = narrow{to.Catalog}
	if r := copyAll(t, from, to, moving.Options{}); r.Periods != 3 {
		t.Errorf("%+v", r)
	}
	if periods, _, _ := to.Catalog.History(t.Context(), 0, 10); len(periods) != 3 || periods[0].Name != "2" {
		t.Errorf("%+v", periods)
	}
}
