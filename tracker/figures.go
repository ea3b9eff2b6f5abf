package tracker

import (
	"sync/atomic"

	"waggle/bittorrent"
)

// Figures count what a tracker did since it began.
type Figures struct {
	Announces uint64 // all, refused ones included
	Scrapes   uint64 // requests, of one or many torrents
	Refused   uint64 // announces refused
	AtDoors   uint64 // of these, by a door
	Failed    uint64 // announces, scrapes and cleanings that the store failed at
	Busy      uint64 // announces, scrapes and cleanings that a remote store could not take in
	Told      uint64 // peers told to others
	Completed uint64 // announces of peers that have just completed
	Expired   uint64 // peers forgotten because they were silent
	Relayed   uint64 // announces that other trackers passed on, beside Announces

	Located   uint64 // announces from where a source knows
	Unlocated uint64 // announces from where none does, if there are sources

	Probes uint64 // attempts to connect to peers that others depend on
	Dead   uint64 // peers forgotten because they could be connected to no more

	Denied  uint64 // announces refused because their torrent is denied
	Passive uint64 // announces answered without peers because their torrent is not served

	Limited    uint64 // requests refused because their address sent too many
	Shed       uint64 // announces refused because all together were too many
	Lengthened uint64 // announces answered with a longer interval, to have fewer of them

	Warned    uint64 // announces that came too early, and were answered with a warning
	Shortened uint64 // announces that came too early, and were answered with few peers
	Early     uint64 // announces refused because they came too early, and too many before
	Silenced  uint64 // requests refused because of too many such refusals at their address
	Moved     uint64 // peers known by their key at another address, where they are no more
	Kept      uint64 // peers that stayed although another client at their address stopped
}

// figures are the counts. Those that every announce adds to are kept in places
// of a cache line each, by info hash, so that cores do not take the line from
// each other.
type figures struct {
	hot [hotPlaces]hotFigures

	scrapes, refused, failed, expired atomic.Uint64
	busy, relayed                     atomic.Uint64
	limited, shed, lengthened, denied atomic.Uint64
	probes, dead, atDoors             atomic.Uint64
	warned, shortened, early          atomic.Uint64
	silenced, moved, kept             atomic.Uint64
	lastFailure                       atomic.Pointer[error]
}

const hotPlaces = 64

type hotFigures struct {
	announces, told, passive, completed, located, unlocated atomic.Uint64

	_ [16]byte
}

func (f *figures) at(h *bittorrent.InfoHash) *hotFigures { return &f.hot[h[len(h)-1]%hotPlaces] }

// Figures returns the counts as of now.
func (t *Tracker) Figures() Figures {
	f := Figures{
		Scrapes:    t.figures.scrapes.Load(),
		AtDoors:    t.figures.atDoors.Load(), // before those that it is of
		Refused:    t.figures.refused.Load(),
		Failed:     t.figures.failed.Load(),
		Busy:       t.figures.busy.Load(),
		Relayed:    t.figures.relayed.Load(),
		Expired:    t.figures.expired.Load(),
		Probes:     t.figures.probes.Load(),
		Dead:       t.figures.dead.Load(),
		Denied:     t.figures.denied.Load(),
		Limited:    t.figures.limited.Load(),
		Shed:       t.figures.shed.Load(),
		Lengthened: t.figures.lengthened.Load(),
		Warned:     t.figures.warned.Load(),
		Shortened:  t.figures.shortened.Load(),
		Early:      t.figures.early.Load(),
		Silenced:   t.figures.silenced.Load(),
		Moved:      t.figures.moved.Load(),
		Kept:       t.figures.kept.Load(),
	}
	for i := range t.figures.hot {
		f.Announces += t.figures.hot[i].announces.Load()
		f.Told += t.figures.hot[i].told.Load()
		f.Completed += t.figures.hot[i].completed.Load()
		f.Passive += t.figures.hot[i].passive.Load()
		f.Located += t.figures.hot[i].located.Load()
		f.Unlocated += t.figures.hot[i].unlocated.Load()
	}
	return f
}

// LastFailure returns the latest error of the store, or nil.
func (t *Tracker) LastFailure() error {
	if err := t.figures.lastFailure.Load(); err != nil {
		return *err
	}
	return nil
}
