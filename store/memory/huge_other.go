//go:build unix && !linux

package memory

// adviseHuge does nothing: this system has no such advice.
func adviseHuge([]byte) {}
