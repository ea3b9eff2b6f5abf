package core_test

import (
	"syscall"
	"time"
)

// cpuTime is how long the processor has worked for this process: on a machine that
// does other things too, a clock on the wall tells little.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
