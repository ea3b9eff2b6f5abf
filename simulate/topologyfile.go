package simulate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"waggle/locality"
)

// maxFile is the size of the largest topology file, in bytes.
const maxFile = 4 << 20

// ReadTopology reads a topology from YAML:
//
//	levels: [row, rack]        # outermost first
//	host: 1Gbit                # or {up: 1Gbit, down: 10Gbit}
//	uplink: {rack: 10Gbit}     # of the groups of a level, unless they say otherwise
//	oversubscription: {row: 5} # the same, as hosts' speed divided by the uplink's
//	groups:
//	  - {name: row1, uplink: 40Gbit, groups: [{name: rack, count: 10, hosts: 40}]}
//	  - name: row2
//	    groups:
//	      - {name: old, hosts: 20, host: 100Mbit, oversubscription: 2}
//
// A group with a count stands for as many, with numbers behind the name. An uplink
// that nobody says anything of has no limit. name is the file's, for errors. These
// have a line for each mistake.
func ReadTopology(r io.Reader, name string) (*Topology, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s is larger than 4 MiB: is it a topology?", name)
	}
	f := &topologyFile{name: name}
	var root yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(&root); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %s", name, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(root.Content) == 0 {
		return nil, fmt.Errorf("%s is empty: want the keys levels and groups", name)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s has more than one YAML document: keep one", name)
	}
	t := f.topology(root.Content[0])
	if len(f.wrong) > 0 {
		return nil, errors.Join(f.wrong...)
	}
	if _, err := t.lay(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return t, nil
}

// topologyFile is a file being read, and what is wrong with it.
type topologyFile struct {
	name   string
	wrong  []error
	levels []string
	host   Speed
	uplink map[string]Speed
	over   map[string]float64
}

// maxWrong is how many mistakes are told of at a time.
const maxWrong = 10

func (f *topologyFile) refuse(n *yaml.Node, format string, a ...any) {
	if len(f.wrong) < maxWrong {
		f.wrong = append(f.wrong, fmt.Errorf("%s:%d: %s", f.name, n.Line, fmt.Sprintf(format, a...)))
	}
}

// keys calls read for each key of a mapping. Keys that are unknown or there twice are
// refused.
func (f *topologyFile) keys(n *yaml.Node, what string, read map[string]func(*yaml.Node), known string) {
	if n.Kind != yaml.MappingNode {
		f.refuse(n, "%s wants keys: %s", what, known)
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		switch do := read[key.Value]; {
		case do == nil:
			f.refuse(key, "%s has no key %q: want some of %s", what, key.Value, known)
		case seen[key.Value]:
			f.refuse(key, "%s is there twice", key.Value)
		default:
			do(n.Content[i+1])
		}
		seen[key.Value] = true
	}
}

func (f *topologyFile) topology(n *yaml.Node) *Topology {
	var groups *yaml.Node
	f.keys(n, "a topology", map[string]func(*yaml.Node){
		"levels":           func(v *yaml.Node) { f.levels = f.names(v) },
		"host":             func(v *yaml.Node) { f.host = f.speed(v) },
		"uplink":           func(v *yaml.Node) { f.uplink = perLevel(f, v, f.speed) },
		"oversubscription": func(v *yaml.Node) { f.over = perLevel(f, v, f.number) },
		"groups":           func(v *yaml.Node) { groups = v },
	}, "levels, host, uplink, oversubscription, groups")
	if groups == nil || len(f.levels) == 0 {
		f.refuse(n, "a topology wants levels, such as [row, rack], and groups")
		return nil
	}
	if len(f.levels) > locality.MaxLevels {
		f.refuse(n, "%d levels are more than %d", len(f.levels), locality.MaxLevels)
		return nil
	}
	for level := range f.uplink {
		f.known(n, level)
	}
	for level := range f.over {
		f.known(n, level)
	}
	t := &Topology{Levels: f.levels}
	t.Groups, _ = f.list(groups, 0)
	return t
}

func (f *topologyFile) known(n *yaml.Node, level string) {
	for _, l := range f.levels {
		if l == level {
			return
		}
	}
	f.refuse(n, "no level is called %q: want some of %s", level, strings.Join(f.levels, ", "))
}

// list reads groups of a level, and returns how many they are with those inside.
func (f *topologyFile) list(n *yaml.Node, depth int) (groups []Group, size int) {
	if n.Kind != yaml.SequenceNode {
		f.refuse(n, "groups wants a list")
		return nil, 0
	}
	for _, item := range n.Content {
		g, count, inside := f.group(item, depth)
		if size += count * (1 + inside); size > maxGroups {
			f.refuse(item, "more than %d groups cannot be simulated", maxGroups)
			return nil, 0
		}
		groups = append(groups, g.times(count)...)
	}
	return groups, size
}

// times returns as many of a group as there should be: numbered, if it has a count.
func (g *counted) times(count int) (all []Group) {
	if !g.numbered {
		return []Group{g.Group}
	}
	for i := range count {
		one := g.Group
		one.Name += strconv.Itoa(i + 1)
		all = append(all, one)
	}
	return all
}

// counted is a group of which there may be several.
type counted struct {
	Group
	numbered bool
}

// group reads a group, how often it is there, and how many are inside each.
func (f *topologyFile) group(n *yaml.Node, depth int) (g counted, count, inside int) {
	if depth >= len(f.levels) {
		f.refuse(n, "groups are in each other more deeply than there are levels: %s", strings.Join(f.levels, ", "))
		return g, 1, 0
	}
	level := f.levels[depth]
	count, g.Uplink = 1, f.uplink[level]
	over, host := f.over[level], f.host
	said := 0 // of its uplink
	f.keys(n, "a group", map[string]func(*yaml.Node){
		"name":             func(v *yaml.Node) { g.Name = v.Value },
		"count":            func(v *yaml.Node) { count, g.numbered = f.whole(v), true },
		"hosts":            func(v *yaml.Node) { g.Hosts = f.whole(v) },
		"host":             func(v *yaml.Node) { host = f.speed(v) },
		"uplink":           func(v *yaml.Node) { g.Uplink, over = f.speed(v), 0; said++ },
		"oversubscription": func(v *yaml.Node) { over = f.number(v); said++ },
		"groups":           func(v *yaml.Node) { g.Groups, inside = f.list(v, depth+1) },
	}, "name, count, hosts, host, uplink, oversubscription, groups")
	if g.Name == "" {
		f.refuse(n, "a group wants a name")
	}
	if said > 1 {
		f.refuse(n, "uplink and oversubscription say the same: keep one of them")
	}
	if g.Hosts > 0 {
		g.Host = host
		if host == (Speed{}) {
			f.refuse(n, "its hosts have no speed: give host, such as 1Gbit, here or for all")
		}
	}
	if over > 0 {
		up, down := g.together()
		g.Uplink = Speed{divided(up, over), divided(down, over)}
	}
	return g, count, inside
}

// divided returns the speed of an uplink that is oversubscribed.
func divided(speed, by float64) int64 { return int64(min(max(speed/by, 1), 1<<50)) }

// together returns what a group's hosts can carry together, in bytes a second.
func (g *Group) together() (up, down float64) {
	up, down = float64(g.Hosts)*float64(g.Host.Up), float64(g.Hosts)*float64(g.Host.Down)
	for i := range g.Groups {
		u, d := g.Groups[i].together()
		up, down = up+u, down+d
	}
	return up, down
}

func (f *topologyFile) names(n *yaml.Node) (names []string) {
	if n.Kind != yaml.SequenceNode {
		f.refuse(n, "levels wants a list, such as [row, rack]")
	}
	for _, item := range n.Content {
		names = append(names, item.Value)
	}
	return names
}

// perLevel reads a mapping whose keys are levels.
func perLevel[T any](f *topologyFile, n *yaml.Node, read func(*yaml.Node) T) map[string]T {
	values := map[string]T{}
	if n.Kind != yaml.MappingNode {
		f.refuse(n, "want a value for each level, such as {rack: ...}")
		return values
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		values[n.Content[i].Value] = read(n.Content[i+1])
	}
	return values
}

// speed reads a speed, or one for each direction.
func (f *topologyFile) speed(n *yaml.Node) (s Speed) {
	one := func(v *yaml.Node) int64 {
		speed, err := ParseSpeed(v.Value)
		if err != nil {
			f.refuse(v, "%v", err)
		}
		return speed
	}
	if n.Kind != yaml.MappingNode {
		return Both(one(n))
	}
	f.keys(n, "a speed", map[string]func(*yaml.Node){
		"up":   func(v *yaml.Node) { s.Up = one(v) },
		"down": func(v *yaml.Node) { s.Down = one(v) },
	}, "up, down")
	if len(f.wrong) == 0 && (s.Up == 0 || s.Down == 0) {
		f.refuse(n, "a speed wants up and down both")
	}
	return s
}

func (f *topologyFile) whole(n *yaml.Node) int {
	v, err := strconv.Atoi(n.Value)
	if err != nil || v < 1 || v > maxHosts {
		f.refuse(n, "%q is no number of 1 to %d", n.Value, maxHosts)
		return 1
	}
	return v
}

func (f *topologyFile) number(n *yaml.Node) float64 {
	v, err := strconv.ParseFloat(n.Value, 64)
	if err != nil || !(v > 0 && v <= 1e6) {
		f.refuse(n, "%q is no number above 0", n.Value)
		return 1
	}
	return v
}
