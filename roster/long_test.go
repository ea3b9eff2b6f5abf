//go:build long

package roster

import (
	"flag"
)

// stepsOfHistory is the most steps of a random history.
const stepsOfHistory = 400

// Of about a million steps: 200 on average, 6,000 times.
func init() {
	if err := flag.Set("rapid.checks", "6000"); err != nil {
		panic(err)
	}
}
