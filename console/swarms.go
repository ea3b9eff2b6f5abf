package console

import (
	"context"
	"net/http"
	"slices"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"waggle/bittorrent"
	"waggle/console/client"
)

func (a *api) addSwarms() {
	l := &swarmList{api: a}
	huma.Register(a.huma, operation(http.MethodGet, "/swarms", "list-swarms",
		"List what is tracked, whether it is in the catalogue or not, in any order"), l.list)
}

// swarmList is the list of swarms. It keeps the sheet of all transfers for the next page,
// which is good until the catalogue changes, and room for the counts of all of them.
type swarmList struct {
	*api
	sheets  sheets
	counted sync.Pool // of *[]bittorrent.ScrapeCounts
}

type swarmsRequest struct {
	ByPage
	Query string `query:"query" maxLength:"256" doc:"Part of the name of the torrent or of the .torrent, in letters of any case, or the beginning of an info hash; left out for all."`
	Sort  string `query:"sort" enum:"name,size,peers,seeders,leechers,completed,registered" default:"name" doc:"By what to order. Equals are by name, then by info hash. What is not known of unlisted ones comes last either way."`
	Order string `query:"order" enum:"asc,desc" default:"asc"`
	State string `query:"state" enum:"all,active,inactive,unlisted" default:"all" doc:"Unlisted are those that clients announced and that are not in the catalogue."`
}

func (l *swarmList) list(ctx context.Context, in *swarmsRequest) (*answer[client.SwarmPage], error) {
	order := swarmOrder{by: in.Sort, descending: in.Order == "desc"}
	after, err := order.parseKey(in.Cursor)
	if err != nil {
		return nil, l.failed(ctx, err)
	}
	first := newFirstSwarms(order, l.sheets.get(l.catalog), after, in.Limit+1)
	if err := l.find(ctx, first, newSwarmQuery(in.Query), in.State); err != nil {
		return nil, l.failed(ctx, err)
	}
	found := first.list()
	page := client.SwarmPage{Swarms: make([]client.Swarm, min(len(found), in.Limit)), Total: first.total}
	counts, err := l.countsOf(ctx, first, found[:len(page.Swarms)])
	if err != nil {
		return nil, l.failed(ctx, err)
	}
	for i := range page.Swarms {
		page.Swarms[i] = swarmOf(first, &found[i], &counts[i])
	}
	if len(found) > in.Limit {
		page.Next = first.cursor(&found[in.Limit-1])
	}
	return &answer[client.SwarmPage]{page}, nil
}

// find shows to first all swarms that a query finds, of a state or of "all". The error is
// that of ctx.
func (l *swarmList) find(ctx context.Context, first *firstSwarms, query *swarmQuery, state string) error {
	if err := l.takeWalk(ctx); err != nil {
		return err
	}
	defer l.freeWalk()
	var counts []bittorrent.ScrapeCounts // by row
	if state != "unlisted" && first.order.byCounts() {
		room := l.takeCounts(len(first.sheet.rows))
		defer l.counted.Put(room)
		counts = *room
	}
	var prefix *hashPrefix
	if (state == "unlisted" || state == "all") && query.findsUnlisted() {
		prefix = &query.prefix
	}
	if prefix != nil || counts != nil {
		if err := l.walkSwarms(ctx, first, prefix, counts); err != nil {
			return err
		}
	}
	if state == "unlisted" {
		return ctx.Err()
	}
	return findListed(ctx, first, query, state, counts)
}

// takeCounts returns room for the counts of so many transfers, which is empty.
func (l *swarmList) takeCounts(n int) *[]bittorrent.ScrapeCounts {
	room, _ := l.counted.Get().(*[]bittorrent.ScrapeCounts)
	if room == nil {
		room = new([]bittorrent.ScrapeCounts)
	}
	*room = slices.Grow((*room)[:0], n)[:n]
	clear(*room)
	return room
}

// walkSwarms goes through the swarms once: it shows those that are not in the catalogue
// and whose hashes begin so, none where prefix is nil, and counts others where counts is not
// nil.
func (l *swarmList) walkSwarms(ctx context.Context, first *firstSwarms, prefix *hashPrefix, counts []bittorrent.ScrapeCounts) error {
	low, high := byte(0), byte(0xff)
	if counts == nil {
		low, high = prefix.low[0], prefix.high[0]
	}
	_, err := l.swarms.AllCounts(ctx, low, high, func(hashes []bittorrent.InfoHash, found []bittorrent.ScrapeCounts) bool {
		for i := range hashes {
			row := first.sheet.find(&hashes[i])
			switch {
			case row >= 0 && counts != nil:
				addCounts(&counts[row], &found[i], first.sheet.rows[row].hash == hashes[i])
			case row < 0 && prefix != nil && prefix.of(&hashes[i]):
				first.seeUnlisted(&hashes[i], &found[i])
			}
		}
		return ctx.Err() == nil
	})
	if err == nil {
		err = ctx.Err()
	}
	return err
}

// findListed goes through the transfers, in the descending order of names from the last to the
// first: what comes first is seen first, and others are dropped at once.
func findListed(ctx context.Context, first *firstSwarms, query *swarmQuery, state string, counts []bittorrent.ScrapeCounts) error {
	rows := first.sheet.rows
	for from := 0; from < len(rows) && ctx.Err() == nil; from += sheetStep {
		start, end := from, min(from+sheetStep, len(rows))
		if first.order.by == "name" && first.order.descending {
			start, end = max(len(rows)-end, 0), len(rows)-from
		}
		if !query.all() {
			query.near += fetchNames(rows[start:end], func(*sheetRow) bool { return true })
		}
		for row := start; row < end; row++ {
			r := &rows[row]
			if state != "all" && r.active != (state == "active") || !query.matches(r.transfer) {
				continue
			}
			var c bittorrent.ScrapeCounts
			if counts != nil {
				c = counts[row]
			}
			first.see(row, &c)
		}
	}
	return ctx.Err()
}

// countsOf returns the counts of the swarms that were found, as many as there are. Those
// of listed torrents are looked up where the order did not need them. A hybrid torrent has two
// swarms, and most of its clients are in both: counted are the peers of the one that has more. To count
// each client once, as [api.live] does, all peers must be looked at.
func (l *swarmList) countsOf(ctx context.Context, first *firstSwarms, found []foundSwarm) ([]bittorrent.ScrapeCounts, error) {
	counts := make([]bittorrent.ScrapeCounts, len(found))
	var hashes []bittorrent.InfoHash
	for i := range found {
		if counts[i] = found[i].counts; found[i].row != unlisted && !first.order.byCounts() {
			hashes = append(hashes, first.sheet.rows[found[i].row].transfer.InfoHashes()...)
		}
	}
	if len(hashes) == 0 {
		return counts, nil
	}
	looked := make([]bittorrent.ScrapeCounts, len(hashes))
	if err := l.swarms.Scrape(ctx, hashes, looked); err != nil {
		return nil, err
	}
	for i := range found {
		if found[i].row == unlisted || first.order.byCounts() {
			continue
		}
		for n := range first.sheet.rows[found[i].row].transfer.InfoHashes() {
			addCounts(&counts[i], &looked[0], n == 0)
			looked = looked[1:]
		}
	}
	return counts, nil
}

// addCounts adds one swarm of a transfer to what is known of it. Where it has two with as many
// peers, the first one counts.
func addCounts(c, one *bittorrent.ScrapeCounts, isFirst bool) {
	downloaded := max(c.Downloaded, one.Downloaded)
	if more := peersIn(one) - peersIn(c); more > 0 || more == 0 && isFirst {
		*c = *one
	}
	c.Downloaded = downloaded
}

func peersIn(c *bittorrent.ScrapeCounts) int64 { return int64(c.Complete) + int64(c.Incomplete) }

func swarmOf(first *firstSwarms, f *foundSwarm, counts *bittorrent.ScrapeCounts) client.Swarm {
	out := client.Swarm{
		InfoHash: f.hash, State: "unlisted", Peers: int(peersIn(counts)), Seeders: int(counts.Complete),
		Leechers: int(counts.Incomplete), Downloaded: uint64(counts.Downloaded),
	}
	if f.row == unlisted {
		return out
	}
	t := first.sheet.rows[f.row].transfer
	out.Name, out.File, out.Size, out.Source, out.Profile, out.Registered = t.Name, t.File, t.Size, t.Source.String(), t.Profile, t.Registered
	if out.State = "inactive"; t.Active() {
		out.State = "active"
	}
	return out
}
