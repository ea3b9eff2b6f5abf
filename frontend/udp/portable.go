package udp

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"waggle/errno"
)

// portableSocket takes a packet and sends an answer a system call, by way of
// package net. It works everywhere.
type portableSocket struct {
	conn *net.UDPConn
}

func (s *portableSocket) serve(p *responder) {
	var packet [maxRequest]byte
	var control [controlLen]byte
	var out [maxAnswer]byte
	failures := 0
	for {
		n, controlN, _, from, err := s.conn.ReadMsgUDPAddrPort(packet[:], control[:])
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) {
				return
			}
			if errno.Is(err, syscall.EMSGSIZE) { // Windows: the packet is longer than any request
				continue
			}
			failures++
			p.figures.ReadErrors++
			p.publish()
			backOff(failures)
			continue
		}
		failures = 0
		source := netip.AddrPortFrom(from.Addr().Unmap().WithZone(""), from.Port())
		now := p.tracker.Now()
		answer := p.answerAnything(packet[:n], source, now, out[:])
		p.publish()
		if p.parked {
			to := bytes.Clone(control[:controlN])
			p.later(p.query, now, func(answer []byte) bool {
				_, _, err := s.conn.WriteMsgUDPAddrPort(answer, replyControl(to), from)
				return err == nil
			})
			continue
		}
		if answer != nil {
			if _, _, err := s.conn.WriteMsgUDPAddrPort(answer, replyControl(control[:controlN]), from); err != nil {
				p.figures.WriteErrors++
				p.publish()
			}
		}
		p.latency.Add(p.tracker.Now().Sub(now), 1)
	}
}

// stop lets serve read until the deadline: package net cannot tell an empty
// socket from one that is being waited for.
func (s *portableSocket) stop(deadline time.Time) { _ = s.conn.SetReadDeadline(deadline) }

func (s *portableSocket) overflowed() uint64 { return 0 }

func (s *portableSocket) Close() error { return s.conn.Close() }
