//go:build !long

package roster

// stepsOfHistory is the most steps of a random history.
const stepsOfHistory = 100
