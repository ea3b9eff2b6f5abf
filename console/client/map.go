package client

import (
	"context"
	"net/http"

	"waggle/bittorrent"
)

// Map is where the peers of a torrent are, and who was told to download from whom
// across uplinks: what a map of its racks is drawn from. Hosts and leases are in
// columns, so that 8,000 of them are some 300 KB of JSON.
type Map struct {
	InfoHash bittorrent.InfoHash `json:"info_hash" pattern:"^[0-9a-f]{40}$"`
	Size     int64               `json:"size" minimum:"0" doc:"Bytes of the torrent; 0 of one that is unlisted, of which nobody knows."`
	Levels   []string            `json:"levels" nullable:"false" doc:"What the parts of a path are, outermost first; empty while locality is off." example:"[\"site\", \"rack\"]"`
	Racks    []MapRack           `json:"racks" nullable:"false" doc:"Innermost groups, by path. That of unlocated peers has the path \"\" and is the first, if there are any."`
	Clients  []string            `json:"clients" nullable:"false" doc:"Names and versions of clients, for clients of hosts; the first is \"\", of those that do not say."`
	Hosts    MapHosts            `json:"hosts" doc:"In columns: what stands at one position is of one host."`
	Leases   [][3]int            `json:"leases" nullable:"false" doc:"Who was told to download from whom across uplinks: child and parent, as positions of hosts, and 1 where the parent is the source, which leads to a seeder, else 0."`
	LeftOut  int                 `json:"left_out" minimum:"0" doc:"Peers that are not among the hosts, because there are too many."`
}

// MapRack is a rack of a [Map]. Importers, exporters and standbys are positions of
// hosts.
type MapRack struct {
	Path           string   `json:"path" example:"ams1/row3/r12"`
	Importers      []int    `json:"importers" nullable:"false" doc:"Leechers that may download across its uplink."`
	Exporters      []int    `json:"exporters" nullable:"false" doc:"Seeders that may upload across its uplink."`
	Standbys       []int    `json:"standbys" nullable:"false" doc:"Leechers that take over where an importer fails."`
	Leechers       int      `json:"leechers" minimum:"0" doc:"Peers that lack something, whether among the hosts or left out."`
	Seeders        int      `json:"seeders" minimum:"0" doc:"Peers that have everything, whether among the hosts or left out."`
	Progress       *float64 `json:"progress,omitempty" minimum:"0" maximum:"1" doc:"Of its hosts together; left out where the size is not known."`
	Starving       bool     `json:"starving" doc:"Whether it lacks data, and none of its importers has a way to a seeder."`
	Waiting        bool     `json:"waiting" doc:"Whether it has no importer because other torrents have all that its bandwidth allows."`
	Leases         int      `json:"leases" minimum:"0" doc:"Pairs of peers that were told of each other across its uplink."`
	Orphans        int      `json:"orphans" minimum:"0" doc:"Leases that were taken back and that clients may still use."`
	ImportedAtMost int64    `json:"imported_at_most" minimum:"0" doc:"Bytes across its uplink, at most: what its importers downloaded, from wherever that came."`
}

// MapHosts are the hosts of a [Map]. All columns are equally long.
type MapHosts struct {
	Address  []string `json:"address" nullable:"false" doc:"IP address and port at which other peers reach it."`
	Rack     []int    `json:"rack" nullable:"false" doc:"Position of its rack."`
	Progress []int    `json:"progress" nullable:"false" doc:"What it has of the torrent, in thousandths, rounded down: 1000 is everything."`
	Flags    []int    `json:"flags" nullable:"false" doc:"Sum of: 1 seeder, 2 partial seed, 4 importer or exporter, 8 standby, 16 replaced as an importer because it got nothing, 32 cannot say what it lacks, 64 leads to no seeder although it imports; and 256 times the boundaries that it may cross."`
	Client   []int    `json:"client" nullable:"false" doc:"Position of its client."`
}

// What the flags of a host of a [Map] are the sum of. The boundaries that it may
// cross, from the innermost outwards, are Flags >> MapReach.
const (
	MapSeeder      = 1 << iota // has everything
	MapPartialSeed             // has all that it wants (BEP 21)
	MapCrossing                // is an importer or, if it is a seeder, an exporter
	MapStandby                 // takes over where an importer fails
	MapStalled                 // was replaced as an importer because it got nothing
	MapUnknown                 // its progress is not known, and given as 0
	MapStranded                // is an importer that no parents lead from to a seeder

	MapReach = 8 // bits to the right
)

// Map returns the map of a torrent, whether it is listed or not.
func (c *Client) Map(ctx context.Context, h bittorrent.InfoHash) (Map, error) {
	var m Map
	err := c.json(ctx, http.MethodGet, c.url("transfers/"+h.String()+"/map", nil), nil, &m)
	return m, err
}
