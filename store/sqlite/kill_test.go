package sqlite

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// TestWhatWasAnnouncedASecondAgoSurvivesAKill has a clock that stands still while anything
// works, so that it says nothing about the machine.
func TestWhatWasAnnouncedASecondAgoSurvivesAKill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "waggle.db")
		s, err := Open(t.Context(), path, details)
		if err != nil {
			t.Fatal(err)
		}
		defer closeStore(t, s)
		for round := range 5 {
			for lane := range lanes {
				announceTo(t, s, byte(lane<<4+round), 3, round)
			}
			time.Sleep(time.Second + 7*time.Millisecond) // of the bubble's clock: each round at another lane's turn
			killed := crash(t, path, details)
			if got := uploads(t, killed); got[int64(round)] != 3*lanes {
				t.Errorf("round %d: %d peers survived, want %d", round, got[int64(round)], 3*lanes)
			}
			closeStore(t, killed)
		}
	})
}
