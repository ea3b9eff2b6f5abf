package locality

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// MaxLevels is the largest number of levels that a tree can have.
const MaxLevels = 8

// maxName is the length of the longest name of a group, and of a level, in bytes.
const maxName = 64

// Group is a node of the tree of locations: a site, a row, a rack. The same path of a tree is
// always the same *Group, so groups are compared as pointers. A group never changes and is never
// forgotten; it is safe for concurrent use.
type Group struct {
	up     *Group
	path   string
	name   string // the end of path
	height int
	number int
}

// Up is the group that it lies in: the row of a rack. It is nil for an outermost group.
func (g *Group) Up() *Group { return g.up }

// Height is 1 for an innermost group (a rack), 2 for what holds racks, and so on up to the number
// of levels.
func (g *Group) Height() int { return g.height }

// Path is its names from the outermost inwards, joined by slashes: "ams1/row3/r12".
func (g *Group) Path() string { return g.path }

// Name is the last name of its path: "r12".
func (g *Group) Name() string { return g.name }

// Number is small, unique within its tree, and the same for the life of the tree. The groups of all
// levels are numbered together from 0 without gaps, in the order in which they were first seen, so
// it can index a slice.
func (g *Group) Number() int { return g.number }

// At is the group itself or the one above it that has a height; nil if there is none.
func (g *Group) At(height int) *Group {
	for g != nil && g.height < height {
		g = g.up
	}
	if g == nil || g.height != height {
		return nil
	}
	return g
}

// Tree makes groups, and remembers those that it made. It is safe for concurrent use.
type Tree struct {
	levels []string // outermost first
	max    int

	mu        sync.RWMutex
	groups    map[string]*Group // by path, of all levels
	innermost int
}

// NewTree makes a tree without groups. levels names its levels, outermost first ("site", "row",
// "rack"): from 1 to MaxLevels, each a name as a group's, none twice. max is the largest number of
// innermost groups that it will make, at least 1, so that a source that answers a new path each
// time cannot fill memory.
func NewTree(max int, levels ...string) (*Tree, error) {
	if max < 1 {
		return nil, fmt.Errorf("a tree of locations cannot be limited to %d groups: give at least 1", max)
	}
	if len(levels) == 0 || len(levels) > MaxLevels {
		return nil, fmt.Errorf("a tree of locations has from 1 to %d levels, not %d", MaxLevels, len(levels))
	}
	for i, level := range levels {
		if err := checkName(level); err != nil {
			return nil, fmt.Errorf("level %d: %w", i+1, err)
		}
		if strings.Contains(level, "/") {
			return nil, fmt.Errorf("level %q: a level's name has no slash", level)
		}
		if slices.Contains(levels[:i], level) {
			return nil, fmt.Errorf("level %q is named twice", level)
		}
	}
	return &Tree{levels: slices.Clone(levels), max: max, groups: make(map[string]*Group)}, nil
}

// Levels is the names of its levels, outermost first. The slice is the caller's own.
func (t *Tree) Levels() []string { return slices.Clone(t.levels) }

// LevelName is the name of the level whose groups have a height: of height 1 it is the last of
// Levels. It is "" where no group has that height.
func (t *Tree) LevelName(height int) string {
	if height < 1 || height > len(t.levels) {
		return ""
	}
	return t.levels[len(t.levels)-height]
}

// Find is the group of a path of any depth ("ams1", "ams1/row3"), or nil if the tree has not made
// it.
func (t *Tree) Find(path string) *Group {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.groups[path]
}

// Group is the innermost group of a path of full depth: one name per level, outermost first, joined
// by slashes. It is made if it is new, as are those above it. A path of another depth is refused,
// as is a name that is empty, longer than 64 bytes, begins or ends with a space, or has characters
// that cannot be printed, and a new path where the tree has its largest number of groups.
func (t *Tree) Group(path string) (*Group, error) {
	if g := t.Find(path); g != nil && g.height == 1 {
		return g, nil
	}
	if err := t.check(path); err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if g := t.groups[path]; g != nil {
		return g, nil // another made it meanwhile
	}
	if t.innermost == t.max {
		return nil, fmt.Errorf("%q would be one more than %d, the largest number of groups of level %s: %w",
			path, t.max, t.LevelName(1), errFull)
	}
	t.innermost++
	return t.make(strings.Clone(path), 1), nil // a clone: path may be a small part of a large answer
}

// errFull is the error of a tree that makes no more groups.
var errFull = errors.New("raise the limit, or see whether a source invents locations")

// make makes the group of a path, and those above it that are not there yet. The lock is held.
func (t *Tree) make(path string, height int) *Group {
	g := &Group{path: path, name: path, height: height}
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		g.name = path[i+1:]
		if g.up = t.groups[path[:i]]; g.up == nil {
			g.up = t.make(path[:i], height+1)
		}
	}
	g.number = len(t.groups)
	t.groups[path] = g
	return g
}

// check says whether a path could be a group's of full depth, as Group does, without making it: nil
// or why not.
func (t *Tree) check(path string) error {
	if n := strings.Count(path, "/") + 1; n != len(t.levels) {
		return fmt.Errorf("%s is no path of %d names: give %s", quote(path), len(t.levels), strings.Join(t.levels, "/"))
	}
	for name := range strings.SplitSeq(path, "/") {
		if err := checkName(name); err != nil {
			return fmt.Errorf("path %s: %w", quote(path), err)
		}
	}
	return nil
}

// checkName says what is wrong with the name of a group or a level.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("a name is empty")
	case len(name) > maxName:
		return fmt.Errorf("the name %s is longer than %d bytes", quote(name), maxName)
	case name[0] == ' ' || name[len(name)-1] == ' ':
		return fmt.Errorf("the name %s begins or ends with a space", quote(name))
	case !utf8.ValidString(name):
		return fmt.Errorf("the name %s is not UTF-8", quote(name))
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Errorf("the name %s has control characters", quote(name))
	}
	return nil
}

// quote is text from outside as it may stand in an error: escaped, and not long.
func quote(s string) string {
	const enough = 80
	if len(s) > enough {
		return fmt.Sprintf("%q...", s[:enough])
	}
	return fmt.Sprintf("%q", s)
}
