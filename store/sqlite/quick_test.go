//go:build !long

package sqlite

// Random histories of a test: each restarts some times, which takes a while with the
// race detector. More with -tags long.
const histories = "30"
