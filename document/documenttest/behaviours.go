package documenttest

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"waggle/document"
)

func keptAsItIs(t *testing.T, s document.Store) {
	if _, err := s.Get(patient(t), "a/b"); !errors.Is(err, document.ErrNone) || !strings.Contains(err.Error(), "a/b") {
		t.Errorf("of none: %v", err)
	}
	remove(t, s, "a/b", "")
	remove(t, s, "a/b", "whatever")
	version := ""
	for _, value := range []string{"first", "", "\x00\xff\r\n\"<&> not text", "first"} {
		version = put(t, s, "a/b", value, version)
		want(t, s, "a/b", value, version)
	}
	other := put(t, s, "a/c", "other", "")
	remove(t, s, "a/b", version)
	if _, err := s.Get(patient(t), "a/b"); !errors.Is(err, document.ErrNone) {
		t.Errorf("when it was deleted: %v", err)
	}
	want(t, s, "a/c", "other", other)
}

func latestVersion(t *testing.T, s document.Store) {
	refused := func(what, version string) {
		t.Helper()
		if _, err := s.Put(patient(t), "a", []byte("other"), version); !errors.Is(err, document.ErrChanged) || !strings.Contains(err.Error(), `a`) {
			t.Errorf("%s: it was put: %v", what, err)
		}
	}
	refused("version of none", "whatever")
	first := put(t, s, "a", "value", "")
	refused("none, though there is one", "")
	second := put(t, s, "a", "value", first)
	refused("the version before", first)
	for _, version := range []string{"", first, "whatever"} {
		if err := s.Delete(patient(t), "a", version); !errors.Is(err, document.ErrChanged) {
			t.Errorf("version %q: it was deleted: %v", version, err)
		}
	}
	want(t, s, "a", "value", second)
	remove(t, s, "a", second)
	refused("the version of a deleted one", second)
}

func noVersionTwice(t *testing.T, s document.Store) {
	seen, last := map[string]bool{}, ""
	for range 5 {
		for range 3 { // the same value each time
			if last = put(t, s, "a", "value", last); seen[last] {
				t.Errorf("version %q came twice", last)
			}
			seen[last] = true
		}
		remove(t, s, "a", last)
		last = ""
	}
}

func valueIsTheCallers(t *testing.T, s document.Store) {
	value := []byte("value")
	version, err := s.Put(patient(t), "a", value, "")
	if err != nil {
		t.Fatal(err)
	}
	clear(value)
	for range 2 {
		d, err := s.Get(patient(t), "a")
		if err != nil || string(d.Value) != "value" || d.Version != version {
			t.Fatalf("%s, %v", shown(d), err)
		}
		clear(d.Value)
		for d, err := range s.List(patient(t), "", "", true) {
			if err != nil || string(d.Value) != "value" {
				t.Fatalf("%s, %v", shown(d), err)
			}
			clear(d.Value)
		}
	}
}

// longName is as long as a name may be.
var longName = strings.Repeat("l", document.MaxPart) + "/" + strings.Repeat("m", document.MaxPart) + "/" +
	strings.Repeat("n", document.MaxName-2*document.MaxPart-2)

func atTheBounds(t *testing.T, s document.Store) {
	value := strings.Repeat("\x00\x01\xfe\xff", document.MaxValue/4)
	values := map[string]string{longName: value, "Z-_.9/a.b-c_D": value[:document.MaxValue-1], "z": ""}
	versions := map[string]string{}
	for name, value := range values {
		versions[name] = put(t, s, name, value, "")
	}
	for name, value := range values {
		want(t, s, name, value, versions[name])
	}
	if names := list(t, s, longName, "", values); len(names) != 1 {
		t.Errorf("listed %d", len(names))
	}
	if names := list(t, s, "", "", values); len(names) != 3 {
		t.Errorf("listed %d", len(names))
	}
	for name := range values {
		remove(t, s, name, versions[name])
	}
}

func beyondTheBounds(t *testing.T, s document.Store) {
	for _, name := range []string{
		"", "/", "a/", "/a", "a//b", ".", "..", "a/../b", "a/.b", "a b", "a\x00", "a\n", "\xff", "ä", "a%2f", "a\\b", "a*",
		longName + "n", strings.Repeat("p", document.MaxPart+1),
	} {
		if _, err := s.Put(patient(t), name, []byte("value"), ""); !errors.Is(err, document.ErrInvalid) {
			t.Errorf("%.40q: %v", name, err)
		}
	}
	if _, err := s.Put(patient(t), "a", make([]byte, document.MaxValue+1), ""); !errors.Is(err, document.ErrInvalid) || !strings.Contains(err.Error(), `a`) {
		t.Errorf("a value that is too long: %v", err)
	}
	if names := list(t, s, "", "", nil); len(names) != 0 {
		t.Errorf("there is %q", names)
	}
}

func endedContext(t *testing.T, s document.Store) {
	version := put(t, s, "a", "value", "")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, getErr := s.Get(ctx, "a")
	_, putErr := s.Put(ctx, "a", bytes.Repeat([]byte("x"), 10), version)
	errs := map[string]error{"Get": getErr, "Put": putErr, "Delete": s.Delete(ctx, "a", version)}
	for d, err := range s.List(ctx, "", "", true) {
		errs["List"] = err
		if err == nil {
			t.Errorf("listed %s", shown(d))
		}
	}
	for _, name := range []string{"Get", "Put", "Delete", "List"} {
		if err := errs[name]; err == nil || errors.Is(err, document.ErrNone) || errors.Is(err, document.ErrChanged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	want(t, s, "a", "value", version)
}
