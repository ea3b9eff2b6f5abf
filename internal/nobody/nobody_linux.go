package nobody

import (
	"os"
	"runtime"
	"syscall"
	"testing"
)

// id is the user nobody of every distribution.
const id = 65534

// Run runs f, which starts no goroutines that touch files, as a user that owns nothing.
// Where the tests are not run by root, their user is taken for such a one.
//
// On Linux each thread has its own user of the file system (setfsuid(2)), so others are
// not affected. f begins in the working folder of the test, and comes down from there
// to files that are open to others, even if the folders above are closed.
func Run(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		f()
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := syscall.Setfsuid(id); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setfsuid(0); err != nil {
			t.Fatal(err)
		}
	}()
	f()
}
