// Package udp answers the UDP tracker protocol: BEP 15, with the options of BEP
// 41 passed over.
//
// # What it keeps to
//
//   - An address proves itself first. A connection id is a keyed hash of the time
//     and the address, so nothing is stored for it; it is good for two minutes from
//     its second on. A packet with a wrong one is dropped in silence.
//   - Nobody is sent more than an unproven address sent: the answer to a connect
//     request is as long as the request, and errors go to proven addresses only.
//   - An answer fits 1,232 bytes, which every path of IPv6 carries unfragmented.
//   - It goes out from the address that was asked (on Linux; elsewhere listen on
//     each address of a machine that has several).
//   - Peers in an answer are of the family that the packet came over.
//
// # How it works
//
// [Listen] opens a socket for each address, and for a wildcard one each for IPv4
// and IPv6. Several goroutines read each socket; each owns its buffers, and
// nothing passes between them. What a packet is answered with is decided by
// responder.answer, which knows of no socket.
package udp
