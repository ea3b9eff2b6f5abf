package swarm

import "waggle/bittorrent"

// Remote is a store that waits for a network. Whoever must not wait hands it what it
// is asked in goroutines of their own, as many as it can afford.
//
// Where a Remote cannot take an announce or a scrape in because too many wait for it
// already, or its server does not answer, it returns [ErrBusy], at once or after a
// time that it bounds.
type Remote interface {
	Store

	// Healthy returns what is wrong while the server cannot be reached; nil: nothing.
	// It does not wait.
	Healthy() error
}

// ErrBusy says that a store can take nothing in now, and may soon.
const ErrBusy bittorrent.Error = "the tracker's store is busy or cannot be reached: try again later"
