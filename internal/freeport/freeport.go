// Package freeport finds ports for servers of tests that cannot choose one themselves, and for
// tests of an address at which nobody listens.
//
//	cmd := exec.Command("redis-server", "--port", fmt.Sprint(freeport.For(t)))
//
// A port that the system has chosen and that was let go again is soon the port of somebody else: of
// a listener, or of any connection that goes out. Ports of this package are below those that the
// system gives out, and no two tests get the same one, also if they are of different processes.
package freeport

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// The ports are from first on. Linux gives out those from 32,768 on; the bus of a node of Redis
// Cluster is 10,000 above its port, where it meets neither these nor those.
const (
	first = 10_000
	ports = 10_000
)

// claims are kept until the process ends, so that a server that was stopped finds its port again.
var claims struct {
	sync.Mutex
	held []net.Listener
}

// For returns a port of all addresses, by TCP and UDP, that nobody has and no other test gets.
func For(t testing.TB) uint16 {
	t.Helper()
	port, err := Find()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// Address is one of loopback at a port of [For].
func Address(t testing.TB) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", For(t))
}

// Find is [For] where there is no test yet.
func Find() (uint16, error) {
	start := rand.IntN(ports)
	for n := range ports {
		port := first + (start+n)%ports
		claim, err := new(net.ListenConfig).Listen(context.Background(), "unix", fmt.Sprintf("@waggle-port-%d", port)) // of this network namespace, as ports are
		if err != nil {
			continue // another test has it
		}
		if !free(port) {
			_ = claim.Close()
			continue
		}
		claims.Lock()
		claims.held = append(claims.held, claim)
		claims.Unlock()
		return uint16(port), nil
	}
	return 0, errors.New("no port is free")
}

func free(port int) bool {
	address := fmt.Sprintf(":%d", port)
	system, ctx := new(net.ListenConfig), context.Background() // nothing here waits
	tcp, err := system.Listen(ctx, "tcp", address)
	if err != nil {
		return false
	}
	udp, err := system.ListenPacket(ctx, "udp", address)
	if err == nil {
		err = udp.Close()
	}
	return errors.Join(err, tcp.Close()) == nil
}
