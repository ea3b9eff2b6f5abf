package carrier

import (
	"context"
	"errors"
	"log/slog"
	mathrand "math/rand/v2"
	"slices"
	"time"
)

// run tries the addresses in turn, until ctx ends.
func (l *Leaf) run(ctx context.Context) {
	defer close(l.done)
	wait := time.Duration(0)
	for ctx.Err() == nil {
		wait = l.round(ctx, min(max(2*wait, l.o.pace.retry/8), l.o.pace.retry))
		l.rest(ctx, wait)
	}
}

// outcome is how an attempt, or the link that it opened, has ended.
type outcome struct {
	address string
	err     error
	opened  bool          // there was a link
	refused bool          // somebody must do something
	final   bool          // the hub itself has said so, which it would say at other addresses too
	wait    time.Duration // before the next attempt
}

// round tries the addresses, first the one that did last, until the hub has answered at
// one of them. It returns how long to wait for the next round, where nobody has said: retry.
func (l *Leaf) round(ctx context.Context, retry time.Duration) (wait time.Duration) {
	var shown outcome
	wait = longest
	for _, address := range l.addresses() {
		o := l.attempt(ctx, address, retry)
		if ctx.Err() != nil {
			return 0
		}
		l.log(&o)
		if o.final {
			l.show(&o)
			return o.wait
		}
		wait = min(wait, o.wait)
		if o.refused || !shown.refused { // what somebody must do something about
			shown = o
		}
		l.show(&shown)
	}
	return wait
}

// attempt tries an address, and judges how that has ended.
func (l *Leaf) attempt(ctx context.Context, address string, retry time.Duration) outcome {
	o := outcome{address: address, wait: retry}
	var parting time.Duration
	o.opened, parting, o.err = l.try(ctx, address)
	var refusal *Refusal
	var farewell *Bye
	switch {
	case errors.As(o.err, &farewell) && farewell.Wait > 0:
		o.wait, o.refused, o.final = farewell.Wait, true, true
	case parting > 0:
		o.wait, o.refused, o.final = parting, true, true
	case errors.As(o.err, &refusal):
		o.wait, o.refused, o.final = l.o.pace.refused, true, !errors.Is(o.err, errPin)
	case o.opened:
		o.wait, o.final = l.o.pace.retry/8, true
	}
	return o
}

// addresses returns those of the hub, first the one that did last.
func (l *Leaf) addresses() []string {
	if l.o.Outside != nil {
		return []string{l.o.Outside.host()}
	}
	all := l.o.Invitation.Addresses
	first := max(slices.Index(all, l.good), 0)
	return slices.Concat(all[first:first+1], all[:first], all[first+1:])
}

// rest waits for so long, or half as much more, or until a reset.
func (l *Leaf) rest(ctx context.Context, wait time.Duration) {
	jitter := time.Duration(mathrand.Int64N(int64(wait/2 + 1)))
	timer := time.NewTimer(wait + jitter)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-l.again:
	case <-timer.C:
	}
}

// show takes note of why there is no link, or no longer.
func (l *Leaf) show(o *outcome) {
	state := l.after(o)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.status.State != state {
		l.status.Since = l.o.Now()
	}
	l.status.State, l.status.Why, l.status.Address, l.status.Link = state, o.err.Error(), o.address, nil
}

// after returns the state that an outcome leads to.
func (l *Leaf) after(o *outcome) State {
	switch {
	case o.refused:
		return Refused
	case l.good != "":
		return Split
	}
	return Connecting
}

// log says why an address did not do, or no longer does.
func (l *Leaf) log(o *outcome) {
	level, text := slog.LevelWarn, "no link to the hub"
	switch {
	case o.opened && o.refused:
		text = "the link to the hub is closed for a while"
	case o.opened:
		var farewell *Bye
		if text = "the link to the hub is closed; it is tried again"; errors.As(o.err, &farewell) {
			level = slog.LevelInfo
		}
	case !l.said.fresh(o.address + " " + o.err.Error()):
		return
	}
	l.o.Log.Log(context.Background(), level, text, "address", o.address, "state", string(l.after(o)), "why", o.err)
}
