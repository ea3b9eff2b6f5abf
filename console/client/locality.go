package client

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"waggle/bittorrent"
)

// Place is what a torrent has in a group of locations: a rack, a row, a site.
type Place struct {
	InfoHash       bittorrent.InfoHash `json:"info_hash" doc:"Of the swarm: a hybrid torrent has two." pattern:"^[0-9a-f]{40}$"`
	Path           string              `json:"path" example:"ams1/row3/r12"`
	Level          string              `json:"level,omitempty" doc:"What such a group is called; left out while locality is off." example:"rack"`
	Height         int                 `json:"height" minimum:"1" doc:"1 for an innermost group, one more for what holds such."`
	Leechers       int                 `json:"leechers" minimum:"0"`
	Seeders        int                 `json:"seeders" minimum:"0"`
	Importers      []string            `json:"importers" nullable:"false" doc:"Addresses of leechers that may download across its uplink."`
	Exporters      []string            `json:"exporters" nullable:"false" doc:"Addresses of seeders that may upload across its uplink."`
	Standbys       []string            `json:"standbys" nullable:"false" doc:"Addresses of leechers that take over where an importer fails."`
	Left           int64               `json:"left" minimum:"0" doc:"Bytes left over its leechers. One that cannot say counts as one that has nothing, or not at all while the size is not known."`
	Progress       *float64            `json:"progress,omitempty" minimum:"0" maximum:"1" doc:"1 - left/(size*(leechers+seeders)), 0 without peers; left out where the size is not known, since the torrent is not in the catalogue."`
	Starving       bool                `json:"starving" doc:"Whether it lacks data, and none of its importers has a way to a seeder."`
	Waiting        bool                `json:"waiting" doc:"Whether it has no importer because other torrents have all that its bandwidth allows."`
	Leases         int                 `json:"leases" minimum:"0" doc:"Pairs of peers that were told of each other across its uplink."`
	Orphans        int                 `json:"orphans" minimum:"0" doc:"Leases that were taken back and that clients may still use."`
	ImportedAtMost int64               `json:"imported_at_most" minimum:"0" doc:"Bytes across its uplink, at most: what its importers downloaded, from wherever that came."`
}

// PlacePage is a page of places, by swarm and path.
type PlacePage struct {
	Places []Place `json:"places" nullable:"false"`
	Next   string  `json:"next,omitempty" doc:"Cursor of the next page; left out on the last."`
}

// Explanation says why a peer of a torrent is told of whom.
type Explanation struct {
	InfoHash  bittorrent.InfoHash `json:"info_hash" doc:"Of the swarm: a hybrid torrent has two." pattern:"^[0-9a-f]{40}$"`
	Address   string              `json:"address" doc:"IP address and port at which other peers reach it." example:"192.0.2.1:6881"`
	Client    string              `json:"client,omitempty" doc:"Name and version, as its id tells (BEP 20)."`
	ID        string              `json:"id,omitempty" doc:"Its id, with what is not printable ASCII escaped as in a URL."`
	Location  string              `json:"location,omitempty" doc:"Left out if nobody knows." example:"ams1/row3/r12"`
	Kind      string              `json:"kind" enum:"seeder,partial seed,leecher"`
	Left      *int64              `json:"left,omitempty" minimum:"0" doc:"Bytes, as it said last; left out if it cannot say."`
	Reach     int                 `json:"reach" minimum:"0" doc:"How many boundaries it may cross, from the innermost outwards."`
	Standby   bool                `json:"standby" doc:"Whether it takes over where an importer fails."`
	Stalled   bool                `json:"stalled" doc:"Whether it was an importer, and was replaced because it got nothing."`
	Pace      string              `json:"pace" enum:"usual,active,passive" doc:"Which interval it is told."`
	FirstSeen time.Time           `json:"first_seen"`
	LastSeen  time.Time           `json:"last_seen"`
	Health    string              `json:"health" enum:"unknown,reachable,unreachable" doc:"As the tracker found when it tried to connect."`
	Depth     int                 `json:"depth" minimum:"-1" doc:"Parents between it and a seeder, plus one; -1 if none is known."`
	Told      []Told              `json:"told" nullable:"false" doc:"Of whom it is told, those across uplinks first."`
	Orphans   []Told              `json:"orphans" nullable:"false" doc:"Of whom it was told across uplinks and is no more; it may still use them."`
	Sentences []string            `json:"sentences" nullable:"false" doc:"The same in words."`
}

// Told is a peer that another one is told of.
type Told struct {
	Address  string `json:"address" example:"192.0.2.1:6881"`
	Location string `json:"location,omitempty" doc:"Left out if nobody knows." example:"ams1/row3/r12"`
	Kind     string `json:"kind" enum:"seeder,partial seed,leecher"`
	Why      string `json:"why" enum:"source,parent,child,neighbour,orphan" doc:"Source: it leads to a seeder. Parent: one more to download from. Child: it downloads from the other. Neighbour: of the same rack. Orphan: no more."`
	Children int    `json:"children" minimum:"0" doc:"How many peers are told to download from it across uplinks."`
}

// Locality is how locations are found, and what follows from them.
type Locality struct {
	On              bool             `json:"on" doc:"Whether there is any source of locations. If not, nothing else is said."`
	Profile         string           `json:"profile,omitempty" doc:"Of transfers that have none for themselves." example:"strict"`
	Levels          []Level          `json:"levels" nullable:"false" doc:"Outermost first."`
	Edges           int              `json:"edges" minimum:"0" doc:"To how many peers outside an importer is sent."`
	Standby         int              `json:"standby" minimum:"0" doc:"How many peers of an innermost group stand by to take over."`
	ActiveInterval  float64          `json:"active_interval_seconds" minimum:"0" doc:"Which peers are told that others depend on."`
	PassiveInterval float64          `json:"passive_interval_seconds" minimum:"0" doc:"Which other located peers are told."`
	Lookups         Lookups          `json:"lookups"`
	Sources         []LocationSource `json:"sources" nullable:"false" doc:"In the order in which they are asked."`
}

// Level is a level of locations, and who may cross the uplinks of its groups.
type Level struct {
	Name      string `json:"name" example:"rack"`
	Height    int    `json:"height" minimum:"1" doc:"1 for the innermost."`
	Importers int    `json:"importers" minimum:"0" doc:"Leechers of a group that may download across its uplink."`
	Exporters int    `json:"exporters" minimum:"0" doc:"Seeders of a group that may upload across its uplink."`
}

// Lookups tell of addresses that are asked for and remembered.
type Lookups struct {
	Remembered int   `json:"remembered" minimum:"0" doc:"Addresses."`
	UnderWay   int   `json:"under_way" minimum:"0"`
	Refused    int64 `json:"refused" minimum:"0" doc:"Addresses that counted as unlocated because too many look-ups were under way, since the start."`
}

// LocationSource tells how a source of locations does. Numbers count from the start.
type LocationSource struct {
	Source       string    `json:"source" doc:"Its kind, and what it asks." example:"subnets topology.csv"`
	Asked        int64     `json:"asked" minimum:"0"`
	Known        int64     `json:"known" minimum:"0" doc:"Of these, it said where the address is."`
	Unknown      int64     `json:"unknown" minimum:"0" doc:"Of these, it does not know the address."`
	Failed       int64     `json:"failed" minimum:"0" doc:"Of these, it could not be asked."`
	TimedOut     int64     `json:"timed_out" minimum:"0" doc:"Of these, it did not answer in time."`
	Rubbish      int64     `json:"rubbish" minimum:"0" doc:"Of these, it answered what is no location."`
	LeftOut      int64     `json:"left_out" minimum:"0" doc:"How often it was not asked, because it had failed several times in a row."`
	Resting      bool      `json:"resting" doc:"Whether that is so now."`
	LastError    string    `json:"last_error,omitempty"`
	LastErrorAt  time.Time `json:"last_error_at,omitzero"`
	LastDuration float64   `json:"last_duration_seconds" minimum:"0" doc:"How long its last answer took; 0 for a table."`
}

// Finding is where an address is, and why.
type Finding struct {
	Address    string           `json:"address" example:"192.0.2.1"`
	Location   string           `json:"location,omitempty" doc:"Left out if it counts as unlocated." example:"ams1/row3/r12"`
	Source     string           `json:"source,omitempty" doc:"Which source said so; left out if none did."`
	Remembered bool             `json:"remembered" doc:"Whether it is from memory: what the sources say now may differ."`
	Age        float64          `json:"age_seconds" minimum:"0" doc:"How long ago the source said so, or a table was read."`
	Answers    []LocationAnswer `json:"answers" nullable:"false" doc:"What each source says now, in the order in which they are asked."`
}

// LocationAnswer is what one source says of an address.
type LocationAnswer struct {
	Source   string  `json:"source"`
	Location string  `json:"location,omitempty" doc:"Left out if it does not know the address."`
	Why      string  `json:"why,omitempty" doc:"What a table has of the address." example:"line 17: 10.1.2.0/24"`
	Error    string  `json:"error,omitempty" doc:"Why it could not be asked, or what is wrong with it."`
	Took     float64 `json:"took_seconds" minimum:"0" doc:"0 for a table."`
	Age      float64 `json:"age_seconds" minimum:"0" doc:"How long ago a table was read; 0 for others."`
}

// Places returns what a torrent has in each group of locations, by path, whether it
// is listed or not; nothing where no peer of it is located.
func (c *Client) Places(ctx context.Context, h bittorrent.InfoHash) ([]Place, error) {
	return collect(pages(func(cursor string) ([]Place, string, error) {
		var page PlacePage
		err := c.page(ctx, "transfers/"+h.String()+"/places", url.Values{}, cursor, &page)
		return page.Places, page.Next, err
	}))
}

// Explain says why a peer of a torrent is told of whom. If nothing is known of that,
// the error is a [*Problem] of status 404 that says why.
func (c *Client) Explain(ctx context.Context, h bittorrent.InfoHash, peer netip.AddrPort) (Explanation, error) {
	var e Explanation
	path := "transfers/" + h.String() + "/peers/" + url.PathEscape(peer.String()) + "/explanation"
	err := c.json(ctx, http.MethodGet, c.url(path, nil), nil, &e)
	return e, err
}

// Locality returns how locations are found, and what follows from them.
func (c *Client) Locality(ctx context.Context) (Locality, error) {
	var l Locality
	err := c.json(ctx, http.MethodGet, c.url("locality", nil), nil, &l)
	return l, err
}

// Locate asks all sources where an address is, which takes some seconds at most.
func (c *Client) Locate(ctx context.Context, ip netip.Addr) (Finding, error) {
	var f Finding
	err := c.json(ctx, http.MethodGet, c.url("locality/"+url.PathEscape(ip.String()), nil), nil, &f)
	return f, err
}
