package udp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"waggle/bittorrent"
	"waggle/frontend"
	"waggle/store/memory"
	"waggle/tracker"
)

// put makes request i of a batch, as the kernel would.
func (b *batch) put(i int, from netip.AddrPort, packet []byte) {
	slot, header := &b.slots[i], &b.requests[i].header
	b.requests[i].length = uint32(copy(slot.request[:], packet))
	binary.BigEndian.PutUint16(slot.source[2:], from.Port())
	if from.Addr().Is4() {
		binary.NativeEndian.PutUint16(slot.source[:], unix.AF_INET)
		address := from.Addr().As4()
		copy(slot.source[4:], address[:])
		header.Namelen = unix.SizeofSockaddrInet4
		return
	}
	binary.NativeEndian.PutUint16(slot.source[:], unix.AF_INET6)
	address := from.Addr().As16()
	copy(slot.source[8:], address[:])
	header.Namelen = unix.SizeofSockaddrInet6
}

// sent is what the kernel would make of a message.
func sent(m *message) (to netip.AddrPort, transaction uint32) {
	iov := m.header.Iov
	payload := unsafe.Slice(iov.Base, iov.Len)
	return source(unsafe.Slice(m.header.Name, m.header.Namelen)), binary.BigEndian.Uint32(payload[4:])
}

func TestBatchIsAnsweredInOrderAndEachWhereItCameFrom(t *testing.T) {
	p, _ := newResponder(74)
	b := newBatch(false)
	type answer struct {
		to          netip.AddrPort
		transaction uint32
	}
	for range 3 { // a batch is used again and again
		var want []answer
		for i := range batchSize {
			from := netip.AddrPortFrom(address(i, i%2 == 1), uint16(1000+i))
			if i%5 == 4 {
				b.put(i, from, []byte("too short"))
				continue
			}
			b.put(i, from, bittorrent.AppendUDPConnect(nil, uint32(i)))
			want = append(want, answer{from, uint32(i)})
		}
		var got []answer
		for _, m := range b.answer(p, batchSize, now, nil) {
			to, transaction := sent(&m)
			got = append(got, answer{to, transaction})
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
		for i := range b.requests {
			if h := b.requests[i].header; h.Namelen != unix.SizeofSockaddrInet6 {
				t.Fatalf("request %d has room for a source of %d bytes", i, h.Namelen)
			}
		}
	}
}

func TestNothingIsAnsweredToWhereNothingCanBeSent(t *testing.T) {
	p, _ := newResponder(74)
	b := newBatch(false)
	b.put(0, netip.AddrPortFrom(peer, 0), bittorrent.AppendUDPConnect(nil, 1))
	b.put(1, netip.AddrPortFrom(peer, 1), bittorrent.AppendUDPConnect(nil, 1))
	b.requests[1].header.Namelen = 0
	b.put(2, netip.AddrPortFrom(peer, 1), bittorrent.AppendUDPConnect(nil, 1))
	binary.NativeEndian.PutUint16(b.slots[2].source[:], unix.AF_UNIX)
	b.put(3, netip.AddrPortFrom(address(3, true), 1), bittorrent.AppendUDPConnect(nil, 1))
	b.requests[3].header.Namelen = unix.SizeofSockaddrInet4
	if answers := b.answer(p, 4, now, nil); len(answers) != 0 {
		t.Errorf("%d answers", len(answers))
	}
	if p.figures.Malformed != 1 {
		t.Errorf("%d were counted as malformed, want that from port 0", p.figures.Malformed)
	}
}

// TestOneAnswerThatCannotBeSentKeepsBackNoOther lets the system calls end as they
// may: each step is how many messages go through, or an error.
func TestOneAnswerThatCannotBeSentKeepsBackNoOther(t *testing.T) {
	for name, test := range map[string]struct {
		steps  []any
		want   []uint32 // transactions that go through
		failed uint64
	}{
		"all at once":                     {[]any{6}, []uint32{0, 1, 2, 3, 4, 5}, 0},
		"in parts":                        {[]any{2, 1, 3}, []uint32{0, 1, 2, 3, 4, 5}, 0},
		"one is forbidden":                {[]any{2, unix.EPERM, 3}, []uint32{0, 1, 3, 4, 5}, 1},
		"first and last have no route":    {[]any{unix.ENETUNREACH, 4, unix.EHOSTUNREACH}, []uint32{1, 2, 3, 4}, 2},
		"two in a row have no memory":     {[]any{1, unix.ENOBUFS, unix.ENOMEM, 3}, []uint32{0, 3, 4, 5}, 2},
		"interrupted":                     {[]any{3, unix.EINTR, unix.EINTR, 3}, []uint32{0, 1, 2, 3, 4, 5}, 0},
		"room after a wait":               {[]any{2, unix.EAGAIN, 1, 3}, []uint32{0, 1, 2, 3, 4, 5}, 0},
		"an interface that takes no more": {[]any{2, unix.EAGAIN, unix.EAGAIN}, []uint32{0, 1}, 4},
	} {
		p, _ := newResponder(74)
		b := newBatch(false)
		for i := range 6 {
			b.put(i, netip.AddrPortFrom(peer, uint16(1+i)), bittorrent.AppendUDPConnect(nil, uint32(i)))
		}
		var got []uint32
		full := false
		s := &batchSocket{calls: calls{send: func(_ int, messages []message, flags int) (int, error) {
			if waits := flags&unix.MSG_DONTWAIT == 0; waits != full {
				t.Errorf("%s: a call waits: %v, where there was no room: %v", name, waits, full)
			}
			step := test.steps[0]
			test.steps = test.steps[1:]
			full = step == any(unix.EAGAIN)
			if err, failed := step.(error); failed {
				return 0, err
			}
			for _, m := range messages[:step.(int)] {
				_, transaction := sent(&m)
				got = append(got, transaction)
			}
			return step.(int), nil
		}}}
		s.answer(p, b, 6)
		if !slices.Equal(got, test.want) || p.ledger.read().WriteErrors != test.failed || len(test.steps) != 0 {
			t.Errorf("%s: sent %v and failed at %d, want %v and %d", name, got, p.ledger.read().WriteErrors, test.want, test.failed)
		}
	}
}

func TestClockIsReadTwiceABatch(t *testing.T) {
	readings := 0
	p, _ := newResponder(74)
	p.tracker = tracker.New(memory.New(memory.Options{}), tracker.Settings{}, tracker.Options{Now: func() time.Time {
		readings++
		return now
	}})
	b := newBatch(false)
	for i := range batchSize {
		b.put(i, netip.AddrPortFrom(peer, 1), bittorrent.AppendUDPConnect(nil, 1))
	}
	s := &batchSocket{calls: calls{send: func(_ int, messages []message, _ int) (int, error) { return len(messages), nil }}}
	readings = 0 // what it took to make the tracker
	s.answer(p, b, batchSize)
	if readings != 2 {
		t.Errorf("the clock was read %d times for %d packets", readings, batchSize)
	}
}

func TestPacketsOfABatchCountWithTheTimeOfTheBatch(t *testing.T) {
	clock := now
	p, _ := newResponder(74)
	p.tracker = tracker.New(memory.New(memory.Options{}), tracker.Settings{}, tracker.Options{Now: func() time.Time { return clock }})
	b := newBatch(false)
	for i := range batchSize {
		b.put(i, netip.AddrPortFrom(peer, 1), bittorrent.AppendUDPConnect(nil, 1))
	}
	s := &batchSocket{calls: calls{send: func(_ int, messages []message, _ int) (int, error) {
		clock = clock.Add(3 * time.Microsecond)
		return len(messages), nil
	}}}
	s.answer(p, b, batchSize)
	s.answer(p, b, 1)
	s.answer(p, b, 0)
	var all frontend.Latencies
	all.Count(&p.latency)
	if all.Steps[2] != batchSize+1 || all.Total() != batchSize+1 || all.Sum != 3*(batchSize+1)*time.Microsecond {
		t.Errorf("%+v, want %d packets of 3 µs", all, batchSize+1)
	}
}

func TestBatchAllocatesNothing(t *testing.T) {
	p, _ := newResponder(74)
	id := connect(t, p, peer)
	b := newBatch(true)
	s := &batchSocket{calls: calls{send: func(_ int, messages []message, _ int) (int, error) { return len(messages), nil }}}
	if n := testing.AllocsPerRun(100, func() {
		for i := range batchSize {
			b.put(i, netip.AddrPortFrom(peer, 1), nil)
			packet := b.slots[i].request[:0]
			if i%2 == 0 {
				packet = bittorrent.AppendUDPConnect(packet, 1)
			} else {
				a := bittorrent.AnnounceRequest{Port: uint16(i), Left: 1, NumWant: -1}
				packet = bittorrent.AppendUDPAnnounce(packet, id, 1, &a, "")
			}
			b.requests[i].length = uint32(len(packet))
		}
		s.answer(p, b, batchSize)
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func TestErrorsOfReadingAreCountedAndReadingGoesOn(t *testing.T) {
	conn, err := listenNetwork(t.Context(), net.ListenConfig{}, "udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := newBatchSocket(conn, false, systemCalls)
	if err != nil {
		t.Fatal(err)
	}
	steps := []error{unix.ENOMEM, unix.EINTR, unix.ENOBUFS, unix.EAGAIN, unix.EAGAIN}
	s.calls.receive = func(int, []message, int) (int, error) {
		step := steps[0]
		if steps = steps[1:]; len(steps) == 1 {
			s.stop(time.Now().Add(time.Hour))
		}
		return 0, step
	}
	p, _ := newResponder(74)
	s.serve(p)
	if n := p.ledger.read().ReadErrors; n != 2 || len(steps) != 0 {
		t.Errorf("%d errors were counted, want 2; %v were not met", n, steps)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestDoorbellWakesForPacketsAndForTheEnd(t *testing.T) {
	conn, err := listenNetwork(t.Context(), net.ListenConfig{}, "udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := localAddr(conn)
	s, err := newBatchSocket(conn, false, systemCalls)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	client, err := net.Dial("udp4", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	woken, again := make(chan error), make(chan struct{})
	go func() {
		for range again {
			woken <- takeOne(s)
		}
	}()
	for i := range 200 {
		send := func() {
			if _, err := client.Write([]byte("packet")); err != nil {
				t.Error(err)
			}
		}
		if i%2 == 0 {
			send() // there before anyone waits
			again <- struct{}{}
		} else {
			again <- struct{}{}
			send()
		}
		if err := <-woken; err != nil {
			t.Fatal(err)
		}
	}
	again <- struct{}{}
	s.doorbell.stop()
	if err := <-woken; err == nil {
		t.Error("woke without a packet or a reason")
	}
	again <- struct{}{}
	if err := <-woken; err == nil {
		t.Error("waited after the end")
	}
	close(again)
}

// takeOne waits until there is a packet.
func takeOne(s *batchSocket) error {
	for b := newBatch(false); ; {
		if err := s.doorbell.wait(); err != nil {
			return err
		}
		if _, err := s.calls.receive(s.fd, b.requests[:1], unix.MSG_DONTWAIT); !errors.Is(err, unix.EAGAIN) {
			return err
		}
	}
}

func TestSystemThatRefusesBatchesIsServedWithoutThem(t *testing.T) {
	refuse := func(int, []message, int) (int, error) { return 0, unix.ENOSYS }
	for name, c := range map[string]calls{
		"recvmmsg": {receive: refuse, send: systemCalls.send},
		"sendmmsg": {receive: systemCalls.receive, send: refuse},
	} {
		conn, err := listenNetwork(t.Context(), net.ListenConfig{}, "udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		sockets, err := openBatches(t.Context(), conn, &Options{Readers: 2, Log: slog.New(slog.NewTextHandler(&log, nil))}, c)
		if err != nil || len(sockets) != 1 || !strings.Contains(log.String(), "one by one") {
			t.Fatalf("%s: %d sockets, %v; the log has %q", name, len(sockets), err, &log)
		}
		if _, portable := sockets[0].(*portableSocket); !portable {
			t.Errorf("%s: the socket is a %T", name, sockets[0])
		}
		if err := sockets[0].Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestPacketsThatTheKernelHadNoRoomForAreCounted(t *testing.T) {
	conn, err := listenNetwork(t.Context(), net.ListenConfig{}, "udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	client, err := net.Dial("udp4", conn.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	s, err := newBatchSocket(conn, false, systemCalls)
	if err != nil {
		t.Fatal(err)
	}
	for range 100 { // that nobody reads
		if _, err := client.Write(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	before := s.overflowed()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if before == 0 || before >= 100 || s.overflowed() != before {
		t.Errorf("%d of 100 packets were dropped, and after Close %d", before, s.overflowed())
	}
}

func TestReplyLeavesTheInterfaceToTheRoutesUnlessItIsLinkLocal(t *testing.T) {
	control := func(level, kind int32, body []byte) []byte {
		header := make([]byte, unix.CmsgLen(0))
		binary.NativeEndian.PutUint32(header[len(header)-8:], uint32(level))
		binary.NativeEndian.PutUint32(header[len(header)-4:], uint32(kind))
		return append(header, body...)
	}
	v4 := []byte{9, 0, 0, 0, 127, 0, 0, 77, 127, 0, 0, 77}
	v6 := func(address string) []byte {
		bytes := netip.MustParseAddr(address).As16()
		return append(bytes[:], 9, 0, 0, 0)
	}
	for name, test := range map[string]struct {
		control []byte
		want    []byte // nil: no control message is sent
	}{
		"IPv4":            {control(unix.IPPROTO_IP, unix.IP_PKTINFO, v4), append(make([]byte, 4), v4[4:]...)},
		"IPv6":            {control(unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, v6("2001:db8::1")), append(v6("2001:db8::1")[:16], 0, 0, 0, 0)},
		"IPv6 link-local": {control(unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, v6("fe80::1")), v6("fe80::1")},
		"something else":  {control(unix.SOL_SOCKET, unix.SO_RXQ_OVFL, v4), nil},
		"cut off":         {control(unix.IPPROTO_IP, unix.IP_PKTINFO, v4[:8]), nil},
		"nothing":         {nil, nil},
	} {
		got := replyControl(test.control)
		if got != nil {
			got = got[unix.CmsgLen(0):]
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}
