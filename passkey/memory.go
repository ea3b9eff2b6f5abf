package passkey

import (
	"context"
	"iter"
	"maps"
	"slices"
	"sync"
)

// mostSessions is how many sessions of one passkey are kept.
const mostSessions = 1 << 16

// Memory is a [Store] that is empty at each start. Use [NewMemory].
type Memory struct {
	mu  sync.Mutex
	all map[string]*kept
}

// kept is all that is kept of a passkey.
type kept struct {
	Passkey
	sessions []Session
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty store.
func NewMemory() *Memory { return &Memory{all: map[string]*kept{}} }

// Passkeys yields copies.
func (s *Memory) Passkeys(ctx context.Context) iter.Seq2[Passkey, error] {
	return func(yield func(Passkey, error) bool) {
		s.mu.Lock()
		all := make([]Passkey, 0, len(s.all))
		for k := range maps.Values(s.all) {
			all = append(all, k.Passkey)
		}
		s.mu.Unlock()
		for p := range slices.Values(all) {
			if err := ctx.Err(); err != nil {
				yield(Passkey{}, err)
				return
			}
			if !yield(p, nil) {
				return
			}
		}
	}
}

// Apply changes the map.
func (s *Memory) Apply(ctx context.Context, changes []Change) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range changes {
		c := &changes[i]
		if c.Delete {
			delete(s.all, c.Record.ID)
			continue
		}
		k := s.all[c.Record.ID]
		if k == nil {
			k = new(kept)
			s.all[c.Record.ID] = k
		}
		k.Record = c.Record
		if c.Totals != nil {
			k.Totals = *c.Totals
		}
	}
	return nil
}

// Count adds in place.
func (s *Memory) Count(ctx context.Context, told []Counted, rules Rules) ([]*Totals, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	totals := make([]*Totals, len(told))
	for i := range told {
		if k := s.all[told[i].ID]; k != nil {
			k.sessions = addAll(&k.Totals, k.sessions, told[i].Told, rules, mostSessions)
			totals[i] = new(k.Totals)
		}
	}
	return totals, nil
}

// Close does nothing.
func (s *Memory) Close() error { return nil }
