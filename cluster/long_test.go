//go:build long

package cluster

// schedules is how many random ones are tried; make test-long tries more without -race.
const schedules = 5_000
