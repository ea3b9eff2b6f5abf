//go:build unix

package process

import (
	"time"

	"golang.org/x/sys/unix"
)

// Self returns the processor time that this process has used; ok is false where the
// system does not tell.
func Self() (cpu time.Duration, ok bool) {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		return 0, false
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), true
}
