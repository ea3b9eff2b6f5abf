package redis

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"waggle/locality"
	"waggle/swarm"
)

// Of each address that announces with a location it is kept what its host is called, where
// it is and when it was seen, for whoever looks with redis-cli: waggle reads none of it. It
// is written beside announces, some seconds later, and is the first to be left out where
// the server is slow or gone.

const (
	hostEvery = 3600           // seconds before an address is written again
	hostsHour = 100_000        // most addresses that are written in such a time
	hostQueue = 4096           // most that wait to be written
	hostBatch = 256            // that are written at once
	hostsKept = 30 * 24 * 3600 // seconds that they are kept
	hostPause = time.Second    // between batches of what came in
)

// sighting is an address that announced.
type sighting struct {
	ip netip.Addr
	at *locality.Group
	on int64 // Unix seconds
}

// hosts are the addresses that are to be written, and those that were lately.
type hosts struct {
	name  func(netip.Addr) string
	queue chan sighting

	mu             sync.Mutex
	turned         int64 // when the maps were exchanged
	lately, before map[netip.Addr]int64
}

func newHosts(name func(netip.Addr) string) *hosts {
	if name == nil {
		name = func(netip.Addr) string { return "" }
	}
	return &hosts{name: name, queue: make(chan sighting, hostQueue)}
}

// see has the address of an announce written, unless it was within the hour, or there are
// too many. It does not wait.
func (h *hosts) see(a *swarm.Announce) {
	now := a.Now.Unix()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lately == nil || now-h.turned >= hostEvery {
		h.turned, h.before, h.lately = now, h.lately, map[netip.Addr]int64{}
	}
	last, ok := h.lately[a.From]
	if !ok {
		last, ok = h.before[a.From]
	}
	if ok && now-last < hostEvery || len(h.lately) >= hostsHour {
		return
	}
	select {
	case h.queue <- sighting{a.From, a.Location, now}:
		h.lately[a.From] = now
	default:
	}
}

// take returns some that are to be written.
func (h *hosts) take() (some []sighting) {
	for len(some) < hostBatch {
		select {
		case one := <-h.queue:
			some = append(some, one)
		default:
			return some
		}
	}
	return some
}

// miss has addresses written at their next announce that were not now.
func (h *hosts) miss(some []sighting) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range some {
		delete(h.lately, some[i].ip)
		delete(h.before, some[i].ip)
	}
}

// keepHosts writes what comes in, until the store is closed.
func (s *Store) keepHosts() {
	ctx, cancel := s.server.life()
	defer cancel()
	ticker := time.NewTicker(hostPause)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		s.writeHosts(ctx)
	}
}

// writeHosts writes what is queued. What comes at a bad time is dropped, with all that waits
// behind it.
func (s *Store) writeHosts(ctx context.Context) {
	for some := s.hosts.take(); len(some) > 0; some = s.hosts.take() {
		if !s.server.busy() {
			err := s.writeSome(ctx, some)
			if err == nil {
				continue
			}
			s.server.options.Log.Debug("store: hosts that were seen are not kept", "error", err)
		}
		for ; len(some) > 0; some = s.hosts.take() {
			s.hosts.miss(some)
		}
		return
	}
}

// busy reports whether there is more to do than what may be left out.
func (v *server) busy() bool {
	return v.pending.Load() > int64(v.options.Pending)/2 || len(v.ill()) > 0
}

// writeSome writes some, in one round trip to each node.
func (s *Store) writeSome(ctx context.Context, some []sighting) error {
	ctx, cancel := context.WithTimeout(ctx, s.server.options.Timeout)
	defer cancel()
	for _, result := range s.server.DoMulti(ctx, s.hostCommands(some)...) {
		if err := result.Error(); err != nil {
			return err
		}
	}
	return nil
}

// hostCommands are the commands that write some.
func (s *Store) hostCommands(some []sighting) (list []rueidis.Completed) {
	b, newest := s.server.B(), int64(0)
	racks := map[string]map[string]int64{}
	all := map[string]int64{}
	for _, one := range some {
		path := one.at.Path()
		fields := b.Hset().Key(s.keys.host(one.ip)).FieldValue().FieldValue("location", path).FieldValue("seen", decimal(one.on))
		if name := s.hosts.name(one.ip); name != "" {
			fields = fields.FieldValue("name", name)
		}
		list = append(list, fields.Build(), b.Expire().Key(s.keys.host(one.ip)).Seconds(hostsKept).Build())
		if racks[path] == nil {
			racks[path] = map[string]int64{}
		}
		racks[path][one.ip.String()] = one.on
		all[path], newest = max(all[path], one.on), max(newest, one.on)
	}
	for path, hosts := range racks {
		list = append(list, setCommands(b, s.keys.rack(path), hosts, newest)...)
	}
	return append(list, setCommands(b, s.keys.racks(), all, newest)...)
}

// setCommands are the commands that put members into a set that is sorted by when they were
// seen, and take those out that were seen long ago.
func setCommands(b rueidis.Builder, key string, members map[string]int64, now int64) []rueidis.Completed {
	add := b.Zadd().Key(key).ScoreMember()
	for member, seen := range members {
		add = add.ScoreMember(float64(seen), member)
	}
	return []rueidis.Completed{
		add.Build(),
		b.Zremrangebyscore().Key(key).Min("-inf").Max("(" + decimal(now-hostsKept)).Build(),
		b.Expire().Key(key).Seconds(hostsKept).Build(),
	}
}
