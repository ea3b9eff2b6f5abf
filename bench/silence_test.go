package bench

import (
	"errors"
	"testing"
	"time"
)

func TestTrackerIsSilentWhenRequestsWaitAndNothingComesForLong(t *testing.T) {
	long := int64(silence + time.Second)
	for name, test := range map[string]struct {
		waiting int
		broke   bool
		now     int64
		silent  bool
	}{
		"nobody waits":          {0, false, 2 * long, false},
		"not for long":          {1, false, long, false},
		"for long":              {1, false, long + 1, true},
		"connections all break": {0, true, long + 1, true},
	} {
		c := common{endpoint: new(endpoint), options: Options{Timeout: time.Second}, tally: newTally(0), waiting: test.waiting, broke: test.broke}
		if err := c.silent(test.now); errors.As(err, new(SilentError)) != test.silent {
			t.Errorf("%s: %v", name, err)
		}
	}
}
