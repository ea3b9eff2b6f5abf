package public

import (
	"context"
	"slices"
	"time"

	"waggle/bittorrent"
	"waggle/catalog"
)

// Catalog is which torrents there are; a [catalog.Catalog] is one. All methods may be
// called concurrently.
type Catalog interface {
	// List returns a page of the transfers by name, those that are active, are not, or
	// all where active is nil, and the cursor of the next page, "" after the last.
	List(after string, limit int, active *bool) (page []catalog.Transfer, next string, err error)

	// Get returns the transfer of a hash. The error is [catalog.ErrUnknown].
	Get(h bittorrent.InfoHash) (catalog.Transfer, error)

	// Torrent returns the bytes of a .torrent.
	Torrent(ctx context.Context, h bittorrent.InfoHash) ([]byte, error)
}

// listStep is how many transfers are looked at in one go: so few that they stay in the
// processor's cache.
const listStep = 64

// Latest returns the n, at least 1, active torrents that were registered last, the latest
// first. It looks at all of them, some at a time. The error is that of ctx, or of c.
func Latest(ctx context.Context, c Catalog, n int) ([]Entry, error) {
	var latest []Entry
	var least time.Time // as soon as there are n
	for cursor, more := "", true; more; more = cursor != "" {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		page, next, err := c.List(cursor, listStep, new(true))
		if err != nil {
			return nil, err
		}
		cursor = next
		for i := range page {
			t := &page[i]
			if t.Registered.Before(least) {
				continue
			}
			latest = append(latest, Entry{InfoHash: t.InfoHash, Name: t.Name, Size: t.Size, Registered: t.Registered})
			if len(latest) >= 4*n {
				latest = cut(latest, n)
				least = latest[n-1].Registered
			}
		}
	}
	return cut(latest, n), nil
}

// cut leaves the latest n. Of those of one moment it leaves those of the lowest hashes.
func cut(entries []Entry, n int) []Entry {
	slices.SortFunc(entries, func(a, b Entry) int {
		if c := b.Registered.Compare(a.Registered); c != 0 {
			return c
		}
		return slices.Compare(a.InfoHash[:], b.InfoHash[:])
	})
	return entries[:min(len(entries), n)]
}
