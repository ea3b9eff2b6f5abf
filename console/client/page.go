package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"waggle/bittorrent"
)

// Part says which part of a list is wanted.
type Part struct {
	Cursor string // the Next of the page before; "" for the first page
	Limit  int    // entries, from 1 to [MaxPage]; 0 for the API's own, 100
}

// PeersPart returns a part of the peers of a torrent, by address, whether it is listed
// or not.
func (c *Client) PeersPart(ctx context.Context, h bittorrent.InfoHash, p Part) (page PeerPage, err error) {
	err = c.part(ctx, "transfers/"+h.String()+"/peers", p, &page)
	return page, err
}

// AllPeersPart returns a part of the peers of all torrents, by torrent and address.
func (c *Client) AllPeersPart(ctx context.Context, p Part) (page PeerPage, err error) {
	err = c.part(ctx, "peers", p, &page)
	return page, err
}

// PeersAtPart returns a part of the peers of all torrents at an IP address, at one with
// its port, or in a network such as 10.1.0.0/16; "" for all.
func (c *Client) PeersAtPart(ctx context.Context, address string, p Part) (page PeerPage, err error) {
	query := url.Values{}
	if address != "" {
		query.Set("address", address)
	}
	err = c.partOf(ctx, "peers", query, p, &page)
	return page, err
}

// PlacesPart returns a part of what a torrent has in each group of locations, by path.
func (c *Client) PlacesPart(ctx context.Context, h bittorrent.InfoHash, p Part) (page PlacePage, err error) {
	err = c.part(ctx, "transfers/"+h.String()+"/places", p, &page)
	return page, err
}

// HistoryPart returns a part of the periods that have ended, the latest first.
func (c *Client) HistoryPart(ctx context.Context, p Part) (page PeriodPage, err error) {
	err = c.part(ctx, "history", p, &page)
	return page, err
}

// RequestsPart returns a part of the torrents that were asked for and not served, the
// latest first.
func (c *Client) RequestsPart(ctx context.Context, p Part) (page RequestPage, err error) {
	err = c.part(ctx, "requests", p, &page)
	return page, err
}

// Version returns what answers.
func (c *Client) Version(ctx context.Context) (v Version, err error) {
	err = c.json(ctx, http.MethodGet, c.url("version", nil), nil, &v)
	return v, err
}

func (c *Client) part(ctx context.Context, list string, p Part, page any) error {
	return c.partOf(ctx, list, url.Values{}, p, page)
}

// partOf is part, of what a query finds.
func (c *Client) partOf(ctx context.Context, list string, query url.Values, p Part, page any) error {
	if p.Limit > 0 {
		query.Set("limit", strconv.Itoa(p.Limit))
	}
	if p.Cursor != "" {
		query.Set("cursor", p.Cursor)
	}
	return c.json(ctx, http.MethodGet, c.url(list, query), nil, page)
}
