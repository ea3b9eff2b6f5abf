package redis

import (
	"context"
	"fmt"
	"strconv"

	"waggle/bittorrent"
)

// The limits of peers and torrents are kept to by counts that are some seconds old. At
// either, newcomers are answered and not recorded. Torrents without peers, which are kept
// for their completed count alone, are given up before, each time that peers expire.

// limits are the flags of announce.lua for the limits that are reached.
func (s *Store) limits() (flags string) {
	if s.full.Load() {
		flags = "f"
	}
	if s.crowded.Load() {
		flags += "n"
	}
	return flags
}

// count compares the store with its limits: of a cluster that is partly lost, the rest.
func (s *Store) count(ctx context.Context) error {
	o := s.server.options
	if o.MaxPeers == 0 && o.MaxTorrents == 0 {
		return nil
	}
	_, err := s.surplus(ctx)
	return err
}

// surplus compares the store with its limits, and returns how many torrents there are
// beyond 15/16 of theirs.
func (s *Store) surplus(ctx context.Context) (torrents int, err error) {
	each, err := s.totals(ctx, s.server.well())
	if err != nil {
		return 0, err
	}
	o, all := s.server.options, sum(each)
	s.full.Store(o.MaxPeers > 0 && all.Peers >= o.MaxPeers)
	s.crowded.Store(o.MaxTorrents > 0 && all.Torrents >= o.MaxTorrents)
	return all.Torrents - int(int64(o.MaxTorrents)*15/16), nil
}

const (
	// giveUpStep is how many torrents a script looks at: a millisecond.
	giveUpStep = 200

	// giveUpCount is how many a tracker gives up before it counts anew.
	giveUpCount = 25

	// giveUpMost is how many are looked at at a time: where nearly all have peers, each
	// expiry looks at others.
	giveUpMost = 100_000
)

// giveUp gives up torrents that have no peers, from a random place on, until there are
// 15/16 of the limit. Several trackers may do so at once: each counts anew after some.
func (s *Store) giveUp(ctx context.Context) error {
	if s.server.options.MaxTorrents == 0 {
		return nil
	}
	surplus, err := s.surplus(ctx)
	looked, gone := 0, 0
	tag, from := s.anywhere()
	for n := 0; n <= tags && surplus > 0 && err == nil; n++ {
		for more := !s.server.broken(tag); more && surplus > 0 && err == nil; {
			var some int
			from, some, err = s.giveUpSome(ctx, tag, from, surplus)
			surplus, gone = surplus-some, gone+some
			if err == nil && some > 0 && (surplus <= 0 || gone >= giveUpCount) {
				gone = 0
				surplus, err = s.surplus(ctx)
			}
			if looked += giveUpStep; looked >= giveUpMost {
				return err
			}
			more = from != ""
		}
		tag, from = tag+1, "-"
	}
	return err
}

// anywhere returns a place in the lists of torrents, as ZRANGEBYLEX has it.
func (s *Store) anywhere() (tag byte, from string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.seeds.Uint64()
	return byte(at >> 56), fmt.Sprintf("[%016x", at)
}

// giveUpSome looks at some torrents of a tag, and gives up no more than most. It returns
// from which on the others are, "" where there are none, and how many it gave up.
func (s *Store) giveUpSome(ctx context.Context, tag byte, from string, most int) (next string, gone int, err error) {
	answer, err := s.server.run(ctx, giveUpScript, place{tag, s.keys.torrents(tag)}, from, decimal(giveUpStep), decimal(int64(most)))
	if err != nil {
		return "", 0, err
	}
	list, err := answer.AsStrSlice()
	if err != nil || len(list) < 2 {
		return "", 0, fmt.Errorf("%w: a giving up's", errAnswer)
	}
	if gone, err = strconv.Atoi(list[1]); err != nil {
		return "", 0, fmt.Errorf("%w: %w", errAnswer, err)
	}
	for _, name := range list[2:] {
		h, err := bittorrent.ParseInfoHash(name)
		if err != nil {
			return "", 0, fmt.Errorf("%w: %.80q", errAnswer, name)
		}
		if gone >= most {
			break
		}
		forgotten, err := s.giveUpSplit(ctx, h)
		if err != nil {
			return "", 0, err
		}
		if forgotten {
			gone++
		}
	}
	if list[0] != "" {
		next = "(" + list[0]
	}
	return next, gone, nil
}

// giveUpSplit gives up a split torrent, if there are no peers in any of its parts. What the
// others have is taken out first: a tracker that dies then leaves one that the next expiry
// gives up. The torrent's own key decides, and where it stays it gets what was taken.
func (s *Store) giveUpSplit(ctx context.Context, h bittorrent.InfoHash) (forgotten bool, err error) {
	own, err := s.tally(ctx, h, 1)
	if err != nil || own.parts == 1 {
		return false, err
	}
	t, err := s.tally(ctx, h, own.parts)
	if err != nil || t.peers() > 0 || t.parts != own.parts {
		return false, err
	}
	taken, err := s.sweep(ctx, h, 1, t.parts)
	if err != nil {
		return false, err
	}
	return s.forgetAt(ctx, h, t.parts, decimal(taken))
}

// sweep removes the parts of a torrent from one on to another one, that one excluded, which
// have no peers, and returns the completed downloads that they had.
func (s *Store) sweep(ctx context.Context, h bittorrent.InfoHash, from, to int) (completed int64, err error) {
	calls := make([]call, to-from)
	for i := range calls {
		calls[i] = call{sweepScript, s.keys.part(&h, from+i), nil}
	}
	answers, err := s.server.runAll(ctx, calls)
	if err != nil {
		return 0, err
	}
	for i := range answers {
		n, err := answers[i].AsInt64()
		if err != nil {
			return 0, fmt.Errorf("%w: %w", errAnswer, err)
		}
		completed += n
	}
	return completed, nil
}
