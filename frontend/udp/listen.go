package udp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"waggle/errno"
	"waggle/frontend"
)

// receiveBuffer is how many bytes a socket is asked to hold between two reads.
// Linux counts 768 for a small packet and doubles what it is asked for, so that
// this is some 11,000 announces.
const receiveBuffer = 4 << 20

// listenAddress opens the first sockets of an address. What it opened comes back
// even with an error.
func listenAddress(ctx context.Context, address string) ([]*net.UDPConn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, frontend.ListenError("udp", address, err)
	}
	var alone net.ListenConfig
	if !wildcard(host) {
		conn, err := listenNetwork(ctx, alone, "udp", address)
		if err != nil {
			return nil, err
		}
		return []*net.UDPConn{conn}, nil
	}
	v4, err := listenNetwork(ctx, alone, "udp4", net.JoinHostPort("0.0.0.0", port))
	if err != nil {
		return nil, err
	}
	if port == "0" {
		_, port, _ = net.SplitHostPort(v4.LocalAddr().String())
	}
	v6, err := listenNetwork(ctx, alone, "udp6", net.JoinHostPort("::", port))
	switch {
	case errno.Is(err, syscall.EAFNOSUPPORT, syscall.EADDRNOTAVAIL):
		return []*net.UDPConn{v4}, nil
	case err != nil:
		return []*net.UDPConn{v4}, err
	}
	return []*net.UDPConn{v4, v6}, nil
}

// wildcard reports whether a host stands for all addresses of the machine. Package
// net takes 0.0.0.0 and [::] for the same, and so do the other frontends.
func wildcard(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.IsUnspecified()
}

func listenNetwork(ctx context.Context, config net.ListenConfig, network, address string) (*net.UDPConn, error) {
	packets, err := config.ListenPacket(ctx, network, address)
	if err != nil {
		return nil, frontend.ListenError("udp", address, err)
	}
	conn := packets.(*net.UDPConn)
	if err := prepare(conn); err != nil {
		return nil, errors.Join(fmt.Errorf("udp %s: %w", address, err), conn.Close())
	}
	return conn, nil
}

func localAddr(conn *net.UDPConn) netip.AddrPort {
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// backOff keeps an error that stays from being met at full speed.
func backOff(failures int) {
	time.Sleep(min(time.Duration(failures), 100) * time.Millisecond)
}
