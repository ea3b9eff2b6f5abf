// Package http answers the HTTP tracker protocol: announces (BEP 3, 7, 21, 23,
// 24, 27) at /announce, scrapes (BEP 48) at /scrape, whether it can answer them at
// /health, and whether the tracker is alive at /health/live.
//
// # What it keeps to
//
//   - What a client got wrong it is told as BEP 3 wants it: status 200 and a
//     bencoded failure reason.
//   - The address of a peer is that of its connection. X-Forwarded-For counts only
//     where the connection comes from a trusted proxy: then the peer is the last
//     address in it that is not a trusted proxy's itself.
//   - Behind proxies that speak the PROXY protocol ([Options].Proxies) the address is that
//     of the header, which their connections must have, and no others may.
//   - An answer holds IPv4 and IPv6 peers, in peers and peers6.
//   - A request line and headers beyond 16 KiB, a client that takes more than ten
//     seconds to send, to read or to shake hands, and connections beyond the limit are
//     cut off or wait; what they can take of memory is bounded.
//   - It speaks HTTP as net/http does: answers, and where one request ends and the
//     next begins, are the same byte for byte. FuzzRequest compares the two.
//
// # How it works
//
// A plain request (a GET of /announce or /scrape without anything unusual) is
// parsed in the buffer that it was read into (request.go), decided (decide.go) and
// answered into the buffer that is written (answer.go), all without allocating;
// pipelined ones share a write. That much is a function from bytes to bytes. A
// connection (conn.go) has one goroutine, and buffers only while it uses them.
//
// The first request that is not plain takes its connection along to an
// http.Server, which reads what was read already and has the connection from then
// on (handover.go, handler.go).
//
// Over TLS (secure.go) a connection is read from and written to in the same way; one that
// has chosen HTTP/2 is net/http's from its handshake on.
//
// On Linux, who accepts a connection also answers it, if its request is there and
// it wants no other (listen_linux.go). The build tag portable leaves such things
// out, and makes of Linux what other systems are here.
package http
