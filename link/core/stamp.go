package core

import "time"

// Stamp says when a change was made, so that of two changes of one peer all nodes
// take the same: 48 bits of Unix milliseconds by the clock of the origin, then 16
// bits of a counter. A change made in knowledge of another has the greater stamp,
// whatever the clocks say (a hybrid logical clock, Kulkarni et al., 2014, kept for
// each peer: so a stamp from a wrong clock touches the peers that it is on, and no
// others). Of equal stamps the greater origin wins.
type Stamp uint64

// stampBits are the bits of a stamp's counter.
const stampBits = 16

// Time returns what the origin's clock said, or less where the stamp had to exceed
// another.
func (s Stamp) Time() time.Time { return time.UnixMilli(s.milli()) }

func (s Stamp) milli() int64 { return int64(s >> stampBits) }

func stampOf(milli int64) Stamp { return Stamp(max(milli, 0)) << stampBits }

// maxAhead is how far in the future a stamp, and the clock of a neighbour, may be,
// in milliseconds: what a clock set to the wrong side of the date line is off.
const maxAhead = 26 * 3600 * 1000

// clockSlack is by how much a stamp may exceed what its sender should have taken,
// in milliseconds.
const clockSlack = 60 * 1000

// newStamp returns the stamp of a change that is made here, at this time by the
// wall, of what had the other stamp until now; 0: nothing.
func (n *Node) newStamp(milli int64, had Stamp) Stamp {
	s := stampOf(milli)
	if milli == n.wall {
		// A clock that is set back makes no older stamps, unless nobody would take them.
		if n.latest.milli() <= milli+maxAhead {
			s = max(s, n.latest)
		}
		n.latest = s
	}
	return max(s, had+1)
}

// beats reports whether the first of two changes of one peer wins.
func beats(s Stamp, o Origin, thanStamp Stamp, thanOrigin Origin) bool {
	return s > thanStamp || s == thanStamp && o > thanOrigin
}
