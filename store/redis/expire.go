package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"waggle/bittorrent"
	"waggle/swarm"
)

// expireStep is how many peers a script looks at: some milliseconds, in which the server
// does nothing else.
const expireStep = 200

// Expire is documented at [swarm.Store]. Near the limit of torrents it gives up some that
// have no peers. Several trackers may call it at once: each peer is counted by the one that
// removed it. Where some of the tags cannot be asked, or have a peer that cannot be read,
// the others are done, and there is an error.
func (s *Store) Expire(ctx context.Context, before time.Time) (peers int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	due, err := s.due(ctx, seconds(before))
	for _, tag := range due {
		n, fault := s.expireTag(ctx, tag, before)
		if peers += n; fault != nil {
			err = fault
		}
		if ctx.Err() != nil || errors.Is(fault, swarm.ErrBusy) {
			break
		}
	}
	if ctx.Err() == nil {
		err = cmp.Or(err, s.giveUp(ctx))
	}
	return peers, err
}

// due returns the tags that may have peers to remove. The error is [swarm.ErrBusy] where
// there may be others.
func (s *Store) due(ctx context.Context, limit string) (list []byte, err error) {
	asked := s.server.well()
	answers, err := s.server.ask(ctx, len(asked), func(i int) byte { return asked[i] }, func(b rueidis.Builder, i int) rueidis.Completed {
		return b.Zcount().Key(s.keys.seen(asked[i])).Min("-inf").Max("(" + limit).Build()
	})
	if err != nil {
		return nil, err
	}
	for i := range answers {
		if n, _ := answers[i].AsInt64(); n > 0 {
			list = append(list, asked[i])
		}
	}
	if len(asked) < tags {
		err = swarm.ErrBusy
	}
	return list, err
}

func (s *Store) expireTag(ctx context.Context, tag byte, before time.Time) (peers int, err error) {
	for more := true; more; {
		answer, err := s.server.run(ctx, expireScript, place{tag, s.keys.seen(tag)}, seconds(before), decimal(expireStep))
		if err != nil {
			return peers, err
		}
		fields, err := answer.ToArray()
		if err != nil || len(fields) < 2 {
			return peers, fmt.Errorf("%w: an expiry's", errAnswer)
		}
		looked, err1 := fields[0].AsInt64()
		gone, err2 := fields[1].AsInt64()
		if err1 != nil || err2 != nil {
			return peers, fmt.Errorf("%w: an expiry's", errAnswer)
		}
		peers += int(gone)
		if err := s.expired(ctx, fields[2:], before); err != nil {
			return peers, err
		}
		more = looked == expireStep
	}
	return peers, nil
}

// expired follows up on what expire.lua says.
func (s *Store) expired(ctx context.Context, news []rueidis.RedisMessage, before time.Time) error {
	gone := map[bittorrent.InfoHash][]netip.AddrPort{}
	for i := range news {
		text, err := news[i].ToString()
		if err != nil {
			return fmt.Errorf("%w: %w", errAnswer, err)
		}
		what, rest, _ := strings.Cut(text, " ")
		hash, addr, _ := strings.Cut(rest, " ")
		h, err := bittorrent.ParseInfoHash(hash)
		if err != nil {
			return fmt.Errorf("%w: %.80q", errAnswer, text)
		}
		if what == "empty" {
			if err := s.forgetIfSplit(ctx, h); err != nil {
				return err
			}
			continue
		}
		peer, err := netip.ParseAddrPort(addr)
		if err != nil {
			return fmt.Errorf("%w: %.80q", errAnswer, text)
		}
		gone[h] = append(gone[h], peer)
	}
	if s.replicas == nil {
		return nil
	}
	for h, peers := range gone {
		if err := s.replicas.Remove(ctx, h, peers, before); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) forgetIfSplit(ctx context.Context, h bittorrent.InfoHash) error {
	t, err := s.tally(ctx, h, 1)
	switch {
	case err != nil:
		return err
	case t.parts == 1: // it was given up while the peer came
		_, err = s.sweep(ctx, h, 1, maxParts)
		return err
	}
	return s.forget(ctx, h, t.parts)
}
