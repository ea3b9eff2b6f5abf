// Package interop tests waggle with the BitTorrent clients that people use: the
// real binary, started as its users start it, and real clients that transfer a
// file through it.
//
// # Running
//
// Nothing is skipped. A client that is not installed fails its test with what
// to install.
//
//	make test        installs and runs the quick tests, over loopback:
//	                 libtorrent, qBittorrent, npm's bittorrent-tracker
//	make test-long   installs and runs all. Transmission, aria2, rtorrent,
//	                 Deluge and WebTorrent, in Node and in Chromium, are in
//	                 network namespaces, which takes root.
//
// or some of them, once their clients are installed:
//
//	go test -run Libtorrent ./interop
//	go test -tags long -run Namespaces/rtorrent ./interop
//
// The binary is built from the checkout, with the race detector where the tests
// have it. INTEROP_WAGGLE names another one to test, such as a release.
//
// # Where traffic goes
//
// To loopback, or to a network that exists only inside network namespaces which
// a test makes and removes itself and which have no route out. No client may
// ask a DHT, a router or the local network for peers: if the tracker does not
// name a peer, there is none. A client that asks them anyhow, if only while it
// starts, is for the namespaces; strace -f -e trace=connect,sendto,sendmsg shows
// whether it does.
//
// # Linked trackers
//
// linked_test.go starts trackers and links them, links_*_test.go says what they promise. The
// other end of a link that breaks the rules is a puppet (puppet_test.go), in the process of
// the test. Trackers whose clocks are wrong are real ones, whose kernel tells them another
// time (clock_amd64_test.go): only on Linux on amd64, and it needs leave to trace processes.
//
// # Browsers
//
// websocket_test.go has npm's client, whose WebRTC is a stand-in (browser.mjs): what the
// tracker passes on is checked, and that is quick. webtorrent_test.go has WebTorrent with real
// WebRTC, which finds no peers on loopback; its modules, in the directory webtorrent, are for
// long tests only.
//
// # Adding a client
//
// Write a [startClient]: a function that starts the client on a [host] with a
// torrent and a directory, and returns the [process]. The client seeds what the
// directory already holds, and fetches what is missing. It leaves the swarm, with
// a word to the tracker, on SIGTERM; if it wants another signal, or an order, the
// fields quit and leave of the process say so. Then add it to a table of
// transfers: loopback_test.go if the client finds peers on loopback and is done
// in seconds, else namespaces_test.go. The transfer itself, with its checks, is
// [transfer.run].
//
// A client that takes its orders over a port of its own (qBittorrent, Deluge)
// still is a startClient: it gives the orders before it returns.
package interop
