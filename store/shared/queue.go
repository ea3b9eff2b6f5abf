package shared

import (
	"context"
	"errors"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"waggle/bittorrent"
	"waggle/locality"
	"waggle/roster"
	"waggle/swarm"
)

// batchSize is how many announces go in one step.
const batchSize = 64

// job is something that waits for its turn with a replica: an announce, or a task.
type job struct {
	done      chan struct{} // closed when it is over
	err       error         // valid then
	late      time.Time     // from when nobody waits for it, if it is an announce
	abandoned atomic.Bool   // nobody waits for it any more

	task func(context.Context) error // nil: it is an announce

	a          swarm.Announce // a copy: who asked may be gone
	recorded   chan struct{}  // closed when the view is there, or unrecorded; nil: it is there already
	unrecorded error          // why the store did not record it

	mu    sync.Mutex // held while the view is looked at
	view  swarm.View
	asker swarm.Position
	reply swarm.Reply

	before    *locality.Group // where the peer was located until now
	judged    bool            // the judgement is that before it was decided
	judgement roster.Judgement
}

// queue lets jobs of one torrent run one after the other, and announces in batches. Its
// goroutine lives as long as there are any.
type queue struct {
	mu      sync.Mutex
	waiting []*job
	running bool
	seen    map[netip.AddrPort]bool // reused, of the peers of a batch
}

// do waits until a job is over, or ctx ends: then the job may run all the same.
func (r *replica) do(ctx context.Context, j *job) error {
	if err := r.push(j); err != nil {
		return err
	}
	return j.wait(ctx)
}

// patience is how long an announce may take, with what goes before it.
const patience = 5 * time.Second

// wait waits until a job is over, or ctx ends. An announce that takes too long is told
// that the Map is busy.
func (j *job) wait(ctx context.Context) error {
	var late <-chan time.Time
	if j.task == nil {
		timer := time.NewTimer(time.Until(j.late))
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-j.done:
		return j.err
	case <-late:
		j.abandon()
		return swarm.ErrBusy
	case <-ctx.Done():
		j.abandon()
		if j.task == nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return swarm.ErrBusy
		}
		return ctx.Err()
	}
}

// abandon takes the view away, which is the caller's again.
func (j *job) abandon() {
	j.abandoned.Store(true)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.view, j.asker = nobody{}, swarm.Absent
}

// nobody is an empty view.
type nobody struct{}

func (nobody) Len(swarm.Group) int     { return 0 }
func (nobody) Seeders(swarm.Group) int { return 0 }

func (nobody) Append(swarm.Group, []uint32, *swarm.Announce, *swarm.Reply) {}

func (r *replica) push(j *job) error {
	s := r.s
	if j.a.Policy != nil {
		r.policy.Store(j.a.Policy)
	}
	j.done, j.late = make(chan struct{}), time.Now().Add(patience)
	if s.waiting.Add(1) > int64(s.o.MaxWaiting) {
		s.waiting.Add(-1)
		return swarm.ErrBusy
	}
	r.queue.mu.Lock()
	defer r.queue.mu.Unlock()
	if r.queue.running {
		r.queue.waiting = append(r.queue.waiting, j)
		return nil
	}
	if !s.start(r.run) {
		s.waiting.Add(-1)
		return errClosed
	}
	r.queue.running = true
	r.queue.waiting = append(r.queue.waiting, j)
	return nil
}

// run does what waits, and ends when there is nothing.
func (r *replica) run(ctx context.Context) {
	for {
		some := r.next()
		if some == nil {
			return
		}
		r.serve(ctx, some)
		r.s.account(r)
	}
}

func (r *replica) serve(ctx context.Context, some []*job) {
	defer r.survive(some)
	if some[0].task != nil {
		some[0].finish(some[0].task(ctx))
	} else {
		r.announce(ctx, some)
	}
}

// survive ends a panic, which would be a fault of ours: it costs those who wait for what
// found it, and is logged. Values of other trackers may have led to it, which would
// otherwise end one tracker after the other.
func (r *replica) survive(some []*job) {
	fault := recover()
	if fault == nil {
		return
	}
	r.s.o.Log.Error("a torrent found a fault in waggle: please report it", "torrent", r.hash, "fault", fault, "stack", string(debug.Stack()))
	for _, j := range some {
		select {
		case <-j.done:
		default:
			j.finish(errFault)
		}
	}
	r.reset()
}

// next takes a task, or a batch of announces of different peers.
func (r *replica) next() (some []*job) {
	q := &r.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	before := len(q.waiting)
	some = q.take()
	r.s.waiting.Add(int64(len(q.waiting) - before))
	if len(some) == 0 {
		q.running, q.waiting, q.seen = false, nil, nil
		r.rest()
	}
	return some
}

// take takes what is next. The announces of a peer stay in their order.
func (q *queue) take() (some []*job) {
	if q.seen == nil {
		q.seen = make(map[netip.AddrPort]bool, batchSize)
	}
	n, seen := 0, q.seen
	clear(seen)
	var later []*job
	for ; n < min(len(q.waiting), 4*batchSize) && len(some) < batchSize; n++ {
		j := q.waiting[n]
		if j.abandoned.Load() {
			j.finish(context.Canceled)
			continue
		}
		if j.task != nil {
			if len(some)+len(later) == 0 {
				some, n = append(some, j), n+1
			}
			break
		}
		if seen[j.a.Addr()] {
			later = append(later, j)
			continue
		}
		seen[j.a.Addr()] = true
		some = append(some, j)
	}
	kept := copy(q.waiting[n-len(later):n], later)
	clear(q.waiting[:n-kept])
	q.waiting = q.waiting[n-kept:]
	if len(some) == 0 && len(q.waiting) > 0 { // all that was looked at was abandoned
		return q.take()
	}
	return some
}

func (j *job) finish(err error) {
	j.err = err
	close(j.done)
}

func finishAll(some []*job, err error) {
	for _, j := range some {
		j.finish(err)
	}
}

// answer copies what a job was answered to who asked.
func (j *job) answer(r *swarm.Reply) {
	r.Pace = j.reply.Pace
	if j.reply.Warning != "" {
		r.Warning = j.reply.Warning
	}
	from, to := &j.reply.Peers, &r.Peers
	to.V4, to.V6 = append(to.V4, from.V4...), append(to.V6, from.V6...)
	to.IDs4, to.IDs6 = append(to.IDs4, from.IDs4...), append(to.IDs6, from.IDs6...)
}

const (
	errClosed bittorrent.Error = "the tracker is shutting down: try another one"
	errFault  bittorrent.Error = "the tracker found a fault in itself, which its log tells of"
)
