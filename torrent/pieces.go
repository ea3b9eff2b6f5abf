package torrent

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// maxPieceLength is the largest piece that Create makes, 128 MiB. A peer can
// pass on a piece only when it has the whole of it.
const maxPieceLength = 128 << 20

// maxPieces is how many pieces Create makes: as many as libtorrent loads unless
// it is told otherwise.
const maxPieces = 2 << 20

// readSize is how many bytes are read and hashed between two looks at whether to
// go on.
const readSize = 256 << 10

// PieceLengthFor returns the piece length in bytes that [Create] chooses for
// files of total bytes: the power of two from 16 KiB to 16 MiB that makes 1024
// to 2048 pieces, or comes nearest to that.
//
//	up to  32 MiB   16 KiB      up to   1 GiB  512 KiB
//	up to  64 MiB   32 KiB      up to   2 GiB    1 MiB
//	up to 128 MiB   64 KiB      up to   4 GiB    2 MiB
//	up to 256 MiB  128 KiB      up to   8 GiB    4 MiB
//	up to 512 MiB  256 KiB      up to  16 GiB    8 MiB
//	                            above           16 MiB
//
// Few pieces keep the .torrent small. Many let a peer have something to pass on
// early, and cost little when one arrives damaged.
func PieceLengthFor(total int64) int64 {
	length := int64(minPieceLength)
	for length < 16<<20 && pieceCount(total, length) > 2048 {
		length *= 2
	}
	return length
}

// pieceCount returns how many pieces total bytes make; length is above 0.
func pieceCount(total, length int64) int64 {
	if total == 0 {
		return 0
	}
	return (total-1)/length + 1
}

// pieceHashes holds what was hashed, piece by piece.
type pieceHashes struct {
	v1 []byte // SHA-1 of each, end to end; nil for version 2
	v2 []node // the root of the hash tree over each; nil for version 1
}

// hashPieces hashes all pieces, for both versions in one reading. Each worker
// takes the next piece that nobody has, so they read files about in order.
func hashPieces(ctx context.Context, l *layout, o *CreateOptions) (*pieceHashes, error) {
	hashes := &pieceHashes{}
	if o.Version != V2 {
		hashes.v1 = make([]byte, l.count*sha1.Size)
	}
	if o.Version != V1 {
		hashes.v2 = make([]node, l.count)
	}
	report := reporter(l.tree.total, o.Progress)
	var next atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range min(int64(o.Workers), l.count) {
		group.Go(func() error {
			r := newPieceReader(l, report)
			defer r.Close()
			for piece := next.Add(1) - 1; piece < l.count; piece = next.Add(1) - 1 {
				if err := r.hash(ctx, piece, hashes); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return hashes, group.Wait()
}

// reporter returns a function that adds up bytes and tells the sum to progress,
// from one goroutine at a time.
func reporter(total int64, progress func(hashed, total int64)) func(n int) {
	if progress == nil {
		return func(int) {}
	}
	progress(0, total)
	var mu sync.Mutex
	var hashed int64
	return func(n int) {
		mu.Lock()
		defer mu.Unlock()
		hashed += int64(n)
		progress(hashed, total)
	}
}

// pieceReader hashes pieces for one goroutine. It keeps open the file that it
// read last, as the next piece is mostly in the same one.
type pieceReader struct {
	layout *layout
	tree   *tree
	report func(n int)
	buffer []byte
	sum    hash.Hash // SHA-1 of the piece so far
	leaves []node    // of its hash tree, so far
	file   *os.File  // nil at first
	index  int       // of file in the tree
}

func newPieceReader(l *layout, report func(n int)) *pieceReader {
	return &pieceReader{
		layout: l, tree: l.tree, report: report,
		buffer: make([]byte, min(readSize, l.pieceLength)),
		sum:    sha1.New(),
	}
}

// hash reads a piece and puts what it hashes to among the others.
func (r *pieceReader) hash(ctx context.Context, number int64, hashes *pieceHashes) error {
	r.sum.Reset()
	r.leaves = r.leaves[:0]
	piece := r.layout.piece(number)
	for at := piece.start; at < piece.end; {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		n, err := r.read(at, piece.end)
		if err != nil {
			return err
		}
		r.add(r.buffer[:n])
		r.report(n)
		at += int64(n)
	}
	if r.layout.version != V2 {
		if err := r.addZeros(ctx, piece.zeros); err != nil {
			return err
		}
		copy(hashes.v1[number*sha1.Size:], r.sum.Sum(nil))
	}
	if r.layout.version != V1 {
		hashes.v2[number] = merkleRoot(r.leaves, piece.leaves, node{})
	}
	return nil
}

// add hashes the next bytes of a piece. In version 2 a piece is of one file, so
// that they are whole blocks but at the file's end.
func (r *pieceReader) add(b []byte) {
	if r.layout.version != V2 {
		r.sum.Write(b)
	}
	if r.layout.version != V1 {
		for block := range slices.Chunk(b, blockSize) {
			r.leaves = append(r.leaves, sha256.Sum256(block))
		}
	}
}

// addZeros hashes padding, for SHA-1 alone.
func (r *pieceReader) addZeros(ctx context.Context, n int64) error {
	clear(r.buffer[:min(int64(len(r.buffer)), n)])
	for n > 0 {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		zeros := r.buffer[:min(int64(len(r.buffer)), n)]
		r.sum.Write(zeros)
		n -= int64(len(zeros))
	}
	return nil
}

// read fills the buffer with bytes of one file, from offset start up to end.
func (r *pieceReader) read(start, end int64) (int, error) {
	i := r.tree.at(start)
	if err := r.openFile(i); err != nil {
		return 0, err
	}
	f := r.tree.files[i]
	n := min(int64(len(r.buffer)), end-start, f.start+f.stat.Size()-start)
	switch _, err := r.file.ReadAt(r.buffer[:n], start-f.start); {
	case errors.Is(err, io.EOF):
		return 0, r.tree.changed(i)
	case err != nil:
		return 0, sourceError(r.tree.show(f.path), err)
	}
	return int(n), nil
}

func (r *pieceReader) openFile(i int) error {
	if r.file != nil && r.index == i {
		return nil
	}
	r.Close()
	file, err := r.tree.open(i)
	if err != nil {
		return sourceError(r.tree.show(r.tree.files[i].path), err)
	}
	r.file, r.index = file, i
	return nil
}

// Close closes the file that was read last.
func (r *pieceReader) Close() {
	if r.file != nil {
		_ = r.file.Close() // it was only read
		r.file = nil
	}
}
