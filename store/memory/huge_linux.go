package memory

import "golang.org/x/sys/unix"

// adviseHuge asks for large pages: peers are read at random, and with pages of 4
// KiB most reads would first have to look up where their page lies. It is a wish,
// which a kernel may not grant.
func adviseHuge(region []byte) { _ = unix.Madvise(region, unix.MADV_HUGEPAGE) }
