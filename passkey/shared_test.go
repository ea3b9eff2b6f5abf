package passkey

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/document"
	"waggle/document/documenttest"
)

// trackers are two books with the same passkeys.
func trackers(t *testing.T) (a, b *world, documents document.Store) {
	t.Helper()
	documents = documenttest.NewMemory()
	openIt := func() *world {
		s, err := OpenDocuments(t.Context(), documents)
		must(t, err)
		return newWorld(t, s, nil)
	}
	a, b = openIt(), openIt()
	b.clock = a.clock
	b.o.Now = a.clock.Now
	return a, b, documents
}

func TestOneTrackerLearnsWhatAnotherChanges(t *testing.T) {
	a, b, _ := trackers(t)
	ctx := t.Context()
	p := a.make(t, "anna")
	must(t, b.Fresh(ctx, -1))
	if err := b.Enter(b.announce(p.Key, 1, bittorrent.EventNone, 0, 0)); err != nil {
		t.Error(err)
	}
	must(t, second(a.Revoke(ctx, p.ID)))
	must(t, b.Fresh(ctx, -1))
	if err := b.Enter(b.announce(p.Key, 1, bittorrent.EventNone, 0, 0)); !errors.Is(err, words[revoked]) {
		t.Errorf("revoked elsewhere: %v", err)
	}
	renewed, err := b.Renew(ctx, p.ID)
	must(t, err)
	if _, err := b.Restore(ctx, p.ID); err != nil {
		t.Error(err)
	}
	must(t, a.Fresh(ctx, -1))
	if _, err := a.ByKey(p.Key); !errors.Is(err, ErrNone) {
		t.Errorf("the old secret: %v", err)
	}
	if got, err := a.ByKey(renewed.Key); err != nil || got.State(a.Now()) != Active {
		t.Errorf("%+v, %v", got, err)
	}
	a.tell(t, renewed.Key, 1, bittorrent.EventStarted, 0, 0)
	a.tell(t, renewed.Key, 1, bittorrent.EventNone, 10, 20)
	must(t, b.Fresh(ctx, -1))
	b.wantCounted(t, p.ID, 10, 20)
	must(t, second(b.Reset(ctx, p.ID)))
	must(t, a.Fresh(ctx, -1))
	a.wantCounted(t, p.ID, 0, 0)
	must(t, second(a.Change(ctx, p.ID, Edit{Name: new("bert")})))
	must(t, b.Delete(ctx, p.ID)) // which learns of the change first
	must(t, a.Fresh(ctx, -1))
	if a.Len() != 0 || b.Len() != 0 {
		t.Errorf("%d and %d are left", a.Len(), b.Len())
	}
}

func TestSecretIsMadeOnceByTwoTrackers(t *testing.T) {
	a, b, _ := trackers(t)
	key := strings.Repeat("k", 32)
	var wg sync.WaitGroup
	errs := make([]error, 2)
	for i, w := range []*world{a, b} {
		wg.Go(func() { _, errs[i] = w.Create(t.Context(), []New{{Key: key}}) })
	}
	wg.Wait()
	if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs...), ErrExists) {
		t.Errorf("%v", errs)
	}
}

func TestTrackersAddUpWithoutLosingOrCountingTwice(t *testing.T) {
	a, b, documents := trackers(t)
	p := a.make(t, "anna")
	must(t, b.Fresh(t.Context(), -1))
	// One client announces to both, and a balancer sends another's announces to either.
	both := []*world{a, b}
	for i := range int64(10) {
		event := bittorrent.EventNone
		if i == 0 {
			event = bittorrent.EventStarted
		}
		for _, w := range both {
			w.Announce(w.announce(p.Key, 1, event, i*100, 0))
		}
		both[i%2].Announce(a.announce(p.Key, 2, event, i*1000, i))
		if i%3 == 0 {
			must(t, b.Flush(t.Context()))
		}
		must(t, a.Flush(t.Context()))
		a.clock.pass(30 * time.Minute)
	}
	var wg sync.WaitGroup
	for _, w := range both {
		wg.Go(func() {
			if err := w.Flush(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, w := range both {
		must(t, w.Fresh(t.Context(), -1))
	}
	third, err := OpenDocuments(t.Context(), documents)
	must(t, err)
	for _, w := range append(both, newWorld(t, third, nil)) {
		w.wantCounted(t, p.ID, 900+9000, 9)
	}
}

func TestManyPasskeysAreCountedWhileTheyAreMadeAndRevoked(t *testing.T) {
	a, b, _ := trackers(t)
	ctx := t.Context()
	member := a.make(t, "good")
	must(t, b.Fresh(ctx, -1))
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 20 {
			made, err := a.Create(ctx, []New{{Name: fmt.Sprint(i)}, {Name: fmt.Sprint(i)}})
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := a.Revoke(ctx, made[0].ID); err != nil {
				t.Error(err)
			}
			if err := a.Delete(ctx, made[1].ID); err != nil {
				t.Error(err)
			}
		}
	})
	for i := range int64(200) {
		event := bittorrent.EventNone
		if i == 0 {
			event = bittorrent.EventStarted
		}
		for _, w := range []*world{a, b} {
			announce := w.announce(member.Key, 1, event, i, 0)
			if err := w.Enter(announce); err != nil {
				t.Error(err)
			}
			w.Announce(announce)
		}
		if i%20 == 0 {
			must(t, b.Flush(ctx))
		}
	}
	wg.Wait()
	must(t, a.Flush(ctx))
	must(t, b.Flush(ctx))
	must(t, b.Fresh(ctx, -1))
	b.wantCounted(t, member.ID, 199, 0)
	if a.Len() != 21 || b.Len() != 21 {
		t.Errorf("%d and %d", a.Len(), b.Len())
	}
}
