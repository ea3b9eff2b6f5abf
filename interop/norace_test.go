//go:build !race

package interop

// buildFlags builds the binary as it is shipped.
var buildFlags []string
