package console

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"waggle/bittorrent"
	"waggle/console/client"
	"waggle/roster"
	"waggle/swarm"
)

// mapHost is a host on its way into a map.
type mapHost struct {
	roster.Member
	path  string // "": unlocated
	swarm int    // in which it was found first
	at    int    // its position
}

// mapRack is a rack on its way into a map.
type mapRack struct {
	client.MapRack
	imported    map[int]int64 // by swarm
	spent       bool          // its bandwidth
	lacking     bool          // it has a leecher, and not only partial seeds
	rooted      bool          // an importer has a way to a seeder
	thousandths int           // of all its hosts together
	hosts       int
}

// mapBuilder puts a map together: begin for each swarm, its members, its other peers,
// then finish.
type mapBuilder struct {
	size  int64 // of the torrent in bytes; 0: nobody knows
	hosts map[netip.AddrPort]*mapHost
	racks map[string]*mapRack
	swarm int                     // the present one
	count bittorrent.ScrapeCounts // of it
	here  int                     // its located peers
	over  bool                    // located peers are left out

	most      bittorrent.ScrapeCounts // of the largest swarm
	unlocated int                     // of the hosts
}

func newMapBuilder(size int64) *mapBuilder {
	return &mapBuilder{size: size, hosts: map[netip.AddrPort]*mapHost{}, racks: map[string]*mapRack{}}
}

// begin tells which swarm follows.
func (b *mapBuilder) begin(swarm int, counts *bittorrent.ScrapeCounts) {
	b.swarm, b.count, b.here = swarm, *counts, 0
	if peersIn(counts) > peersIn(&b.most) {
		b.most = *counts
	}
}

// addMember adds a member. What a second swarm says of a host is left out; what the
// same one says is newer.
func (b *mapBuilder) addMember(m *roster.Member) {
	rack := b.noteRack(m)
	h := b.hosts[m.Addr]
	switch {
	case h != nil && h.swarm != b.swarm:
		b.here++
		return
	case h != nil:
		b.forget(h)
	case m.Location != nil && len(b.hosts) == maxMapHosts:
		b.over = true
		rack.countHost(m.Kind) // as often as it is shown
		return
	case m.Location == nil && !b.roomForUnlocated():
		return
	}
	h = &mapHost{Member: *m, path: rack.Path, swarm: b.swarm}
	b.hosts[m.Addr] = h
	if m.Location == nil {
		b.unlocated++
	} else {
		b.here++
	}
}

// noteRack notes what a member says of its rack.
func (b *mapBuilder) noteRack(m *roster.Member) *mapRack {
	if m.Location == nil {
		return b.rack("")
	}
	r := b.rack(m.Location.Path())
	r.imported[b.swarm] = m.RackImported
	r.spent = r.spent || m.RackSpent
	r.rooted = r.rooted || m.Reach > 0 && m.Rooted
	return r
}

func (b *mapBuilder) rack(path string) *mapRack {
	r := b.racks[path]
	if r == nil {
		r = &mapRack{MapRack: client.MapRack{Path: path, Importers: []int{}, Exporters: []int{}, Standbys: []int{}}, imported: map[int]int64{}}
		b.racks[path] = r
	}
	return r
}

func (r *mapRack) countHost(kind swarm.Kind) {
	if kind == swarm.Seeder {
		r.Seeders++
	} else {
		r.Leechers++
	}
	r.lacking = r.lacking || kind == swarm.Leecher
}

func (b *mapBuilder) forget(h *mapHost) {
	delete(b.hosts, h.Addr)
	if h.path == "" {
		b.unlocated--
	} else {
		b.here--
	}
}

// missesSome reports whether the swarm has peers that are no members.
func (b *mapBuilder) missesSome() bool {
	return !b.over && peersIn(&b.count) > int64(b.here) && b.roomForUnlocated()
}

func (b *mapBuilder) roomForUnlocated() bool {
	return b.unlocated < maxMapUnlocated && len(b.hosts) < maxMapHosts
}

// addPeer adds a peer, which is not located if it is no member.
func (b *mapBuilder) addPeer(p *swarm.Peer) {
	if h := b.hosts[p.Addr]; h != nil {
		if h.path == "" { // the roster knows less of it
			h.ID, h.Kind, h.Left = p.ID, p.Kind, p.Left
		}
		return
	}
	if b.roomForUnlocated() {
		b.hosts[p.Addr] = &mapHost{Member: roster.Member{Record: roster.Record{Addr: p.Addr}, ID: p.ID, Kind: p.Kind, Left: p.Left}, swarm: b.swarm}
		b.unlocated++
	}
}

// finish returns the map. The builder is of no more use.
func (b *mapBuilder) finish() *client.Map {
	hosts := slices.SortedFunc(maps.Values(b.hosts), func(a, b *mapHost) int {
		return cmp.Or(strings.Compare(a.path, b.path), a.Addr.Compare(b.Addr))
	})
	for i, h := range hosts {
		h.at = i
		rack := b.rack(h.path)
		rack.countHost(h.Kind)
		done, _ := b.progress(h)
		rack.thousandths += done
		rack.hosts++
	}
	m := &client.Map{Size: b.size, Levels: []string{}, Racks: []client.MapRack{}, Clients: []string{""}, Leases: [][3]int{}}
	m.LeftOut = max(int(peersIn(&b.most))-len(hosts), 0)
	b.fillLeases(m, hosts)
	b.countUnlocated(m.LeftOut)
	paths := slices.Sorted(maps.Keys(b.racks))
	for _, path := range paths {
		m.Racks = append(m.Racks, b.finishRack(b.racks[path]))
	}
	b.fillHosts(m, hosts, paths)
	return m
}

// countUnlocated counts those without a location who were left out: all who are in no
// rack.
func (b *mapBuilder) countUnlocated(leftOut int) {
	unlocated := b.racks[""]
	if unlocated == nil || leftOut == 0 {
		return
	}
	leechers, seeders := int(b.most.Incomplete), int(b.most.Complete)
	for path, r := range b.racks {
		if path != "" {
			leechers -= r.Leechers
			seeders -= r.Seeders
		}
	}
	unlocated.Leechers, unlocated.Seeders = max(unlocated.Leechers, leechers), max(unlocated.Seeders, seeders)
}

// finishRack returns a rack as it is shown, still without who has which role. One of
// both swarms of a hybrid torrent is starving if it is in both.
func (b *mapBuilder) finishRack(r *mapRack) client.MapRack {
	for _, n := range r.imported {
		r.ImportedAtMost += n
	}
	r.Starving = r.Path != "" && r.lacking && r.Seeders == 0 && !r.rooted
	if b.size > 0 {
		r.Progress = new(float64(r.thousandths) / float64(1000*max(r.hosts, 1)))
	}
	return r.MapRack
}

// progress returns what a host has, in thousandths, and whether that is known.
func (b *mapBuilder) progress(h *mapHost) (thousandths int, known bool) {
	switch {
	case h.Kind == swarm.Seeder:
		return 1000, true
	case b.size == 0 || h.Left >= roster.UnknownLeft:
		return 0, false
	}
	left := min(max(h.Left, 0), b.size)
	done := int(1000 * (1 - float64(left)/float64(b.size)))
	if left > 0 {
		done = min(done, 999)
	}
	return done, true
}

func (b *mapBuilder) fillHosts(m *client.Map, hosts []*mapHost, paths []string) {
	n := len(hosts)
	m.Hosts = client.MapHosts{
		Address: make([]string, n), Rack: make([]int, n), Progress: make([]int, n), Flags: make([]int, n), Client: make([]int, n),
	}
	clients := map[string]int{"": 0}
	rack := 0
	for i, h := range hosts {
		for paths[rack] != h.path {
			rack++
		}
		done, known := b.progress(h)
		name := ""
		if h.ID != (bittorrent.PeerID{}) {
			name = clientName(h.ID)
		}
		number, seen := clients[name]
		if !seen {
			number = len(m.Clients)
			clients[name] = number
			m.Clients = append(m.Clients, name)
		}
		m.Hosts.Address[i], m.Hosts.Rack[i], m.Hosts.Progress[i] = h.Addr.String(), rack, done
		m.Hosts.Flags[i], m.Hosts.Client[i] = flagsOf(h, known), number
		addRoles(&m.Racks[rack], h)
	}
	for i := range m.Racks {
		r := &m.Racks[i]
		r.Waiting = r.Starving && len(r.Importers) == 0 && b.racks[r.Path].spent
	}
}

func flagsOf(h *mapHost, known bool) int {
	return h.Reach<<client.MapReach |
		flag(client.MapSeeder, h.Kind == swarm.Seeder) |
		flag(client.MapPartialSeed, h.Kind == swarm.PartialSeed) |
		flag(client.MapCrossing, h.Reach > 0) |
		flag(client.MapStandby, h.Standby) |
		flag(client.MapStalled, h.Stalled) |
		flag(client.MapUnknown, !known) |
		flag(client.MapStranded, h.Reach > 0 && h.Kind == swarm.Leecher && !h.Rooted)
}

func flag(flag int, is bool) int {
	if is {
		return flag
	}
	return 0
}

func addRoles(rack *client.MapRack, h *mapHost) {
	switch {
	case h.Reach > 0 && h.Kind == swarm.Leecher:
		rack.Importers = append(rack.Importers, h.at)
	case h.Reach > 0:
		rack.Exporters = append(rack.Exporters, h.at)
	case h.Standby:
		rack.Standbys = append(rack.Standbys, h.at)
	}
}

// fillLeases adds the leases between hosts, and counts those across the uplinks of
// racks. Of two that are both complete neither has anything to give.
func (b *mapBuilder) fillLeases(m *client.Map, hosts []*mapHost) {
	for _, h := range hosts {
		for i, addr := range h.Parents {
			p := b.hosts[addr]
			if p == nil || p.Kind != swarm.Leecher && h.Kind != swarm.Leecher {
				continue
			}
			source := 0
			if i == 0 && h.Depth > 0 {
				source = 1
			}
			m.Leases = append(m.Leases, [3]int{h.at, p.at, source})
			if h.path != p.path {
				b.rack(h.path).Leases++
				b.rack(p.path).Leases++
			}
		}
		for _, addr := range h.Orphans {
			if p := b.hosts[addr]; p != nil && h.path != p.path {
				b.rack(h.path).Orphans++
				b.rack(p.path).Orphans++
			}
		}
	}
}
