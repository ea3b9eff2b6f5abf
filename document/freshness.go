package document

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Freshness is up to when somebody who keeps values in memory knows what others have changed.
// All methods may be called concurrently.
type Freshness struct {
	learned atomic.Int64 // Unix nanoseconds
}

// Learned notes that what others changed until a time is known.
func (f *Freshness) Learned(until time.Time) { f.learned.Store(until.UnixNano()) }

// Renew calls learn, which takes in what others have changed and notes it by Learned, unless
// what they changed up to some time ago is known, as the clock tells; less than 0: always. It
// holds the lock meanwhile: of those who ask at once, one learns. The error is learn's.
func (f *Freshness) Renew(ctx context.Context, ago time.Duration, now func() time.Time, lock sync.Locker, learn func(context.Context) error) error {
	if f.within(ago, now) {
		return nil
	}
	lock.Lock()
	defer lock.Unlock()
	if f.within(ago, now) {
		return nil // somebody else has asked meanwhile
	}
	return learn(ctx)
}

func (f *Freshness) within(ago time.Duration, now func() time.Time) bool {
	since := now().Sub(time.Unix(0, f.learned.Load()))
	return 0 <= since && since <= ago // less than 0: the clock was put back
}
