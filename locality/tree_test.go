package locality

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// newTree makes a tree of sites, rows and racks.
func newTree(t testing.TB) *Tree { return treeOf(t, "site", "row", "rack") }

func treeOf(t testing.TB, levels ...string) *Tree {
	t.Helper()
	tree, err := NewTree(1000, levels...)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// groupAt is the group of a path, which must be one.
func groupAt(t testing.TB, tree *Tree, path string) *Group {
	t.Helper()
	g, err := tree.Group(path)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestGroupKnowsItsPlaceInTheTree(t *testing.T) {
	tree := newTree(t)
	rack := groupAt(t, tree, "ams1/row3/r12")
	for height, want := range []struct{ path, name, level string }{
		1: {"ams1/row3/r12", "r12", "rack"}, 2: {"ams1/row3", "row3", "row"}, 3: {"ams1", "ams1", "site"},
	} {
		g := rack.At(height)
		if height == 0 {
			if g != nil || tree.LevelName(0) != "" {
				t.Errorf("height 0 is %v, %q", g, tree.LevelName(0))
			}
			continue
		}
		if g.Height() != height || g.Path() != want.path || g.Name() != want.name || tree.LevelName(height) != want.level || tree.Find(want.path) != g {
			t.Errorf("height %d is %+v of level %s, want %+v", height, g, tree.LevelName(height), want)
		}
		if height > 1 && rack.At(height-1).Up() != g {
			t.Errorf("%s does not lie in %s", rack.At(height-1).Path(), g.Path())
		}
	}
	if rack.At(4) != nil || rack.At(3).Up() != nil || rack.At(2).At(1) != nil || tree.LevelName(4) != "" || tree.Find("ams1/row3/") != nil {
		t.Error("there is something outside the tree")
	}
}

func TestSamePathIsTheSameGroup(t *testing.T) {
	tree := newTree(t)
	a, b := groupAt(t, tree, "a/b/c"), groupAt(t, tree, "a/b/d")
	if a == b || a != groupAt(t, tree, "a/b/c") || a.Up() != b.Up() {
		t.Error("groups are not one per path")
	}
}

func TestPathThatIsNoneIsRefusedWithWhatIsWanted(t *testing.T) {
	tree := newTree(t)
	for path, want := range map[string]string{
		"":                  `"" is no path of 3 names: give site/row/rack`,
		"r12":               `"r12" is no path of 3 names: give site/row/rack`,
		"a/b/c/d":           `"a/b/c/d" is no path of 3 names: give site/row/rack`,
		"a//c":              `path "a//c": a name is empty`,
		"/b/c":              `path "/b/c": a name is empty`,
		"a/b/ c":            `path "a/b/ c": the name " c" begins or ends with a space`,
		"a/b/\x1b[31m":      `path "a/b/\x1b[31m": the name "\x1b[31m" has control characters`,
		"a/b/\u202er":       `path "a/b/\u202er": the name "\u202er" has control characters`,
		"a/b/\xff":          `path "a/b/\xff": the name "\xff" is not UTF-8`,
		"a/b/" + name(65):   fmt.Sprintf(`path "a/b/%s": the name "%s" is longer than 64 bytes`, name(65), name(65)),
		"a/b/" + name(9000): fmt.Sprintf(`path "a/b/%s"...: the name "%s"... is longer than 64 bytes`, name(76), name(80)),
	} {
		g, err := tree.Group(path)
		if g != nil || err == nil || err.Error() != want {
			t.Errorf("%q: %v\nwant %s", path, err, want)
		}
	}
	if tree.Find("a") != nil {
		t.Error("a refused path left a group behind")
	}
	for _, path := range []string{"a/b/" + name(64), "site a/row 3/r 12", "Zürich/Altstetten/ß"} {
		groupAt(t, tree, path)
	}
}

func name(length int) string { return strings.Repeat("x", length) }

func TestTreeOfUnusableLevelsIsRefused(t *testing.T) {
	for _, levels := range [][]string{nil, {"a", "b", "c", "d", "e", "f", "g", "h", "i"}, {"rack", "rack"}, {""}, {"a/b"}, {"a\n"}} {
		if _, err := NewTree(10, levels...); err == nil {
			t.Errorf("%q is taken", levels)
		}
	}
	if _, err := NewTree(0, "rack"); err == nil {
		t.Error("a tree without groups is taken")
	}
	if _, err := NewTree(1, "a", "b", "c", "d", "e", "f", "g", "h"); err != nil {
		t.Error(err)
	}
}

func TestTreeMakesNoMoreGroupsThanItsLimit(t *testing.T) {
	tree, err := NewTree(2, "row", "rack")
	if err != nil {
		t.Fatal(err)
	}
	a := groupAt(t, tree, "a/1")
	groupAt(t, tree, "b/1")
	if _, err := tree.Group("c/1"); err == nil || err.Error() !=
		`"c/1" would be one more than 2, the largest number of groups of level rack: raise the limit, or see whether a source invents locations` {
		t.Error(err)
	}
	if tree.Find("c") != nil || groupAt(t, tree, "a/1") != a {
		t.Error("the limit changed what there was")
	}
}

func TestGroupsAreNumberedWithoutGaps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tree, err := NewTree(1000, "site", "row", "rack")
		if err != nil {
			t.Fatal(err)
		}
		letter := rapid.StringMatching("[a-d]")
		seen := map[int]*Group{}
		for range rapid.IntRange(1, 50).Draw(t, "paths") {
			g, err := tree.Group(letter.Draw(t, "site") + "/" + letter.Draw(t, "row") + "/" + letter.Draw(t, "rack"))
			if err != nil {
				t.Fatal(err)
			}
			for ; g != nil; g = g.Up() {
				if other := seen[g.Number()]; other != nil && other != g {
					t.Fatalf("%s and %s are both number %d", other.Path(), g.Path(), g.Number())
				}
				seen[g.Number()] = g
			}
		}
		for n := range len(seen) {
			if seen[n] == nil {
				t.Fatalf("nothing is number %d of %d", n, len(seen))
			}
		}
	})
}

func TestGroupsAreMadeOnceByManyAtATime(t *testing.T) {
	tree := newTree(t)
	var all sync.WaitGroup
	var got [8][100]*Group
	for i := range got {
		all.Go(func() {
			for j := range got[i] {
				got[i][j], _ = tree.Group(fmt.Sprintf("s/%d/%d", j%7, j))
			}
		})
	}
	all.Wait()
	for i := range got {
		if got[i] != got[0] || got[i][99] == nil {
			t.Fatal("the same path is two groups")
		}
	}
}

func TestKnownGroupsAllocateNothing(t *testing.T) {
	tree := newTree(t)
	groupAt(t, tree, "a/b/c")
	path := strings.Join([]string{"a", "b", "c"}, "/")
	if n := testing.AllocsPerRun(100, func() {
		g, _ := tree.Group(path)
		if g.At(3).Path() != "a" || g.Up().Height() != 2 || g.Number() != 2 && g.Number() != 0 || tree.Find(path) != g {
			t.Error("another group")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
