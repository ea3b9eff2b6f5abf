//go:build long

package sqlite

// Random histories of a test.
const histories = "300"
