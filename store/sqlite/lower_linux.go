package sqlite

import "golang.org/x/sys/unix"

// lowerThread gives the calling thread, for good, a tenth of the weight of others
// where processors are short (sched(7)). It is a wish.
func lowerThread() { _ = unix.Setpriority(unix.PRIO_PROCESS, 0, 10) }
