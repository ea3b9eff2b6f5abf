//go:build !long

package memory_test

// operations of the test against a simple model; millions with -tags long.
const operations = 200_000
