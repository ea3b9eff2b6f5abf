// Package udp answers the UDP tracker protocol: BEP 15, with the options of BEP
// 41 passed over.
//
// # What it keeps to
//
//   - An address proves itself first. A connection id is a keyed hash of the time
//     and the address, so nothing is stored for it; it is good for two minutes from
//     its second on. A packet with a wrong one is dropped in silence.
//   - What the tracker puts off, because an address or all together send too much,
//     is met with silence, too: the protocol has no word for it.
//   - Nobody is sent more than an unproven address sent: the answer to a connect
//     request is as long as the request, and errors go to proven addresses only.
//   - An answer fits 1,232 bytes, which every path of IPv6 carries unfragmented.
//   - It goes out from the address that was asked (on Linux; elsewhere listen on
//     each address of a machine that has several).
//   - Peers in an answer are of the family that the client's packet came over.
//   - Behind proxies that speak Cloudflare's simple proxy protocol ([Options].Proxies) all
//     this holds for the client that the header names, and for the answer with its header.
//
// # How it works
//
// [Listen] opens the sockets of each address, and for a wildcard those of IPv4
// and of IPv6. Each worker owns its buffers and its figures, and nothing passes
// between workers. What a packet is answered with is decided by responder.answer,
// which knows of no socket.
//
// A worker waits for nobody. What must wait, for the location of an address or for a
// store on a network, is answered by goroutines of its own, a bounded number at a time
// (late.go). Beyond it, who waits for a location counts as unlocated, and who waits for
// a store is met with silence.
//
// A [Group] answers peers that ask a multicast group of trackers, as long as this tracker is the
// one of them that answers; all its announces and scrapes wait as those for a remote store do.
//
// On Linux each worker has a socket of its own (batchSocket): it takes what has
// arrived with one system call, builds each answer where it is sent from, and
// sends all of them with another. While there are packets it does nothing else;
// otherwise it waits at its doorbell. Elsewhere, and where Linux refuses any of
// this, workers share a socket and go packet by packet (portableSocket).
package udp
