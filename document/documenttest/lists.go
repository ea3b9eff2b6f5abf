package documenttest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"waggle/document"
)

func listInOrder(t *testing.T, s document.Store) {
	values := map[string]string{}
	for _, name := range []string{
		"b", "a1", "a/1", "a/10", "a/2", "a/B", "a/b", "a/b-c", "a/b.c", "a/b_c", "a/bc", "aa/1", "A/1", "0000000009", "0000000010",
	} {
		values[name] = "value of " + name
		put(t, s, name, values[name], "")
	}
	var all []string
	for name := range values {
		all = append(all, name)
	}
	slices.Sort(all)
	for _, prefix := range []string{"", "a", "a/", "a/b", "a/1", "a/2", "aa/", "0", "00000000", "b", "c", "A", "a/bcd"} {
		for _, after := range append([]string{"", "0", "a/", "a/1", "a/11", "a/b", "a0", "a2", "b", "zzz", "a/b.b"}, all...) {
			var wanted []string
			for _, name := range all {
				if strings.HasPrefix(name, prefix) && name > after {
					wanted = append(wanted, name)
				}
			}
			asked := values
			if after != "" { // each value takes some servers a request
				asked = nil
			}
			if got := list(t, s, prefix, after, asked); !slices.Equal(got, wanted) {
				t.Fatalf("%q after %q: %q, want %q", prefix, after, got, wanted)
			}
		}
	}
}

func listEndsEarly(t *testing.T, s document.Store) {
	for _, name := range []string{"a", "b", "c"} {
		put(t, s, name, name, "")
	}
	for d, err := range s.List(patient(t), "", "a", true) {
		if err != nil || d.Name != "b" {
			t.Fatalf("%s, %v", shown(d), err)
		}
		break
	}
}

// manyDocuments are more than the 1,000 that servers list at a time.
const manyDocuments = 1203

func listOverPages(t *testing.T, s document.Store) {
	names := make([]string, manyDocuments)
	values := map[string]string{}
	for n := range names {
		names[n] = fmt.Sprintf("page/%05d", 7*n)
		values[names[n]] = fmt.Sprint(n)
	}
	var writers sync.WaitGroup
	for part := range slices.Chunk(names, manyDocuments/16+1) {
		writers.Go(func() {
			for _, name := range part {
				if _, err := s.Put(patient(t), name, []byte(values[name]), ""); err != nil {
					t.Errorf("putting %s: %v", name, err)
					return
				}
			}
		})
	}
	writers.Wait()
	put(t, s, "pag", "before", "")
	put(t, s, "pagf", "after", "")
	if got := list(t, s, "page/", "", values); !slices.Equal(got, names) {
		t.Errorf("%d, want %d", len(got), len(names))
	}
	if got := list(t, s, "page/", names[1000], nil); !slices.Equal(got, names[1001:]) {
		t.Errorf("after the first 1,001: %d, want %d", len(got), len(names)-1001)
	}
	if got := list(t, s, "page/0", "page/00001", nil); !slices.Equal(got, names[1:]) {
		t.Errorf("after the first: %d, want %d", len(got), len(names)-1)
	}
}

func listOfLargeValues(t *testing.T, s document.Store) {
	values := map[string]string{}
	var names []string
	for n := range 9 { // more than a megabyte, which is a page somewhere
		name := fmt.Sprint("large/", n)
		names = append(names, name)
		values[name] = strings.Repeat(fmt.Sprint(n), document.MaxValue)
		put(t, s, name, values[name], "")
	}
	if got := list(t, s, "large/", "", values); !slices.Equal(got, names) {
		t.Errorf("%q", got)
	}
	if got := list(t, s, "large/", names[3], nil); !slices.Equal(got, names[4:]) {
		t.Errorf("%q", got)
	}
}

func listMeanwhile(t *testing.T, s document.Store) {
	versions := map[string]string{}
	for n := range 40 {
		name := fmt.Sprintf("m/%02d", n)
		versions[name] = put(t, s, name, "value", "")
	}
	seen := map[string]int{}
	for d, err := range s.List(patient(t), "m/", "", true) {
		if err != nil {
			t.Fatal(err)
		}
		seen[d.Name]++
		switch d.Name {
		case "m/05":
			remove(t, s, "m/03", versions["m/03"])
			remove(t, s, "m/07", versions["m/07"])
			put(t, s, "m/051", "new", "")
			put(t, s, "m/10", "newer", versions["m/10"])
		case "m/20":
			remove(t, s, d.Name, d.Version)
		}
	}
	for name := range versions {
		if seen[name] != 1 && name != "m/07" || seen[name] > 1 {
			t.Errorf("%s was listed %d times", name, seen[name])
		}
	}
}
