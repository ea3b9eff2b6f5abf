package s3

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/dchest/siphash"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/singleflight"

	"waggle/bittorrent"
	"waggle/roster"
	"waggle/store/faraway"
	"waggle/store/shared"
	"waggle/swarm"
)

// Store is a [swarm.Store] in a bucket of S3, which any number of trackers may share.
// Use [Open].
type Store struct {
	roster.Store // the replicas

	server  *server
	swarms  keeper[*node]
	places  keeper[*members]
	sums    *sums
	asking  singleflight.Group // for what objects of swarms hold
	options Options
	log     *slog.Logger
	now     func() time.Time

	replicas *shared.Replicas // nil: no peer has a location
	waiting  chan struct{}    // a place for each announce and scrape under way
	chance   *chance
	totals   *faraway.Totals
	limit    *faraway.TorrentLimit
	life     context.Context // ends with Close
	end      context.CancelFunc
}

var (
	_ swarm.Remote   = (*Store)(nil)
	_ swarm.Restorer = (*Store)(nil)
	_ shared.Host    = (*Store)(nil)
)

func newStore(s *server, o *Options) *Store {
	const kinds = 3 // of what is kept
	cache := o.CacheBytes / kinds
	changes := 2 * o.Waiting // as many again may be of those who did not wait for an answer
	store := &Store{
		Store: shared.None{}, server: s, options: *o, log: o.Log, now: o.Now,
		sums: newSums(cache), waiting: make(chan struct{}, o.Waiting), chance: newChance(o.Seed),
	}
	store.life, store.end = context.WithCancel(context.Background())
	store.totals = newTotals(store, o)
	store.limit = newLimit(store, o)
	store.swarms = keeper[*node]{
		server: s, cache: newCache[*node](cache), most: changes,
		decode: decode, absent: absentNode, refuse: refuseNode, store: store.storeNode,
		saw: store.sums.saw, removes: func(key string) bool { return o.trustsRemovals() && depthOf(key) == 0 }, lines: map[string]*line[*node]{},
	}
	store.places = keeper[*members]{
		server: s, cache: newCache[*members](cache), most: changes,
		decode: decodeMembers, absent: noMembers, refuse: func(*members) error { return nil }, store: store.storeMembers,
		saw: func(string, *kept[*members]) {}, removes: func(string) bool { return o.trustsRemovals() }, lines: map[string]*line[*members]{},
	}
	if o.Group != nil {
		store.replicas = shared.New(store.Map(), store, shared.Options{Budget: o.Budget, Group: o.Group, Seed: o.sharedSeed(), MaxWaiting: o.Waiting, Now: o.Now, Log: o.Log})
		store.Store = store.replicas
	}
	return store
}

// sharedSeed is the same in all trackers of a store: so a peer is told of the same
// neighbours by each.
func (o *Options) sharedSeed() [2]uint64 {
	one, two := siphash.Hash128(1, 2, []byte(o.Bucket+"/"+o.Prefix))
	return [2]uint64{one, two}
}

// Healthy is documented at [swarm.Remote].
func (s *Store) Healthy() error { return s.server.health.Healthy() }

// Close waits for what is being written, for as long as the server's patience.
func (s *Store) Close() (err error) {
	s.end()
	if s.replicas != nil {
		err = s.replicas.Close()
	}
	s.swarms.close()
	s.places.close()
	s.totals.Wait()
	s.server.close()
	return err
}

// enter takes a place among the announces and scrapes under way.
func (s *Store) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.server.health.Check(); err != nil {
		s.server.counters.refused.Add(1)
		return err
	}
	select {
	case s.waiting <- struct{}{}:
		return nil
	default:
		s.server.counters.refused.Add(1)
		return swarm.ErrBusy
	}
}

// leave gives the place back, and counts what was refused.
func (s *Store) leave(err *error) {
	<-s.waiting
	if errors.Is(*err, context.DeadlineExceeded) {
		*err = swarm.ErrBusy
	}
	if errors.Is(*err, swarm.ErrBusy) {
		s.server.counters.refused.Add(1)
	}
}

// Announce is documented at [swarm.Store]. It writes one object, with the announces that
// wait for it, and reads it before where another tracker may have changed it.
func (s *Store) Announce(ctx context.Context, a *swarm.Announce, r *swarm.Reply) (err error) {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave(&err)
	ctx, cancel := s.server.bounded(ctx)
	defer cancel()
	mine := *a // who goes away before it is written may use a again
	w := &recording{announce: &mine, at: placeOf(a.Addr()), full: s.totals.Full()}
	key, n, err := s.changeOne(ctx, a.InfoHash, &w.at, w.apply)
	if err != nil {
		return err
	}
	if w.isNew && w.warning == "" {
		s.totals.PeerCame()
	}
	if w.isFirst && w.warning == "" {
		s.totals.TorrentCame()
	}
	v, err := s.view(ctx, a.InfoHash, key, n)
	if err != nil {
		return err
	}
	c := v.all.scrape()
	r.Complete, r.Incomplete, r.Downloaded = c.Complete, c.Incomplete, c.Downloaded
	if w.warning != "" {
		r.Warning = w.warning
	}
	return s.choose(ctx, v, w, r)
}

// choose tells a peer of others.
func (s *Store) choose(ctx context.Context, v *view, w *recording, r *swarm.Reply) error {
	asker := v.position(&w.at)
	if s.replicas != nil && w.warning == "" && (v.all.located || w.announce.Location != nil) {
		return s.replicas.Announce(ctx, w.announce, r, v, asker)
	}
	if w.announce.Event != bittorrent.EventStopped {
		s.chance.choose(v, asker, w.announce, r)
	}
	return nil
}

// recording is an announce on its way into an object.
type recording struct {
	announce *swarm.Announce
	at       place
	full     faraway.Full // nobody new is recorded

	isNew, isFirst bool   // as it turned out: the peer, and of its torrent
	warning        string // "": it is recorded
}

// apply is documented at [change].
func (w *recording) apply(n *node, alone bool) bool {
	a := w.announce
	group, i, known := n.find(&w.at)
	w.isNew, w.isFirst, w.warning = !known, alone && n.blank(), ""
	switch {
	case a.Event == bittorrent.EventStopped:
		w.isNew, w.isFirst = false, false
		return n.remove(&w.at)
	case w.isFirst && w.full.Torrents:
		w.warning = faraway.WarnTorrents
		return false
	case !known && w.full.Peers:
		w.warning = faraway.WarnPeers
		return false
	}
	p := peer{
		at: w.at, id: a.PeerID, key: a.Key, uploaded: max(a.Uploaded, 0), downloaded: max(a.Downloaded, 0), left: max(a.Left, 0),
		first: seconds(a.Now), last: seconds(a.Now),
	}
	was := swarm.Leecher
	if known {
		old := &n.peers[group][i]
		was = swarm.Kind(group / 2)
		p.first, p.last = old.first, max(p.last, old.last) // another tracker's clock may be ahead
	}
	if a.Event == bittorrent.EventCompleted && a.Left == 0 && (!known || was != swarm.Seeder) {
		n.completed++
	}
	n.located = n.located && n.len() > 0 || a.Location != nil
	n.put(&p, a.Kind())
	return true
}

// scrapedAtOnce is how many torrents of a scrape are asked for at once.
const scrapedAtOnce = 16

// Scrape is documented at [swarm.Store].
func (s *Store) Scrape(ctx context.Context, hashes []bittorrent.InfoHash, counts []bittorrent.ScrapeCounts) (err error) {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave(&err)
	ctx, cancel := s.server.bounded(ctx)
	defer cancel()
	asking, ctx := errgroup.WithContext(ctx)
	asking.SetLimit(scrapedAtOnce)
	for i := range hashes {
		asking.Go(func() error {
			all, err := s.whole(ctx, hashes[i], asItIs)
			counts[i] = all.scrape()
			return err
		})
	}
	return asking.Wait()
}

// Counts returns how many peers a torrent has, and its completed downloads; ok is false
// where it is not known.
func (s *Store) Counts(ctx context.Context, h bittorrent.InfoHash) (c bittorrent.ScrapeCounts, ok bool, err error) {
	ctx, cancel := s.server.bounded(ctx)
	defer cancel()
	all, err := s.whole(ctx, h, asItIs)
	return all.scrape(), all.known(), err
}
