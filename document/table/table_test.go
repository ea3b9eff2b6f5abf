package table

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"waggle/document"
	"waggle/document/documenttest"
)

func TestOthersLearnWhatOneCommits(t *testing.T) {
	m := documenttest.NewMemory()
	a, b := newUser(t, m, Options{}), newUser(t, m, Options{})
	must(t, a.commit(Batch{Changes: []Change{put("x", "1"), {Key: "y", Value: value("plain")}}, Lines: []json.RawMessage{value("one"), value("two")}}))
	must(t, b.learn())
	wantRows(t, "b", b.rows, map[string]string{"x": `"1"`, "y": `"plain"`})
	must(t, b.commit(Batch{Changes: []Change{drop("x"), put("z", "2")}, Lines: []json.RawMessage{value("three")}}))
	must(t, a.learn())
	wantRows(t, "a", a.rows, map[string]string{"y": `"plain"`, "z": `"2"`})
	if news, behind, err := a.table.News(background); len(news) != 0 || behind || err != nil {
		t.Errorf("news again: %v, %v, %v", news, behind, err)
	}
	if lines := wantWhole(t, m, a.rows); !slices.Equal(lines, []string{`"one"`, `"two"`, `"three"`}) {
		t.Errorf("lines %v", lines)
	}
	if got := names(t, m, "blob/x/"); len(got) != 0 {
		t.Errorf("of what was deleted there is %v", got)
	}
}

func TestChangesOfOneRowAreMadeInTheirOrder(t *testing.T) {
	m := documenttest.NewMemory()
	a := newUser(t, m, Options{})
	must(t, a.commit(Batch{Changes: []Change{put("x", "1"), drop("x"), {Key: "x", Value: value("2")}, {Key: "x", Value: value("3")}}}))
	if _, err := a.table.Blob(background, "x"); !errors.Is(err, ErrNoBlob) {
		t.Errorf("the blob of a deleted row: %v", err)
	}
	must(t, a.commit(Batch{Changes: []Change{put("x", "4"), {Key: "x", Value: value("5")}}}))
	if b, err := a.table.Blob(background, "x"); err != nil || string(b) != string(blobOf(`"4"`)) {
		t.Errorf("%.20q, %v", b, err)
	}
	must(t, a.commit(Batch{Changes: []Change{drop("x"), {Key: "x", Value: value("6")}}}))
	wantWhole(t, m, map[string]string{"x": `"6"`})
	if got := names(t, m, "blob/"); len(got) != 0 {
		t.Errorf("there is %v", got)
	}
	must(t, a.commit(Batch{Changes: []Change{drop("x"), drop("nothing")}}))
	wantWhole(t, m, map[string]string{})
	if got := names(t, m, "row/"); len(got) != 0 {
		t.Errorf("there is %v", got)
	}
}

func TestWhoDoesNotKnowTheLatestMustLearnItFirst(t *testing.T) {
	m := documenttest.NewMemory()
	a, b := newUser(t, m, Options{}), newUser(t, m, Options{})
	must(t, a.commit(Batch{Changes: []Change{put("x", "1")}}))
	wantError(t, b.commit(Batch{Changes: []Change{put("x", "2")}}), ErrConflict)
	wantError(t, b.commit(Batch{Changes: []Change{put("x", "2")}}), ErrConflict) // still
	must(t, b.commit(Batch{Changes: []Change{put("y", "2")}}))                   // something else
	must(t, b.learn())
	must(t, b.commit(Batch{Changes: []Change{put("x", "3")}}))
	must(t, a.learn())
	wantRows(t, "a", a.rows, b.rows)
	wantWhole(t, m, b.rows)
	if got := names(t, m, "blob/x/"); len(got) != 3 { // of one blob
		t.Errorf("there is %v", got)
	}
}

func TestChangesThatShareAKeyConflict(t *testing.T) {
	m := documenttest.NewMemory()
	a, b := newUser(t, m, Options{}), newUser(t, m, Options{})
	must(t, a.commit(Batch{Changes: []Change{{Key: "x", Also: "x2", Value: value(1)}}}))
	wantError(t, b.commit(Batch{Changes: []Change{{Key: "x2", Value: value(2)}}}), ErrConflict)
	wantError(t, b.commit(Batch{Changes: []Change{{Key: "y", Also: "x2", Value: value(2)}}}), ErrConflict)
	wantError(t, b.commit(Batch{Changes: []Change{{Key: "y", Also: "x", Value: value(2)}}}), ErrConflict)
	must(t, b.commit(Batch{Changes: []Change{{Key: "y", Also: "y2", Value: value(2)}}}))
}

func TestSerialTableTakesNoChangeOfWhoHasNotSeenAll(t *testing.T) {
	m := documenttest.NewMemory()
	a, b := newUser(t, m, Options{Serial: true}), newUser(t, m, Options{Serial: true})
	must(t, a.commit(Batch{Changes: []Change{put("x", "1")}}))
	wantError(t, b.commit(Batch{Changes: []Change{put("y", "2")}}), ErrConflict)
	must(t, b.table.Commit(background, Batch{Notes: []Row{{Key: "y", Value: value(1)}}}))
	must(t, b.learn())
	must(t, b.commit(Batch{Changes: []Change{put("y", "2")}}))
}

func TestNotesAreToldAndConflictWithNothing(t *testing.T) {
	m := documenttest.NewMemory()
	a, b := newUser(t, m, Options{}), newUser(t, m, Options{})
	must(t, a.commit(Batch{Changes: []Change{put("x", "1")}}))
	must(t, b.table.Commit(background, Batch{Notes: []Row{{Key: "x", Value: value("note")}}}))
	news, behind, err := a.table.News(background)
	if err != nil || behind || len(news) != 1 || news[0].Key != "x" || string(news[0].Note) != `"note"` || news[0].Value != nil || news[0].Delete {
		t.Errorf("%+v, %v, %v", news, behind, err)
	}
	wantWhole(t, m, a.rows)
}

func TestMergedValuesAreKeptByWhoeverWritesNext(t *testing.T) {
	m := documenttest.NewMemory()
	longest := func(old, next json.RawMessage) json.RawMessage {
		if len(old) > len(next) {
			return old
		}
		return next
	}
	a, b := newUser(t, m, Options{Join: longest}), newUser(t, m, Options{Join: longest})
	must(t, a.commit(Batch{Changes: []Change{{Key: "x", Value: value("1")}}}))
	merged, err := b.table.Merge(background, "x", func(json.RawMessage) json.RawMessage { return value("merged") })
	if err != nil || string(merged) != `"merged"` {
		t.Fatalf("%s, %v", merged, err)
	}
	must(t, a.commit(Batch{Changes: []Change{{Key: "x", Value: value("2")}}}))
	wantWhole(t, m, map[string]string{"x": `"merged"`})
	merged, err = b.table.Merge(background, "x", func(json.RawMessage) json.RawMessage { return nil })
	if err != nil || string(merged) != `"merged"` {
		t.Errorf("%s, %v", merged, err)
	}
	merged, err = b.table.Merge(background, "y", func(json.RawMessage) json.RawMessage { return value("merged") })
	if err != nil || merged != nil {
		t.Errorf("of none: %s, %v", merged, err)
	}
}

func TestWhoIsFarBehindLoadsAll(t *testing.T) {
	m := documenttest.NewMemory()
	a, b, c := newUser(t, m, Options{}), newUser(t, m, Options{}), newUser(t, m, Options{})
	for n := range keepChanges - 1 {
		must(t, a.commit(Batch{Changes: []Change{{Key: fmt.Sprint("x", n%10), Value: value(n)}}}))
	}
	news, behind, err := b.table.News(background)
	if err != nil || behind || len(news) != keepChanges-1 {
		t.Errorf("%d, %v, %v", len(news), behind, err)
	}
	for n := range 5 * trimEvery {
		must(t, a.commit(Batch{Changes: []Change{{Key: fmt.Sprint("x", n%10), Value: value(-n)}}, Lines: []json.RawMessage{value(n)}}))
	}
	if got := len(names(t, m, "change/")); got < keepChanges || got > keepChanges+trimEvery {
		t.Errorf("%d changes are kept", got)
	}
	if _, behind, err = c.table.News(background); err != nil || !behind {
		t.Errorf("it is not behind, %v", err)
	}
	wantError(t, c.commit(Batch{Changes: []Change{{Key: "y", Value: value(1)}}}), ErrConflict)
	must(t, c.learn())
	wantRows(t, "c", c.rows, a.rows)
	must(t, c.commit(Batch{Changes: []Change{{Key: "y", Value: value(1)}}}))
}

func TestWhatHappensWhileLoadingIsLearntAfterwards(t *testing.T) {
	m := documenttest.NewMemory()
	a, b := newUser(t, m, Options{}), newUser(t, m, Options{})
	for _, key := range []string{"a", "b", "c", "d"} {
		must(t, a.commit(Batch{Changes: []Change{put(key, "1")}}))
	}
	_, err := m.Put(background, "p/t/row/0", []byte(`{"incarnation":"left"}`), "") // by somebody who died
	must(t, err)
	b.rows = map[string]string{}
	for r, err := range b.table.Load(background) {
		must(t, err)
		b.rows[r.Key] = string(r.Value)
		if r.Key != "b" {
			continue
		}
		must(t, a.commit(Batch{Changes: []Change{put("a", "2"), drop("d"), put("0", "2"), put("e", "2")}}))
		wantError(t, b.commit(Batch{Changes: []Change{put("f", "3")}}), ErrConflict)
		must(t, b.commit(Batch{Lines: []json.RawMessage{value("line")}}))
		if _, err := b.table.Blob(background, "nothing"); !errors.Is(err, ErrNoBlob) {
			t.Error(err)
		}
		if news, behind, err := b.table.News(background); len(news) != 0 || behind || err != nil {
			t.Errorf("news while loading: %v, %v, %v", news, behind, err)
		}
	}
	must(t, b.learn())
	all := map[string]string{"0": `"2"`, "a": `"2"`, "b": `"1"`, "c": `"1"`, "e": `"2"`}
	wantRows(t, "b", b.rows, all)
	must(t, b.commit(Batch{Changes: []Change{put("f", "3")}}))
	all["f"] = `"3"`
	wantWhole(t, m, all)
}

func TestLinesCanBeAddedByWhoKnowsNoRows(t *testing.T) {
	m := documenttest.NewMemory()
	a, b := newUser(t, m, Options{MaxLines: 10_000}), newUser(t, m, Options{MaxLines: 10_000})
	add := func(u *user) { must(t, u.commit(Batch{Lines: []json.RawMessage{value("line")}})) }
	for range keepChanges + 10 {
		add(a)
	}
	for range 3 {
		add(b)
		add(a)
	}
	for range keepChanges + 10 {
		add(a)
		add(b)
	}
	if len(a.table.news) > keepChanges || len(b.table.news) > keepChanges {
		t.Errorf("%d and %d are remembered", len(a.table.news), len(b.table.news))
	}
	lines, more, err := b.table.Lines(background, 0, 1)
	if want := int64(3*(keepChanges+10) + 6); err != nil || !more || lines[0].Number != want {
		t.Errorf("%+v, %v, want %d", lines, err, want)
	}
}

func TestWhoHasNoRowsAddsLinesWithoutReadingWhatOthersChanged(t *testing.T) {
	m := documenttest.NewMemory()
	requests := 0
	store := &documenttest.Faulty{Store: m, Fault: func(string, string) documenttest.Fault {
		requests++
		return documenttest.None
	}}
	a := newUser(t, m, Options{})
	b, err := Open(background, store, withPrefix(Options{}))
	must(t, err)
	want := []string{}
	for n := range 3 {
		for i := range 300 {
			line := value(fmt.Sprint(n, " ", i))
			must(t, a.commit(Batch{Lines: []json.RawMessage{line}}))
			want = append(want, string(line))
		}
		requests = 0
		must(t, b.Commit(background, Batch{Lines: []json.RawMessage{value(n)}}))
		if requests > 6 {
			t.Errorf("it takes %d requests", requests)
		}
		want = append(want, fmt.Sprint(n))
		must(t, a.learn())
	}
	if got := wantWhole(t, m, a.rows); !slices.Equal(got, want) {
		t.Errorf("%d lines, want %d", len(got), len(want))
	}
}

func TestLatestLinesAreKept(t *testing.T) {
	m := documenttest.NewMemory()
	const most = 10
	a := newUser(t, m, Options{MaxLines: most})
	for n := range 5 * trimEvery {
		must(t, a.commit(Batch{Lines: []json.RawMessage{value(2*n + 1), value(2*n + 2)}}))
		lines, more, err := a.table.Lines(background, 0, 2*most)
		if err != nil || more || len(lines) != min(most, 2*n+2) || lines[0].Number != int64(2*n+2) || string(lines[0].Value) != fmt.Sprint(2*n+2) {
			t.Fatalf("%d lines, %v, %v", len(lines), more, err)
		}
	}
	if got := len(names(t, m, "line/")); got > most+2*trimEvery {
		t.Errorf("%d lines are left", got)
	}
	lines, more, err := a.table.Lines(background, 10*trimEvery, 3)
	if err != nil || !more || len(lines) != 3 || lines[0].Number != 10*trimEvery-1 || lines[2].Number != 10*trimEvery-3 {
		t.Errorf("%v, %v, %v", lines, more, err)
	}
}

func TestWhatIsTooLargeOrNoRowIsRefused(t *testing.T) {
	m := documenttest.NewMemory()
	a := newUser(t, m, Options{})
	long := value(strings.Repeat("x", MaxBatch))
	wantError(t, a.commit(Batch{Changes: []Change{{Key: "x", Value: long}}}), ErrTooLarge)
	wantError(t, a.commit(Batch{Lines: []json.RawMessage{long}}), ErrTooLarge)
	wantError(t, a.commit(Batch{Notes: []Row{{Key: "x", Value: long}}}), ErrTooLarge)
	wantError(t, a.commit(Batch{Changes: []Change{{Key: "x", Value: value(1), Blob: make([]byte, MaxBlob+1)}}}), ErrTooLarge)
	for _, key := range []string{"", "a/b/", "../x", "a b", strings.Repeat("k", MaxKey+1)} {
		wantError(t, a.commit(Batch{Changes: []Change{{Key: key, Value: value(1)}}}), document.ErrInvalid)
	}
	if m.Len() != 0 {
		t.Errorf("%d documents were written", m.Len())
	}
	half := value(strings.Repeat("x", MaxBatch/2-1000))
	must(t, a.commit(Batch{Changes: []Change{{Key: strings.Repeat("k", MaxKey), Value: half}, {Key: "x", Value: half}}}))
}

func TestForeignDocumentsAreRefusedAndLeftAsTheyAre(t *testing.T) {
	for text, want := range map[string]error{
		`{"schema":2,"number":1,"nonce":"x"}`: ErrNewer,
		`{"schema":1,"number":7,"nonce":"x"}`: ErrDamaged,
		`{}`:                                  ErrDamaged,
		`text`:                                ErrDamaged,
	} {
		m := documenttest.NewMemory()
		_, err := m.Put(background, "p/t/head", []byte(text), "")
		must(t, err)
		_, err = Open(background, m, withPrefix(Options{}))
		wantError(t, err, want)
		if d, err := m.Get(background, "p/t/head"); err != nil || string(d.Value) != text || m.Len() != 1 {
			t.Errorf("%s became %s, %v", text, d.Value, err)
		}
	}
}

func FuzzDocuments(f *testing.F) {
	f.Add([]byte(`{"schema":1,"number":1,"nonce":"n","lines":1}`), []byte(`{"number":1,"rows":[{"key":"x","incarnation":"i","value":1,"blob":{"id":"1","size":9},"clean":true}],"first":1,"lines":[1]}`),
		[]byte(`{"incarnation":"i","number":0}`), []byte("x"))
	f.Fuzz(func(_ *testing.T, head, change, row, line []byte) {
		m := documenttest.NewMemory()
		for name, value := range map[string][]byte{
			"head": head, "change/0000000000000001-n": change, "row/x": row, "line/" + string(line): line,
		} {
			_, _ = m.Put(background, "p/t/"+name, value, "")
		}
		opened, err := Open(background, m, withPrefix(Options{}))
		u := &user{table: opened}
		if err != nil || u.load() != nil {
			return
		}
		_, _ = u.table.Blob(background, "x")
		_, _, _ = u.table.Lines(background, 0, 10)
		_ = u.commit(Batch{Changes: []Change{put("x", "1")}, Lines: []json.RawMessage{value(1)}})
		_ = u.learn()
	})
}
