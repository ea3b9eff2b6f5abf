package shared

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"waggle/bittorrent"
	"waggle/roster"
	"waggle/swarm"
)

// replica is the roster of a torrent as this tracker has it. Its queue alone steps it;
// the state is locked while it is changed or looked at, and never while a server is
// waited for.
type replica struct {
	s     *Replicas
	hash  bittorrent.InfoHash
	queue queue

	used    atomic.Int64 // when a peer announced here last, or it was made, Unix nanoseconds
	evicted atomic.Bool  // it is not among the replicas any more, and rests when its queue ends
	counted int64        // its members, as the replicas know of them; theirs

	policy atomic.Pointer[swarm.Policy] // of the last announce here; nil: there was none that had one

	state    sync.Mutex
	truth    *truth
	selector swarm.Selector

	// Of the queue's goroutine alone.
	version Version
	answer  Answer
	took    time.Duration // of the last step
	failure error         // of values that cannot be read
	until   time.Time     // when that is tried again
}

// largeAnswer is how many values in an answer are many.
const largeAnswer = 1024

// retryAfter is for how long a torrent whose values cannot be read is not asked for.
const retryAfter = 10 * time.Second

func (s *Replicas) newReplica(h bittorrent.InfoHash) *replica {
	r := &replica{s: s, hash: h}
	r.selector = s.selector()
	r.used.Store(s.o.Now().UnixNano())
	r.fresh()
	return r
}

// fresh makes the replica know nothing. The state is locked.
func (r *replica) fresh() {
	ro := roster.New(&r.selector, r.s.o.Seed[0], r.s.o.Budget)
	r.truth = newTruth(ro, r.s.locate)
}

// reset forgets everything, after which the values are asked for again.
func (r *replica) reset() {
	r.state.Lock()
	defer r.state.Unlock()
	r.truth.roster.Dissolve()
	r.fresh()
	r.version = nil
}

// rest gives back what a replica holds that is not among the others any more.
func (r *replica) rest() {
	if r.evicted.Load() {
		r.reset()
	}
}

// load asks for all values, if nothing is known.
func (r *replica) load(ctx context.Context) (loaded bool, err error) {
	if r.version != nil {
		return false, nil
	}
	r.s.figures.loads.Add(1)
	_, err = r.step(ctx, nil, nil, false)
	return err == nil, err
}

// refresh asks what is new.
func (r *replica) refresh(ctx context.Context) error {
	if loaded, err := r.load(ctx); loaded || err != nil {
		return err
	}
	_, err := r.step(ctx, nil, nil, false)
	return err
}

// step does a step, and takes the answer in. Where a commit was refused, or it says so,
// what was decided and not written is undone. After an error nothing is known any
// more, unless the Map was busy: so an overload does not end in everything being asked
// for. What the step wrote, if it did, the next answer tells.
func (r *replica) step(ctx context.Context, announced, commit []Entry, undo bool) (conflict bool, err error) {
	now := r.s.o.Now()
	if r.failure != nil && now.Before(r.until) {
		return false, r.failure
	}
	u := Update{InfoHash: r.hash, Known: r.version, Announced: announced, Commit: commit}
	r.s.figures.steps.Add(1)
	if err := r.s.m.Update(ctx, &u, &r.answer); err != nil {
		if errors.Is(err, swarm.ErrBusy) {
			r.undo(announced)
		} else {
			r.reset()
		}
		return false, err
	}
	r.took = r.s.o.Now().Sub(now)
	r.failure = r.take(&u, now, undo || r.answer.Conflict)
	if r.failure != nil {
		r.until = now.Add(retryAfter)
		r.reset()
		return false, r.failure
	}
	r.version, conflict = r.answer.Version, r.answer.Conflict
	if len(r.answer.Announced) > largeAnswer {
		r.answer = Answer{} // it was all there is: its memory is not kept
	}
	return conflict, nil
}

// undo makes the roster what follows from the values that are known: of those who have
// been decided, and of those whose announced values were to be written.
func (r *replica) undo(announced []Entry) {
	r.state.Lock()
	defer r.state.Unlock()
	r.truth.undo()
	for i := range announced {
		r.truth.touched.add(announced[i].Peer, true)
	}
	r.truth.settle()
}

func (r *replica) take(u *Update, now time.Time, undo bool) error {
	r.state.Lock()
	defer r.state.Unlock()
	t := r.truth
	t.now = now.UnixNano()
	if policy := r.policy.Load(); policy != nil {
		t.roster.Govern(policy)
	}
	if undo {
		t.undo()
	}
	damaged := t.damaged
	if err := t.take(u, &r.answer); err != nil {
		return fmt.Errorf("torrent %v: %w", r.hash, err)
	}
	if n := t.damaged - damaged; n > 0 {
		r.s.o.Log.Warn("shared values of located peers are damaged, and left out", "torrent", r.hash, "values", n)
	}
	if n := t.size(); n > r.s.o.mostMembers() {
		return fmt.Errorf("torrent %v has %d located peers, more than the %d that this tracker holds: give it more memory, or let others serve it", r.hash, n, r.s.o.MaxMembers)
	}
	return nil
}

// tries is how often a decision is made anew because others decided meanwhile.
const tries = 8

// settle decides, under the lock of the state, and writes what follows with the values
// that decide returns, until it is written. Each time what others wrote meanwhile has
// been taken in, and what was decided before has been undone. The error is
// swarm.ErrBusy where others were always quicker.
func (r *replica) settle(ctx context.Context, decide func() (announced []Entry)) error {
	for try := range tries {
		announced, c := r.decided(decide)
		commit, whole := c.entries()
		switch {
		case len(c.decided) > MaxCommit && try == 0:
			r.undo(nil) // with what probes found, which is lost
			continue
		case len(c.decided) > MaxCommit:
			r.undo(nil)
			return fmt.Errorf("torrent %v: one decision changes %d records, of which a commit has room for %d", r.hash, len(c.decided), MaxCommit)
		case len(announced)+len(commit) == 0:
			return nil
		}
		conflict, err := r.step(ctx, announced, commit, !whole)
		switch {
		case err != nil:
			return err
		case len(commit) > 0 && !conflict:
			r.s.figures.commits.Add(1)
		}
		if !conflict && whole || len(c.decided) == 0 {
			return nil
		}
		if conflict {
			r.s.figures.conflicts.Add(1)
			r.s.pause(ctx, r.took, try)
		}
	}
	r.s.figures.lost.Add(1)
	return swarm.ErrBusy
}

// decided decides, and returns what should be written.
func (r *replica) decided(decide func() []Entry) (announced []Entry, c changes) {
	r.state.Lock()
	defer r.state.Unlock()
	announced = decide()
	return announced, r.truth.changes()
}
