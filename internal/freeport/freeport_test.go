package freeport

import (
	"fmt"
	"io"
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
	listen := map[string]func(address string) (io.Closer, error){
		"UDP": func(address string) (io.Closer, error) { return net.ListenPacket("udp", address) },
		"TCP": func(address string) (io.Closer, error) { return net.Listen("tcp", address) },
	}
	for name, listen := range listen {
		for _, at := range []string{"127.0.0.1", ""} {
			port := For(t)
			l, err := listen(fmt.Sprintf("%s:%d", at, port))
			if err != nil {
				t.Fatal(err)
			}
			if free(int(port)) {
				t.Errorf("%q by %s is overlooked", at, name)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if !free(int(port)) {
				t.Errorf("%q by %s is not free after its end", at, name)
			}
		}
	}
}
