package carrier

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"waggle/internal/clustertest"
	"waggle/internal/freeport"
)

// onLoopback are options for a group on the loopback interface.
func onLoopback(t testing.TB) MulticastOptions {
	t.Helper()
	return MulticastOptions{GroupOptions: GroupOptions{Group: clustertest.Group(t), Interface: "lo"}, Secret: secret}
}

func newMulticast(t testing.TB, o MulticastOptions) *Multicast {
	t.Helper()
	m, err := NewMulticast(o)
	if err != nil {
		t.Fatal(err)
	}
	closing(t, m)
	return m
}

// carriers makes some with the same options.
func carriers(t testing.TB, n int, o MulticastOptions) (all []Carrier) {
	t.Helper()
	for range n {
		all = append(all, newMulticast(t, o))
	}
	return all
}

func TestTwoHearEachOther(t *testing.T) {
	all := carriers(t, 2, onLoopback(t))
	know(t, all)
	exactly(t, all[0], all[1], 500)
}

func TestFiveHearEachOther(t *testing.T) {
	know(t, carriers(t, 5, onLoopback(t)))
}

func TestTwoHearEachOtherWithoutASecret(t *testing.T) {
	o := onLoopback(t)
	o.Secret, o.Unsealed = nil, true
	all := carriers(t, 2, o)
	know(t, all)
	exactly(t, all[0], all[1], 100)
}

func TestNobodyHearsItself(t *testing.T) {
	for _, unsealed := range []bool{false, true} {
		o := onLoopback(t)
		if o.Unsealed = unsealed; unsealed {
			o.Secret = nil
		}
		a, b := newMulticast(t, o), newMulticast(t, o)
		know(t, []Carrier{a, b}) // both have heard the group
		drain(a)
		for range 20 {
			a.Broadcast(message(24, 6))
			a.Send(a.Address(), message(24, 6))
		}
		for i := range 2 { // what comes behind, by either socket
			if i == 0 {
				b.Broadcast(message(24, 6))
			} else {
				b.Send(a.Address(), message(24, 6))
			}
			if p := nextOf(t, a, 6); p.From != b.Address() {
				t.Errorf("%s heard %s", a.Address(), p.From)
			}
		}
	}
}

func TestWrongSecretIsNotHeard(t *testing.T) {
	o := onLoopback(t)
	a := newMulticast(t, o)
	o.Secret = []byte("another secret of others")
	b := newMulticast(t, o)
	eventually(t, "both count what is forged", func() bool {
		a.Broadcast(message(24, 1))
		b.Broadcast(message(24, 1))
		a.Send(b.Address(), message(24, 1))
		return a.Figures().Forged > 5 && b.Figures().Forged > 5
	})
	if len(a.Receive())+len(b.Receive()) > 0 || a.Figures().Challenges+b.Figures().Challenges > 0 {
		t.Errorf("%+v, %+v", a.Figures(), b.Figures())
	}
}

func TestRestartedInstanceIsHeardAgainAtTheSameAddress(t *testing.T) {
	o := onLoopback(t)
	a := newMulticast(t, o)
	o.Port = freeport.For(t)
	b, err := NewMulticast(o)
	if err != nil {
		t.Fatal(err)
	}
	know(t, []Carrier{a, b})
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	again := newMulticast(t, o)
	if again.Address() != b.Address() {
		t.Errorf("%s became %s", b.Address(), again.Address())
	}
	know(t, []Carrier{a, again})
}

func TestQueueIsBoundedAndWhatFindsNoRoomIsCounted(t *testing.T) {
	all := carriers(t, 2, onLoopback(t))
	know(t, all)
	eventually(t, "an overflow is counted", func() bool {
		for range 100 {
			all[0].Send(all[1].Address(), message(24, 1))
		}
		return all[1].Figures().Lost > 0
	})
	if n := len(all[1].Receive()); n != QueueLength {
		t.Errorf("%d packets wait", n)
	}
}

func TestPacketsAreTheReceiversOwn(t *testing.T) {
	for _, unsealed := range []bool{false, true} {
		o := onLoopback(t)
		if o.Unsealed = unsealed; unsealed {
			o.Secret = nil
		}
		all := carriers(t, 2, o)
		know(t, all)
		for n := range byte(100) {
			all[0].Send(all[1].Address(), append(message(20, 7), n))
		}
		var list [][]byte
		for range 100 {
			list = append(list, nextOf(t, all[1], 7).Messages[0])
		}
		for n, b := range list {
			if !bytes.Equal(b, append(message(20, 7), byte(n))) {
				t.Errorf("message %d became %x", n, b)
			}
		}
	}
}

func TestCloseEndsAllAndSendsNothingMore(t *testing.T) {
	o := onLoopback(t)
	m, err := NewMulticast(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	closed(t, m.Receive())
	m.Broadcast(message(24, 1))
	if f := m.Figures(); f.Failed != 1 || f.Fault == "" {
		t.Errorf("%+v", f)
	}
}

func TestOptionsThatCannotBeAreRefusedInWords(t *testing.T) {
	for want, change := range map[string]func(*MulticastOptions){
		"is no multicast group":           func(o *MulticastOptions) { o.Group = addrA },
		"and a port":                      func(o *MulticastOptions) { o.Group = netip.AddrPortFrom(o.Group.Addr(), 0) },
		"from 1 to 255":                   func(o *MulticastOptions) { o.TTL = 256 },
		"nothing-there":                   func(o *MulticastOptions) { o.Interface = "nothing-there" },
		"a cluster needs a secret":        func(o *MulticastOptions) { o.Secret = nil },
		"cannot be had":                   func(o *MulticastOptions) { o.Port = taken(t) },
		"take another port for the group": func(o *MulticastOptions) { o.Group = netip.AddrPortFrom(o.Group.Addr(), takenFromAll(t)) },
	} {
		o := onLoopback(t)
		change(&o)
		if m, err := NewMulticast(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, error %v, want one with %q", m, err, want)
		}
	}
}

// BenchmarkRoundTrip sends a message to another instance and back, over the loopback interface.
func BenchmarkRoundTrip(b *testing.B) {
	all := carriers(b, 2, onLoopback(b))
	know(b, all)
	for _, c := range all {
		drain(c)
	}
	m := message(20, 1)
	b.ReportAllocs()
	for b.Loop() {
		all[0].Broadcast(m)
		<-all[1].Receive()
		all[1].Send(all[0].Address(), m)
		<-all[0].Receive()
	}
}
