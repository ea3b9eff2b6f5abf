// Package websocket answers browsers: WebTorrent's tracker protocol, as the servers and
// clients of bittorrent-tracker (npm) speak it, in messages of JSON over WebSocket (RFC 6455).
//
// # What it keeps to
//
//   - A browser reaches others over WebRTC, to which each of two has to describe itself
//     first. An announce holds offers, which are passed on to other browsers of the
//     torrent, one each; their answers are passed back. What these hold is not looked
//     into, but for being JSON.
//   - A browser is reached by the connection that it announced by and by nothing else, so
//     it is kept here and in no store ([Swarms]). It is gone as soon as that ends.
//     Nobody who announces over UDP or HTTP can be told of it, nor it of them; counts
//     hold both ([tracker.Browsers]).
//   - Bytes, such as info hashes, are strings of as many characters.
//   - What a client got wrong it is told as a failure reason, with the torrent.
//   - What a client can take of memory, time and work of others is bounded: one that does
//     not read, or does not end what it began to send, is cut off.
//
// # How it works
//
// [Server.ServeUpgrade] takes a connection over from HTTP (upgrade.go). What is read of
// it is cut into frames and messages (frames.go), read in place (message.go, json.go),
// decided by the tracker, and answered (work.go); what follows for other connections is
// pushed to them (conn.go) and flushed when all that was read is answered. That much is
// the same for all connections.
//
// On Linux a connection over TCP has no goroutine: loops wait for many each
// (poller_linux.go). Those over TLS, on other systems, and where the store is on a network
// have one each (goroutine.go). The build tag portable makes of Linux what other systems
// are here.
package websocket
