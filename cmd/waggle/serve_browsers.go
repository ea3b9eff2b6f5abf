package main

import (
	"bytes"
	"context"
	"slices"

	"waggle/bittorrent"
	"waggle/console"
	"waggle/frontend/websocket"
	"waggle/swarm"
)

// shownSwarms is all peers as the console looks at them: those of the store, and browsers.
func (s *service) shownSwarms() console.Swarms {
	if s.browsers == nil {
		return s.storedSwarms()
	}
	return &peersAndBrowsers{s.storedSwarms(), s.browsers}
}

// peersAndBrowsers is the peers of a store together with browsers. The methods are
// documented at [console.Swarms].
type peersAndBrowsers struct {
	stored   console.Swarms
	browsers *websocket.Swarms
}

func (p *peersAndBrowsers) Torrents(ctx context.Context, first int) ([]bittorrent.InfoHash, error) {
	hashes, err := p.stored.Torrents(ctx, first)
	if err != nil {
		return nil, err
	}
	more := p.browsers.Torrents(byte(first))
	if len(more) == 0 {
		return hashes, nil
	}
	hashes = slices.Concat(hashes, more)
	slices.SortFunc(hashes, func(a, b bittorrent.InfoHash) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(hashes), nil
}

func (p *peersAndBrowsers) Scrape(ctx context.Context, hashes []bittorrent.InfoHash, counts []bittorrent.ScrapeCounts) error {
	if err := p.stored.Scrape(ctx, hashes, counts); err != nil {
		return err
	}
	p.add(hashes, counts)
	return nil
}

// add adds the browsers to the counts of others.
func (p *peersAndBrowsers) add(hashes []bittorrent.InfoHash, counts []bittorrent.ScrapeCounts) {
	for i := range hashes {
		seeders, leechers := p.browsers.Count(&hashes[i])
		counts[i].Complete += seeders
		counts[i].Incomplete += leechers
		counts[i].Downloaders += leechers
	}
}

func (p *peersAndBrowsers) AllCounts(ctx context.Context, first, last byte, see func([]bittorrent.InfoHash, []bittorrent.ScrapeCounts) bool) (whole bool, err error) {
	whole, err = p.stored.AllCounts(ctx, first, last, func(hashes []bittorrent.InfoHash, counts []bittorrent.ScrapeCounts) bool {
		p.add(hashes, counts)
		return see(hashes, counts)
	})
	for b := int(first); b <= int(last) && whole && err == nil; b++ {
		whole, err = p.browsersAlone(ctx, byte(b), see)
	}
	return whole, err
}

// browsersAlone shows the torrents that only browsers have.
func (p *peersAndBrowsers) browsersAlone(ctx context.Context, first byte, see func([]bittorrent.InfoHash, []bittorrent.ScrapeCounts) bool) (whole bool, err error) {
	hashes := p.browsers.Torrents(first)
	if len(hashes) == 0 {
		return true, nil
	}
	counts := make([]bittorrent.ScrapeCounts, len(hashes))
	if err := p.stored.Scrape(ctx, hashes, counts); err != nil {
		return false, err
	}
	alone := 0
	for i := range hashes {
		if counts[i] == (bittorrent.ScrapeCounts{}) {
			hashes[alone], counts[alone] = hashes[i], counts[i]
			alone++
		}
	}
	if alone == 0 {
		return true, nil
	}
	hashes, counts = hashes[:alone], counts[:alone]
	p.add(hashes, counts)
	return see(hashes, counts), nil
}

func (p *peersAndBrowsers) Walk(ctx context.Context, h bittorrent.InfoHash, buf []swarm.Peer, see func([]swarm.Peer) bool) (whole bool, err error) {
	whole, err = p.stored.Walk(ctx, h, buf, see)
	if !whole || err != nil {
		return whole, err
	}
	if peers := p.browsers.Append(nil, &h); len(peers) > 0 {
		return see(peers), nil
	}
	return true, nil
}

// publicSwarms is all peers as everybody may count them.
type publicSwarms struct {
	console.Swarms
	service *service
}

// Totals is of [public.Swarms].
func (p publicSwarms) Totals(ctx context.Context) (swarm.Totals, error) {
	totals, err := p.service.store.Totals(ctx)
	browsers := p.service.browserTotals()
	totals.Peers += browsers.Peers
	totals.Seeders += browsers.Seeders
	return totals, err
}

// browserTotals returns how many browsers there are.
func (s *service) browserTotals() (t swarm.Totals) {
	if s.browsers != nil {
		t = s.browsers.Totals()
	}
	return t
}
