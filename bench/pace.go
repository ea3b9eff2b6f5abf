package bench

import (
	"math"
	"sync/atomic"
	"time"

	"waggle/bench/population"
)

// phase is what a worker is told to do.
type phase struct {
	name      string
	script    func(*population.Group) population.Script
	duration  time.Duration // 0: until the scripts or the announces end
	announces int64         // of this worker; 0: no limit
	rate      float64       // announces a second of this worker; 0: closed loop
	spoofed   float64       // UDP: spoofed packets a second of this worker
	scrape    int           // one for so many announces; 0: none
	window    int           // UDP: requests under way on a socket
	stop      *atomic.Bool  // set when it should end early
	busy      *atomic.Int64 // workers that have not done their part yet
	answering *atomic.Int64 // WebSocket: answers to offers, of all workers, that are not seen to be relayed yet
}

// pace says when announces are sent. Times are in nanoseconds since an epoch that
// all who use it share.
type pace struct {
	start, until int64
	gap          float64 // between announces; 0: none, in a closed loop
	limit        int64
	sent         int64
	stop         *atomic.Bool
}

func (p *phase) begin(now int64) pace {
	b := pace{start: now, until: math.MaxInt64, limit: math.MaxInt64, stop: p.stop}
	if p.duration > 0 {
		b.until = now + int64(p.duration)
	}
	if p.announces > 0 {
		b.limit = p.announces
	}
	if p.rate > 0 {
		b.gap = float64(time.Second) / p.rate
	}
	return b
}

// over tells that nothing will be sent any more.
func (p *pace) over(now int64) bool {
	return p.sent >= p.limit || now >= p.until || p.stop.Load()
}

// next returns when the next announce is meant to be sent, which may have been some
// time ago. ok is false while none is due.
func (p *pace) next(now int64) (meant int64, ok bool) {
	if p.over(now) {
		return 0, false
	}
	meant = now
	if p.gap > 0 {
		if meant = p.due(); meant > now {
			return 0, false
		}
	}
	p.sent++
	return meant, true
}

// ready tells whether next would return a time.
func (p *pace) ready(now int64) bool {
	return !p.over(now) && (p.gap == 0 || p.due() <= now)
}

// due returns when the next announce is due, at a rate.
func (p *pace) due() int64 { return p.start + int64(float64(p.sent)*p.gap) }

// unsent returns how many announces should have been sent by now and were not, since
// the tracker held up those before them.
func (p *pace) unsent(now int64) int64 {
	if p.gap == 0 {
		return 0
	}
	meant := int64(math.Ceil(float64(min(now, p.until)-p.start) / p.gap))
	return max(0, min(meant, p.limit)-p.sent)
}

// Waiting: shorter than spin it is not worth a system call, which would come back
// late; longer than nap nobody would look whether the run should end.
const (
	spin = 100 * time.Microsecond
	nap  = 10 * time.Millisecond
)

// patience returns how long to wait for answers; 0: not at all.
func (p *pace) patience(now int64) time.Duration {
	if p.gap == 0 || p.over(now) {
		return nap
	}
	d := time.Duration(p.due() - now)
	if d < spin {
		return 0
	}
	return min(d, nap)
}
