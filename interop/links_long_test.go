//go:build long

package interop

import (
	"testing"
	"time"
)

func TestTrackersThatAreFrozenForAMinuteCatchUp(t *testing.T) {
	for name, which := range map[string]int{"leaf": 3, "hub": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			freeze(t, linkedNodes(t), which, time.Minute)
		})
	}
}
