// Package reach tries whether peers can be connected to, by TCP and the handshake of BitTorrent (BEP 3).
//
// A [Checker] is told of announces. An address of which it knows nothing, or something old, it
// tries once, and remembers what it found, in a table of a fixed size (table.go). It never makes an announce
// wait, and allocates nothing for one.
//
// A tracker must be no scanner of ports and no amplifier, so:
//   - it connects to the address that an announce came from alone, which has proven that it is there, and
//     to the port that it named; never to loopback, where services are that trust this machine;
//   - not to ports below 1024, unless it is told to;
//   - once in some hours to each address and port: one SYN, and the system has no time to send another;
//   - once in some seconds to each IP address, some times a second to each network, and so many times a second
//     in all (schedule.go);
//   - the handshake has 68 bytes, and is not sent where the info hash has a line break in it, by which a stranger
//     could have a service of another protocol read lines of his.
//
// What is refused, or not answered, cannot be connected to. Where a connection is made and the handshake is not
// answered with the same info hash, nothing is known: it may be a client that wants encryption, or something else. A client
// that listens by uTP alone looks as if it could not be connected to by TCP, which is so.
package reach
