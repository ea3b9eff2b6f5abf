package tracker

import "sync/atomic"

// Figures count what a tracker did since it began.
type Figures struct {
	Announces uint64 // all, refused ones included
	Scrapes   uint64 // requests, of one or many torrents
	Refused   uint64 // announces refused
	Failed    uint64 // announces, scrapes and cleanings that the store failed at
	Told      uint64 // peers told to others
	Expired   uint64 // peers forgotten because they were silent
}

type figures struct {
	announces, scrapes, refused, failed, told, expired atomic.Uint64
	lastFailure                                        atomic.Pointer[error]
}

// Figures returns the counts as of now.
func (t *Tracker) Figures() Figures {
	return Figures{
		Announces: t.figures.announces.Load(),
		Scrapes:   t.figures.scrapes.Load(),
		Refused:   t.figures.refused.Load(),
		Failed:    t.figures.failed.Load(),
		Told:      t.figures.told.Load(),
		Expired:   t.figures.expired.Load(),
	}
}

// LastFailure returns the latest error of the store, or nil.
func (t *Tracker) LastFailure() error {
	if err := t.figures.lastFailure.Load(); err != nil {
		return *err
	}
	return nil
}
