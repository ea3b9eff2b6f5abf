package s3

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"waggle/bittorrent"
)

// smallestSplit is with how many peers an object is split at least, where it is not too
// large but lost to others too often.
const smallestSplit = 64

// storeNode writes an object of a swarm, in parts where it must be split. lost is how
// many attempts others were quicker at.
func (s *Store) storeNode(ctx context.Context, key string, next *node, was string, lost int) (*node, string, error) {
	next.hold = 0
	body := next.encode()
	large := len(body) > s.options.SplitBytes && next.len() > 1
	hot := lost >= s.options.SplitConflicts && next.len() >= smallestSplit
	if !large && !hot || depthOf(key) >= maxDepth {
		etag, err := s.server.put(ctx, key, body, was)
		return next, etag, err
	}
	held := *next
	held.hold = time.Now().Add(holdFor).UnixMilli()
	etag, err := s.server.put(ctx, key, held.encode(), was)
	if err != nil {
		return nil, "", err
	}
	above, aboveTag, err := s.split(ctx, key, next, etag)
	if err != nil {
		return &held, etag, nil //nolint:nilerr // it is written all the same, and the next one may split it
	}
	return above, aboveTag, nil
}

// holdFor is for how long others are asked not to write to an object that is split.
const holdFor = 2 * time.Second

// split writes the parts of an object under new names, and then puts their names in its
// place. Whoever wrote to the object meanwhile comes first: then the parts are removed,
// of which nobody knows. Where this tracker dies they are left, and removed by Expire.
func (s *Store) split(ctx context.Context, key string, next *node, was string) (*node, string, error) {
	h, err := hashOf(key)
	if err != nil {
		return nil, "", err
	}
	depth := depthOf(key)
	parts := next.divide(&h, depth)
	above := &node{branches: make([]string, fan), split: s.now().Unix(), located: next.located}
	etags := make([]string, fan)
	began := time.Now()
	writing, inWriting := errgroup.WithContext(ctx)
	for i := range parts {
		above.branches[i] = newName(depth + 1)
		writing.Go(func() (err error) {
			etags[i], err = s.server.put(inWriting, partsOf(h)+above.branches[i], parts[i].encode(), "")
			return err
		})
	}
	if err := writing.Wait(); err != nil {
		s.removeParts(ctx, h, above.branches)
		return nil, "", fmt.Errorf("splitting %s: %w", key, err)
	}
	etag, err := s.server.put(ctx, key, above.encode(), was)
	if errors.Is(err, errChanged) {
		s.removeParts(ctx, h, above.branches)
	}
	if err != nil {
		return nil, "", err
	}
	for i := range parts {
		k := &kept[*node]{value: parts[i], etag: etags[i], asked: began}
		s.swarms.cache.put(partsOf(h)+above.branches[i], k)
		s.swarms.saw(partsOf(h)+above.branches[i], k)
	}
	s.server.counters.splits.Add(1)
	return above, etag, nil
}

// removeParts removes parts that nobody knows of, or ever will. What fails Expire does
// again.
func (s *Store) removeParts(ctx context.Context, h bittorrent.InfoHash, names []string) {
	ctx, cancel := s.server.bounded(context.WithoutCancel(ctx))
	defer cancel()
	removing, ctx := errgroup.WithContext(ctx)
	for _, name := range names {
		removing.Go(func() error {
			s.swarms.cache.drop(partsOf(h) + name)
			s.sums.drop(partsOf(h) + name)
			return s.server.remove(ctx, partsOf(h)+name, "")
		})
	}
	if err := removing.Wait(); err != nil {
		s.log.Debug("parts of a swarm could not be removed yet", "torrent", h, "error", err)
	}
}

// join brings the peers of the parts of an object back to it. First every part is shut,
// for good: whoever wants to write to one joins first. What shut parts hold does not
// change, so the object is replaced by all of it together, or has been by somebody else.
// Then the parts are removed.
func (s *Store) join(ctx context.Context, key string) error {
	ctx, cancel := s.server.bounded(context.WithoutCancel(ctx))
	defer cancel()
	return s.joinAt(ctx, key)
}

func (s *Store) joinAt(ctx context.Context, key string) error {
	h, err := hashOf(key)
	if err != nil {
		return err
	}
	above, err := s.swarms.read(ctx, key)
	if err != nil || above.value.branches == nil {
		return gone(err)
	}
	names := above.value.branches
	if depthOf(names[0]) != depthOf(key)+1 {
		return fmt.Errorf("object %s: %w", key, errDamaged)
	}
	parts := make([]*node, fan)
	shutting, inShutting := errgroup.WithContext(ctx)
	for i, name := range names {
		shutting.Go(func() (err error) {
			parts[i], err = s.shut(inShutting, partsOf(h)+name)
			return err
		})
	}
	if err := shutting.Wait(); err != nil {
		return gone(err)
	}
	began, all := time.Now(), merged(parts)
	etag, err := s.server.put(ctx, key, all.encode(), above.etag)
	if err != nil {
		s.swarms.cache.disturb(key)
		s.sums.drop(key)
		if errors.Is(err, errChanged) {
			return nil // another one has done it
		}
		return err
	}
	k := &kept[*node]{value: all, etag: etag, asked: began}
	s.swarms.cache.put(key, k)
	s.swarms.saw(key, k)
	s.server.counters.joins.Add(1)
	s.removeParts(ctx, h, names)
	return nil
}

// gone makes no error of the one that says that somebody else was quicker.
func gone(err error) error {
	if errors.Is(err, errGone) {
		return nil
	}
	return err
}

// shut shuts a part, and returns what it holds from then on.
func (s *Store) shut(ctx context.Context, key string) (*node, error) {
	for n := 0; ; n++ {
		k, err := s.swarms.read(ctx, key)
		switch {
		case err != nil:
			return nil, err
		case k.value.closed:
			return k.value, nil
		case k.value.branches != nil:
			if err := s.joinAt(ctx, key); err != nil {
				return nil, err
			}
			continue
		}
		next := k.value.clone()
		next.closed = true
		_, err = s.server.put(ctx, key, next.encode(), k.etag)
		switch {
		case err == nil:
			return next, nil
		case !errors.Is(err, errChanged):
			return nil, err
		}
		if err := pause(ctx, conflictWait, mostConflictWait, n); err != nil {
			return nil, err
		}
	}
}
