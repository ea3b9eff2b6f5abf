package carrier

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// closing closes a carrier at the end of a test.
func closing(t testing.TB, c interface{ Close() error }) {
	t.Helper()
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if err := c.Close(); err != nil {
			t.Errorf("close again: %v", err)
		}
	})
}

// hears waits until one carrier hears a message of another, which is sent again and again, as
// keepalives are.
func hears(t testing.TB, c Carrier, from netip.AddrPort, want []byte, send func()) {
	t.Helper()
	end := time.After(patience)
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		send()
		for again := true; again; {
			select {
			case p := <-c.Receive():
				if p.From == from && bytes.Equal(p.Messages[len(p.Messages)-1], want) {
					return
				}
			case <-ticker.C:
				again = false
			case <-end:
				t.Fatalf("%s does not hear %s: %+v", c.Address(), from, c.Figures())
			}
		}
	}
}

// know has all carriers hear each other, each by what it sends to all, and by what is sent to it.
func know(t testing.TB, all []Carrier) {
	t.Helper()
	for i, from := range all {
		for j, to := range all {
			if i == j {
				continue
			}
			m := append(message(20, 9), fmt.Sprintf("%d to all", i)...)
			hears(t, to, from.Address(), m, func() { from.Broadcast(m) })
			m = append(message(20, 9), fmt.Sprintf("%d to %d", i, j)...)
			hears(t, to, from.Address(), m, func() { from.Send(to.Address(), message(36, 1), m) })
		}
	}
}

// drain takes out what waits.
func drain(c Carrier) {
	for {
		select {
		case <-c.Receive():
		default:
			return
		}
	}
}

// exactly sends so many messages, in a row and a little at a time, and wants each once.
func exactly(t *testing.T, from, to Carrier, n int) {
	t.Helper()
	drain(to)
	for i := range n {
		m := append(message(20, 8), byte(i), byte(i>>8))
		if i%2 == 0 {
			from.Broadcast(m)
		} else {
			from.Send(to.Address(), m)
		}
		if p := nextOf(t, to, 8); p.From != from.Address() || !bytes.Equal(p.Messages[0], m) {
			t.Fatalf("message %d came as %x from %s", i, p.Messages, p.From)
		}
	}
}

// nextOf returns the next packet whose first message has a filling: others, of which more were
// sent than had to be, may still be on their way.
func nextOf(t testing.TB, c Carrier, filling byte) Packet {
	t.Helper()
	for end := time.After(patience); ; {
		select {
		case p := <-c.Receive():
			if len(p.Messages) > 0 && p.Messages[0][3] == filling {
				return p
			}
		case <-end:
			t.Fatalf("%s hears nothing more: %+v", c.Address(), c.Figures())
		}
	}
}

// eventually waits until something is true.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	end := time.After(patience)
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !is() {
		select {
		case <-ticker.C:
		case <-end:
			t.Fatalf("never: %s", what)
		}
	}
}

// closed waits until a queue is closed.
func closed(t testing.TB, c <-chan Packet) {
	t.Helper()
	for end := time.After(patience); ; {
		select {
		case _, open := <-c:
			if !open {
				return
			}
		case <-end:
			t.Fatal("the queue is still open")
		}
	}
}
