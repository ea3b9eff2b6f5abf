// Package http answers the HTTP tracker protocol: announces (BEP 3, 7, 21, 23,
// 24, 27) at /announce, scrapes (BEP 48) at /scrape, and whether the tracker is
// alive at /health.
//
// # What it keeps to
//
//   - What a client got wrong it is told as BEP 3 wants it: status 200 and a
//     bencoded failure reason.
//   - The address of a peer is that of its connection. X-Forwarded-For counts only
//     where the connection comes from a trusted proxy: then the peer is the last
//     address in it that is not a trusted proxy's itself.
//   - An answer holds IPv4 and IPv6 peers, in peers and peers6.
//   - A request line and headers beyond 16 KiB, a client that takes more than ten
//     seconds to send or to read, and connections beyond the limit are cut off or
//     wait; what they can take of memory is bounded.
package http
