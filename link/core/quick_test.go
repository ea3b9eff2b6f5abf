//go:build !long

package core_test

// schedules is how many random schedules are run.
const schedules = 300
