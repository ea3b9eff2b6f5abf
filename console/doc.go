// Package console answers those who run the tracker, on an address of its own: an
// API for scripts under /api/v1 (docs/api.md), what the tracker did, as JSON at
// /figures, and where its time and memory go, as profiles for go tool pprof at
// /debug/pprof.
//
//	curl http://127.0.0.1:6970/api/v1/transfers
//	go tool pprof http://127.0.0.1:6970/debug/pprof/profile?seconds=10
//
// # Who may do what
//
// Without a token the console listens on loopback addresses only, and answers only
// requests that were meant for one: a web page elsewhere cannot use a browser on
// this machine to read it. With a token it may listen anywhere. Whoever shows the
// token may do everything; this machine may read without it; nobody else gets an
// answer. A request that changes something and comes from a web page of another
// site is refused either way. The token goes over the network as it is, so between
// machines a proxy with TLS belongs before it.
//
// # The files
//
//	console.go      Listen, and what is not the API
//	access.go       who may do what
//	limit.go        connections and time
//	api.go          the API's frame: routes, OpenAPI
//	problem.go      errors (RFC 9457)
//	torrents.go     upload, list, fetch, delete
//	transfers.go    transfers and history; live.go counts their peers
//	peers.go        peers, a page at a time
//	places.go       what a torrent has in each group of locations
//	explanation.go  why a peer is told of whom
//	locality.go     where an address is, and how that is found
//	cursor.go       places in lists
//	peerid.go       names of clients
//
// The types of the API are those of package client. Here they get into JSON, and by
// huma into the OpenAPI document, which so cannot differ from the code.
package console
