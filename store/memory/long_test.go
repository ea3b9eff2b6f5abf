//go:build long

package memory_test

// operations of the test against a simple model.
const operations = 5_000_000
