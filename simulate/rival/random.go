package rival

import (
	"context"

	"waggle/store/memory"
	"waggle/swarm"
)

// Random returns an empty store that tells everybody of anybody, as trackers do
// that know no locations: waggle's own, with the locations taken away.
func Random(seed [2]uint64) swarm.Store {
	return random{memory.New(memory.Options{Seed: seed, Details: true})}
}

type random struct{ swarm.Store }

// Announce is documented at [swarm.Store].
func (s random) Announce(ctx context.Context, a *swarm.Announce, r *swarm.Reply) error {
	unlocated := *a
	unlocated.Location, unlocated.Policy = nil, nil
	return s.Store.Announce(ctx, &unlocated, r)
}
