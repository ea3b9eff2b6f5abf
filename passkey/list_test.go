package passkey

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestListHasPagesByNameAndFindsText(t *testing.T) {
	w := newWorld(t, NewMemory(), nil)
	var wanted []New
	for i := range 25 {
		wanted = append(wanted, New{Name: fmt.Sprintf("name %02d", (i*7)%25), Note: fmt.Sprintf("Note %d", i%3)})
	}
	must(t, second(w.Create(t.Context(), wanted)))
	var names []string
	for q := (Query{Limit: 10}); ; {
		page, next, err := w.List(q)
		must(t, err)
		for i := range page {
			names = append(names, page[i].Name)
		}
		if next == "" {
			break
		}
		q.After = next
	}
	if len(names) != 25 || !slices.IsSorted(names) {
		t.Errorf("names %q", names)
	}
	one, _, err := w.List(Query{Text: "NAME 07", Limit: 5})
	if err != nil || len(one) != 1 || one[0].Name != "name 07" {
		t.Fatalf("%+v, %v", one, err)
	}
	if byID, _, err := w.List(Query{Text: one[0].ID, Limit: 5}); err != nil || len(byID) != 1 {
		t.Errorf("by id %+v, %v", byID, err)
	}
	if byKey, _, err := w.List(Query{Text: one[0].Key, Limit: 5}); err != nil || len(byKey) != 0 {
		t.Errorf("a secret is found by a search: %+v, %v", byKey, err)
	}
	if notes, next, err := w.List(Query{Text: "note 1", Limit: 8}); err != nil || len(notes) != 8 || next != "" {
		t.Errorf("by note %d, %q, %v", len(notes), next, err)
	}
	must(t, second(w.Revoke(t.Context(), one[0].ID)))
	must(t, second(w.Change(t.Context(), one[0].ID, Edit{Name: new("another"), Expires: new(w.clock.Now().Add(time.Minute))})))
	w.clock.pass(time.Hour)
	for state, want := range map[State]int{Active: 24, Revoked: 1, Expired: 0, "": 25} {
		if found, _, err := w.List(Query{State: state, Limit: 100}); err != nil || len(found) != want {
			t.Errorf("%q: %d, %v", state, len(found), err)
		}
	}
	if first, _, err := w.List(Query{Limit: 1}); err != nil || first[0].Name != "another" {
		t.Errorf("renamed, the first is %+v, %v", first, err)
	}
	for _, cursor := range []string{"x", "!", "AAAA", "MDEyMzQ1Njc4OWFiY2RlRg"} {
		if _, _, err := w.List(Query{After: cursor, Limit: 1}); !errors.Is(err, ErrCursor) {
			t.Errorf("%q: %v", cursor, err)
		}
	}
}
