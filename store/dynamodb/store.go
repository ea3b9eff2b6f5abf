package dynamodb

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"waggle/bittorrent"
	"waggle/roster"
	"waggle/store/faraway"
	"waggle/store/shared"
	"waggle/swarm"
)

// Store is a [swarm.Store] in a DynamoDB table, which any number of trackers may share.
// Use [Open].
type Store struct {
	roster.Store // the replicas

	server *server
	log    *slog.Logger
	now    func() time.Time
	hasher hasher
	heads  int // over how many partitions the heads of torrents are spread

	whole, shardPeers, shardRate, maxShards int

	waiting chan struct{} // a place for each announce and scrape under way
	cache   *cache
	tally   *tally
	chance  *chance
	totals  *faraway.Totals
	limit   *faraway.TorrentLimit
	doubts  doubts

	groups   bool // peers have locations
	shared   *sharedMap
	replicas *shared.Replicas

	growing sync.Map        // info hashes of torrents that this tracker gives shards
	life    context.Context // ends with Close
	end     context.CancelFunc
}

var (
	_ swarm.Remote   = (*Store)(nil)
	_ swarm.Restorer = (*Store)(nil)
)

func newStore(o *Options, s *server, m mark) *Store {
	store := &Store{
		server: s, log: o.Log, now: o.Now, heads: m.heads, hasher: newHasher(m.key), groups: o.Group != nil,
		whole: o.Whole, shardPeers: o.ShardPeers, shardRate: o.ShardRate, maxShards: o.MaxShards,
		waiting: make(chan struct{}, o.Waiting), cache: newCache(o.HeadAge), chance: newChance(o.Seed),
	}
	store.life, store.end = context.WithCancel(context.Background())
	store.totals = faraway.NewTotals(faraway.TotalsOptions{
		Count: store.countAll, Age: o.TotalsAge, MostPeers: o.MaxPeers, MostTorrents: o.MaxTorrents, Life: store.life, Now: o.Now, Log: o.Log,
	})
	store.limit = newLimit(store, o.MaxTorrents)
	store.tally = newTally(store)
	store.shared = &sharedMap{store}
	store.replicas = shared.New(store.shared, store, shared.Options{
		Budget: o.Budget, Group: o.Group, Seed: [2]uint64{store.hasher.k0, store.hasher.k1}, MaxWaiting: o.Waiting, Now: o.Now, Log: o.Log,
	})
	store.Store = store.replicas
	return store
}

// Healthy is documented at [swarm.Remote].
func (s *Store) Healthy() error { return s.server.health.Healthy() }

// Close waits for what is being written, for as long as a request may take.
func (s *Store) Close() error {
	s.end()
	err := s.replicas.Close()
	s.tally.going.Wait()
	s.totals.Wait()
	s.server.close()
	return err
}

// enter takes a place among the announces and scrapes under way.
func (s *Store) enter() error {
	select {
	case s.waiting <- struct{}{}:
		return nil
	default:
		s.server.counters.refused.Add(1)
		return swarm.ErrBusy
	}
}

func (s *Store) leave() { <-s.waiting }

func (s *Store) countRefused(err error) {
	if errors.Is(err, swarm.ErrBusy) {
		s.server.counters.refused.Add(1)
	}
}

// bounded is a context that ends when the store's patience does, and not with ctx: what
// was begun is brought to its end, so that counts stay right where an asker goes away.
func (s *Store) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), s.server.patience)
}

// Announce is documented at [swarm.Store]. The error is swarm.ErrBusy where the server
// cannot be asked now.
func (s *Store) Announce(ctx context.Context, a *swarm.Announce, r *swarm.Reply) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	err := s.announce(ctx, a, r)
	s.countRefused(err)
	return err
}

func (s *Store) announce(ctx context.Context, a *swarm.Announce, r *swarm.Reply) error {
	if s.tally.full() {
		return swarm.ErrBusy
	}
	full := s.fullFor(a)
	t, err := s.torrent(ctx, a.InfoHash)
	if err != nil {
		return err
	}
	if full.Torrents && !t.known() {
		r.Warning = faraway.WarnTorrents
		return nil
	}
	writing := s.recording(a, full)
	v := &view{}
	both, inBoth := errgroup.WithContext(ctx)
	both.Go(func() error { return writing.record(ctx, t) }) // to its end, also if reading fails
	if a.NumWant > 0 && a.Event != bittorrent.EventStopped {
		both.Go(func() (err error) {
			v, err = s.read(inBoth, a, t)
			return err
		})
	}
	if err := both.Wait(); err != nil {
		return err
	}
	if t, err = s.after(ctx, a, writing); err != nil {
		return err
	}
	counts := t.counts()
	c := counts.scrape()
	r.Complete, r.Incomplete, r.Downloaded = c.Complete, c.Incomplete, c.Downloaded
	switch {
	case writing.refused:
		r.Warning = faraway.WarnPeers
	case s.decides(a, t):
		return s.decide(ctx, a, r, v, t)
	}
	s.chance.choose(v, a, r)
	return nil
}

// after sees to what follows from an announce, and returns the torrent as it is now.
func (s *Store) after(ctx context.Context, a *swarm.Announce, done *recording) (*torrent, error) {
	rate := s.cache.announced(a.InfoHash, a.Now)
	now := s.cache.get(a.InfoHash)
	if now == nil { // it has got shards
		var err error
		if now, err = s.torrent(ctx, a.InfoHash); err != nil {
			return nil, err
		}
	}
	if c := now.counts(); done.is.there && !done.refused && c.all() == 0 {
		// A tracker died between the peer's first announce and its count.
		s.suspect(ctx, headKey{a.InfoHash, uint8(shardOf(done.hash, now.shards()))})
	}
	if shard := shardOf(done.hash, now.shards()); done.is.there && a.Now.Unix() < now.heads[shard].oldest {
		if err := s.lower(ctx, headKey{a.InfoHash, uint8(shard)}, a.Now.Unix()); err != nil {
			return nil, err
		}
		s.cache.forget(a.InfoHash)
	}
	s.perhapsGrow(ctx, a.InfoHash, now, rate, done.throttled)
	return now, nil
}

// sign of a hot partition, where the service refuses: less than the usual rate.
const throttledShare = 5

// perhapsGrow gives a torrent more shards where it has too many peers or announces for
// those that it has.
func (s *Store) perhapsGrow(ctx context.Context, h bittorrent.InfoHash, t *torrent, rate int, throttled bool) {
	shards := t.shards()
	c := t.counts()
	hot := rate > s.shardRate*shards || throttled && rate > s.shardRate*shards/throttledShare
	if shards >= s.maxShards || !hot && c.all() <= int64(s.shardPeers)*int64(shards) {
		return
	}
	if _, already := s.growing.LoadOrStore(h, nil); already {
		return
	}
	defer s.growing.Delete(h)
	if err := s.grow(ctx, h, shards); err != nil {
		s.log.Warn("a swarm could not be spread over more partitions yet", "torrent", h, "error", err)
	}
	s.cache.forget(h)
}

// Scrape is documented at [swarm.Store].
func (s *Store) Scrape(ctx context.Context, hashes []bittorrent.InfoHash, counts []bittorrent.ScrapeCounts) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	all, err := s.countsOf(ctx, hashes)
	if err != nil {
		s.countRefused(err)
		return err
	}
	for i := range hashes {
		c := all[hashes[i]]
		counts[i] = c.scrape()
	}
	return nil
}

// countsOf asks for the counts of torrents, as they are now.
func (s *Store) countsOf(ctx context.Context, hashes []bittorrent.InfoHash) (map[bittorrent.InfoHash]counts, error) {
	keys := make([]item, 0, len(hashes))
	asked := make(map[bittorrent.InfoHash]counts, len(hashes))
	for _, h := range hashes {
		if _, twice := asked[h]; !twice {
			asked[h] = counts{}
			keys = append(keys, s.headItem(headKey{hash: h}))
		}
	}
	for first := true; len(keys) > 0; first = false {
		found, err := s.server.getAll(ctx, keys)
		if err != nil {
			return nil, err
		}
		keys = keys[:0]
		for _, i := range found {
			k, ok := headKeyOf(bytesOf(i, place))
			if !ok {
				continue
			}
			h, c := headOf(i), asked[k.hash]
			c.plus(&h.counts)
			asked[k.hash] = c
			for shard := 1; first && shard < h.shards; shard++ {
				keys = append(keys, s.headItem(headKey{k.hash, uint8(shard)}))
			}
		}
	}
	return asked, nil
}
