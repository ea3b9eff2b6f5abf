package tracker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/store/memory"
	"waggle/swarm"
	"waggle/tracker"
)

// faraway is a store behind a network that can be cut.
type faraway struct {
	*memory.Store
	cut error
}

func (s *faraway) Healthy() error { return s.cut }

func (s *faraway) Announce(ctx context.Context, a *swarm.Announce, r *swarm.Reply) error {
	if s.cut != nil {
		return s.cut
	}
	return s.Store.Announce(ctx, a, r)
}

func TestClientsOfABusyStoreAreToldToComeBackAtDifferentTimes(t *testing.T) {
	random := 0.0
	store := &faraway{memory.New(memory.Options{}), fmt.Errorf("redis: %w", swarm.ErrBusy)}
	tr := tracker.New(store, settings, tracker.Options{Random: func() float64 { return random }})
	if !tr.Remote() {
		t.Error("the tracker does not know that its store waits for a network")
	}
	for value, want := range map[float64]time.Duration{0: time.Minute, 0.5: 3 * time.Minute, 0.99: 5 * time.Minute} {
		random = value
		var r swarm.Reply
		err := tr.Announce(t.Context(), announce(1, time.Unix(1, 0)), &r)
		refusal, ok := errors.AsType[*bittorrent.Refusal](err)
		if !ok || refusal.RetryIn != want {
			t.Errorf("random %v: %v, want to retry in %v", value, err, want)
		}
	}
	if f := tr.Figures(); f.Busy != 3 || f.Failed != 0 {
		t.Errorf("busy %d, failed %d; want 3 and 0", f.Busy, f.Failed)
	}
	store.cut = nil
	if err := tr.Announce(t.Context(), announce(1, time.Unix(2, 0)), new(swarm.Reply)); err != nil {
		t.Errorf("after the store is back: %v", err)
	}
}

func TestStoreOnThisMachineIsNotRemote(t *testing.T) {
	if tracker.New(memory.New(memory.Options{}), settings, tracker.Options{}).Remote() {
		t.Error("memory is taken for a store on a network")
	}
}
