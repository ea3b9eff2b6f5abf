package s3

import (
	"context"
	"errors"
	"math"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"waggle/bittorrent"
)

// purgedAtOnce is how many objects are purged at once.
const purgedAtOnce = 8

// Expire is documented at [swarm.Store]. It lists the swarms, and the parts of those that
// are split, and purges those that may have such peers: what is remembered of an object
// with the listed ETag says when the peer that was silent longest was seen, others are
// read. Each object is purged by compare and swap, so that nobody is who has announced
// meanwhile; several trackers may expire at once, and each peer is in the answer of one.
// It also removes what is left of swarms that nobody needs any more.
func (s *Store) Expire(ctx context.Context, before time.Time) (peers int, err error) {
	e := &expiry{Store: s, before: before.Unix()}
	err = s.server.all(ctx, swarmPrefix, "", func(some []listed) error { return e.swarms(ctx, some) })
	if err == nil {
		err = e.parts(ctx)
	}
	if err == nil {
		err = ctx.Err()
	}
	return int(e.gone.Load()), err
}

type expiry struct {
	*Store
	before int64
	gone   atomic.Int64
}

// swarms purges those of a page that are not split.
func (e *expiry) swarms(ctx context.Context, some []listed) error {
	purging, ctx := errgroup.WithContext(ctx)
	purging.SetLimit(purgedAtOnce)
	for _, l := range some {
		purging.Go(func() error {
			if l.size > int64(blankSize) {
				return e.object(ctx, l.key, l.etag)
			}
			if e.options.trustsRemovals() {
				return unlessChanged(e.server.remove(ctx, l.key, l.etag))
			}
			return nil
		})
	}
	return purging.Wait()
}

func unlessChanged(err error) error {
	if errors.Is(err, errChanged) {
		return nil
	}
	return err
}

// object purges an object that was listed, if it has peers that are too old.
func (e *expiry) object(ctx context.Context, key, etag string) error {
	limited, cancel := e.server.bounded(ctx)
	defer cancel()
	k, err := e.ask(limited, key, e.asListed(map[string]string{key: etag}))
	if err != nil || k.closed || k.branches != nil || k.oldest >= e.before || k.peers() == 0 {
		return gone(err)
	}
	var out []netip.AddrPort
	n, err := e.Store.swarms.change(limited, key, func(n *node) bool {
		out = n.purge(e.before)
		return len(out) > 0
	})
	switch {
	case errors.Is(err, errSplit), errors.Is(err, errShut), errors.Is(err, errGone):
		return nil // it was changed just now: the next time will do
	case err != nil:
		return err
	}
	e.gone.Add(int64(len(out)))
	if len(out) == 0 || !n.located && !k.located || e.replicas == nil {
		return nil
	}
	h, err := hashOf(key)
	if err != nil {
		return err
	}
	return e.replicas.Remove(ctx, h, out)
}

// parts purges the parts of swarms that are split.
func (e *expiry) parts(ctx context.Context) error {
	var of bittorrent.InfoHash
	var some []listed
	err := e.server.all(ctx, partPrefix, "", func(page []listed) error {
		for _, l := range page {
			h, err := hashOf(l.key)
			if err != nil {
				return err
			}
			if h != of && len(some) > 0 {
				if err := e.split(ctx, of, some); err != nil {
					return err
				}
				some = some[:0]
			}
			of, some = h, append(some, l)
		}
		return nil
	})
	if err != nil || len(some) == 0 {
		return err
	}
	return e.split(ctx, of, some)
}

// leftFor is for how long a part stays that nobody knows of: much longer than a split
// takes.
const leftFor = time.Hour

// split purges the parts of a swarm, removes those that do not belong to it, and puts
// together what has become small.
func (e *expiry) split(ctx context.Context, h bittorrent.InfoHash, some []listed) error {
	purging, inPurging := errgroup.WithContext(ctx)
	purging.SetLimit(purgedAtOnce)
	etags := make(map[string]string, len(some))
	for _, l := range some {
		etags[l.key] = l.etag
		purging.Go(func() error { return e.object(inPurging, l.key, l.etag) })
	}
	if err := purging.Wait(); err != nil {
		return err
	}
	belongs := map[string]bool{}
	if _, err := e.tidy(ctx, h, swarmKey(h), belongs); err != nil {
		return gone(err) // it is being changed: the next time will do
	}
	for _, l := range some {
		if !belongs[l.key] && e.now().Sub(l.modified) > leftFor {
			if err := e.server.remove(ctx, l.key, ""); err != nil {
				return err
			}
		}
	}
	return nil
}

// joinedAt is how much smaller than what is split a swarm's peers are, that have become
// few, when their objects are put together; and joinedAfter how long after the split.
const (
	joinedAt    = 4
	joinedAfter = time.Hour
)

// tidy notes the objects below one, and puts those together that have become small. It
// returns about how many bytes they have; many: they must stay as they are.
func (e *expiry) tidy(ctx context.Context, h bittorrent.InfoHash, key string, belongs map[string]bool) (bytes int, err error) {
	const many = math.MaxInt32
	belongs[key] = true
	limited, cancel := e.server.bounded(ctx)
	defer cancel()
	k, err := e.ask(limited, key, asItIs)
	switch {
	case err != nil:
		return 0, err
	case k.closed:
		return 0, nil // what is above is put together below
	case k.branches == nil:
		const one = 80
		return one * int(k.peers()), nil
	case depthOf(k.branches[0]) != depthOf(key)+1:
		return 0, errDamaged
	}
	begun := false // somebody began to put them together, and died perhaps
	for _, name := range k.branches {
		n, err := e.tidy(ctx, h, partsOf(h)+name, belongs)
		if err != nil {
			return 0, err
		}
		bytes = min(bytes+n, many)
		below := e.sums.get(partsOf(h) + name)
		begun = begun || below != nil && below.closed
	}
	young := e.now().Unix()-k.split < int64(joinedAfter/time.Second)
	if !begun && (bytes > e.options.SplitBytes/joinedAt || young) {
		return many, nil
	}
	if err := e.join(ctx, key); err != nil {
		return 0, err
	}
	for _, name := range k.branches {
		e.sums.drop(partsOf(h) + name)
	}
	return bytes, nil
}
