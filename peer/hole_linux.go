package peer

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// isHole reports whether nothing was ever written to a run of bytes of a file. A
// file system that does not keep holes has none.
func isHole(f *os.File, from, length int64) bool {
	data, err := unix.Seek(int(f.Fd()), from, unix.SEEK_DATA)
	return errors.Is(err, unix.ENXIO) || err == nil && data >= from+length
}
