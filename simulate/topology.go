package simulate

import (
	"errors"
	"fmt"
	"slices"

	"waggle/locality"
)

// Topology is a data centre: groups within groups, hosts in the innermost.
type Topology struct {
	// Levels names the levels of groups, outermost first: "row", "rack".
	Levels []string
	// Groups are the outermost groups. What joins them has no limit.
	Groups []Group
}

// Group is a site, a row, a rack.
type Group struct {
	Name string
	// Groups are those inside it, and Hosts how many hosts are: an innermost group
	// has hosts alone, any other one groups alone.
	Groups []Group
	Hosts  int
	// Host is how fast each of its hosts is, Uplink how fast its boundary is. A speed
	// of 0 is without limit, of an uplink alone.
	Host, Uplink Speed
}

// Speed is how fast something is in each direction, in bytes a second: Up away from
// the host or the group, Down towards it.
type Speed struct{ Up, Down int64 }

// Both returns a speed that is the same in both directions.
func Both(bytesPerSecond int64) Speed { return Speed{bytesPerSecond, bytesPerSecond} }

// Bounds of what can be simulated.
const (
	maxHosts  = 100_000
	maxGroups = 20_000
)

// Grid returns a data centre of racks that are alike, in rows if there are any.
// Uplinks of rows have no limit.
func Grid(rows, racks, hosts int, host, uplink Speed) (*Topology, error) {
	switch {
	case racks < 1 || racks > maxGroups:
		return nil, fmt.Errorf("%d racks cannot be simulated: want 1 to %d", racks, maxGroups)
	case rows < 0 || rows > racks:
		return nil, fmt.Errorf("%d rows of %d racks cannot be: want 0 to as many rows as racks", rows, racks)
	case hosts < 1 || hosts > maxHosts:
		return nil, fmt.Errorf("%d hosts a rack cannot be simulated: want 1 to %d", hosts, maxHosts)
	}
	all := make([]Group, racks)
	for i := range all {
		all[i] = Group{Name: fmt.Sprintf("rack%d", i+1), Hosts: hosts, Host: host, Uplink: uplink}
	}
	t := &Topology{Levels: []string{"rack"}, Groups: all}
	if rows > 0 {
		t.Levels = []string{"row", "rack"}
		t.Groups = make([]Group, rows)
		for i := range t.Groups {
			t.Groups[i] = Group{Name: fmt.Sprintf("row%d", i+1), Groups: all[i*racks/rows : (i+1)*racks/rows]}
		}
	}
	return t, t.Check()
}

// Check returns what is wrong with a topology, or nil.
func (t *Topology) Check() error {
	if len(t.Levels) == 0 || len(t.Levels) > locality.MaxLevels {
		return fmt.Errorf("a topology has from 1 to %d levels, not %d", locality.MaxLevels, len(t.Levels))
	}
	hosts, groups := 0, 0
	for _, g := range t.Groups {
		if err := g.check(t.Levels, g.Name, &hosts, &groups); err != nil {
			return err
		}
	}
	switch {
	case hosts < 2:
		return fmt.Errorf("%d hosts have nothing to pass on: want 2 or more", hosts)
	case hosts > maxHosts:
		return fmt.Errorf("%d hosts are too many to simulate: want %d at most", hosts, maxHosts)
	case groups > maxGroups:
		return fmt.Errorf("%d groups are too many to simulate: want %d at most", groups, maxGroups)
	}
	return nil
}

func (g *Group) check(levels []string, path string, hosts, groups *int) error {
	*groups++
	switch {
	case g.Uplink.Up < 0 || g.Uplink.Down < 0:
		return fmt.Errorf("%s has an uplink of a speed below 0", path)
	case len(levels) > 1 && (g.Hosts != 0 || len(g.Groups) == 0):
		return fmt.Errorf("%s is a %s: want groups of level %s in it, and no hosts beside them", path, levels[0], levels[1])
	case len(levels) == 1 && (g.Hosts < 1 || len(g.Groups) > 0):
		return fmt.Errorf("%s is a %s: want hosts in it, at least 1, and no groups", path, levels[0])
	case len(levels) == 1 && (g.Host.Up < 1 || g.Host.Down < 1):
		return fmt.Errorf("the hosts of %s have no speed", path)
	}
	*hosts += min(g.Hosts, maxHosts+1)
	for _, in := range g.Groups {
		if err := in.check(levels[1:], path+"/"+in.Name, hosts, groups); err != nil {
			return err
		}
	}
	return nil
}

// node is a group laid out for the simulation.
type node struct {
	path   string
	height int // 1: innermost
	up     int32
	speed  Speed
	place  *locality.Group // of an innermost one
	hosts  int
	host   Speed
}

// lay lays the groups out in a row, those above before those inside.
func (t *Topology) lay() ([]node, error) {
	tree, err := locality.NewTree(maxGroups, t.Levels...)
	if err != nil {
		return nil, err
	}
	var nodes []node
	var walk func(groups []Group, up int32, prefix string, height int) error
	walk = func(groups []Group, up int32, prefix string, height int) error {
		for _, g := range groups {
			n := node{path: prefix + g.Name, height: height, up: up, speed: g.Uplink, hosts: g.Hosts, host: g.Host}
			if height == 1 {
				if tree.Find(n.path) != nil {
					return fmt.Errorf("%s is there twice", n.path)
				}
				place, err := tree.Group(n.path)
				if err != nil {
					return err
				}
				n.place = place
			}
			nodes = append(nodes, n)
			if err := walk(g.Groups, int32(len(nodes)-1), n.path+"/", height-1); err != nil {
				return err
			}
		}
		return nil
	}
	if err := t.Check(); err != nil {
		return nil, err
	}
	if err := walk(t.Groups, -1, "", len(t.Levels)); err != nil {
		return nil, errors.Join(errors.New("the topology cannot be laid out"), err)
	}
	return nodes, nil
}

func (t *Topology) hosts() (n int) {
	nodes, err := t.lay()
	if err != nil {
		return 1
	}
	for _, g := range nodes {
		n += g.hosts
	}
	return n
}

func (t *Topology) has(path string) bool {
	nodes, err := t.lay()
	return err == nil && slices.ContainsFunc(nodes, func(n node) bool { return n.path == path })
}

func (t *Topology) anyPath() string {
	nodes, err := t.lay()
	if err != nil {
		return ""
	}
	return nodes[len(nodes)-1].path
}
