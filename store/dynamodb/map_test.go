package dynamodb_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"waggle/store/dynamodb"
	"waggle/store/shared"
	"waggle/store/shared/maptest"
	"waggle/swarm"
)

func TestMapConforms(t *testing.T) {
	t.Parallel()
	tables := map[*testing.T]dynamodb.Options{}
	maptest.Run(t, func(t *testing.T) shared.Map {
		if _, has := tables[t]; !has {
			tables[t] = newTable(t)
		}
		return open(t, tables[t]).Map()
	})
}

// follower is a tracker that keeps in step with a map.
type follower struct {
	m      shared.Map
	known  shared.Version
	values map[netip.AddrPort]string
	whole  int // times that it was told all
}

func (f *follower) step(t *testing.T, announced ...shared.Entry) {
	t.Helper()
	var answer shared.Answer
	u := &shared.Update{InfoHash: hash(1), Known: f.known, Announced: announced}
	if err := f.m.Update(t.Context(), u, &answer); err != nil {
		t.Fatal(err)
	}
	f.known = answer.Version
	if answer.Whole {
		f.values = map[netip.AddrPort]string{}
		f.whole++
	}
	for _, e := range append(answer.Announced, announced...) {
		if e.Value == nil {
			delete(f.values, e.Peer)
		} else {
			f.values[e.Peer] = string(e.Value)
		}
	}
}

func entry(n int, value string) shared.Entry {
	e := shared.Entry{Peer: leecher(hash(1), n).Addr()}
	if value != "" {
		e.Value = []byte(value)
	}
	return e
}

func wantSame(t *testing.T, want map[netip.AddrPort]string, followers ...*follower) {
	t.Helper()
	for i, f := range followers {
		f.step(t)
		if len(f.values) != len(want) {
			t.Errorf("tracker %d knows %d values, want %d", i, len(f.values), len(want))
		}
		for peer, value := range want {
			if f.values[peer] != value {
				t.Fatalf("tracker %d: %v is %.20q, want %.20q", i, peer, f.values[peer], value)
			}
		}
	}
}

// logItems returns how many items the log of the torrent has, by the first byte of their
// sort keys.
func logItems(t *testing.T, o dynamodb.Options) map[byte]int {
	t.Helper()
	h := hash(1)
	items := map[byte]int{}
	in := &sdk.QueryInput{
		TableName: &o.Table, KeyConditionExpression: ptr("p = :p"), ProjectionExpression: ptr("s"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":p": &types.AttributeValueMemberB{Value: append([]byte{'m'}, h[:]...)}},
	}
	for pages := sdk.NewQueryPaginator(client(o), in); pages.HasMorePages(); {
		out, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range out.Items {
			items[i["s"].(*types.AttributeValueMemberB).Value[0]]++
		}
	}
	return items
}

func ptr[T any](v T) *T { return &v }

func TestLogIsFoldedAndWhoFollowsMissesNothing(t *testing.T) {
	t.Parallel()
	o, c := newTable(t), newClock()
	o.Now = c.Now
	writer, idle := &follower{m: open(t, o).Map()}, &follower{m: open(t, o).Map()}
	writer.step(t)
	idle.step(t)
	random := rand.New(rand.NewPCG(1, 2))
	long := string(bytes.Repeat([]byte("x"), 1000))
	write := func(steps int) {
		for range steps {
			var some []shared.Entry
			first := random.IntN(500)
			for n := range 12 {
				value := fmt.Sprint(random.IntN(1000), long)
				if random.IntN(4) == 0 {
					value = ""
				}
				some = append(some, entry(first+n, value))
			}
			writer.step(t, some...)
		}
	}
	write(130)
	if items := logItems(t, o); items['h'] != 1 || items['b'] < 2 || items['l'] != 130 {
		t.Errorf("%v: want a snapshot that is too long for its item, and a log", items)
	}
	wantSame(t, writer.values, idle, &follower{m: open(t, o).Map()})
	if idle.whole != 1 {
		t.Error("who knew a part of the log was told all")
	}
	c.pass(2 * time.Hour)
	write(200) // deletes what is old, and folded twice
	if items := logItems(t, o); items['l'] >= 330 || items['h'] != 1 {
		t.Errorf("%v: nothing was deleted", items)
	}
	wantSame(t, writer.values, idle, &follower{m: open(t, o).Map()})
	if idle.whole != 2 {
		t.Error("who was away for hours was not told all")
	}
}

func TestTrackersThatFoldAtOnceLoseNothing(t *testing.T) {
	t.Parallel()
	o := newTable(t)
	var followers [4]*follower
	for i := range followers {
		followers[i] = &follower{m: open(t, o).Map()}
	}
	long := string(bytes.Repeat([]byte("x"), 800))
	writers(len(followers), func(w int) {
		for n := range 80 {
			followers[w].step(t, entry(1000*w+n, fmt.Sprint(n, long)))
		}
	})
	want := map[netip.AddrPort]string{}
	for w := range followers {
		for n := range 80 {
			want[entry(1000*w+n, "").Peer] = fmt.Sprint(n, long)
		}
	}
	if items := logItems(t, o); items['h'] != 1 {
		t.Errorf("%v: nothing was folded", items)
	}
	wantSame(t, want, append(followers[:], &follower{m: open(t, o).Map()})...)
}

func TestTrackerThatOnlyListensIsNotToldAllAgain(t *testing.T) {
	o, c := newTable(t), newClock()
	o.Now = c.Now
	writer, idle := &follower{m: open(t, o).Map()}, &follower{m: open(t, o).Map()}
	writer.step(t, entry(1, "a"))
	for range 4 {
		idle.step(t)
		c.pass(6 * time.Minute)
	}
	writer.step(t, entry(2, "b"))
	wantSame(t, map[netip.AddrPort]string{entry(1, "").Peer: "a", entry(2, "").Peer: "b"}, idle)
	if idle.whole != 1 {
		t.Errorf("it was told all %d times", idle.whole)
	}
}

func TestStepThatCannotBeWrittenLeavesNothingBehind(t *testing.T) {
	o, p := newTable(t), newProxy(t)
	o.Patience = 2 * time.Second
	m := open(t, p.through(o)).Map()
	var all []shared.Entry
	for n := range shared.MaxCommit {
		all = append(all, entry(n, string(bytes.Repeat([]byte("x"), shared.MaxValue))))
	}
	puts := 0
	p.do(func(operation, _ string) fault {
		if operation != "PutItem" {
			return none
		}
		if puts++; puts > 1 { // the second part
			return throttle
		}
		return none
	})
	var answer shared.Answer
	if err := m.Update(t.Context(), &shared.Update{InfoHash: hash(1), Announced: all}, &answer); !errors.Is(err, swarm.ErrBusy) {
		t.Errorf("%v", err)
	}
	if items := logItems(t, o); len(items) != 0 || puts < 2 {
		t.Errorf("%v is left, after %d attempts", items, puts)
	}
}

func TestLargestStepIsWrittenWhole(t *testing.T) {
	o := newTable(t)
	writer, reader := &follower{m: open(t, o).Map()}, &follower{m: open(t, o).Map()}
	writer.step(t)
	reader.step(t)
	long := string(bytes.Repeat([]byte("x"), shared.MaxValue))
	var all []shared.Entry
	for n := range shared.MaxCommit {
		all = append(all, entry(n, long))
	}
	writer.step(t, all...)
	wantSame(t, writer.values, reader)
}

func TestLogOfATorrentWithoutPeersIsForgottenAndGoesOn(t *testing.T) {
	o, c := newTable(t), newClock()
	o.Now = c.Now
	o.Group = newTree(t).Group
	s := open(t, o)
	a := located(t, o, 1)
	do(t, s, a)
	a.Event = 3 // stopped
	do(t, s, a)
	before := &follower{m: s.Map()}
	before.step(t)
	c.pass(2 * time.Hour)
	for range 2 {
		expire(t, s, c.Now())
	}
	if items := logItems(t, o); items['l'] != 0 || items['h'] != 1 {
		t.Errorf("%v is left of a torrent that nobody has", items)
	}
	wantTotals(t, s, swarm.Totals{})
	after := &follower{m: open(t, o).Map()}
	after.step(t, entry(1, "a"))
	before.step(t, entry(2, "b"))
	wantSame(t, before.values, after, before)
	if len(before.values) != 2 {
		t.Errorf("%v", before.values)
	}
}
