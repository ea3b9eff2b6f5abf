// Package console answers those who run the tracker, on an address of its own:
// what it did, as JSON at /figures, and where its time and memory go, as profiles
// for go tool pprof at /debug/pprof.
//
//	go tool pprof http://127.0.0.1:6970/debug/pprof/profile?seconds=10
//	go tool pprof http://127.0.0.1:6970/debug/pprof/heap
//
// It asks for no credential, so it listens on loopback addresses only, and
// answers only requests that were meant for one: a web page elsewhere cannot use
// a browser on this machine to read it.
package console
