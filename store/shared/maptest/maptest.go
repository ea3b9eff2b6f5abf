package maptest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"waggle/store/shared"
)

// Open returns the Map of one more tracker, on the same server as all others.
type Open func(t *testing.T) shared.Map

// Run runs the whole suite.
func Run(t *testing.T, open Open) { RunMembers(t, open, 10_000) }

// RunMembers runs the suite with so many members in the largest torrent, where the
// server of a test is too slow for those of [Run].
func RunMembers(t *testing.T, open Open, members int) {
	for _, b := range behaviours {
		t.Run(b.name, func(t *testing.T) { b.run(t, open) })
	}
	t.Run("ManyMembersAreKept", func(t *testing.T) { manyMembers(t, open, members) })
}

var behaviours = []struct {
	name string
	run  func(*testing.T, Open)
}{
	{"TorrentThatNobodyKnowsIsEmptyAndWhole", empty},
	{"PutsAreSeenByOthers", putsAreSeen},
	{"TorrentsAreApart", torrentsApart},
	{"LastValueOfAPeerCounts", lastValueCounts},
	{"ValueOfAnotherTrackerIsReplacedByOnesOwn", replacedByOwn},
	{"RemovedValuesAreGone", removedValues},
	{"PeerThatWasRemovedComesBack", comesBack},
	{"CommitIsSeenByOthers", commitSeen},
	{"CommitAfterAnotherOneIsRefusedAndLeavesNothing", commitRefused},
	{"CommitAfterPutsOfOthersIsWritten", commitAfterPuts},
	{"PutsOfARefusedCommitAreWritten", putsOfRefused},
	{"CommitsOfOneTrackerFollowEachOther", commitsFollow},
	{"CommitIsWholeToWhoeverLooks", commitWhole},
	{"WhoKnowsNothingIsToldAll", whole},
	{"WhoKnowsNothingIsToldWhatItWrites", wholeWithOwn},
	{"WhoWasAwayForLongIsToldAllThatCounts", longAway},
	{"LargestValuesAndCommitsAreKept", largest},
	{"AnswerMayBeReused", answerReused},
	{"StepOfOneWhoIsGoneFails", ctxEnds},
	{"TrackersThatWriteAtOnceLoseNothing", writersLoseNothing},
	{"EachIndexIsGivenOnce", indexGivenOnce},
}

func two(t *testing.T, open Open) (a, b *reader) {
	t.Helper()
	h := randomHash()
	a, b = newReader(t, open(t), h), newReader(t, open(t), h)
	a.look()
	b.look()
	return a, b
}

func empty(t *testing.T, open Open) {
	r := newReader(t, open(t), randomHash())
	r.look()
	r.wantAnnounced(nil)
	r.wantRecords(nil)
	r.look()
	r.wantAnnounced(nil)
}

func putsAreSeen(t *testing.T, open Open) {
	a, b := two(t, open)
	a.announce(put(1, "a1"), put(7, "a7"))
	a.wantAnnounced(map[int]string{1: "a1", 7: "a7"})
	b.announce(put(2, "b2"))
	b.wantAnnounced(map[int]string{1: "a1", 2: "b2", 7: "a7"})
	a.look()
	same(t, a, b)
	b.wantRecords(nil)
	if b.answer.Whole {
		t.Error("a tracker that knew of all but one step was told all")
	}
}

func torrentsApart(t *testing.T, open Open) {
	a, b := two(t, open)
	other := newReader(t, b.m, randomHash())
	a.announce(put(1, "a"))
	a.commit(put(1, "role"))
	other.look()
	other.wantAnnounced(nil)
	other.wantRecords(nil)
	other.commit(put(2, "role"))
	a.commit(put(3, "role"))
	a.wantRecords(map[int]string{1: "role", 3: "role"})
}

func lastValueCounts(t *testing.T, open Open) {
	a, b := two(t, open)
	for n := range 100 {
		a.announce(put(1, fmt.Sprint(n)), put(2, "same"))
	}
	b.look()
	b.wantAnnounced(map[int]string{1: "99", 2: "same"})
	fresh := newReader(t, b.m, a.h)
	fresh.look()
	fresh.wantAnnounced(map[int]string{1: "99", 2: "same"})
	if n := len(fresh.answer.Announced); n != 2 {
		t.Errorf("who knows nothing is told of %d values of two peers", n)
	}
}

func replacedByOwn(t *testing.T, open Open) {
	a, b := two(t, open)
	b.announce(put(1, "b"), put(2, "b"))
	a.announce(put(1, "a"), removed(2))
	a.wantAnnounced(map[int]string{1: "a"})
	b.look()
	b.wantAnnounced(map[int]string{1: "a"})
}

func removedValues(t *testing.T, open Open) {
	a, b := two(t, open)
	a.announce(put(1, "a"), put(2, "a"))
	a.commit(put(1, "role"), put(2, "role"))
	b.look()
	b.step([]shared.Entry{removed(1), removed(9)}, []shared.Entry{removed(1), removed(9)})
	b.wantAnnounced(map[int]string{2: "a"})
	a.look()
	a.wantAnnounced(map[int]string{2: "a"})
	a.wantRecords(map[int]string{2: "role"})
	fresh := newReader(t, b.m, a.h)
	fresh.look()
	same(t, a, fresh)
}

func comesBack(t *testing.T, open Open) {
	a, b := two(t, open)
	a.announce(put(1, "first"))
	b.announce(removed(1))
	a.announce(put(1, "second"))
	a.wantAnnounced(map[int]string{1: "second"})
	b.look()
	b.wantAnnounced(map[int]string{1: "second"})
}

func commitSeen(t *testing.T, open Open) {
	a, b := two(t, open)
	if !a.step([]shared.Entry{put(1, "a")}, []shared.Entry{put(1, "role"), put(2, "role")}) {
		t.Fatal("refused")
	}
	b.look()
	b.wantAnnounced(map[int]string{1: "a"})
	b.wantRecords(map[int]string{1: "role", 2: "role"})
	b.commit(put(1, "other"), removed(2))
	a.look()
	a.wantRecords(map[int]string{1: "other"})
}

func commitRefused(t *testing.T, open Open) {
	a, b := two(t, open)
	a.commit(put(1, "a"), put(2, "a"))
	if b.step(nil, []shared.Entry{put(2, "b"), put(3, "b")}) {
		t.Fatal("a commit was written although another one came before, of which the tracker did not know")
	}
	b.wantRecords(map[int]string{1: "a", 2: "a"})
	b.commit(put(2, "b"), put(3, "b")) // it knows now
	a.look()
	a.wantRecords(map[int]string{1: "a", 2: "b", 3: "b"})
}

func commitAfterPuts(t *testing.T, open Open) {
	a, b := two(t, open)
	for n := range 20 {
		b.announce(put(n, "b"))
	}
	a.commit(put(1, "role"))
	a.wantRecords(map[int]string{1: "role"})
	if len(a.values[announced]) != 20 {
		t.Errorf("the answer to a commit tells of %d values of 20", len(a.values[announced]))
	}
}

func putsOfRefused(t *testing.T, open Open) {
	a, b := two(t, open)
	a.commit(put(1, "a"))
	if b.step([]shared.Entry{put(5, "b")}, []shared.Entry{put(1, "b")}) {
		t.Fatal("written")
	}
	b.wantAnnounced(map[int]string{5: "b"})
	a.look()
	a.wantAnnounced(map[int]string{5: "b"})
	a.wantRecords(map[int]string{1: "a"})
}

func commitsFollow(t *testing.T, open Open) {
	a, b := two(t, open)
	for n := range 200 {
		a.commit(put(n%10, fmt.Sprint(n)))
	}
	b.look()
	same(t, a, b)
	b.commit(put(1, "b"))
}

// commitWhole lets one tracker commit pairs of records that belong together, while
// others look.
func commitWhole(t *testing.T, open Open) {
	a, b := two(t, open)
	var done atomic.Bool
	var all sync.WaitGroup
	all.Go(func() {
		defer done.Store(true)
		for n := range 60 {
			v := fmt.Sprint(n)
			if written, err := a.persist(nil, []shared.Entry{put(1, v), put(2, v), put(3, v)}); err != nil || !written {
				t.Errorf("a commit without another one: written %v, %v", written, err)
			}
		}
	})
	fresh := newReader(t, b.m, a.h)
	for !done.Load() {
		fresh.known = nil
		for _, r := range [...]*reader{b, fresh} {
			r.look()
			if v := r.values[records]; v[peer(1)] != v[peer(2)] || v[peer(2)] != v[peer(3)] {
				t.Errorf("of one commit %v was seen", v)
			}
		}
	}
	all.Wait()
}

func whole(t *testing.T, open Open) {
	a, b := two(t, open)
	a.announce(put(1, "a"), put(2, "a"))
	a.commit(put(2, "role"))
	b.look()
	b.known = nil
	b.look()
	same(t, a, b)
	b.commit(put(1, "role")) // it knows all commits
}

func wholeWithOwn(t *testing.T, open Open) {
	a, b := two(t, open)
	a.announce(put(1, "a"), put(2, "a"), put(3, "a"))
	b.known = nil
	b.announce(put(2, "b"), removed(3), put(4, "b"))
	b.wantAnnounced(map[int]string{1: "a", 2: "b", 4: "b"})
	a.look()
	same(t, a, b)
}

// longAway lets a tracker come back after very many changes.
func longAway(t *testing.T, open Open) {
	a, b := two(t, open)
	const peers = 300
	for n := range 40 {
		var some, roles []shared.Entry
		for i := range peers {
			if e := put(i, fmt.Sprint(n)); (i+n)%3 == 0 {
				some = append(some, removed(i))
			} else {
				some = append(some, e)
			}
		}
		for i := range 10 {
			roles = append(roles, put(10*n+i, "role"), removed(10*(n-1)+i))
		}
		if n == 0 {
			roles = slices.DeleteFunc(roles, func(e shared.Entry) bool { return e.Value == nil })
		}
		a.step(some, roles)
	}
	b.look()
	same(t, a, b)
	fresh := newReader(t, b.m, a.h)
	fresh.look()
	same(t, a, fresh)
}

func largest(t *testing.T, open Open) {
	a, b := two(t, open)
	long := strings.Repeat("\x00\xff\n\"", shared.MaxValue/4)
	a.announce(put(1, long))
	var many []shared.Entry
	for n := range shared.MaxCommit {
		many = append(many, put(n, fmt.Sprint(n, " ", long[:100])))
	}
	many[7].Value = []byte(long)
	many[8].Value = []byte{0}
	a.step(many, many)
	b.look()
	if same(t, a, b); len(b.values[records]) != shared.MaxCommit || b.values[records][peer(7)] != long {
		t.Errorf("%d records of %d", len(b.values[records]), shared.MaxCommit)
	}
}

// answerReused keeps the Version of an answer whose memory was used again.
func answerReused(t *testing.T, open Open) {
	a, b := two(t, open)
	first := a.known
	a.announce(put(1, "a"))
	b.announce(put(2, "b"))
	a.look()
	a.known = first
	a.look()
	same(t, a, b)
}

func ctxEnds(t *testing.T, open Open) {
	a, b := two(t, open)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.try(ctx, []shared.Entry{put(1, "a")}, nil); err == nil {
		t.Error("a step of one who is gone succeeded")
	}
	a.look()
	b.look()
	same(t, a, b)
}
