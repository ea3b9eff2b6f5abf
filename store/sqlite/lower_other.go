//go:build !linux

package sqlite

// lowerThread does nothing where only a whole process has a priority.
func lowerThread() {}
