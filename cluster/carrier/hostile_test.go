package carrier

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"waggle/internal/freeport"
)

// stranger is on the network without the secret: it hears the group, and sends what it likes.
type stranger struct {
	*sockets
	t testing.TB
}

func newStranger(t testing.TB, o GroupOptions) stranger {
	t.Helper()
	s, err := join(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.close() })
	return stranger{s, t}
}

// record returns what an instance sends to all.
func (s stranger) record(from Carrier, n int) (frames [][]byte) {
	s.t.Helper()
	b := make([]byte, longest)
	_ = s.all.SetReadDeadline(time.Now().Add(patience))
	for i := range n {
		m := message(24, byte(i))
		from.Broadcast(m)
		for {
			length, addr, err := s.all.ReadFromUDPAddrPort(b)
			if err != nil {
				s.t.Fatal(err)
			}
			if bare(addr) == from.Address() && bytes.HasPrefix(b[:length], m) {
				break
			}
		}
		frames = append(frames, bytes.Clone(b[:24+trailerLen]))
	}
	return frames
}

// send sends datagrams to an address, not faster than they are taken in; zero: to the group.
func (s stranger) send(to netip.AddrPort, count func() uint64, datagrams ...[]byte) {
	s.t.Helper()
	for at, before := 0, count(); at < len(datagrams); {
		part := datagrams[at:min(at+50, len(datagrams))]
		for _, b := range part {
			if err := s.write(to, b); err != nil {
				s.t.Fatal(err)
			}
		}
		at += len(part)
		eventually(s.t, "all that was sent is counted", func() bool { return count()-before >= uint64(at) })
	}
}

// altered returns frames with a bit that is another, cut short, made longer, and rubbish.
func altered(frames [][]byte) (list [][]byte) {
	rng := rand.New(rand.NewPCG(7, 8))
	for _, b := range frames {
		other := bytes.Clone(b)
		other[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
		rubbish := make([]byte, rng.IntN(MaxDatagram+100))
		for i := range rubbish {
			rubbish[i] = byte(rng.Uint32())
		}
		list = append(list, other, b[:rng.IntN(len(b))], append(bytes.Clone(b), byte(rng.Uint32())), rubbish, nil)
	}
	return list
}

func TestFramesOfStrangersAreLeftOutAndCounted(t *testing.T) {
	o := onLoopback(t)
	a, b := newMulticast(t, o), newMulticast(t, o)
	know(t, []Carrier{a, b})
	s := newStranger(t, o.GroupOptions)
	frames := s.record(a, 100)
	notTaken := func() uint64 { f := b.Figures(); return f.Forged + f.Malformed }

	other := newSeal(t, s.address, func(o *SealOptions) { o.Secret, o.Name = []byte("another secret of others"), s.group.String() })
	sealedByOthers := [][]byte{sealed(t, other, everyone, message(24, 1)), sealed(t, other, b.Address(), message(24, 1), message(20, 1))}
	for _, to := range []netip.AddrPort{everyone, b.Address()} {
		s.send(to, notTaken, frames...) // from another address than its own
		s.send(to, notTaken, altered(frames)...)
		s.send(to, notTaken, sealedByOthers...)
	}
	ofA := func() uint64 { return a.Figures().Forged }
	s.send(a.Address(), ofA, frames...) // its own, sent back

	if f := b.Figures(); f.Stranger != s.address || f.Challenges > 1 {
		t.Errorf("%+v", f)
	}
	wantNothingOf(t, s.address, a, b)
	exactly(t, a, b, 100)
}

// wantNothingOf looks through what waits.
func wantNothingOf(t *testing.T, from netip.AddrPort, carriers ...Carrier) {
	t.Helper()
	for _, c := range carriers {
		for len(c.Receive()) > 0 {
			if p := <-c.Receive(); p.From == from {
				t.Errorf("%s has taken %x", c.Address(), p.Messages)
			}
		}
	}
}

// A recording is sent from the very address of who sent it, which has gone.
func TestRecordingIsOfNoUseBeforeOrAfterEitherSideIsStartedAgain(t *testing.T) {
	o := onLoopback(t)
	ofA, ofB := o, o
	ofA.Port, ofB.Port = freeport.For(t), freeport.For(t)
	start := func(o MulticastOptions) *Multicast {
		m, err := NewMulticast(o)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	end := func(c interface{ Close() error }) {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	a, b := start(ofA), start(ofB)
	know(t, []Carrier{a, b})
	s := newStranger(t, o.GroupOptions)
	frames := s.record(b, 100)
	nextOf(t, a, 99) // the last of them

	end(b)
	thief := newStranger(t, ofB.GroupOptions)
	thief.send(everyone, func() uint64 { return a.Figures().Replayed }, frames...)
	end(a)
	a = start(ofA)
	thief.send(everyone, func() uint64 { return a.Figures().Unproven }, frames...)
	wantNothingOf(t, thief.address, a)
	if a.Figures().Challenges == 0 {
		t.Errorf("%+v", a.Figures())
	}
	if err := thief.close(); err != nil {
		t.Error(err)
	}

	b = start(ofB)
	know(t, []Carrier{a, b})
	s.send(everyone, func() uint64 { return a.Figures().Forged }, frames...)
	wantNothingOf(t, s.address, a)
	exactly(t, b, a, 100)
	end(a)
	end(b)
}

func TestWhatAnInstanceSendsToItselfIsCounted(t *testing.T) {
	a := newMulticast(t, onLoopback(t))
	for range 20 {
		a.Send(a.Address(), message(24, 6))
	}
	eventually(t, "all are counted", func() bool { return a.Figures().Strange == 20 })
	if len(a.Receive()) > 0 {
		t.Error("it hears itself")
	}
}
