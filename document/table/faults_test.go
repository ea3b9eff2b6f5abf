package table

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"waggle/document"
	"waggle/document/documenttest"
)

// base is where each of the tests begins.
func base(t rapid.TB) (*documenttest.Memory, map[string]string) {
	m := documenttest.NewMemory()
	a := newUser(t, m, Options{})
	must(t, a.commit(Batch{Changes: []Change{put("old", "1"), put("gone", "2"), put("plain", "3")}, Lines: []json.RawMessage{value("first")}}))
	return m, a.rows
}

// everything is a batch in which everything happens.
func everything() Batch {
	return Batch{
		Changes: []Change{put("new", "10"), put("old", "11"), drop("gone"), {Key: "plain", Value: value("3")}},
		Lines:   []json.RawMessage{value("second"), value("third")},
	}
}

func TestWhoDiesAtAnyStepHasChangedAllOrNothing(t *testing.T) {
	for _, fault := range []documenttest.Fault{documenttest.Refused, documenttest.Lost, documenttest.Again} {
		for dies, finished := 1, false; !finished; dies++ {
			m, before := base(t)
			after := maps.Clone(before)
			note(after, everything())
			requests := -1000 // of opening
			a := newUser(t, &documenttest.Faulty{Store: m, Fault: func(string, string) documenttest.Fault {
				switch requests++; {
				case requests < dies:
					return documenttest.None
				case requests == dies:
					return fault
				}
				return documenttest.Refused
			}}, Options{})
			requests = 0
			err := a.commit(everything())
			finished = requests < dies
			if finished && (err != nil || dies < 10) {
				t.Fatalf("%d requests, %v", requests, err)
			}
			fresh := newUser(t, m.Copy(), Options{})
			want := after
			if err != nil && fresh.rows["new"] == "" {
				want = before
			}
			lines := wantWhole(t, m, want)
			if len(lines) != 1 && maps.Equal(want, before) || len(lines) != 3 && maps.Equal(want, after) {
				t.Fatalf("dies at %d: lines %v", dies, lines)
			}
			wantNothingLeft(t, m, want)
		}
	}
}

// wantNothingLeft goes on, deletes all, and looks for what nobody needs.
func wantNothingLeft(t *testing.T, m *documenttest.Memory, rows map[string]string) {
	t.Helper()
	b := newUser(t, m, Options{})
	must(t, b.commit(Batch{Changes: []Change{put("new", "20"), put("old", "21")}}))
	rows = maps.Clone(rows)
	rows["new"], rows["old"] = `"20"`, `"21"`
	wantWhole(t, m, rows)
	var all []Change
	for key := range rows {
		all = append(all, drop(key))
	}
	must(t, b.commit(Batch{Changes: all}))
	wantWhole(t, m, map[string]string{})
	for _, prefix := range []string{"row/", "blob/"} {
		if left := names(t, m, prefix); len(left) > 0 {
			t.Fatalf("left: %v", left)
		}
	}
}

func TestOneRequestThatFailsLeavesAllOrNothingAndOneGoesOn(t *testing.T) {
	for _, fault := range []documenttest.Fault{documenttest.Refused, documenttest.Lost, documenttest.Again} {
		for fails, finished := 1, false; !finished; fails++ {
			m, before := base(t)
			requests := -1000 // of opening
			a := newUser(t, &documenttest.Faulty{Store: m, Fault: func(string, string) documenttest.Fault {
				if requests++; requests == fails {
					return fault
				}
				return documenttest.None
			}}, Options{})
			requests = 0
			err := a.commit(everything())
			finished, requests = requests < fails, 1000
			if fault == documenttest.Again && err != nil {
				t.Fatalf("request %d was done, and asked again: %v", fails, err)
			}
			want := maps.Clone(before)
			if err == nil {
				note(want, everything())
			}
			must(t, a.learn())
			if err != nil && a.rows["new"] != "" {
				note(want, everything()) // the answer was lost
			}
			wantRows(t, "it", a.rows, want)
			wantWhole(t, m, want)
			must(t, a.commit(Batch{Changes: []Change{put("old", "12")}}))
			note(want, Batch{Changes: []Change{put("old", "12")}})
			wantWhole(t, m, want)
			wantNothingLeft(t, m, want)
		}
	}
}

// TestSomebodyElseComesInBetween lets another one do something whole at each step of a
// change.
func TestSomebodyElseComesInBetween(t *testing.T) {
	for what, other := range map[string][]Change{
		"changes the same":  {put("old", "30"), put("new", "31")},
		"deletes the same":  {drop("old"), drop("new")},
		"makes it anew":     {drop("new"), put("new", "32")},
		"changes another":   {put("another", "33")},
		"deletes a deleted": {drop("gone"), put("gone", "34")},
	} {
		for step, finished := 1, false; !finished; step++ {
			m, _ := base(t)
			b := newUser(t, m, Options{})
			requests, inBetween := -1000, 0
			a := newUser(t, &documenttest.Faulty{Store: m, Fault: func(string, string) documenttest.Fault {
				if requests++; requests == step {
					must(t, b.learn())
					for _, c := range other {
						if err := b.commit(Batch{Changes: []Change{c}}); err == nil {
							inBetween++
						}
						wantBlobs(t, m)
					}
				}
				return documenttest.None
			}}, Options{})
			requests = 0
			err := a.commit(everything())
			finished = requests < step
			if err != nil && !errors.Is(err, ErrConflict) {
				t.Fatalf("%s at %d: %v", what, step, err)
			}
			if !finished && inBetween != len(other) {
				t.Fatalf("%s at %d: it could not", what, step)
			}
			if err == nil && !finished && !strings.Contains(what, "another") && step < 8 {
				t.Fatalf("%s at %d: it was overwritten unseen", what, step)
			}
			must(t, a.learn())
			must(t, b.learn())
			wantRows(t, fmt.Sprintf("%s at %d: one", what, step), a.rows, b.rows)
			wantWhole(t, m, a.rows)
			wantNothingLeft(t, m, a.rows)
		}
	}
}

// once is a store that fails once, when it is told to: at a request that begins so.
type once struct {
	documenttest.Faulty
	at string
}

func failsOnce(m *documenttest.Memory) *once {
	o := &once{}
	o.Store = m
	o.Fault = func(verb, name string) documenttest.Fault {
		if o.at != "" && strings.HasPrefix(verb+" "+name, o.at) {
			o.at = ""
			return documenttest.Refused
		}
		return documenttest.None
	}
	return o
}

func TestRowOfWhoCouldNotApplyItIsNotDroppedByWhoConflicts(t *testing.T) {
	m := documenttest.NewMemory()
	store := failsOnce(m)
	a, b := newUser(t, store, Options{}), newUser(t, m, Options{})
	store.at = "put p/t/row/x"
	wantError(t, a.commit(Batch{Changes: []Change{put("x", "0")}}), documenttest.ErrFault) // the empty one
	store.Fault = func(verb, name string) documenttest.Fault {
		if verb == "put" && name == "p/t/row/x" {
			if _, err := m.Get(background, name); err == nil {
				return documenttest.Refused // but for the empty one
			}
		}
		return documenttest.None
	}
	must(t, a.commit(Batch{Changes: []Change{put("x", "1")}}))
	wantError(t, b.commit(Batch{Changes: []Change{drop("x")}}), ErrConflict)
	must(t, b.commit(Batch{Changes: []Change{put("y", "2")}}))
	wantWhole(t, m, map[string]string{"x": `"1"`, "y": `"2"`})
}

func TestRowThatOthersMadeIsNotDroppedByWhoIsBehind(t *testing.T) {
	m := documenttest.NewMemory()
	store := failsOnce(m)
	a, b := newUser(t, m, Options{}), newUser(t, store, Options{})
	store.at = "put p/t/change/"
	wantError(t, b.commit(Batch{Changes: []Change{put("x", "0")}}), documenttest.ErrFault)
	must(t, a.commit(Batch{Changes: []Change{put("x", "1")}}))
	for range keepChanges + 10 {
		must(t, a.commit(Batch{Lines: []json.RawMessage{value(1)}}))
	}
	must(t, b.commit(Batch{Lines: []json.RawMessage{value(2)}}))
	wantRows(t, "somebody new", newUser(t, m.Copy(), Options{}).rows, a.rows)
}

func TestWhoseDocumentsWereReplacedLoadsAll(t *testing.T) {
	m, other := documenttest.NewMemory(), documenttest.NewMemory()
	store := &documenttest.Faulty{Store: m, Fault: func(string, string) documenttest.Fault { return documenttest.None }}
	a, b := newUser(t, store, Options{}), newUser(t, other, Options{})
	must(t, a.commit(Batch{Changes: []Change{put("x", "1")}}))
	for _, replaced := range []string{"later", "empty", "earlier"} {
		must(t, b.commit(Batch{Changes: []Change{put(replaced, "2")}}))
		must(t, b.commit(Batch{Changes: []Change{put("y", replaced)}}))
		store.Store = other
		if replaced == "empty" {
			store.Store = documenttest.NewMemory()
		}
		if _, behind, err := a.table.News(background); err != nil || !behind {
			t.Errorf("%s: it is not behind, %v", replaced, err)
		}
		must(t, a.load())
		must(t, a.commit(Batch{Changes: []Change{put("z", "3")}}))
		if replaced == "later" {
			wantWhole(t, other, a.rows)
			must(t, b.learn())
		}
	}
}

// wantBlobs checks that each row has the blob that goes with it.
func wantBlobs(t rapid.TB, m *documenttest.Memory) {
	t.Helper()
	fresh := newUser(t, m.Copy(), Options{})
	for key, v := range fresh.rows {
		if b, err := fresh.table.Blob(background, key); err != nil || string(b) != string(blobOf(v)) {
			t.Fatalf("blob of %s, %s: %.20q of %d bytes, %v", key, v, b, len(b), err)
		}
	}
}

// crowd is several users of one table, whose requests fail now and then. The model is
// what has been committed.
type crowd struct {
	memory *documenttest.Memory
	users  []*user
	rows   map[string]string
	lines  []string
	count  int

	fails documenttest.Fault
	in    int // so many requests; the next ones are done
}

func TestAnyHistoryOfSeveralUsersIsOneAfterTheOther(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := &crowd{memory: documenttest.NewMemory(), rows: map[string]string{}, in: -1}
		for range rapid.IntRange(2, 4).Draw(rt, "users") {
			c.users = append(c.users, newUser(rt, c.store(), Options{}))
		}
		rt.Repeat(map[string]func(*rapid.T){"commit": c.commit, "learn": c.learn, "restart": c.restart, "": c.check})
	})
}

func (c *crowd) store() *documenttest.Faulty {
	return &documenttest.Faulty{Store: c.memory, Fault: func(string, string) documenttest.Fault {
		if c.in--; c.in == 0 {
			return c.fails
		}
		return documenttest.None
	}}
}

func (c *crowd) fault(t *rapid.T) {
	c.in = -1
	if rapid.IntRange(0, 2).Draw(t, "fails") == 0 {
		c.fails = rapid.SampledFrom([]documenttest.Fault{documenttest.Refused, documenttest.Lost, documenttest.Again}).Draw(t, "fault")
		c.in = rapid.IntRange(1, 20).Draw(t, "in")
	}
}

func (c *crowd) user(t *rapid.T) *user {
	return c.users[rapid.IntRange(0, len(c.users)-1).Draw(t, "user")]
}

func (c *crowd) commit(t *rapid.T) {
	u := c.user(t)
	var b Batch
	for range rapid.IntRange(1, 3).Draw(t, "changes") {
		key := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "key")
		if c.count++; rapid.IntRange(0, 3).Draw(t, "delete") == 0 {
			b.Changes = append(b.Changes, drop(key))
		} else {
			b.Changes = append(b.Changes, put(key, fmt.Sprintf("%08d", c.count)))
		}
	}
	if rapid.Bool().Draw(t, "line") {
		b.Lines = append(b.Lines, value(c.count))
	}
	knew := true
	for _, change := range b.Changes {
		knew = knew && u.rows[change.Key] == c.rows[change.Key]
	}
	c.fault(t)
	err := u.commit(b)
	c.in = -1
	done := err == nil
	if err != nil && !errors.Is(err, ErrConflict) { // perhaps
		fresh := newUser(t, c.memory.Copy(), Options{})
		done = !maps.Equal(fresh.rows, c.rows)
	}
	if !done {
		return
	}
	if !knew {
		t.Fatalf("%+v was committed by one who knew %v, where there was %v", b, u.rows, c.rows)
	}
	note(c.rows, b)
	for _, l := range b.Lines {
		c.lines = append(c.lines, string(l))
	}
}

func (c *crowd) learn(t *rapid.T) {
	u := c.user(t)
	c.fault(t)
	err := u.learn()
	c.in = -1
	if err != nil {
		must(t, u.learn())
	}
	wantRows(t, "one who learned all", u.rows, c.rows)
}

func (c *crowd) restart(t *rapid.T) {
	n := rapid.IntRange(0, len(c.users)-1).Draw(t, "which")
	c.users[n] = newUser(t, c.store(), Options{})
	wantRows(t, "one who has started", c.users[n].rows, c.rows)
}

func (c *crowd) check(t *rapid.T) {
	lines := wantWhole(t, c.memory, c.rows)
	if len(lines) < len(c.lines) {
		t.Fatalf("lines %v, want %v", lines, c.lines)
	}
	// A change that deleted what was not there may have been made though its answer was
	// lost: then its lines are there too.
	for _, l := range c.lines {
		if !slices.Contains(lines, l) {
			t.Fatalf("lines %v, want %v", lines, c.lines)
		}
	}
}

// stubborn is a store that takes no row, as one would whose versions are never the same.
type stubborn struct {
	*documenttest.Memory
	asked int
}

func (s *stubborn) Put(ctx context.Context, name string, value []byte, version string) (string, error) {
	if strings.HasPrefix(name, "p/t/row/") {
		s.asked++
		return "", document.ErrChanged
	}
	return s.Memory.Put(ctx, name, value, version)
}

func TestStoreThatNeverTakesARowIsNotAskedForEver(t *testing.T) {
	m := documenttest.NewMemory()
	must(t, newUser(t, m, Options{}).commit(Batch{Changes: []Change{put("x", "1")}}))
	s := &stubborn{Memory: m}
	a := newUser(t, s, Options{})
	given := func(what string, err error) {
		t.Helper()
		if wantError(t, err, document.ErrChanged); s.asked > maxTries {
			t.Errorf("%s: asked %d times", what, s.asked)
		}
		s.asked = 0
	}
	_, err := a.table.Merge(background, "x", func(json.RawMessage) json.RawMessage { return value("merged") })
	given("merging", err)
	given("making one", a.commit(Batch{Changes: []Change{put("y", "1")}}))
	must(t, a.commit(Batch{Changes: []Change{{Key: "x", Value: value("2")}}})) // it is made, and cannot be applied
	s.asked = 0
	given("applying", a.commit(Batch{Changes: []Change{{Key: "x", Value: value("3")}}}))
	wantRows(t, "somebody new", newUser(t, m.Copy(), Options{}).rows, map[string]string{"x": `"2"`})
}
