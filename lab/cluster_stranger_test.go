//go:build lab

package lab

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// A stranger is a machine on the bridge that does not know the secret, and sends whatever it
// likes from whatever address.
type stranger struct {
	host *host
	raw  int // a socket whose packets have the header that they are given
	conn *ipv4.PacketConn
}

func newStranger(t *testing.T, h *host) *stranger {
	t.Helper()
	s := &stranger{host: h}
	var conn *net.UDPConn
	must(t, inNamespace(h.namespace, func() (err error) {
		if s.raw, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW); err != nil {
			return err
		}
		conn, err = net.ListenUDP("udp4", &net.UDPAddr{IP: h.addr.AsSlice()})
		return err
	}))
	s.conn = ipv4.NewPacketConn(conn)
	t.Cleanup(func() {
		if err := errors.Join(unix.Close(s.raw), conn.Close()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// A packet is a datagram on the bridge.
type packet struct {
	from, to netip.AddrPort
	payload  []byte
}

const (
	ethernetLen = 14
	ipLen       = 20
	udpLen      = 8
	protocolUDP = 17
)

// send puts a packet on the bridge as if it came from its sender.
func (s *stranger) send(p packet) error {
	b := make([]byte, ipLen+udpLen, ipLen+udpLen+len(p.payload))
	b[0], b[8], b[9] = 0x45, 1, protocolUDP // the system adds length and checksum
	from, to := p.from.Addr().As4(), p.to.Addr().As4()
	copy(b[12:], from[:])
	copy(b[16:], to[:])
	binary.BigEndian.PutUint16(b[ipLen:], p.from.Port())
	binary.BigEndian.PutUint16(b[ipLen+2:], p.to.Port())
	binary.BigEndian.PutUint16(b[ipLen+4:], uint16(udpLen+len(p.payload))) // and no checksum, which is allowed
	return unix.Sendto(s.raw, append(b, p.payload...), 0, &unix.SockaddrInet4{Addr: to})
}

// own is the stranger's own address.
func (s *stranger) own() netip.AddrPort {
	a := s.conn.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// flood sends so many packets of rubbish a second to an address for a while, and returns how
// many went out.
func (s *stranger) flood(to netip.AddrPort, rate int, during time.Duration) (sent int, err error) {
	const each = time.Millisecond
	random := rand.NewChaCha8([32]byte{1})
	messages := make([]ipv4.Message, max(rate*int(each)/int(time.Second), 1))
	for i := range messages {
		messages[i] = ipv4.Message{Buffers: [][]byte{make([]byte, 100)}, Addr: net.UDPAddrFromAddrPort(to)}
		_, _ = random.Read(messages[i].Buffers[0]) // never fails
	}
	ticker := time.NewTicker(each)
	defer ticker.Stop()
	for began := time.Now(); time.Since(began) < during; <-ticker.C {
		for past := time.Since(began); past < during && sent < int(past.Seconds()*float64(rate)); past = time.Since(began) {
			_, _ = random.Read(messages[sent%len(messages)].Buffers[0])
			n, err := s.conn.WriteBatch(messages, 0)
			if err != nil {
				return sent, err
			}
			sent += n
		}
	}
	return sent, nil
}

// A tap records the datagrams that instances send each other, as a switch shows them that
// mirrors a port.
type tap struct {
	socket int
	ending sync.WaitGroup

	mu    sync.Mutex
	heard []packet
}

// newTap taps the port of the n-th instance.
func (l *lan) newTap(t *testing.T, n int) *tap {
	t.Helper()
	p := &tap{}
	must(t, inNamespace(l.rig.name+"-fabric", func() (err error) {
		all := int(binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL)))
		if p.socket, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, all); err != nil {
			return err
		}
		card, err := net.InterfaceByName(portOf(l.instances[n].host))
		if err != nil {
			return err
		}
		limit := unix.NsecToTimeval(int64(tick))
		return errors.Join(
			unix.SetsockoptTimeval(p.socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit),
			unix.Bind(p.socket, &unix.SockaddrLinklayer{Protocol: uint16(all), Ifindex: card.Index}))
	}))
	stop := make(chan struct{})
	p.ending.Go(func() { p.listen(stop, l.addresses()) })
	t.Cleanup(func() {
		close(stop)
		p.ending.Wait()
		_ = unix.Close(p.socket)
	})
	return p
}

// addresses are those of the instances.
func (l *lan) addresses() map[netip.Addr]bool {
	all := map[netip.Addr]bool{}
	for _, in := range l.instances {
		all[in.host.addr] = true
	}
	return all
}

func (p *tap) listen(stop <-chan struct{}, senders map[netip.Addr]bool) {
	const most = 20_000
	buffer := make([]byte, 4096)
	for {
		select {
		case <-stop:
			return
		default:
		}
		n, _, err := unix.Recvfrom(p.socket, buffer, 0)
		if err != nil {
			continue // there is nothing
		}
		got, ok := parsePacket(buffer[:n])
		p.mu.Lock()
		if ok && senders[got.from.Addr()] && (senders[got.to.Addr()] || got.to.String() == clusterGroup) && len(p.heard) < most {
			p.heard = append(p.heard, got)
		}
		p.mu.Unlock()
	}
}

func parsePacket(frame []byte) (p packet, ok bool) {
	if len(frame) < ethernetLen+ipLen+udpLen {
		return p, false
	}
	ip := frame[ethernetLen:]
	if ip[0] != 0x45 || ip[9] != protocolUDP {
		return p, false
	}
	length := int(binary.BigEndian.Uint16(ip[2:]))
	if length < ipLen+udpLen || length > len(ip) {
		return p, false
	}
	udp := ip[ipLen:length]
	p.from = netip.AddrPortFrom(netip.AddrFrom4([4]byte(ip[12:])), binary.BigEndian.Uint16(udp))
	p.to = netip.AddrPortFrom(netip.AddrFrom4([4]byte(ip[16:])), binary.BigEndian.Uint16(udp[2:]))
	p.payload = append([]byte(nil), udp[udpLen:]...)
	return p, true
}

// packets returns what was recorded so far.
func (p *tap) packets() []packet {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]packet(nil), p.heard...)
}
