package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"waggle/bittorrent"
)

// Swarm is a torrent in the list of all that the tracker has: one of the catalogue,
// or one that clients announced and that is in none.
type Swarm struct {
	InfoHash   bittorrent.InfoHash `json:"info_hash" pattern:"^[0-9a-f]{40}$"`
	Name       string              `json:"name,omitempty" doc:"Of the folder or the only file; left out of one that is unlisted."`
	File       string              `json:"file,omitempty" doc:"Base name of the .torrent."`
	Size       int64               `json:"size" minimum:"0" doc:"Bytes of all files; 0 of one that is unlisted, of which nobody knows."`
	State      string              `json:"state" enum:"active,inactive,unlisted" doc:"Unlisted: it is in no catalogue, and clients announced it."`
	Source     string              `json:"source,omitempty" enum:"directory,upload" doc:"Where the .torrent came from."`
	Profile    string              `json:"profile,omitempty" doc:"Which profile of locality it has for itself; left out where that is the tracker's."`
	Registered time.Time           `json:"registered,omitzero" doc:"For the first time; left out of one that is unlisted."`
	Peers      int                 `json:"peers" minimum:"0" doc:"Of a hybrid torrent, those of the swarm that has more of them: most clients are in both."`
	Seeders    int                 `json:"seeders" minimum:"0" doc:"Peers of that swarm that have everything."`
	Leechers   int                 `json:"leechers" minimum:"0" doc:"Other peers of that swarm, partial seeds (BEP 21) among them."`
	Downloaded uint64              `json:"downloaded" doc:"Completed downloads since the tracker knows the torrent."`
}

// SwarmPage is a page of the list of swarms.
type SwarmPage struct {
	Swarms []Swarm `json:"swarms" nullable:"false"`
	Total  int     `json:"total" minimum:"0" doc:"All that are found, on this page and others."`
	Next   string  `json:"next,omitempty" doc:"Cursor of the next page; left out on the last."`
}

// SwarmQuery says which swarms to list, and in which order. The zero value is the
// first 100 of all, by name.
type SwarmQuery struct {
	Query  string // part of a name, or how an info hash begins, in letters of any case; "": all
	Sort   string // name, size, peers, seeders, leechers, completed, registered; "": name
	Order  string // asc, desc; "": asc
	State  string // all, active, inactive, unlisted; "": all
	Limit  int    // entries in the page; 0: 100, and at most MaxPage
	Cursor string // SwarmPage.Next of the page before; "": the first
}

// Swarms returns a page of the list of swarms.
func (c *Client) Swarms(ctx context.Context, q SwarmQuery) (SwarmPage, error) {
	values := url.Values{}
	for name, value := range map[string]string{
		"query": q.Query, "sort": q.Sort, "order": q.Order, "state": q.State, "cursor": q.Cursor,
	} {
		if value != "" {
			values.Set(name, value)
		}
	}
	if q.Limit > 0 {
		values.Set("limit", strconv.Itoa(q.Limit))
	}
	var page SwarmPage
	err := c.json(ctx, http.MethodGet, c.url("swarms", values), nil, &page)
	return page, err
}

// TrackedSwarm is a swarm in the dump of all info hashes.
type TrackedSwarm struct {
	InfoHash   bittorrent.InfoHash `json:"info_hash" pattern:"^[0-9a-f]{40}$"`
	Seeders    uint32              `json:"seeders" doc:"Peers that have everything."`
	Leechers   uint32              `json:"leechers" doc:"Other peers."`
	Downloaded uint32              `json:"downloaded" doc:"Completed downloads since the tracker knows the swarm."`
}

// Tracked is the dump of all info hashes.
type Tracked struct {
	Hashes []TrackedSwarm `json:"hashes" nullable:"false" doc:"Each info hash once, in no order. A hybrid torrent has two."`
}

// Hashes returns all info hashes that have a swarm, listed or not. Of more than some
// 600,000 the answer is larger than a client takes: read /api/v1/hashes as a stream.
func (c *Client) Hashes(ctx context.Context) (Tracked, error) {
	var t Tracked
	err := c.json(ctx, http.MethodGet, c.url("hashes", nil), nil, &t)
	return t, err
}
