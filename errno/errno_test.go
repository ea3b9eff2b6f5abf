package errno

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"

	"waggle/internal/freeport"
)

// failed is how package net tells of a number of the system.
func failed(number syscall.Errno) error {
	return fmt.Errorf("asked in vain: %w", &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connectex", number)})
}

func TestErrorOfThisSystemIsKnownByItsName(t *testing.T) {
	_, err := net.Dial("tcp", freeport.Address(t))
	if !Is(err, syscall.EHOSTUNREACH, syscall.ECONNREFUSED) {
		t.Errorf("%v is not refused", err)
	}
	for _, other := range []error{nil, errors.New("refused"), failed(syscall.ECONNRESET)} {
		if Is(other, syscall.ECONNREFUSED) {
			t.Errorf("%v is refused", other)
		}
	}
}

func TestNumbersOfWindowsAreKnownThereAlone(t *testing.T) {
	for name, number := range windows {
		if !is("windows", failed(number), []syscall.Errno{name}) || is("linux", failed(number), []syscall.Errno{name}) && number != name {
			t.Errorf("%d for %v", number, name)
		}
	}
	if is("windows", failed(0), []syscall.Errno{syscall.EDQUOT}) {
		t.Error("no error is one that Windows does not have")
	}
}
