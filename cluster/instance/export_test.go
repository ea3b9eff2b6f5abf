package instance

import "context"

// Waiting is how many requests somebody waits for.
func (i *Instance) Waiting(ctx context.Context) (n int, err error) {
	err = i.do(ctx, func() { n = len(i.waiting) })
	return n, err
}
