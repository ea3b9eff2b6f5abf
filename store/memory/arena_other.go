//go:build !unix

package memory

// mapRegion returns zeroed memory of Go's heap, where the system offers no
// other.
func mapRegion(bytes int) []byte { return make([]byte, bytes) }

func unmapRegion([]byte) error { return nil }
