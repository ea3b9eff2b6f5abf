package documenttest

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"waggle/document"
)

func oneWins(t *testing.T, s document.Store) {
	const writers = 16
	version := ""
	for round := range 5 {
		var won atomic.Int32
		var all sync.WaitGroup
		next := make([]string, writers)
		for n := range writers {
			all.Go(func() {
				var err error
				next[n], err = s.Put(patient(t), "a", fmt.Append(nil, round, n), version)
				switch {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, document.ErrChanged):
					t.Errorf("a writer: %v", err)
				}
			})
		}
		all.Wait()
		if won.Load() != 1 {
			t.Fatalf("round %d: %d writers won", round, won.Load())
		}
		for n, v := range next {
			if v != "" {
				want(t, s, "a", string(fmt.Append(nil, round, n)), v)
				version = v
			}
		}
	}
}

func counter(t *testing.T, s document.Store) { count(t, 8, s) }

// count lets writers of each store add to a number, each several times.
func count(t *testing.T, writers int, stores ...document.Store) {
	const times = 5
	var all sync.WaitGroup
	for n := range writers {
		s := stores[n%len(stores)]
		all.Go(func() {
			for range times {
				if err := add(t, s); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	if t.Failed() {
		return
	}
	d, err := stores[0].Get(patient(t), "counter")
	if err != nil || string(d.Value) != strconv.Itoa(writers*times) {
		t.Errorf("%s, %v, want %d", shown(d), err, writers*times)
	}
}

// add adds 1 to the counter, as often as it takes.
func add(t *testing.T, s document.Store) error {
	for {
		d, err := s.Get(patient(t), "counter")
		if err != nil && !errors.Is(err, document.ErrNone) {
			return err
		}
		n, _ := strconv.Atoi(string(d.Value))
		if _, err = s.Put(patient(t), "counter", []byte(strconv.Itoa(n+1)), d.Version); !errors.Is(err, document.ErrChanged) {
			return err
		}
	}
}

func seenAtOnce(t *testing.T, a, b document.Store) {
	version := ""
	for n := range 10 {
		value := strconv.Itoa(n)
		version = put(t, a, "a", value, version)
		want(t, b, "a", value, version)
		if names := list(t, b, "", "", map[string]string{"a": value}); len(names) != 1 {
			t.Errorf("listed %q", names)
		}
		a, b = b, a
	}
	remove(t, a, "a", version)
	if _, err := b.Get(patient(t), "a"); !errors.Is(err, document.ErrNone) {
		t.Errorf("when the other deleted it: %v", err)
	}
	put(t, b, "a", "again", "")
	if _, err := a.Put(patient(t), "a", nil, ""); !errors.Is(err, document.ErrChanged) {
		t.Errorf("the other's document was replaced: %v", err)
	}
}
