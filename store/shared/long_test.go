//go:build long

package shared_test

import "flag"

// stepsOfHistory is the most steps of a random history.
const stepsOfHistory = 300

func init() {
	if err := flag.Set("rapid.checks", "3000"); err != nil {
		panic(err)
	}
}
