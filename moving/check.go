package moving

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"waggle/account"
	"waggle/bittorrent"
	"waggle/catalog"
	"waggle/swarm"
	"waggle/torrent"
)

// Check reads all that a tracker keeps, and tells of what is wrong with it. A tracker
// that changes it meanwhile can make counts differ by what it changed; so a difference
// is looked at again before it is told. The error is that of a store that cannot be
// read.
func Check(ctx context.Context, k Kept, wrong func(string), progress func(Result)) (Result, error) {
	c := checking{Kept: k, wrong: wrong, progress: progress}
	if c.progress == nil {
		c.progress = func(Result) {}
	}
	err := c.swarms(ctx)
	if err == nil && k.Catalog != nil {
		err = c.catalog(ctx)
	}
	if err == nil && k.Accounts != nil {
		err = c.accounts(ctx)
	}
	if err == nil && k.Passkeys != nil {
		err = c.passkeys(ctx)
	}
	return c.result, err
}

type checking struct {
	Kept
	wrong    func(string)
	progress func(Result)
	result   Result
	seeders  int
}

func (c *checking) say(format string, a ...any) { c.wrong(fmt.Sprintf(format, a...)) }

// looks is how often counts that differ are looked at.
const looks = 3

func (c *checking) swarms(ctx context.Context) error {
	before, err := c.Swarms.Totals(ctx)
	if err != nil {
		return fmt.Errorf("asking for totals: %w", err)
	}
	for s, err := range c.Swarms.Swarms(ctx) {
		if err != nil {
			return fmt.Errorf("reading swarms: %w", err)
		}
		c.result.Torrents++
		c.result.Peers += len(s.Peers)
		c.seeders += int(countsOf(&s).Complete)
		c.peers(&s)
		if err := c.counts(ctx, &s); err != nil {
			return err
		}
		c.progress(c.result)
	}
	return c.totals(ctx, before)
}

// counts compares what a scrape says with the peers that there are. Where they
// differ, others may have announced in between: it asks again, for both.
func (c *checking) counts(ctx context.Context, s *swarm.Snapshot) error {
	var said [1]bittorrent.ScrapeCounts
	found := countsOf(s)
	for look := 0; ; look++ {
		if err := c.Swarms.Scrape(ctx, []bittorrent.InfoHash{s.InfoHash}, said[:]); err != nil {
			return fmt.Errorf("scraping %v: %w", s.InfoHash, err)
		}
		if said[0] == found {
			return nil
		}
		walker, ok := c.Swarms.(interface {
			Walk(ctx context.Context, h bittorrent.InfoHash, buf []swarm.Peer, see func([]swarm.Peer) bool) (bool, error)
		})
		if !ok || look == looks {
			c.say("the torrent %v counts %s, and has %s", s.InfoHash, describe(said[0]), describe(found))
			return nil
		}
		again := swarm.Snapshot{InfoHash: s.InfoHash, Downloaded: said[0].Downloaded}
		if _, err := walker.Walk(ctx, s.InfoHash, nil, func(some []swarm.Peer) bool {
			again.Peers = append(again.Peers, some...)
			return true
		}); err != nil {
			return fmt.Errorf("reading the swarm of %v: %w", s.InfoHash, err)
		}
		found = countsOf(&again)
	}
}

func describe(c bittorrent.ScrapeCounts) string {
	return fmt.Sprintf("%d seeders, %d others of whom %d download, %d completed downloads", c.Complete, c.Incomplete, c.Downloaders, c.Downloaded)
}

func countsOf(s *swarm.Snapshot) bittorrent.ScrapeCounts {
	c := bittorrent.ScrapeCounts{Downloaded: s.Downloaded}
	for i := range s.Peers {
		switch s.Peers[i].Kind {
		case swarm.Seeder:
			c.Complete++
		case swarm.PartialSeed:
			c.Incomplete++
		default:
			c.Incomplete++
			c.Downloaders++
		}
	}
	return c
}

// peers looks at what each peer says of itself.
func (c *checking) peers(s *swarm.Snapshot) {
	seen := make(map[netip.AddrPort]struct{}, len(s.Peers))
	for i := range s.Peers {
		p := &s.Peers[i]
		if _, twice := seen[p.Addr]; twice {
			c.say("the torrent %v has the peer %v twice", s.InfoHash, p.Addr)
		}
		seen[p.Addr] = struct{}{}
		switch {
		case !p.Addr.IsValid() || p.Addr.Port() == 0:
			c.say("the torrent %v has a peer without an address that others could connect to: %v", s.InfoHash, p.Addr)
		case p.Kind > swarm.Leecher:
			c.say("the peer %v of the torrent %v is of no kind: %d", p.Addr, s.InfoHash, p.Kind)
		case p.Last.IsZero() || !p.First.IsZero() && p.Last.Before(p.First):
			c.say("the peer %v of the torrent %v announced last at %v, and first at %v", p.Addr, s.InfoHash, p.Last, p.First)
		}
	}
}

// totals compares the store's totals with what was found, unless others changed them
// meanwhile.
func (c *checking) totals(ctx context.Context, before swarm.Totals) error {
	t, err := c.Swarms.Totals(ctx)
	if err != nil {
		return fmt.Errorf("asking for totals: %w", err)
	}
	if found := (swarm.Totals{Torrents: c.result.Torrents, Peers: c.result.Peers, Seeders: c.seeders}); t == before && t != found {
		c.say("the store counts %d torrents and %d peers, of whom %d are seeders; %d, %d and %d were found",
			t.Torrents, t.Peers, t.Seeders, found.Torrents, found.Peers, found.Seeders)
	}
	return nil
}

// catalog reads each record, and parses each .torrent that is kept.
func (c *checking) catalog(ctx context.Context) error {
	for r, err := range c.Catalog.Records(ctx) {
		if err != nil {
			return fmt.Errorf("reading the catalogue: %w", err)
		}
		c.result.Transfers++
		c.progress(c.result)
		b, err := c.Catalog.Torrent(ctx, r.InfoHash)
		switch {
		case errors.Is(err, catalog.ErrUnknown):
			if r.Source == catalog.Upload {
				c.say("the .torrent of the transfer %v is missing: delete and upload it again", r.InfoHash)
			}
			continue
		case err != nil:
			return fmt.Errorf("reading the .torrent of %v: %w", r.InfoHash, err)
		}
		if m, err := torrent.Parse(b); err != nil {
			c.say("the .torrent of the transfer %v is damaged: %v", r.InfoHash, err)
		} else if m.InfoHash() != r.InfoHash {
			c.say("the .torrent of the transfer %v is that of %v", r.InfoHash, m.InfoHash())
		}
	}
	for before := int64(0); ; {
		some, last, err := c.Catalog.History(ctx, before, page)
		if err != nil {
			return fmt.Errorf("reading the history: %w", err)
		}
		if c.result.Periods += len(some); last == 0 {
			return nil
		}
		before = last
	}
}

func (c *checking) accounts(ctx context.Context) error {
	all, err := c.Accounts.Accounts(ctx)
	if err != nil {
		return fmt.Errorf("reading accounts: %w", err)
	}
	c.result.Accounts = len(all)
	for before, more := int64(0), true; more; {
		var some []account.Entry
		if some, more, err = c.Accounts.Entries(ctx, before, page); err != nil {
			return fmt.Errorf("reading the audit log: %w", err)
		}
		if len(some) == 0 {
			return nil
		}
		c.result.Entries += len(some)
		before = some[len(some)-1].Number
	}
	return nil
}
