package swarm

import (
	"fmt"
	"time"

	"waggle/bittorrent"
	"waggle/locality"
)

// Policy limits which located peers of a torrent may cross the uplinks of their
// groups. It is shared and never changes.
type Policy struct {
	// Importers and Exporters are how many incomplete peers of a group may download
	// across its uplink, and how many complete ones may upload, by the height of the
	// group: index 1 is for the innermost.
	Importers, Exporters [locality.MaxLevels + 1]int

	// Edges is to how many peers outside an importer is sent. An exporter is given
	// to twice as many.
	Edges int

	// Standby is how many more peers of an innermost group announce as often as its
	// importers, so that one of them can take over at once.
	Standby int

	// Active is the interval that importers, exporters and those on standby are told,
	// Passive the one of other located peers.
	Active, Passive time.Duration
}

// Profiles are the names of policies, from the one that spares uplinks most to the
// one that is done soonest.
var Profiles = []string{"strict", "balanced", "parity"}

// NewPolicy returns the policy of a profile, at all heights alike: strict lets one
// peer of a group import, with two edges; balanced two, with two edges; parity two,
// with four, as p2ptracker did (seed document B). As many stand by as import.
func NewPolicy(profile string, active, passive time.Duration) (Policy, error) {
	p := Policy{Edges: 2, Active: active, Passive: passive}
	importers := 2
	switch profile {
	case "strict":
		importers = 1
	case "balanced":
	case "parity":
		p.Edges = 4
	default:
		return Policy{}, fmt.Errorf("no profile is called %q: say one of %v", profile, Profiles)
	}
	p.Standby = importers
	for h := range p.Importers {
		p.Importers[h], p.Exporters[h] = importers, importers
	}
	return p, nil
}

// Pace is how often a peer should announce.
type Pace uint8

// The paces.
const (
	Usual   Pace = iota // the tracker's interval
	Active              // often: others depend on it
	Passive             // seldom: what it needs is near
)

// Jittered returns an interval up to a tenth longer or shorter, so that peers that
// came together do not come back together. random is at least 0 and below 1.
func Jittered(interval time.Duration, random float64) time.Duration {
	const jitter = 0.1
	return time.Duration(float64(interval) * (1 - jitter + 2*jitter*random))
}

// Interval returns what a located peer is told to wait. The first passive interval of
// a leecher is any between the active and the passive: so the peers of a rack come
// back one after the other, and where all die that import or stand by, one of the
// others soon takes over.
func (p *Policy) Interval(pace Pace, a *Announce, random float64) time.Duration {
	switch {
	case pace == Active:
		return Jittered(p.Active, random)
	case a.Event == bittorrent.EventStarted && a.Kind() == Leecher:
		return p.Active + time.Duration(float64(p.Passive-p.Active)*random)
	}
	return Jittered(p.Passive, random)
}
