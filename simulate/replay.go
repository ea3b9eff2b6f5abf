package simulate

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"waggle/bittorrent"
	"waggle/locality"
	"waggle/record"
	"waggle/swarm"
)

// ReplayOptions are how recorded announces are put to a policy.
type ReplayOptions struct {
	Seed uint64
	// Active and Passive are the intervals of waggle's profiles. 0: 15 s and 5 min.
	Active, Passive time.Duration
	// Importers, Edges and Standby are as in [Options].
	Importers, Edges, Standby int
	// NumWant is how many peers a client is told that does not say how many it wants,
	// and MaxNumWant how many at most. 0: 50 and 200.
	NumWant, MaxNumWant int
}

// Replayed is what a policy made of recorded announces. What clients did is what they
// did when they were recorded: they do not heed what the policy tells them.
type Replayed struct {
	Policy    string  `json:"policy"`
	Announces int     `json:"announces"`
	Seconds   float64 `json:"seconds"` // from the first announce to the last
	Torrents  int     `json:"torrents"`
	Peers     int     `json:"peers"`     // that announced
	Unlocated int     `json:"unlocated"` // of these
	Groups    int     `json:"groups"`    // innermost ones that a torrent has peers in, for all torrents together

	// RepresentativesMean and Max are the peers of a torrent's rack that were told of
	// another rack's while they lacked data, or others of them.
	RepresentativesMean float64 `json:"representatives_mean"`
	RepresentativesMax  int     `json:"representatives_max"`

	// EdgesMean and Max are the pairs of peers across the uplink of a torrent's rack of
	// whom one was told of the other.
	EdgesMean float64 `json:"edges_mean"`
	EdgesMax  int     `json:"edges_max"`

	// Crossed bounds from above what would have gone over uplinks of racks: the bytes that
	// representatives downloaded since they were such.
	Crossed int64 `json:"crossed_at_most"`

	// Starving are the racks, for all torrents together, that lack data at the end and
	// that no edges lead to from a peer which is complete.
	Starving int `json:"starving"`
}

// maxReplayed bounds the peers of a replay, and maxEdges what is remembered of whom
// they were told of: some 2 GiB.
const (
	maxReplayed = 4_000_000
	maxEdges    = 32_000_000
)

// Replay puts recorded announces to a policy, one of [Policies], as fast as it can.
// name is the file's, for errors.
func Replay(ctx context.Context, in io.Reader, name, policy string, o ReplayOptions) (*Replayed, error) {
	defaults := Options{Seed: o.Seed, Active: o.Active, Passive: o.Passive, Importers: o.Importers, Edges: o.Edges, Standby: o.Standby}
	defaults.setDefaults()
	if !slices.Contains(Policies, policy) {
		return nil, fmt.Errorf("no policy is called %q: want some of %s", policy, strings.Join(Policies, ", "))
	}
	if defaults.Active < time.Second || defaults.Passive < time.Second || o.NumWant < 0 || o.MaxNumWant < 0 {
		return nil, fmt.Errorf("intervals of %v and %v with %d peers wanted cannot be: want at least a second, and 0 peers or more",
			defaults.Active, defaults.Passive, o.NumWant)
	}
	c, err := newContender(policy, &defaults)
	if err != nil {
		return nil, err
	}
	p := &replay{
		contender: c, wanted: int32(cmp.Or(o.NumWant, 50)), most: int32(cmp.Or(o.MaxNumWant, 200)), result: &Replayed{Policy: policy},
		number: map[replayKey]int32{}, edges: map[uint64]struct{}{},
	}
	err = p.all(ctx, in, name)
	if closed := c.store.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return nil, err
	}
	p.sum()
	return p.result, nil
}

// replay is a replay under way.
type replay struct {
	contender
	wanted, most int32
	result       *Replayed
	tree         *locality.Tree
	depth        int
	number       map[replayKey]int32 // of peers
	peers        []replayed
	edges        map[uint64]struct{} // between racks: the numbers of two peers, the lower one first
	first, now   time.Time
	announce     swarm.Announce
	reply        swarm.Reply
}

type replayKey struct {
	hash bittorrent.InfoHash
	addr netip.AddrPort
}

type replayed struct {
	hash           bittorrent.InfoHash
	rack           *locality.Group // nil: unlocated
	stays, done    bool            // did not stop, and lacks nothing, by its last announce
	last           time.Time
	crosses        bool // was told of another rack, or that of it, while it lacked data
	downloaded     int64
	downloadedFrom int64 // across uplinks, at most
}

// all reads and announces everything.
func (p *replay) all(ctx context.Context, in io.Reader, name string) error {
	n := 0
	for a, err := range record.Read(in, name) {
		if err != nil {
			return err
		}
		if n++; n%1024 == 0 && ctx.Err() != nil {
			return fmt.Errorf("replaying %s to %s: %w", name, p.name, ctx.Err())
		}
		if err := p.one(ctx, a); err != nil {
			return fmt.Errorf("%s: announce %d: %w", name, n, err)
		}
	}
	p.result.Announces = n
	p.result.Seconds = p.now.Sub(p.first).Seconds()
	return nil
}

// one announces.
func (p *replay) one(ctx context.Context, r *record.Announce) error {
	if err := p.pass(ctx, r.At); err != nil {
		return err
	}
	place, err := p.place(r.Path)
	if err != nil {
		return err
	}
	i, err := p.peer(r, place)
	if err != nil {
		return err
	}
	a := &p.announce
	*a = swarm.Announce{From: r.Addr.Addr(), Now: p.now, Families: swarm.IPv4 | swarm.IPv6, Location: place}
	a.InfoHash, a.PeerID, a.Port, a.Event = r.InfoHash, r.PeerID, r.Addr.Port(), r.Event
	a.Left, a.Uploaded, a.Downloaded = r.Left, r.Uploaded, r.Downloaded
	if a.NumWant = min(r.NumWant, p.most); a.NumWant < 0 {
		a.NumWant = p.wanted
	}
	if place != nil {
		a.Policy = p.policy
	}
	p.reply.Reset()
	if err := p.store.Announce(ctx, a, &p.reply); err != nil {
		return err
	}
	p.heed(i, r)
	for addr := range p.reply.Peers.All() {
		if j, ok := p.number[replayKey{r.InfoHash, addr}]; ok {
			if err := p.join(i, j); err != nil {
				return err
			}
		}
	}
	return nil
}

// lifetime is how long a peer may be silent until it is forgotten, as trackers have it
// for peers that they know no better of.
const lifetime = 45 * time.Minute

// quiet is the longest time without announces that is gone through second by second.
const quiet = 3600

// pass lets time pass until an announce. Time that goes back is taken as still.
func (p *replay) pass(ctx context.Context, to time.Time) error {
	if p.first.IsZero() {
		p.first, p.now = to, to
	}
	before := p.now.Unix()
	if to.After(p.now) {
		p.now = to
	}
	if p.now.Unix()/60 != before/60 {
		if _, err := p.store.Expire(ctx, p.now.Add(-lifetime)); err != nil {
			return err
		}
	}
	if p.roster == nil {
		return nil
	}
	for s := max(before+1, p.now.Unix()-quiet); s <= p.now.Unix(); s++ {
		if _, err := p.roster.Tend(ctx, time.Unix(s, 0), 0); err != nil {
			return err
		}
	}
	return nil
}

// place returns the group of a path. The first path says how many levels there are.
func (p *replay) place(path string) (*locality.Group, error) {
	if path == "" {
		return nil, nil
	}
	if p.tree == nil {
		p.depth = strings.Count(path, "/") + 1
		var levels []string
		for i := range p.depth {
			levels = append(levels, fmt.Sprintf("level %d", i+1))
		}
		tree, err := locality.NewTree(maxGroups, levels...)
		if err != nil {
			return nil, err
		}
		p.tree = tree
	}
	return p.tree.Group(path)
}

// peer returns the number of a peer.
func (p *replay) peer(r *record.Announce, place *locality.Group) (int32, error) {
	key := replayKey{r.InfoHash, r.Addr}
	i, ok := p.number[key]
	if !ok {
		if len(p.peers) == maxReplayed {
			return 0, fmt.Errorf("more than %d peers are too many to replay: cut the file", maxReplayed)
		}
		i = int32(len(p.peers))
		p.number[key] = i
		p.peers = append(p.peers, replayed{hash: r.InfoHash})
	}
	p.peers[i].rack = place
	return i, nil
}

// heed takes in what an announce says of its peer.
func (p *replay) heed(i int32, r *record.Announce) {
	q := &p.peers[i]
	if n := r.Downloaded - q.downloaded; n > 0 && q.crosses && !q.done {
		q.downloadedFrom += n
	}
	q.downloaded = r.Downloaded
	q.stays, q.done, q.last = r.Event != bittorrent.EventStopped, r.Left == 0, p.now
}

// join notes that one peer was told of another.
func (p *replay) join(i, j int32) error {
	a, b := &p.peers[i], &p.peers[j]
	if a.rack == b.rack { // or nobody knows, of either
		return nil
	}
	p.edges[uint64(min(i, j))<<32|uint64(max(i, j))] = struct{}{}
	if len(p.edges) > maxEdges {
		return fmt.Errorf("it tells of more than %d pairs of peers: cut the file", maxEdges)
	}
	a.crosses = a.crosses || !a.done
	b.crosses = b.crosses || !b.done
	return nil
}

// rackOf is a torrent's part in a rack.
type rackOf struct {
	hash bittorrent.InfoHash
	rack *locality.Group
}

// inRack is what there is in it.
type inRack struct {
	representatives, edges int
	lacks, fed             bool
	near                   []rackOf // joined by edges between peers that live
}

// lives reports whether a peer is there at the end.
func (p *replay) lives(q *replayed) bool { return q.stays && p.now.Sub(q.last) <= lifetime }

func (p *replay) sum() {
	racks := map[rackOf]*inRack{}
	var order []rackOf
	torrents := map[bittorrent.InfoHash]bool{}
	at := func(q *replayed) *inRack {
		key := rackOf{q.hash, q.rack}
		if racks[key] == nil {
			racks[key] = &inRack{}
			order = append(order, key)
		}
		return racks[key]
	}
	for i := range p.peers {
		q := &p.peers[i]
		torrents[q.hash] = true
		if q.rack == nil {
			p.result.Unlocated++
		}
		r := at(q)
		if q.crosses && q.rack != nil {
			r.representatives++
			p.result.Crossed += q.downloadedFrom
		}
		r.lacks = r.lacks || p.lives(q) && !q.done
		r.fed = r.fed || p.lives(q) && q.done
	}
	for e := range p.edges {
		a, b := &p.peers[e>>32], &p.peers[e&(1<<32-1)]
		at(a).edges++
		at(b).edges++
		if p.lives(a) && p.lives(b) {
			at(a).near = append(at(a).near, rackOf{b.hash, b.rack})
			at(b).near = append(at(b).near, rackOf{a.hash, a.rack})
		}
	}
	p.result.Torrents, p.result.Peers = len(torrents), len(p.peers)
	feed(racks, order)
	p.result.add(racks, order)
}

// feed marks the racks that data can reach.
func feed(racks map[rackOf]*inRack, order []rackOf) {
	var next []rackOf
	for _, key := range order {
		if racks[key].fed {
			next = append(next, key)
		}
	}
	for len(next) > 0 {
		r := racks[next[len(next)-1]]
		next = next[:len(next)-1]
		for _, key := range r.near {
			if n := racks[key]; !n.fed {
				n.fed = true
				next = append(next, key)
			}
		}
	}
}

func (r *Replayed) add(racks map[rackOf]*inRack, order []rackOf) {
	for _, key := range order {
		if key.rack == nil {
			continue
		}
		n := racks[key]
		r.Groups++
		r.RepresentativesMean += float64(n.representatives)
		r.RepresentativesMax = max(r.RepresentativesMax, n.representatives)
		r.EdgesMean += float64(n.edges)
		r.EdgesMax = max(r.EdgesMax, n.edges)
		if n.lacks && !n.fed {
			r.Starving++
		}
	}
	r.RepresentativesMean /= float64(max(r.Groups, 1))
	r.EdgesMean /= float64(max(r.Groups, 1))
}
