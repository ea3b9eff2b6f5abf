package link

import (
	"testing"
	"time"

	"waggle/link/core"
)

// TestGaugeFollowsAChangeUntilItHasLeft plays a link that takes a thousand changes a second.
func TestGaugeFollowsAChangeUntilItHasLeft(t *testing.T) {
	var g gauge
	start := time.Now()
	at := func(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }
	link := func(out uint64, waiting int) *core.LinkFigures {
		f := &core.LinkFigures{Link: 1, Up: true, Waiting: waiting}
		f.ChangesOut = out
		return f
	}
	for i, step := range []struct {
		now, since float64 // 0: nothing was told
		f          *core.LinkFigures
		delay      float64
	}{
		{1, 0, link(0, 0), 0},
		{2, 1.5, link(10, 0), 0.5},              // it went at once
		{3, 2.5, link(10, 2000), 0.5},           // behind 2,000 others
		{4, 3.5, link(1010, 2000), 1.5},         // halfway
		{5, 4.5, link(2010, 2000), 2.5},         // it has left; later ones wait as long
		{5.5, 0, link(2510, 1500), 2.5},         // nothing is followed
		{6, 5.9, link(3010, 1000), 2.5},         // this one is
		{7, 0, link(3210, 0), 1.1},              // some of what waited was forgotten
		{8, 7.9, &core.LinkFigures{}, 0},        // the link is gone
		{9, 8.5, &core.LinkFigures{Link: 2}, 0}, // and is not up again
	} {
		since := time.Time{}
		if step.since > 0 {
			since = at(step.since)
		}
		g.look(at(step.now), since, step.f)
		if d := g.delay(at(step.now)).Seconds(); d < step.delay-0.001 || d > step.delay+0.001 {
			t.Errorf("step %d: %v s, not %v", i, d, step.delay)
		}
	}
}
