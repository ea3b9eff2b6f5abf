package console

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"waggle/bittorrent"
	"waggle/catalog"
	"waggle/console/client"
	"waggle/torrent"
)

func (a *api) addSwarms() {
	huma.Register(a.huma, operation(http.MethodGet, "/swarms", "list-swarms",
		"List what is tracked, whether it is in the catalogue or not, in any order"), a.listSwarms)
}

type swarmsRequest struct {
	ByPage
	Query string `query:"query" maxLength:"256" doc:"Part of the name of the torrent or of the .torrent, in letters of any case, or the beginning of an info hash; left out for all."`
	Sort  string `query:"sort" enum:"name,size,peers,seeders,leechers,completed,registered" default:"name" doc:"By what to order. Equals are by name, then by info hash. What is not known of unlisted ones comes last either way."`
	Order string `query:"order" enum:"asc,desc" default:"asc"`
	State string `query:"state" enum:"all,active,inactive,unlisted" default:"all" doc:"Unlisted are those that clients announced and that are not in the catalogue."`
}

func (a *api) listSwarms(ctx context.Context, in *swarmsRequest) (*answer[client.SwarmPage], error) {
	order := swarmOrder{by: in.Sort, descending: in.Order == "desc"}
	after, err := order.parseKey(in.Cursor)
	if err != nil {
		return nil, a.failed(ctx, err)
	}
	first := firstSwarms{order: order, after: after, limit: in.Limit + 1}
	if err := a.findSwarms(ctx, &first, newSwarmQuery(in.Query), in.State); err != nil {
		return nil, a.failed(ctx, err)
	}
	found := first.list()
	page := client.SwarmPage{Swarms: make([]client.Swarm, min(len(found), in.Limit)), Total: first.total}
	for i := range page.Swarms {
		page.Swarms[i] = a.swarmOf(found[i])
	}
	if len(found) > in.Limit {
		page.Next = order.cursor(&found[in.Limit-1].key)
	}
	return &answer[client.SwarmPage]{page}, nil
}

// findSwarms shows to first all swarms that a query finds, of a state or of "all".
// The error is that of ctx.
func (a *api) findSwarms(ctx context.Context, first *firstSwarms, query *swarmQuery, state string) error {
	if err := a.takeWalk(ctx); err != nil {
		return err
	}
	defer a.freeWalk()
	if state != "unlisted" {
		if err := a.findListed(ctx, first, query, state); err != nil {
			return err
		}
	}
	if state == "unlisted" || state == "all" {
		return a.findUnlisted(ctx, first, query)
	}
	return ctx.Err()
}

func (a *api) findListed(ctx context.Context, first *firstSwarms, query *swarmQuery, state string) error {
	var active *bool
	if state != "all" {
		active = new(state == "active")
	}
	a.catalog.Each(active, func(t *catalog.Transfer) bool {
		if query.matches(t) {
			var counts bittorrent.ScrapeCounts
			if first.order.byCounts() {
				counts = a.countsOf(t)
			}
			first.see(t, counts)
		}
		return ctx.Err() == nil
	})
	return ctx.Err()
}

// findUnlisted goes through all swarms: of each it takes a look into the catalogue's
// index, which holds up nobody.
func (a *api) findUnlisted(ctx context.Context, first *firstSwarms, query *swarmQuery) error {
	if !query.findsUnlisted() {
		return ctx.Err()
	}
	a.swarms.AllCounts(query.prefix.low[0], query.prefix.high[0], func(hashes []bittorrent.InfoHash, counts []bittorrent.ScrapeCounts) bool {
		for i := range hashes {
			h := &hashes[i]
			if query.prefix.of(h) && !a.catalog.Active(h) && !a.catalog.Inactive(h) {
				first.seeUnlisted(*h, counts[i])
			}
		}
		return ctx.Err() == nil
	})
	return ctx.Err()
}

// countsOf returns the counts of a transfer. A hybrid torrent has two swarms, and most
// of its clients are in both: counted are the peers of the one that has more. To count
// each client once, as [api.live] does, all peers must be looked at.
func (a *api) countsOf(t *catalog.Transfer) bittorrent.ScrapeCounts {
	c, _ := a.swarms.Counts(t.InfoHash)
	if t.Version != torrent.Hybrid {
		return c
	}
	other, _ := a.swarms.Counts(t.InfoHashV2.Truncated())
	downloaded := max(c.Downloaded, other.Downloaded)
	if peersIn(&other) > peersIn(&c) {
		c = other
	}
	c.Downloaded = downloaded
	return c
}

func peersIn(c *bittorrent.ScrapeCounts) int64 { return int64(c.Complete) + int64(c.Incomplete) }

func (a *api) swarmOf(f *foundSwarm) client.Swarm {
	counts := f.counts
	if f.listed && !f.counted {
		counts = a.countsOf(f.transfer)
	}
	out := client.Swarm{
		InfoHash: f.key.hash, State: "unlisted", Peers: int(peersIn(&counts)), Seeders: int(counts.Complete),
		Leechers: int(counts.Incomplete), Downloaded: uint64(counts.Downloaded),
	}
	if !f.listed {
		return out
	}
	t := f.transfer
	out.Name, out.File, out.Size, out.Source, out.Profile, out.Registered = t.Name, t.File, t.Size, t.Source.String(), t.Profile, t.Registered
	if out.State = "inactive"; t.Active() {
		out.State = "active"
	}
	return out
}
