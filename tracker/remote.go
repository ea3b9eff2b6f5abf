package tracker

import (
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// errStoreBusy refuse what a remote store cannot take in, for one minute, two, and so
// on: those who come back spread over as many.
var errStoreBusy = func() (list [5]bittorrent.Refusal) {
	for i := range list {
		list[i] = bittorrent.Refusal{Reason: swarm.ErrBusy, RetryIn: time.Duration(i+1) * time.Minute}
	}
	return list
}()

// Remote reports whether announces and scrapes wait for a network. A frontend that
// must not wait gives them goroutines of their own then, as many as it can afford,
// and asks TurnAway about the others.
func (t *Tracker) Remote() bool { return t.remote != nil }

// TurnAway returns what to answer an announce or a scrape that cannot wait for a
// remote store, because too many do: a [*bittorrent.Refusal].
func (t *Tracker) TurnAway() error {
	t.figures.busy.Add(1)
	return &errStoreBusy[int(t.options.Random()*float64(len(errStoreBusy)))]
}
