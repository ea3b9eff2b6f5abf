// Package datagram sends and receives many UDP packets in one system call, so that
// a load generator costs less than what it loads.
//
// [Dial] opens sockets that are connected to one address. On Linux they are read
// with recvmmsg and written with sendmmsg; packets of equal length that follow each
// other go down to the kernel as one (UDP_SEGMENT), which parts them again before
// any receiver sees them. [Listen] opens a socket for a server, with recvmmsg and
// sendmmsg alone. Elsewhere the package does the same with one call a packet.
//
// Nothing here waits, except the methods that are called Wait, and nothing is kept
// of a packet: what Receive gave is gone with the next Receive.
package datagram
