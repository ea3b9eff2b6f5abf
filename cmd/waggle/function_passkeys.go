package main

import "context"

// freshPasskeys has announces be answered by what other trackers have changed, too. Where that
// cannot be read, what is known goes on.
func (f *function) freshPasskeys(ctx context.Context) {
	if f.passkeys == nil {
		return
	}
	if err := f.passkeys.Fresh(ctx, freshTime); err != nil && f.staleTold.now() {
		f.log.Warn("the passkeys may be old: what others have changed cannot be read", "error", err)
	}
}

// writePasskeys writes what an announce told. It is done before the answer: afterwards the
// process may stand still for good. Where it fails, the next announce tells it again.
func (f *function) writePasskeys(ctx context.Context) {
	if f.passkeys == nil {
		return
	}
	if err := f.passkeys.Flush(context.WithoutCancel(ctx)); err != nil && f.failureTold.now() {
		f.log.Error("what passkeys transfer cannot be written", "error", err)
	}
}
