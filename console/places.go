package console

import (
	"context"
	"net/http"
	"net/netip"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"waggle/bittorrent"
	"waggle/catalog"
	"waggle/console/client"
	"waggle/roster"
)

// Roster says which peers are told of which. All methods may be called concurrently.
// Places holds up announces for as long as it takes to look at all located peers of a
// torrent.
type Roster interface {
	// Explain says why a peer is told of whom; false: the torrent has no located
	// peers, or not this one.
	Explain(ctx context.Context, h bittorrent.InfoHash, addr netip.AddrPort) (roster.Explanation, bool, error)

	// Places returns what a torrent has in each group, in the order of their paths;
	// nothing where no peer of it is located.
	Places(ctx context.Context, h bittorrent.InfoHash) ([]roster.Place, error)

	// Members shows the located peers of a torrent, and others that have leases, some
	// at a time, of which any may be shown twice, rightly the second time. It ends early
	// where see returns false, or ctx ends, whose error it returns. The members are
	// see's until it returns.
	Members(ctx context.Context, h bittorrent.InfoHash, see func([]roster.Member) bool) error
}

func (a *api) addPlaces() {
	huma.Register(a.huma, operation(http.MethodGet, "/transfers/{hash}/places", "list-places-of-transfer",
		"List what a transfer, or a torrent that is not listed, has in each group of locations, by path", http.StatusNotFound), a.placesOf)
}

type placesRequest struct {
	ByHash
	ByPage
}

func (a *api) placesOf(ctx context.Context, in *placesRequest) (*answer[client.PlacePage], error) {
	after, err := parseGroupPlace(in.Cursor)
	if err != nil {
		return nil, a.failed(ctx, err)
	}
	t, hashes, err := a.torrentOf(ctx, in.hash())
	if err != nil {
		return nil, a.failed(ctx, err)
	}
	found, err := a.places(ctx, hashes)
	if err != nil {
		return nil, a.failed(ctx, err)
	}
	first, is := slices.BinarySearchFunc(found, after, func(p foundPlace, after groupPlace) int { return p.at().compare(after) })
	if is {
		first++
	}
	found = found[first:]
	page := client.PlacePage{Places: make([]client.Place, min(len(found), in.Limit))}
	for i := range page.Places {
		page.Places[i] = a.placeOf(&found[i], t.Size)
	}
	if len(found) > in.Limit {
		page.Next = found[in.Limit-1].at().String()
	}
	return &answer[client.PlacePage]{page}, nil
}

// torrentOf returns a transfer, and the hashes under which it has peers. One that is
// not listed is empty; the error is [catalog.ErrUnknown] if it has no peers either.
func (a *api) torrentOf(ctx context.Context, h bittorrent.InfoHash) (catalog.Transfer, []bittorrent.InfoHash, error) {
	hashes, err := a.swarmsOf(ctx, h)
	t, unlisted := a.catalog.Get(h)
	if unlisted != nil {
		t = catalog.Transfer{}
	}
	return t, hashes, err
}

// foundPlace is a place and its swarm.
type foundPlace struct {
	roster.Place
	hash bittorrent.InfoHash
}

func (p *foundPlace) at() groupPlace { return groupPlace{p.hash, p.Group.Path()} }

// places returns all places of swarms, in the order of cursors.
func (a *api) places(ctx context.Context, hashes []bittorrent.InfoHash) (found []foundPlace, err error) {
	if a.roster == nil {
		return nil, nil
	}
	if err := a.takeWalk(ctx); err != nil {
		return nil, err
	}
	defer a.freeWalk()
	for _, h := range slices.SortedFunc(slices.Values(hashes), compareHashes) {
		places, err := a.roster.Places(ctx, h)
		if err != nil {
			return nil, err
		}
		for _, p := range places {
			found = append(found, foundPlace{p, h})
		}
	}
	return found, nil
}

// hasLocated reports whether a peer of one of the swarms is located. It looks at some at a
// time, until it finds one.
func (a *api) hasLocated(ctx context.Context, hashes []bittorrent.InfoHash) (has bool, err error) {
	if a.roster == nil {
		return false, nil
	}
	if err := a.takeWalk(ctx); err != nil {
		return false, err
	}
	defer a.freeWalk()
	for _, h := range hashes {
		err := a.roster.Members(ctx, h, func(members []roster.Member) bool {
			has = has || slices.ContainsFunc(members, func(m roster.Member) bool { return m.Location != nil })
			return !has
		})
		if has || err != nil {
			return has, err
		}
	}
	return false, nil
}

// placeOf returns a place of a torrent that has so many bytes; 0: nobody knows.
func (a *api) placeOf(p *foundPlace, size int64) client.Place {
	left := lacking(&p.Place, size)
	out := client.Place{
		InfoHash: p.hash, Path: p.Group.Path(), Height: p.Group.Height(), Leechers: p.Leechers, Seeders: p.Seeders,
		Importers: addressesOf(p.Importers), Exporters: addressesOf(p.Exporters), Standbys: addressesOf(p.Standbys),
		Left: left, Starving: p.Starving, Waiting: p.Waiting, Leases: p.Leases, Orphans: p.Orphans, ImportedAtMost: p.Imported,
	}
	if a.locality != nil {
		out.Level = a.locality.Tree().LevelName(p.Group.Height())
	}
	if size > 0 {
		out.Progress = new(float64(0))
		if all := float64(size) * float64(p.Leechers+p.Seeders); all > 0 {
			*out.Progress = min(max(1-float64(left)/all, 0), 1)
		}
	}
	return out
}

// lacking returns the bytes that the leechers of a place lack together. Who cannot say
// lacks all of the size, if that is known.
func lacking(p *roster.Place, size int64) int64 {
	silent := min(p.Left/roster.UnknownLeft, int64(p.Leechers))
	left := p.Left - silent*roster.UnknownLeft
	if size > 0 {
		left = min(left+silent*size, size*int64(p.Leechers))
	}
	return max(left, 0)
}

func addressesOf(addrs []netip.AddrPort) []string {
	all := make([]string, len(addrs))
	for i, a := range addrs {
		all[i] = a.String()
	}
	return all
}
