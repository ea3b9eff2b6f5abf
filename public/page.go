package public

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"html/template"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"

	"waggle/bittorrent"
	"waggle/catalog"
	"waggle/swarm"
	"waggle/torrent"
)

// pageSize is how many torrents a page has at most.
const pageSize = 100

var (
	//go:embed page.html
	pageText string
	pageForm = template.Must(template.New("page").Parse(pageText))

	//go:embed style.css
	style    []byte
	styleTag = tagOf(style)
)

// view is what a page shows.
type view struct {
	Host   string
	Totals [3]string // swarms, peers, seeders
	Rows   []row
	Begin  bool   // it is the first page
	Next   string // where the next one begins; "": there is none
}

// row is a torrent of a page.
type row struct {
	Name, Size, Bytes, Seeders, Leechers, Completed string

	Torrent string
	Magnet  template.URL
}

func (h *Handler) makePage(ctx context.Context, at, after string) (*kept, error) {
	transfers, next, err := h.o.Catalog.List(after, pageSize, new(true))
	if err != nil {
		return nil, err
	}
	totals, err := h.o.Swarms.Totals(ctx)
	if err != nil {
		return nil, err
	}
	v := view{Host: at[strings.Index(at, "//")+2:], Totals: totalsOf(&totals), Rows: make([]row, len(transfers)), Begin: after == "", Next: next}
	counts, err := h.counts(ctx, transfers)
	if err != nil {
		return nil, err
	}
	for i := range transfers {
		v.Rows[i] = rowOf(&transfers[i], &counts[i], at)
	}
	var b bytes.Buffer
	if err := pageForm.Execute(&b, &v); err != nil {
		return nil, err
	}
	return &kept{body: b.Bytes(), media: "text/html; charset=utf-8", tag: tagOf(b.Bytes())}, nil
}

func totalsOf(t *swarm.Totals) [3]string {
	return [3]string{humanize.Comma(int64(t.Torrents)), humanize.Comma(int64(t.Peers)), humanize.Comma(int64(t.Seeders))}
}

func rowOf(t *catalog.Transfer, c *bittorrent.ScrapeCounts, at string) row {
	return row{
		Name: title(&Entry{InfoHash: t.InfoHash, Name: t.Name}), Size: humanize.IBytes(uint64(max(t.Size, 0))), Bytes: humanize.Comma(t.Size),
		Seeders: humanize.Comma(int64(c.Complete)), Leechers: humanize.Comma(int64(c.Incomplete)), Completed: humanize.Comma(int64(c.Downloaded)),
		Torrent: torrentPath(t.InfoHash), Magnet: template.URL(magnet(t, at+"/announce")), // escaped by magnet
	}
}

// counts returns those of torrents. Of a hybrid one, whose clients are mostly in both
// of its swarms, they are those of the larger swarm.
func (h *Handler) counts(ctx context.Context, transfers []catalog.Transfer) ([]bittorrent.ScrapeCounts, error) {
	var hashes []bittorrent.InfoHash
	for i := range transfers {
		hashes = append(hashes, transfers[i].InfoHashes()...)
	}
	all := make([]bittorrent.ScrapeCounts, len(hashes))
	if err := h.o.Swarms.Scrape(ctx, hashes, all); err != nil {
		return nil, err
	}
	counts := make([]bittorrent.ScrapeCounts, len(transfers))
	for i := range transfers {
		own := all[:len(transfers[i].InfoHashes())]
		all = all[len(own):]
		counts[i] = slices.MaxFunc(own, func(a, b bittorrent.ScrapeCounts) int {
			return cmp.Compare(uint64(a.Complete)+uint64(a.Incomplete), uint64(b.Complete)+uint64(b.Incomplete))
		})
		counts[i].Downloaded = max(own[0].Downloaded, own[len(own)-1].Downloaded)
	}
	return counts, nil
}

// magnet returns a magnet link of a torrent, with this tracker in it.
func magnet(t *catalog.Transfer, announce string) string {
	m := torrent.Metainfo{Version: t.Version, InfoHashV2: t.InfoHashV2, Name: t.Name, Length: t.Size, Announce: announce}
	if t.Version != torrent.V2 {
		m.InfoHashV1 = t.InfoHash
	}
	return m.Magnet()
}
