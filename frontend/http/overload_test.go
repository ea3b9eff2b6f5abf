package http_test

import (
	"errors"
	"testing"
	"time"

	"waggle/bittorrent"
	frontend "waggle/frontend/http"
	"waggle/store/memory"
	"waggle/tracker"
)

func TestFloodIsToldToRetryInAMinute(t *testing.T) {
	s := listen(t, func(o *frontend.Options) {
		o.Tracker = tracker.New(memory.New(memory.Options{}), tracker.Settings{Interval: time.Minute, AddressRate: 1},
			tracker.Options{Now: func() time.Time { return time.Unix(1_800_000_000, 0) }})
	}, "127.0.0.0/8")
	client := []string{"X-Forwarded-For", "192.0.2.1"} // loopback is not limited
	for range 10 {
		s.announce(t, s.v4()+query(1, ""), client...)
	}
	for _, url := range []string{query(1, ""), "/announce?port=0", "/scrape", query(1, "") + "&event=stopped"} {
		refusal, ok := errors.AsType[*bittorrent.Refusal](s.failure(t, s.v4()+url, client...))
		if !ok || refusal.RetryIn != time.Minute {
			t.Errorf("%s: %+v, want a refusal for a minute", url, refusal)
		}
	}
	s.announce(t, s.v4()+query(2, ""), "X-Forwarded-For", "192.0.2.2")
	for range 20 {
		s.announce(t, s.v4()+query(3, ""))
	}
}
