// Package carrier takes the messages of a cluster from one instance to the others: by UDP
// multicast on a LAN ([Multicast]), or by a NATS ([Broker]), in the place of the JMS of seed
// document 003. Both are a [Carrier]: what [waggle/cluster.Host] asks for, and a queue of what
// came.
//
//	carrier.go    what a carrier is, and what both have in common
//	seal.go       who has the secret: the trailer of a datagram
//	prove.go      that a sender lives now: challenges and their answers
//	sockets.go    the two sockets of a multicast group
//	interface.go  the network interface that they are on, which may come and go
//	multicast.go  the carrier over them
//	group.go      the group of the peers, whose datagrams are not sealed
//	broker.go     the carrier over a NATS
//
// # What is on the wire
//
// With a secret, a datagram is a message of package cluster, byte for byte, and a trailer of 32
// bytes: the boot id of its sender (8, drawn at each start), a counter (8, rising), and a MAC
// (16). Several messages that belong together stand behind a mark of 4 bytes, each with its
// length in 16 bits before it. The MAC is HMAC-SHA256, cut, over the sender's address, the
// receiver's or nothing for all, and all that goes before it. Its key follows from the secret and
// the name of the cluster. So a datagram is good from one address to one other, or to all, once.
//
// A boot id that is new to an instance may be that of a recording. Its sender is challenged: it
// has to put a nonce that this instance makes under the MAC. Only what comes after that is
// taken. Neither a challenge nor its answer, of 36 bytes each, is longer than the datagram
// that caused it, of 36 and up.
//
// Datagrams are not encrypted: who is on the LAN reads them, as it reads the peers' requests.
//
// Without a secret, which has to be asked for, a datagram is a message and nothing else: as the
// document has it, and open to everybody on the LAN.
package carrier
