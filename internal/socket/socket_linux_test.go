package socket

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

func TestReceiveTellsNothingYetFromNothingMore(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(pair[0]) }()
	var in [8]byte
	if n, err := Receive(pair[0], in[:]); n != 0 || !errors.Is(err, unix.EAGAIN) {
		t.Errorf("before anything came: %d, %v", n, err)
	}
	if n, err := Send(pair[1], []byte("hello"), unix.MSG_MORE); n != 5 || err != nil {
		t.Errorf("sent: %d, %v", n, err)
	}
	if n, err := Receive(pair[0], in[:]); err != nil || string(in[:n]) != "hello" {
		t.Errorf("received: %q, %v", in[:n], err)
	}
	if err := unix.Close(pair[1]); err != nil {
		t.Fatal(err)
	}
	if n, err := Receive(pair[0], in[:]); n != 0 || err != nil {
		t.Errorf("after the end: %d, %v", n, err)
	}
	if n, err := Send(pair[0], in[:], 0); n != 0 || !errors.Is(err, unix.EPIPE) { // and no signal, which would kill
		t.Errorf("sent after the end: %d, %v", n, err)
	}
}
