package simulate

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Options are what is simulated. Durations are simulated time.
type Options struct {
	Topology *Topology

	// Size is that of the file, Piece of a piece of it, in bytes.
	Size, Piece int64

	// Seed decides all chance: the same options give the same report.
	Seed uint64

	// Active and Passive are the intervals of waggle's profiles, Usual that of
	// trackers that know no locations. 0: 15 s, 5 min, 30 min.
	Active, Passive, Usual time.Duration

	// Importers, Edges and Standby replace what waggle's profiles say: how many peers of a
	// group may download across its uplink (and upload, once complete), from how many
	// others each, and how many stand by. 0: as the profile says.
	Importers, Edges, Standby int

	// Slots is how many neighbours a client uploads to at a time, one of them
	// optimistically while it downloads. Connections is how many it keeps, NumWant how
	// many peers it asks the tracker for. 0: 8, 50, 50.
	Slots, Connections, NumWant int

	// Stagger is over how long the starts of the hosts are spread. The origin, which is
	// the first host, starts first and is complete. 0: all in the same instant.
	Stagger time.Duration

	// Late are hosts that start later than the others.
	Late Late

	// SlowShare is the share of the clients, 0 to 1, that announce every five minutes
	// at most, whatever they are told: as rtorrent and libtorrent do.
	SlowShare float64

	// SeedTime is how long hosts stay once they are complete; 0: for good. The origin
	// stays.
	SeedTime time.Duration

	// Events is what befalls hosts.
	Events []Event

	// Limit is when the simulation ends, whoever lacks what. 0: a day. It ends earlier
	// once everybody is done, or nothing has moved for an hour.
	Limit time.Duration

	// Progress is told how far a run is, about once in a simulated second, from the
	// goroutine that runs it; nil: nobody is.
	Progress func(Progress)
}

// Late is the share of the hosts, 0 to 1, that start later, and by how much.
type Late struct {
	Share float64
	At    time.Duration
}

// Progress is how far a run is.
type Progress struct {
	Policy      string
	At          time.Duration // simulated
	Done, Hosts int           // hosts that are complete, of all but the origin
}

// Fate is what an [Event] does to a host.
type Fate string

// The fates.
const (
	Kill  Fate = "kill"  // it is gone at once, and says nothing
	Leave Fate = "leave" // its client stops, and tells the tracker
)

// Event befalls hosts that run at its time. Whom is "representatives", of every rack the importers, or
// where a policy has no such the two that announced first; "seeds", whoever is complete;
// "origin"; or the path of a group.
type Event struct {
	Fate Fate
	Whom string
	At   time.Duration
}

// ParseLate reads a share of the hosts and when they start, such as "10%@60s".
func ParseLate(s string) (Late, error) {
	share, at, ok := strings.Cut(s, "@")
	percent, isPercent := strings.CutSuffix(share, "%")
	n, err := strconv.ParseFloat(percent, 64)
	d, errAt := time.ParseDuration(at)
	if !ok || !isPercent || err != nil || errAt != nil || !(n >= 0 && n <= 100) || d < 0 {
		return Late{}, fmt.Errorf("%q does not say how many and when: want, for example, 10%%@60s", s)
	}
	return Late{n / 100, d}, nil
}

// ParseEvent reads an event such as "representatives@14s".
func ParseEvent(fate Fate, s string) (Event, error) {
	whom, at, ok := strings.Cut(s, "@")
	d, err := time.ParseDuration(at)
	if !ok || err != nil || d < 0 || whom == "" {
		return Event{}, fmt.Errorf("%q does not say whom and when: want, for example, representatives@14s", s)
	}
	return Event{fate, whom, d}, nil
}

// Policies are the names of what can be compared: the profiles of waggle, and its
// rivals.
var Policies = []string{"strict", "balanced", "parity", "random", "subnet-first", "p2ptracker"}

// maxCells bounds the memory of a run: it has this many counters of two bytes.
const maxCells = 500_000_000

// Check fills in what is left open, and returns what is wrong with simulating a policy,
// in words for whoever gave the options; nil: nothing.
func (o *Options) Check(policy string) error {
	if !slices.Contains(Policies, policy) {
		return fmt.Errorf("no policy is called %q: want some of %s", policy, strings.Join(Policies, ", "))
	}
	if o.Topology == nil {
		return fmt.Errorf("a topology is missing")
	}
	if err := o.Topology.Check(); err != nil {
		return err
	}
	o.setDefaults()
	switch {
	case o.Size < 1 || o.Piece < 16<<10 || o.Piece > 1<<30:
		return fmt.Errorf("a file of %d bytes in pieces of %d cannot be: want at least a byte, and pieces of 16 KiB to 1 GiB", o.Size, o.Piece)
	case (o.Size-1)/o.Piece >= maxCells/int64(o.Topology.hosts()):
		return fmt.Errorf("%d hosts with %d pieces each need too much memory: take larger pieces", o.Topology.hosts(), (o.Size-1)/o.Piece+1)
	case o.Slots < 1 || o.Connections < 1 || o.NumWant < 0 || o.Connections > 1000 || o.NumWant > 1000:
		return fmt.Errorf("%d slots, %d connections and %d peers wanted cannot be: want 1 or more, and at most 1000", o.Slots, o.Connections, o.NumWant)
	case o.Active < time.Second || o.Passive < time.Second || o.Usual < time.Second:
		return fmt.Errorf("intervals of %v, %v and %v cannot be: want at least a second", o.Active, o.Passive, o.Usual)
	case o.Importers < 0 || o.Edges < 0 || o.Standby < 0 || o.Importers > 1000 || o.Edges > 1000 || o.Standby > 1000:
		return fmt.Errorf("%d importers, %d edges and %d on standby cannot be: want 0 to 1000", o.Importers, o.Edges, o.Standby)
	case o.SlowShare < 0 || o.SlowShare > 1 || o.Late.Share < 0 || o.Late.Share > 1:
		return fmt.Errorf("shares of %v and %v cannot be: want 0 to 1", o.SlowShare, o.Late.Share)
	case o.Stagger < 0 || o.Late.At < 0 || o.SeedTime < 0 || o.Limit < 0:
		return fmt.Errorf("a time is below 0")
	}
	return o.checkEvents()
}

func (o *Options) setDefaults() {
	for _, d := range [...]struct {
		option *time.Duration
		value  time.Duration
	}{{&o.Active, 15 * time.Second}, {&o.Passive, 5 * time.Minute}, {&o.Usual, 30 * time.Minute}, {&o.Limit, 24 * time.Hour}} {
		if *d.option == 0 {
			*d.option = d.value
		}
	}
	for _, d := range [...]struct {
		option *int
		value  int
	}{{&o.Slots, 8}, {&o.Connections, 50}, {&o.NumWant, 50}} {
		if *d.option == 0 {
			*d.option = d.value
		}
	}
}

func (o *Options) checkEvents() error {
	for _, e := range o.Events {
		switch {
		case e.Fate != Kill && e.Fate != Leave:
			return fmt.Errorf("%q is no fate: want %s or %s", e.Fate, Kill, Leave)
		case e.Whom != "representatives" && e.Whom != "seeds" && e.Whom != "origin" && !o.Topology.has(e.Whom):
			return fmt.Errorf("%s: want representatives, seeds, origin, or the path of a group such as %s", e.Whom, o.Topology.anyPath())
		}
	}
	return nil
}
