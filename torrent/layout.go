package torrent

import (
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"sort"
)

// layout is how the files of a tree make pieces. In version 1 they lie end to
// end, and a piece may have bytes of several. In version 2 each begins with a
// piece of its own; in a hybrid as well, and what is missing to whole pieces are
// zeros for SHA-1 (BEP 47).
type layout struct {
	tree        *tree
	version     Version
	pieceLength int64
	count       int64   // of pieces
	first       []int64 // of each file its first piece; nil for version 1
}

// span is the bytes of one piece: offsets in the tree, from start to end.
type span struct {
	start, end int64
	zeros      int64 // how many follow for SHA-1
	leaves     int64 // width of its hash tree
}

func newLayout(t *tree, o *CreateOptions) *layout {
	l := &layout{tree: t, version: o.Version, pieceLength: o.PieceLength}
	if l.version == V1 {
		l.count = pieceCount(t.total, l.pieceLength)
		return l
	}
	l.first = make([]int64, 0, len(t.files))
	for _, f := range t.files {
		l.first = append(l.first, l.count)
		l.count += pieceCount(f.stat.Size(), l.pieceLength)
	}
	return l
}

// check refuses, before time goes into hashing, more pieces than there may be.
func (l *layout) check() error {
	if l.count > maxPieces {
		return fmt.Errorf("%s: pieces of %d bytes would be %d, and %d is the limit; give a larger piece size",
			l.tree.path, l.pieceLength, l.count, maxPieces)
	}
	var size int64
	if l.version != V2 {
		size = l.count * sha1.Size
	}
	if l.version != V1 {
		for _, f := range l.tree.files {
			if n := pieceCount(f.stat.Size(), l.pieceLength); n > 1 {
				size += n * sha256.Size
			}
		}
	}
	if size > MaxFileSize {
		return fmt.Errorf("%s: the hashes of %d pieces would make a .torrent larger than %d MiB; give a larger piece size",
			l.tree.path, l.count, MaxFileSize>>20)
	}
	return nil
}

// piece returns where the bytes of a piece are.
func (l *layout) piece(number int64) span {
	if l.version == V1 {
		start := number * l.pieceLength
		return span{start: start, end: min(start+l.pieceLength, l.tree.total)}
	}
	// Empty files have the same first piece as the file after them.
	i := sort.Search(len(l.first), func(i int) bool { return l.first[i] > number }) - 1
	f := l.tree.files[i]
	start := f.start + (number-l.first[i])*l.pieceLength
	s := span{start: start, end: min(start+l.pieceLength, f.start+f.stat.Size())}
	// A file of one piece has a tree as high as its blocks ask for.
	s.leaves = min(powerOfTwoFrom(pieceCount(f.stat.Size(), blockSize)), l.pieceLength/blockSize)
	if s.end == f.start+f.stat.Size() {
		s.zeros = l.padding(i)
	}
	return s
}

// padding returns the bytes of padding behind a file: what it takes to fill its
// last piece, in a hybrid of several files. The last file has it too, as with
// libtorrent, so that both make the same info hash.
func (l *layout) padding(i int) int64 {
	if l.version != Hybrid || len(l.tree.files) == 1 {
		return 0
	}
	length := l.tree.files[i].stat.Size()
	return pieceCount(length, l.pieceLength)*l.pieceLength - length
}
