package memory

import (
	"context"
	"time"
)

// expireStep is the number of peers that are looked at under one lock: some tens
// of microseconds.
const expireStep = 4096

// After so many steps, some tenths of a millisecond, it rests for longer than that,
// so that on a machine of one core announces come first.
const (
	stepsAtOnce = 8
	expireRest  = time.Millisecond
)

// Expire is documented at [swarm.Store]. It holds a shard's lock for some
// thousand peers at a time, and fails only where ctx ends. A peer that moves
// within its torrent in between may be missed until the next call.
func (s *Store) Expire(ctx context.Context, before time.Time) (int, error) {
	total, looked := 0, 0
	for i := range s.shards {
		e := expiry{store: s, shard: &s.shards[i], before: unixSeconds(before)}
		for more := true; more; {
			if looked >= stepsAtOnce*expireStep {
				looked = 0
				time.Sleep(expireRest)
			}
			if err := ctx.Err(); err != nil {
				return total + e.expired, err
			}
			var n int
			n, more = e.step()
			looked += n
		}
		total += e.expired
	}
	return total, nil
}

// expiry goes through a shard's torrents by number, and through the peers of each
// from the end, so that what moves into a hole has been looked at.
type expiry struct {
	store   *Store
	shard   *shard
	before  uint32
	expired int

	torrent uint32
	v6      bool
	left    int  // peers of the family that have not been looked at
	within  bool // a family: left is set
}

// step looks at the next peers, and reports at how many and whether there are
// more. A torrent counts as one or two.
func (e *expiry) step() (looked int, more bool) {
	sh := e.shard
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for ; looked < expireStep; looked++ {
		if e.torrent >= sh.torrents.end() {
			return looked, false
		}
		if !sh.torrents.is(e.torrent) {
			e.nextTorrent()
			continue
		}
		e.look()
	}
	return looked, true
}

// look looks at one peer, or goes on to the next family or torrent.
func (e *expiry) look() {
	sh := e.shard
	t := sh.torrents.one(e.torrent)
	n := sh.length(t, e.v6)
	if !e.within {
		e.left, e.within = n, true
	}
	switch e.left = min(e.left, n); {
	case e.left > 0:
		e.left--
		if sh.lastSeen(t, e.v6, e.left) < e.before {
			e.store.drop(sh, t, e.v6, e.left)
			e.expired++
		}
	case !e.v6:
		e.v6, e.within = true, false
	default:
		e.store.forgetEmpty(sh, e.torrent)
		e.nextTorrent()
	}
}

func (e *expiry) nextTorrent() { e.torrent, e.v6, e.within = e.torrent+1, false, false }
