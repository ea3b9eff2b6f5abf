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

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"waggle/document"
	"waggle/document/documenttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var background = context.Background()

// user is a process that uses a table: it knows all rows, as far as it was told.
type user struct {
	table *Table
	rows  map[string]string
}

func newUser(t rapid.TB, s document.Store, o Options) *user {
	t.Helper()
	opened, err := Open(background, s, withPrefix(o))
	must(t, err)
	opened.chunk = testChunk
	u := &user{table: opened}
	must(t, u.load())
	return u
}

func withPrefix(o Options) Options {
	o.Prefix = "p/t"
	if o.MaxLines == 0 {
		o.MaxLines = 1000
	}
	return o
}

func (u *user) load() error {
	u.rows = map[string]string{}
	for r, err := range u.table.Load(background) {
		if err != nil {
			return err
		}
		if _, twice := u.rows[r.Key]; twice {
			return fmt.Errorf("%s is there twice", r.Key)
		}
		u.rows[r.Key] = string(r.Value)
	}
	return nil
}

// learn takes in what others did.
func (u *user) learn() error {
	news, behind, err := u.table.News(background)
	if err != nil {
		return err
	}
	if behind {
		return u.load()
	}
	for _, n := range news {
		switch {
		case n.Note != nil:
		case n.Delete:
			delete(u.rows, n.Key)
		default:
			u.rows[n.Key] = string(n.Value)
		}
	}
	return nil
}

func (u *user) commit(b Batch) error {
	err := u.table.Commit(background, b)
	if err == nil {
		note(u.rows, b)
	}
	return err
}

// note does to rows what a batch does.
func note(rows map[string]string, b Batch) {
	for _, c := range b.Changes {
		if c.Delete {
			delete(rows, c.Key)
		} else {
			rows[c.Key] = string(c.Value)
		}
	}
}

func value(v any) json.RawMessage {
	b, _ := json.Marshal(v)
	return b
}

// put is a change to a value, with a blob that goes with it.
func put(key, v string) Change {
	return Change{Key: key, Value: value(v), Blob: blobOf(string(value(v)))}
}

// testChunk is how many bytes of a blob lie in one document in tests, which make many.
const testChunk = 100

// blobOf is a blob of several chunks that tells its value.
func blobOf(v string) []byte { return []byte(strings.Repeat(v+" ", 2*testChunk/len(v))) }

func drop(key string) Change { return Change{Key: key, Delete: true} }

func must(t rapid.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantError(t rapid.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
}

func wantRows(t rapid.TB, who string, got, want map[string]string) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Fatalf("%s has %v, want %v", who, got, want)
	}
}

// wantWhole checks that the documents are those rows with their blobs, as somebody new
// reads them, and returns the lines. The documents themselves stay as they are.
func wantWhole(t rapid.TB, m *documenttest.Memory, want map[string]string) (lines []string) {
	t.Helper()
	fresh := newUser(t, m.Copy(), Options{})
	wantRows(t, "somebody new", fresh.rows, want)
	for key, v := range want {
		b, err := fresh.table.Blob(background, key)
		if err != nil && !errors.Is(err, ErrNoBlob) || err == nil && string(b) != string(blobOf(v)) {
			t.Fatalf("blob of %s: %.40q of %d bytes, %v", key, b, len(b), err)
		}
	}
	all, more, err := fresh.table.Lines(background, 0, 1000)
	if err != nil || more {
		t.Fatalf("lines: %v, %v", more, err)
	}
	for i, l := range all {
		if l.Number != int64(len(all)-i) {
			t.Fatalf("line %d has the number %d", i, l.Number)
		}
		lines = append(lines, string(l.Value))
	}
	slices.Reverse(lines)
	return lines
}

// names are those of the documents that begin so.
func names(t rapid.TB, m *documenttest.Memory, prefix string) (names []string) {
	t.Helper()
	for d, err := range m.List(background, "p/t/"+prefix, "", false) {
		must(t, err)
		names = append(names, d.Name)
	}
	return names
}
