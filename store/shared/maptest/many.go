package maptest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"waggle/store/shared"
	"waggle/swarm"
)

// writers is how many trackers write at once.
const writers = 64

// writersLoseNothing lets many trackers put values of peers of their own and one that
// they share.
func writersLoseNothing(t *testing.T, open Open) {
	h, m := randomHash(), [...]shared.Map{open(t), open(t), open(t), open(t)}
	each(func(w int) {
		r := newReader(t, m[w%len(m)], h)
		for n := range 4 {
			if _, err := r.persist([]shared.Entry{put(w*10+n%2, fmt.Sprint(w, n)), put(9999, fmt.Sprint(w))}, nil); err != nil {
				t.Error(err)
			}
		}
	})
	fresh := newReader(t, m[0], h)
	fresh.look()
	if n := len(fresh.values[announced]); n != 2*writers+1 {
		t.Errorf("%d values of %d", n, 2*writers+1)
	}
	for w := range writers {
		for n := range 2 {
			if got, want := fresh.values[announced][peer(w*10+n)], fmt.Sprint(w, n+2); got != want {
				t.Errorf("value %q, want %q", got, want)
			}
		}
	}
}

func each(do func(w int)) {
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() { do(w) })
	}
	all.Wait()
}

// indexGivenOnce lets many trackers take the lowest number that nobody has.
func indexGivenOnce(t *testing.T, open Open) {
	h, m := randomHash(), [...]shared.Map{open(t), open(t), open(t), open(t)}
	each(func(w int) {
		r := newReader(t, m[w%len(m)], h)
		if err := takeIndex(r, fmt.Sprint("writer ", w)); err != nil {
			t.Error(err)
		}
	})
	fresh := newReader(t, m[1], h)
	fresh.look()
	owners := map[string]bool{}
	for n := range writers {
		owner := fresh.values[records][peer(n)]
		if owner == "" || owners[owner] {
			t.Errorf("number %d is %q's, of %d", n, owner, len(owners))
		}
		owners[owner] = true
	}
	if len(fresh.values[records]) != writers {
		t.Errorf("%d numbers were given to %d", len(fresh.values[records]), writers)
	}
}

// takeIndex takes the lowest number that nobody has. It looks first after an error:
// the commit may have been written.
func takeIndex(r *reader, name string) error {
	for try := 0; ; try++ {
		if r.known == nil {
			if _, err := r.persist(nil, nil); err != nil {
				return err
			}
		}
		n := 0
		for ; r.values[records][peer(n)] != ""; n++ {
			if r.values[records][peer(n)] == name {
				return nil
			}
		}
		written, err := r.try(r.t.Context(), nil, []shared.Entry{put(n, name)})
		switch {
		case written:
			return nil
		case err != nil && !errors.Is(err, swarm.ErrBusy):
			return err
		}
		r.pause(min(try, 5))
	}
}

// manyMembers fills a torrent, and changes a little of it.
func manyMembers(t *testing.T, open Open, members int) {
	a, b := two(t, open)
	value := strings.Repeat("x", 150)
	const step, at = 250, 4
	var all sync.WaitGroup
	for w := range at {
		all.Go(func() {
			r := newReader(t, a.m, a.h)
			for from := w * step; from < members; from += at * step {
				var some []shared.Entry
				for n := from; n < min(from+step, members); n++ {
					some = append(some, put(n, value))
				}
				if _, err := r.persist(some, nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	b.look()
	if n := len(b.values[announced]); n != members {
		t.Fatalf("%d of %d members are known", n, members)
	}
	a.look()
	a.step([]shared.Entry{put(1, "new"), removed(2)}, []shared.Entry{put(1, "role")})
	b.look()
	same(t, a, b)
	if b.answer.Whole {
		t.Error("a tracker that knew of all but one step was told all")
	}
	fresh := newReader(t, b.m, a.h)
	fresh.look()
	same(t, a, fresh)
}
