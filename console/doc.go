// Package console answers those who run the tracker, on an address of its own: with
// pages (package web), an API for scripts under /api/v1 (docs/api.md), what the tracker
// did, as JSON at /figures and for Prometheus at /metrics, and where its time and memory
// go, as profiles for go tool pprof at /debug/pprof.
//
//	curl http://127.0.0.1:6970/api/v1/transfers
//	go tool pprof http://127.0.0.1:6970/debug/pprof/profile?seconds=10
//
// # Who may do what
//
// Without a credential, which is an account or the token file, the console listens on
// loopback addresses only, and answers only requests that were meant for one: a web page
// elsewhere cannot use a browser on this machine to read it. With one it may listen
// anywhere. Then who shows a token, or has a session, may do what the role of the account
// allows; this machine may read without; nobody else gets an answer. A request that
// changes something and comes from a web page of another site is refused either way, and
// so is one that has a session's cookie and does not carry what the session's pages do.
// Tokens go over the network as they are, so between machines a proxy with TLS belongs
// before the console.
//
// The guard finds out who makes a request and puts that into its context. The API looks
// there for what an operation needs, so that pages, which ask it from within the process,
// are held to the same table; and writes down what changes something before it answers.
//
// # The files
//
//	console.go      Listen, and what is not the API
//	access.go       who asks, and which role an operation needs
//	audit.go        what changes something is written down; the audit log
//	accounts.go     accounts
//	overview.go     what the tracker is and does; figures over time
//	requests.go     how many requests there are
//	limit.go        connections and time
//	api.go          the API's frame: routes, OpenAPI
//	problem.go      errors (RFC 9457)
//	torrents.go     upload, list, fetch, delete
//	transfers.go    transfers and history; live.go counts their peers
//	peers.go        peers, a page at a time
//	places.go       what a torrent has in each group of locations
//	explanation.go  why a peer is told of whom
//	locality.go     where an address is, and how that is found
//	links.go        links with other trackers
//	cluster.go      the cluster of which the tracker is an instance
//	swarms.go       all that is tracked, in any order; swarms_order.go, swarms_query.go
//	map.go          what a map of racks is drawn from; map_hosts.go puts it together
//	dump.go         all info hashes as JSON, peers as CSV
//	feed.go         the Atom feed
//	configuration.go  the configuration in force
//	cursor.go       places in lists
//	peerid.go       names of clients
//
// The types of the API are those of package client. Here they get into JSON, and by
// huma into the OpenAPI document, which so cannot differ from the code.
package console
