package redis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"waggle/bittorrent"
	"waggle/roster"
	"waggle/store/shared"
	"waggle/swarm"
)

// Store is a [swarm.Remote] and [roster.Store] in Redis. Use [Open].
type Store struct {
	roster.Store // the replicas

	server   *server
	keys     *keys
	replicas *shared.Replicas // nil: locality is off
	parts    splits
	rates    rates
	hosts    *hosts      // nil: locality is off
	full     atomic.Bool // MaxPeers is reached
	crowded  atomic.Bool // MaxTorrents is reached

	mu      sync.Mutex
	seeds   *rand.Rand
	workers sync.Pool
}

var (
	_ swarm.Remote   = (*Store)(nil)
	_ swarm.Restorer = (*Store)(nil)
)

func newStore(v *server) *Store {
	o := v.options
	s := &Store{Store: shared.None{}, server: v, keys: v.keys, seeds: rand.New(rand.NewPCG(o.Seed[0], o.Seed[1]))}
	if o.Group != nil {
		s.replicas = shared.New(s.Map(), host{s}, shared.Options{
			Budget: o.Budget, Group: o.Group, Seed: v.seed, MaxWaiting: o.Pending, Now: o.Now, Log: o.Log,
		})
		s.Store = s.replicas
		s.hosts = newHosts(o.Host)
	}
	return s
}

func (s *Store) newWorker() *worker {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &worker{
		view:     view{random: rand.NewPCG(s.seeds.Uint64(), s.seeds.Uint64())},
		selector: swarm.NewSelector(s.seeds.Uint64(), s.seeds.Uint64()),
	}
}

// start starts what runs beside announces.
func (s *Store) start() {
	s.server.done.Go(s.server.probe)
	s.server.done.Go(s.tick)
	if s.hosts != nil {
		s.server.done.Go(s.keepHosts)
	}
}

// countEvery is how often the store is compared with its limits, in seconds.
const countEvery = 2

// tick begins a new second of rates, and counts peers and torrents.
func (s *Store) tick() {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for n := 1; ; n++ {
		select {
		case <-ticker.C:
		case <-s.server.closed:
			return
		}
		s.rates.reset()
		if n%countEvery == 0 {
			_ = s.count(context.Background()) // an old count will do; a broken server says so itself
		}
	}
}

// Close ends all connections. Swarms stay.
func (s *Store) Close() error {
	var err error
	if s.replicas != nil {
		err = s.replicas.Close()
	}
	close(s.server.closed)
	s.server.done.Wait()
	s.server.Close()
	return err
}

// batch is how many commands are sent at once, at most.
const batch = 512

// countNames are the fields of a torrent that a line of counts has, in its order.
var countNames = []string{"s4", "s6", "p4", "p6", "l4", "l6", "completed", "parts", "located"}

// tallies returns what torrents have, of which no more than batch, and which are known.
func (s *Store) tallies(ctx context.Context, hashes []bittorrent.InfoHash) (list []tally, known []bool, err error) {
	answers, err := s.server.ask(ctx, len(hashes), func(i int) byte { return hashes[i][0] }, func(b rueidis.Builder, i int) rueidis.Completed {
		return b.Hmget().Key(s.keys.torrent(hashes[i][0], &hashes[i])).Field(countNames...).Build()
	})
	if err != nil {
		return nil, nil, err
	}
	list, known = make([]tally, len(hashes)), make([]bool, len(hashes))
	for i := range answers {
		if list[i], known[i], err = tallyOf(answers[i]); err != nil {
			return nil, nil, err
		}
		if list[i].parts > 1 {
			s.parts.set(hashes[i], list[i].parts)
			if list[i], err = s.tally(ctx, hashes[i], list[i].parts); err != nil {
				return nil, nil, err
			}
			if known[i] = list[i].peers() > 0 || list[i].completed > 0; !known[i] { // a tracker died before it forgot it
				err = s.forget(ctx, hashes[i], list[i].parts)
			}
			if err != nil {
				return nil, nil, err
			}
		}
	}
	return list, known, nil
}

// tally returns what all parts of a torrent have.
func (s *Store) tally(ctx context.Context, h bittorrent.InfoHash, parts int) (t tally, err error) {
	places := s.keys.parts(&h, parts)
	answers, err := s.server.ask(ctx, parts, func(i int) byte { return places[i].tag }, func(b rueidis.Builder, i int) rueidis.Completed {
		return b.Hmget().Key(places[i].key).Field(countNames...).Build()
	})
	if err != nil {
		return t, err
	}
	for i := range answers {
		part, _, err := tallyOf(answers[i])
		if err != nil {
			return t, err
		}
		t.add(&part)
		t.parts, t.located = max(t.parts, part.parts), t.located || part.located
	}
	return t, nil
}

// tallyOf reads an answer with the fields of countNames.
func tallyOf(answer rueidis.RedisMessage) (t tally, known bool, err error) {
	fields, err := answer.ToArray()
	if err != nil || len(fields) != len(countNames) {
		return t, false, fmt.Errorf("%w: a torrent has %d fields", errAnswer, len(fields))
	}
	line := ""
	for i := range fields {
		text, err := fields[i].ToString()
		switch {
		case err == nil:
			known = true
		case !rueidis.IsRedisNil(err):
			return t, false, fmt.Errorf("%w: %w", errAnswer, err)
		case countNames[i] == "parts":
			text = "1"
		default:
			text = "0"
		}
		line += text + " "
	}
	t, err = parseTally(line[:len(line)-1])
	return t, known, err
}

// Scrape is documented at [swarm.Store].
func (s *Store) Scrape(ctx context.Context, hashes []bittorrent.InfoHash, counts []bittorrent.ScrapeCounts) error {
	for len(hashes) > 0 {
		n := min(len(hashes), batch)
		list, _, err := s.tallies(ctx, hashes[:n])
		if err != nil {
			return err
		}
		for i := range list {
			counts[i] = list[i].counts()
		}
		hashes, counts = hashes[n:], counts[n:]
	}
	return nil
}

// Totals is documented at [swarm.Store].
func (s *Store) Totals(ctx context.Context) (t swarm.Totals, err error) {
	each, err := s.totals(ctx, allTags())
	return sum(each), err
}

func sum(each []swarm.Totals) (t swarm.Totals) {
	for _, tag := range each {
		t.Torrents += tag.Torrents
		t.Peers += tag.Peers
		t.Seeders += tag.Seeders
	}
	return t
}

// totals returns the totals of each of some tags.
func (s *Store) totals(ctx context.Context, of []byte) (each []swarm.Totals, err error) {
	answers, err := s.server.ask(ctx, len(of), func(i int) byte { return of[i] }, func(b rueidis.Builder, i int) rueidis.Completed {
		return b.Hmget().Key(s.keys.totals(of[i])).Field("torrents", "peers", "seeders").Build()
	})
	if err != nil {
		return nil, err
	}
	each = make([]swarm.Totals, len(of))
	for i := range answers {
		fields, err := answers[i].ToArray()
		if err != nil || len(fields) != 3 {
			return nil, fmt.Errorf("%w: totals have %d fields", errAnswer, len(fields))
		}
		into := [...]*int{&each[i].Torrents, &each[i].Peers, &each[i].Seeders}
		for j := range fields {
			n, err := fields[j].AsInt64()
			if err != nil && !rueidis.IsRedisNil(err) {
				return nil, fmt.Errorf("%w: totals: %w", errAnswer, err)
			}
			*into[j] = int(n)
		}
	}
	return each, nil
}
