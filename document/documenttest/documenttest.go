// Package documenttest is the conformance suite that every [document.Store] passes, and
// one in memory for tests of what lies in documents.
//
// A store's own test calls [Run] with a function that opens an empty store, and
// [RunTogether] with one that opens two on the same documents, as two trackers would:
//
//	func TestDocumentsConform(t *testing.T) {
//		documenttest.Run(t, func(t *testing.T) document.Store { return open(t, newPrefix(t)) })
//	}
//
// The functions are called once for each behaviour. The suite closes what they opened.
package documenttest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"waggle/document"
)

// Open returns a store without documents.
type Open func(t *testing.T) document.Store

// OpenTwo returns two stores on the same documents, of which there are none yet.
type OpenTwo func(t *testing.T) (a, b document.Store)

// Run runs what concerns one store.
func Run(t *testing.T, open Open) {
	for _, behaviour := range []struct {
		name string
		run  func(*testing.T, document.Store)
	}{
		{"DocumentIsKeptUntilItIsReplacedOrDeleted", keptAsItIs},
		{"WriterMustHaveSeenTheLatestVersion", latestVersion},
		{"NoVersionComesTwice", noVersionTwice},
		{"ValueIsTheCallers", valueIsTheCallers},
		{"NamesAndValuesMayBeAsLongAsTheBoundsSay", atTheBounds},
		{"WhatIsBeyondTheBoundsIsRefused", beyondTheBounds},
		{"ListHasThoseOfAPrefixInTheOrderOfTheirBytes", listInOrder},
		{"ListEndsWhereNobodyWantsMore", listEndsEarly},
		{"ListGoesOnOverPages", listOverPages},
		{"ListOfLargeValuesIsWhole", listOfLargeValues},
		{"ListHasWhatIsThereAllTheWhileOnce", listMeanwhile},
		{"ConcurrentWritersOfOneDocumentAreOneAfterTheOther", oneWins},
		{"CounterLosesNothing", counter},
		{"EndedContextIsAnError", endedContext},
	} {
		t.Run(behaviour.name, func(t *testing.T) {
			s := open(t)
			defer closeStore(t, s)
			behaviour.run(t, s)
		})
	}
}

// RunTogether runs what concerns two stores on the same documents.
func RunTogether(t *testing.T, open OpenTwo) {
	for _, behaviour := range []struct {
		name string
		run  func(t *testing.T, a, b document.Store)
	}{
		{"WhatOneWritesTheOtherSeesAtOnce", seenAtOnce},
		{"WritersOfTwoStoresAreOneAfterTheOther", func(t *testing.T, a, b document.Store) { count(t, 8, a, b) }},
	} {
		t.Run(behaviour.name, func(t *testing.T) {
			a, b := open(t)
			defer closeStore(t, a)
			defer closeStore(t, b)
			behaviour.run(t, a, b)
		})
	}
}

func closeStore(t *testing.T, s document.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Errorf("closing: %v", err)
	}
}

// patience is how long a behaviour may take.
const patience = 2 * time.Minute

func patient(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func put(t *testing.T, s document.Store, name, value, version string) (next string) {
	t.Helper()
	next, err := s.Put(patient(t), name, []byte(value), version)
	if err != nil {
		t.Fatalf("putting %.40s: %v", name, err)
	}
	if next == "" || next == version {
		t.Fatalf("the version of %.40s is %q after %q", name, next, version)
	}
	return next
}

func remove(t *testing.T, s document.Store, name, version string) {
	t.Helper()
	if err := s.Delete(patient(t), name, version); err != nil {
		t.Fatalf("deleting %.40s: %v", name, err)
	}
}

// want checks what a document is now.
func want(t *testing.T, s document.Store, name, value, version string) {
	t.Helper()
	d, err := s.Get(patient(t), name)
	if err != nil {
		t.Fatalf("getting %.40s: %v", name, err)
	}
	if d.Name != name || string(d.Value) != value || d.Version != version {
		t.Fatalf("%.40s is %s, want %s", name, shown(d), shown(document.Document{Name: name, Value: []byte(value), Version: version}))
	}
}

func shown(d document.Document) string {
	return fmt.Sprintf("{%.40q %.40q (%d bytes) version %q}", d.Name, d.Value, len(d.Value), d.Version)
}

// list returns the names of a list, and checks its values against those put.
func list(t *testing.T, s document.Store, prefix, after string, values map[string]string) (names []string) {
	t.Helper()
	for d, err := range s.List(patient(t), prefix, after, values != nil) {
		if err != nil {
			t.Fatalf("listing %q after %.40q: %v", prefix, after, err)
		}
		names = append(names, d.Name)
		switch {
		case d.Version == "":
			t.Fatalf("%.40s is listed without a version", d.Name)
		case values == nil && d.Value != nil:
			t.Fatalf("%.40s is listed with a value that nobody asked for", d.Name)
		case values != nil && string(d.Value) != values[d.Name]:
			t.Fatalf("listed with another value: %s", shown(d))
		}
	}
	return names
}
