package freeport

import (
	"fmt"
	"net"
	"testing"
)

func TestPortIsGivenOnceAndIsFree(t *testing.T) {
	given := map[uint16]bool{}
	for range 200 {
		port := For(t)
		if given[port] || port < first || port >= first+ports {
			t.Fatalf("got port %d", port)
		}
		given[port] = true
		for _, network := range []string{"tcp4", "tcp6"} {
			l, err := net.Listen(network, fmt.Sprintf(":%d", port))
			if err != nil {
				t.Fatal(err)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestPortThatSomebodyHasIsNotFree(t *testing.T) {
	for _, at := range []string{"127.0.0.1", ""} {
		port := For(t)
		udp, err := net.ListenPacket("udp", fmt.Sprintf("%s:%d", at, port))
		if err != nil {
			t.Fatal(err)
		}
		if free(int(port)) {
			t.Errorf("%q by UDP is overlooked", at)
		}
		_ = udp.Close()
		tcp, err := net.Listen("tcp", fmt.Sprintf("%s:%d", at, port))
		if err != nil {
			t.Fatal(err)
		}
		if free(int(port)) {
			t.Errorf("%q by TCP is overlooked", at)
		}
		_ = tcp.Close()
	}
}
