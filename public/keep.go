package public

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// What is kept and made at most.
const (
	maxKept      = 1024     // answers
	maxKeptBytes = 32 << 20 // of all together, with their keys
	maxKeptOne   = 8 << 20  // of one; a larger one is made for each who asks
	maxSending   = 32 << 20 // bytes of answers on their way, each of which counts once
	maxWaiting   = 64       // visitors, for something to be made
	waitTime     = 5 * time.Second

	// restTimes is how many times as long as making something took nothing more is
	// made.
	restTimes = 9
)

// errBusy says that others wait already.
var errBusy = errors.New("many are looking at this tracker now: come again in a minute")

// kept is an answer that was made.
type kept struct {
	body        []byte
	media       string
	tag         string    // ETag
	modified    time.Time // zero: not known
	disposition string    // "": none
	until       time.Time // that it is shown to others
}

// keeper keeps answers for as long as they are good, and has one made at a time. All
// methods may be called concurrently.
type keeper struct {
	now func() time.Time

	making  chan struct{} // has the place of who makes something
	rest    time.Time     // nothing is made before; of who has the place
	waiting atomic.Int32

	mu    sync.Mutex
	all   map[string]*kept
	order []string // keys of all, the oldest first
	bytes int

	readers map[*kept]int // of answers on their way, which may be kept no more
	sending int           // bytes of these
}

func newKeeper(now func() time.Time) *keeper {
	return &keeper{now: now, making: make(chan struct{}, 1), all: map[string]*kept{}, readers: map[*kept]int{}}
}

// get returns what is kept under a key, or has it made and keeps it for a time. The
// error is errBusy, that of ctx, or that of the making.
func (k *keeper) get(ctx context.Context, key string, lasts time.Duration, build func(context.Context) (*kept, error)) (*kept, error) {
	if found := k.find(key); found != nil {
		return found, nil
	}
	if k.waiting.Add(1) > maxWaiting {
		k.waiting.Add(-1)
		return nil, errBusy
	}
	defer k.waiting.Add(-1)
	timeout := time.NewTimer(waitTime)
	defer timeout.Stop()
	select {
	case k.making <- struct{}{}:
		defer func() { <-k.making }()
	case <-timeout.C:
		return nil, errBusy
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if found := k.find(key); found != nil { // somebody else had it made
		return found, nil
	}
	resting := time.NewTimer(k.rest.Sub(k.now()))
	defer resting.Stop()
	select {
	case <-resting.C:
	case <-timeout.C:
		return nil, errBusy
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return k.build(ctx, key, lasts, build)
}

// build makes an answer. Its caller has the place.
func (k *keeper) build(ctx context.Context, key string, lasts time.Duration, build func(context.Context) (*kept, error)) (*kept, error) {
	began := k.now()
	made, err := build(ctx)
	now := k.now()
	k.rest = now.Add(restTimes * now.Sub(began))
	if err != nil {
		return nil, err
	}
	made.until = now.Add(lasts)
	if len(made.body) <= maxKeptOne {
		k.keep(key, made)
	}
	return made, nil
}

// send has do send an answer, unless too much is on its way: visitors who read slowly hold on to
// what is kept no more. One alone is always sent.
func (k *keeper) send(a *kept, do func()) error {
	if !k.begin(a) {
		return errBusy
	}
	defer k.end(a)
	do()
	return nil
}

func (k *keeper) begin(a *kept) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.readers[a] == 0 {
		if k.sending > 0 && k.sending+len(a.body) > maxSending {
			return false
		}
		k.sending += len(a.body)
	}
	k.readers[a]++
	return true
}

func (k *keeper) end(a *kept) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.readers[a]--; k.readers[a] == 0 {
		delete(k.readers, a)
		k.sending -= len(a.body)
	}
}

func (k *keeper) find(key string) *kept {
	k.mu.Lock()
	defer k.mu.Unlock()
	if found := k.all[key]; found != nil && k.now().Before(found.until) {
		return found
	}
	return nil
}

// keep keeps an answer, and forgets the oldest until there is room for it.
func (k *keeper) keep(key string, made *kept) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.forget(key)
	for len(k.order) >= maxKept || k.bytes+len(key)+len(made.body) > maxKeptBytes {
		k.forget(k.order[0])
	}
	k.all[key] = made
	k.order = append(k.order, key)
	k.bytes += len(key) + len(made.body)
}

func (k *keeper) forget(key string) {
	old := k.all[key]
	if old == nil {
		return
	}
	delete(k.all, key)
	k.bytes -= len(key) + len(old.body)
	for i := range k.order {
		if k.order[i] == key {
			k.order = append(k.order[:i], k.order[i+1:]...)
			break
		}
	}
}
