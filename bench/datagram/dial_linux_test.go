package datagram

import (
	"net/netip"
	"testing"
)

func TestKernelThatPartsNoRunsIsSentPackets(t *testing.T) {
	l, err := Listen(loopback)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	sockets, err := dialBatched(make([]netip.Addr, 1), l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sockets.Close() }()
	s := sockets.(*batched)
	// More segments than any kernel takes as one: EINVAL, as from one that takes none.
	s.segments = 1 << 14
	var out Packets
	const packets = 5_000
	for n := range packets {
		out.End(append(out.Begin(), byte(n)))
	}
	if err := s.Send(0, &out); err != nil {
		t.Fatal(err)
	}
	if s.segments != 1 {
		t.Errorf("runs of %d packets are still sent", s.segments)
	}
	for n, packet := range collect(t, 100, l.Receive, l.Packet, l.Wait) {
		if len(packet) != 1 || packet[0] != byte(n) {
			t.Fatalf("packet %d is %v", n, packet)
		}
	}
}

func TestSendingAndReceivingAllocatesNothing(t *testing.T) {
	l, err := Listen(loopback)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	s, err := Dial(make([]netip.Addr, 1), l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	var out Packets
	if n := testing.AllocsPerRun(100, func() {
		out.Reset()
		for range 2 * Batch {
			out.End(append(out.Begin(), "as long as the others"...))
		}
		_ = s.Send(0, &out)
		n, _ := l.Receive()
		for i := range n {
			l.Reply(i, l.Packet(i))
		}
		_ = l.Flush()
		_, _ = s.Receive(0)
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
