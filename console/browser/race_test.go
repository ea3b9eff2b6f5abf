//go:build race

package browser

// buildFlags builds the binary with the race detector, as these tests are.
var buildFlags = []string{"-race"}
