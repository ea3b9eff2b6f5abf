//go:build !long

package shared_test

// stepsOfHistory is the most steps of a random history.
const stepsOfHistory = 60
