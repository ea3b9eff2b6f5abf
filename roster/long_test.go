//go:build long

package roster

import (
	"flag"
)

// stepsOfHistory is the most steps of a random history.
const stepsOfHistory = 400

// Twelve thousand histories are some 1.2 million steps: a hundred on average, as rapid
// draws short ones more often.
func init() {
	if err := flag.Set("rapid.checks", "12000"); err != nil {
		panic(err)
	}
}
