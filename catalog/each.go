package catalog

import (
	"bytes"
	"cmp"
	"slices"

	"waggle/bittorrent"
)

// MaxKey is how many bytes of a name count where transfers are ordered, so that cursors
// are bounded. Those whose names begin with the same ones are ordered by info hash.
const MaxKey = 256

// Key returns what of a name counts in orders: its first [MaxKey] bytes.
func Key(name string) string { return name[:min(len(name), MaxKey)] }

// ByName returns all transfers, active or not, in the order of [CompareNames] and then of
// info hashes, and the version of the catalogue that they are. It copies pointers,
// those of 100,000 in half a millisecond, for which edits wait and announces do not.
//
// The slice is the caller's, what it points to is the catalogue's own, and does not change:
// nobody may write to it, and anybody may keep it. Times of started and completed are those
// of when it was read or edited last; [Catalog.Get] has those of now.
func (c *Catalog) ByName() (all []*Transfer, version uint64) {
	c.order.mu.RLock()
	defer c.order.mu.RUnlock()
	return slices.Clone(c.order.folded), c.order.version.Load()
}

// Version tells whether the catalogue is still what [Catalog.ByName] returned: it grows
// with each edit, but not with what has started or completed. It takes no lock.
func (c *Catalog) Version() uint64 { return c.order.version.Load() }

// CompareNames orders names by the bytes of their keys, and letters of ASCII without
// regard to case.
func CompareNames(a, b string) int {
	a, b = Key(a), Key(b)
	for i := range min(len(a), len(b)) {
		if a[i] == b[i] {
			continue
		}
		if x, y := lower(a[i]), lower(b[i]); x != y {
			return cmp.Compare(x, y)
		}
	}
	return cmp.Compare(len(a), len(b))
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// folded are transfers in the order of [Catalog.ByName].
type folded []*Transfer

func (f folded) search(t *Transfer) (at int, found bool) {
	return slices.BinarySearchFunc(f, t, compareFolded)
}

func compareFolded(a, b *Transfer) int {
	return cmp.Or(CompareNames(a.Name, b.Name), compareHashes(&a.InfoHash, &b.InfoHash))
}

func compareHashes(a, b *bittorrent.InfoHash) int { return bytes.Compare(a[:], b[:]) }

// put puts a transfer in its place, or in the place of the one that was there.
func (f *folded) put(t *Transfer) {
	at, found := f.search(t)
	if found {
		(*f)[at] = t
		return
	}
	*f = slices.Insert(*f, at, t)
}

func (f *folded) remove(t *Transfer) {
	if at, found := f.search(t); found {
		*f = slices.Delete(*f, at, at+1)
	}
}

// fold returns the transfers of entries in their order.
func fold(entries []*entry) folded {
	f := make(folded, len(entries))
	for i, e := range entries {
		f[i] = &e.record.Transfer
	}
	slices.SortFunc(f, compareFolded)
	return f
}
