package main

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// monotonic is the time since the machine started, as systemd wants it beside
// RELOADING=1.
func monotonic() string {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) // never fails
	return fmt.Sprintf("MONOTONIC_USEC=%d", time.Duration(now.Nano()).Microseconds())
}
