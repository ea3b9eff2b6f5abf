//go:build !long

package cluster

// schedules is how many random ones are tried.
const schedules = 200
