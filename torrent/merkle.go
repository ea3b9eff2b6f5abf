package torrent

import (
	"crypto/sha256"
	"math/bits"
)

// blockSize is how many bytes of a file a leaf of its hash tree is of (BEP 52).
const blockSize = 16 << 10

// node is a hash in such a tree: that of a block, or of the two nodes below it.
type node [sha256.Size]byte

// above returns the node over two others.
func above(left, right node) node {
	var both [2 * sha256.Size]byte
	copy(both[:], left[:])
	copy(both[sha256.Size:], right[:])
	return sha256.Sum256(both[:])
}

// merkleRoot returns the root of the tree over nodes and, behind them, as many
// times filler as make width of them: a power of two, and no less than there are
// nodes. It uses up nodes, of which there is at least one.
func merkleRoot(nodes []node, width int64, filler node) node {
	for ; width > 1; width /= 2 {
		half := nodes[:0]
		for i := 0; i < len(nodes); i += 2 {
			right := filler
			if i+1 < len(nodes) {
				right = nodes[i+1]
			}
			half = append(half, above(nodes[i], right))
		}
		nodes, filler = half, above(filler, filler)
	}
	return nodes[0]
}

// emptyRoot returns the root of a tree of width blocks beyond the end of a file,
// whose leaves are zero.
func emptyRoot(width int64) (root node) {
	for ; width > 1; width /= 2 {
		root = above(root, root)
	}
	return root
}

// powerOfTwoFrom returns the smallest power of two that is no less than n, which
// is at least 1.
func powerOfTwoFrom(n int64) int64 { return 1 << bits.Len64(uint64(n-1)) }

// fileHash is what version 2 says of one file.
type fileHash struct {
	path   string // as in source
	length int64
	root   node   // of its hash tree; zero if it is empty
	layer  []node // the roots of its pieces, if it is longer than one
}

// fileHashes joins the trees of pieces to those of the files. It returns nil for
// version 1.
func (l *layout) fileHashes(h *pieceHashes) []fileHash {
	if h.v2 == nil {
		return nil
	}
	filler := emptyRoot(l.pieceLength / blockSize)
	files := make([]fileHash, len(l.tree.files))
	for i, f := range l.tree.files {
		files[i] = fileHash{path: f.path, length: f.stat.Size()}
		n := pieceCount(files[i].length, l.pieceLength)
		roots := h.v2[l.first[i]:][:n]
		switch {
		case n == 1:
			files[i].root = roots[0]
		case n > 1:
			files[i].layer = roots
			files[i].root = merkleRoot(append([]node(nil), roots...), powerOfTwoFrom(n), filler)
		}
	}
	return files
}
