//go:build !unix

package process

import "time"

// Self returns the processor time that this process has used; ok is false where the
// system does not tell.
func Self() (cpu time.Duration, ok bool) { return 0, false }
