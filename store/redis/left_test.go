package redis_test

import (
	"testing"
	"time"

	"waggle/swarm"
)

// TestLocatedPeersOfASplitSwarmAreKeptByExpiry has peers that are recorded in other parts
// than the torrent's own.
func TestLocatedPeersOfASplitSwarmAreKeptByExpiry(t *testing.T) {
	o := options(t, alone.url(), newPrefix())
	o.SplitPeers = 4
	s, h := opened(t, o), hash(1, 1)
	for n := range 20 {
		do(t, s, leecher(h, n))
	}
	for n := range 8 {
		do(t, s, located(t, &o, "r1", leecher(h, 100+n)))
	}
	if n, err := s.Expire(t.Context(), now.Add(-time.Second)); err != nil || n != 0 {
		t.Errorf("%d expire, %v", n, err)
	}
	if places, err := s.Places(t.Context(), h); err != nil || len(places) != 1 || places[0].Leechers != 8 || len(places[0].Importers) != 1 {
		t.Errorf("%+v, %v", places, err)
	}
}

// TestSplitTorrentThatNobodyForgotIsForgottenWhenItIsAskedFor does what a tracker leaves
// that dies behind the removal of the last peer.
func TestSplitTorrentThatNobodyForgotIsForgottenWhenItIsAskedFor(t *testing.T) {
	o := options(t, alone.url(), newPrefix())
	s, h := opened(t, o), hash(1, 1)
	tag := o.Prefix + ":{01}:"
	for _, c := range [][]string{
		{"HSET", tag + h.String(), "parts", "2", "l4", "0"},
		{"ZADD", tag + "torrents", "0", h.String()},
		{"HSET", tag + "totals", "torrents", "1"},
	} {
		if out, err := alone.cli(c...); err != nil {
			t.Fatal(out)
		}
	}
	if _, known, err := s.Counts(t.Context(), h); err != nil || known {
		t.Errorf("a torrent of nobody is known: %t, %v", known, err)
	}
	wantTotals(t, s, swarm.Totals{})
	if out, err := alone.cli("KEYS", o.Prefix+"*"+h.String()+"*"); err != nil || out != "" {
		t.Errorf("left: %s", out)
	}
}
