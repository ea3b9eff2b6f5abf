package datagram

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// each are sockets on which every packet takes a call, by way of package net. It
// works on every system.
type each struct {
	conns    []*net.UDPConn
	arrived  []chan arrival
	readers  sync.WaitGroup
	wake     chan struct{} // of capacity 1: something has arrived somewhere
	ended    chan struct{}
	received [][]byte
}

// arrival is a packet, or the error of reading one.
type arrival struct {
	packet []byte
	err    error
}

func dialEach(locals []netip.Addr, remote netip.AddrPort) (Sockets, error) {
	s := &each{wake: make(chan struct{}, 1), ended: make(chan struct{})}
	for _, local := range locals {
		var from *net.UDPAddr
		if local.IsValid() {
			from = net.UDPAddrFromAddrPort(netip.AddrPortFrom(local, 0))
		}
		conn, err := net.DialUDP("udp", from, net.UDPAddrFromAddrPort(remote))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("udp socket from %v: %w", local, err), s.Close())
		}
		_ = conn.SetReadBuffer(receiveBuffer) // a wish: the kernel has its own maximum
		arrived := make(chan arrival, 4*Batch)
		s.conns, s.arrived = append(s.conns, conn), append(s.arrived, arrived)
		s.readers.Go(func() { s.read(conn, arrived) })
	}
	return s, nil
}

func (s *each) read(conn *net.UDPConn, arrived chan<- arrival) {
	for {
		packet := make([]byte, maxPacket)
		n, err := conn.Read(packet)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		select {
		case arrived <- arrival{packet[:n], err}:
		case <-s.ended:
			return
		}
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

func (s *each) Send(socket int, packets *Packets) error {
	for n := range packets.Len() {
		from, to := packets.span(n)
		_, err := s.conns[socket].Write(packets.buf[from:to])
		if err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
			return fmt.Errorf("udp send: %w", err)
		}
	}
	return nil
}

func (s *each) Receive(socket int) (int, error) {
	s.received = s.received[:0]
	for len(s.received) < Batch {
		select {
		case a := <-s.arrived[socket]:
			if a.err != nil {
				return len(s.received), fmt.Errorf("udp receive: %w", a.err)
			}
			s.received = append(s.received, a.packet)
		default:
			return len(s.received), nil
		}
	}
	return Batch, nil
}

func (s *each) Packet(n int) []byte { return s.received[n] }

func (s *each) Wait(timeout time.Duration) error {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-s.wake:
	case <-timer.C:
	}
	return nil
}

func (s *each) Close() error {
	close(s.ended)
	var errs []error
	for _, conn := range s.conns {
		errs = append(errs, conn.Close())
	}
	s.readers.Wait()
	return errors.Join(errs...)
}

// receiveBuffer is what a socket may hold that has not been read, in bytes.
const receiveBuffer = 4 << 20
