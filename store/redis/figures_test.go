package redis_test

import (
	"errors"
	"testing"

	"waggle/bittorrent"
	"waggle/store/redis"
	"waggle/store/shared"
	"waggle/swarm"
)

func TestFiguresTellWhatWasAskedForAndWhatFailed(t *testing.T) {
	n := launched(t)
	s := opened(t, options(t, n.url(), "a"))
	h := hash(1, 1)
	before := s.Figures()
	do(t, s, seeder(h, 1))
	if err := s.Scrape(t.Context(), []bittorrent.InfoHash{h, hash(2, 2)}, make([]bittorrent.ScrapeCounts, 2)); err != nil {
		t.Fatal(err)
	}
	if got, want := s.Figures(), (redis.Figures{Scripts: before.Scripts + 1, Reads: before.Reads + 2}); got != want {
		t.Errorf("an announce and a scrape of two: %+v, want %+v", got, want)
	}
	if got := s.LocatedFigures(); got != (shared.Figures{}) {
		t.Errorf("nobody is located: %+v", got)
	}
	n.stop()
	for range 3 {
		if err := s.Announce(t.Context(), leecher(h, 2), new(swarm.Reply)); !errors.Is(err, swarm.ErrBusy) {
			t.Errorf("without a server: %v", err)
		}
	}
	if got := s.Figures(); got.Failed < 1 || got.Refused != 3 {
		t.Errorf("without a server: %+v", got)
	}
}
