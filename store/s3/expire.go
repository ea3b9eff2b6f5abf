package s3

import (
	"context"
	"errors"
	"math"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"waggle/bittorrent"
	"waggle/store/faraway"
)

// purgedAtOnce is how many objects are purged at once.
const purgedAtOnce = 8

// Expire is documented at [swarm.Store]. It lists the swarms, and the parts of those that
// are split, and purges those that may have such peers: what is remembered of an object
// with the listed ETag says when the peer that was silent longest was seen, others are
// read. Each object is purged by compare and swap, so that nobody is who has announced
// meanwhile; several trackers may expire at once, and each peer is in the answer of one.
// It also removes what is left of swarms that nobody needs any more, and, at the limit of
// torrents, those that have no peers. An object that cannot be read keeps no others from
// being purged; the error tells of it.
func (s *Store) Expire(ctx context.Context, before time.Time) (peers int, err error) {
	e := &expiry{Store: s, before: before.Unix(), torrents: s.limit.Count()}
	err = s.server.all(ctx, swarmPrefix, "", func(some []listed) error { return e.swarms(ctx, some) })
	if err == nil {
		err = e.parts(ctx)
	}
	if err == nil {
		err = e.torrents.End(ctx)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = e.wrong
	}
	return int(e.gone.Load()), err
}

type expiry struct {
	*Store
	before   int64
	gone     atomic.Int64
	torrents *faraway.TorrentCount

	mu    sync.Mutex
	wrong error // with the first object that could not be read
}

// passOver takes note of an object that cannot be read, so that the others are purged; any
// other error is returned.
func (e *expiry) passOver(err error) error {
	if _, newer := errors.AsType[newerError](err); !newer && !errors.Is(err, errDamaged) && !errors.Is(err, errForeign) {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.wrong == nil {
		e.wrong = err
	}
	return nil
}

// swarms purges those of a page that are not split.
func (e *expiry) swarms(ctx context.Context, some []listed) error {
	purging, ctx := errgroup.WithContext(ctx)
	purging.SetLimit(purgedAtOnce)
	for _, l := range some {
		purging.Go(func() error {
			h, err := hashOf(l.key)
			switch {
			case err != nil:
			case l.size != int64(blankSize):
				var left sum
				left, err = e.object(ctx, l.key, l.etag)
				if split := left.branches != nil; split || left.known() {
					e.torrents.Saw(h, split || left.peers() > 0)
				}
			case e.options.trustsRemovals():
				err = unlessChanged(e.server.remove(ctx, l.key, l.etag))
			}
			return e.passOver(err)
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

// object purges an object that was listed, if it has peers that are too old, and returns
// what is left in it, as far as is known.
func (e *expiry) object(ctx context.Context, key, etag string) (left sum, err error) {
	limited, cancel := e.server.bounded(ctx)
	defer cancel()
	k, err := e.ask(limited, key, asListed(map[string]string{key: etag}))
	if err != nil {
		return left, gone(err)
	}
	if k.closed || k.branches != nil || k.oldest >= e.before || k.peers() == 0 {
		return k.sum, nil
	}
	var out []netip.AddrPort
	n, err := e.Store.swarms.change(limited, key, func(n *node) bool {
		out = n.purge(e.before)
		return len(out) > 0
	})
	switch {
	case errors.Is(err, errSplit), errors.Is(err, errShut), errors.Is(err, errGone):
		return k.sum, nil // it was changed just now: the next time will do
	case err != nil:
		return k.sum, err
	}
	e.gone.Add(int64(len(out)))
	if len(out) == 0 || !n.located && !k.located || e.replicas == nil {
		return n.sum(), nil
	}
	h, err := hashOf(key)
	if err == nil {
		err = e.replicas.Remove(ctx, h, out, time.Unix(e.before, 0))
	}
	return n.sum(), err
}

// parts purges the parts of swarms that are split.
func (e *expiry) parts(ctx context.Context) error {
	var of bittorrent.InfoHash
	var some []listed
	err := e.server.all(ctx, partPrefix, "", func(page []listed) error {
		for _, l := range page {
			h, err := hashOf(l.key)
			if err != nil {
				_ = e.passOver(err) // it is no other
				continue
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
	t := &tidying{e, h, make(map[string]string, len(some)), map[string]bool{}}
	for _, l := range some {
		t.listed[l.key] = l.etag
		purging.Go(func() error {
			_, err := e.object(inPurging, l.key, l.etag)
			return e.passOver(err)
		})
	}
	if err := purging.Wait(); err != nil {
		return err
	}
	if _, err := t.tidy(ctx, swarmKey(h), asItIs); err != nil {
		return e.passOver(gone(err)) // it is being changed: the next time will do
	}
	for _, l := range some {
		if !t.belongs[l.key] && e.now().Sub(l.modified) > leftFor {
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

// tidying goes through the objects of a swarm that is split.
type tidying struct {
	*expiry
	hash    bittorrent.InfoHash
	listed  map[string]string // ETags of the parts; what was split since then has others
	belongs map[string]bool   // to the swarm
}

// tidy notes the objects below one, and puts those together that have become small. It
// returns about how many bytes they have; many: they must stay as they are.
func (t *tidying) tidy(ctx context.Context, key string, how look) (bytes int, err error) {
	const many = math.MaxInt32
	t.belongs[key] = true
	limited, cancel := t.server.bounded(ctx)
	defer cancel()
	k, err := t.ask(limited, key, how)
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
		n, err := t.tidy(ctx, partsOf(t.hash)+name, asListed(t.listed))
		if err != nil {
			return 0, err
		}
		bytes = min(bytes+n, many)
		part := t.sums.get(partsOf(t.hash) + name)
		begun = begun || part != nil && part.closed
	}
	young := t.now().Unix()-k.split < int64(joinedAfter/time.Second)
	if !begun && (bytes > t.options.SplitBytes/joinedAt || young) {
		return many, nil
	}
	if err := t.join(ctx, key); err != nil {
		return 0, err
	}
	for _, name := range k.branches {
		t.sums.drop(partsOf(t.hash) + name)
	}
	return bytes, nil
}
