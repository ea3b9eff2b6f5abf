package peer

import (
	"errors"
	"fmt"
	"iter"
	"sort"
	"strings"

	"github.com/anacrolix/torrent/metainfo"

	"waggle/torrent"
)

// layout says which bytes of a torrent are which of its files. A torrent is one
// run of bytes, cut into pieces; its files lie in it in their order, in version 2
// and with padding (BEP 47) with gaps between them that are read as zeros.
type layout struct {
	spans       []span
	pieceLength int64
	pieces      int
}

// span is where a file lies.
type span struct {
	path   string // below the torrent's folder; "" where the torrent is that one file
	offset int64
	length int64
}

// part is what a run of bytes has of one file.
type part struct {
	file   int
	from   int64 // in the file
	skip   int64 // in the run
	length int64
}

// newLayout takes paths from m, which has checked them, and places from info,
// which is how the library sees them.
func newLayout(m *torrent.Metainfo, info *metainfo.Info) (layout, error) {
	l := layout{pieceLength: info.PieceLength, pieces: info.NumPieces()}
	for f := range info.UpvertedFilesIter() {
		if strings.Contains(f.Attr, "p") && m.Version == torrent.V1 {
			continue
		}
		n := len(l.spans)
		if n == len(m.Files) || m.Files[n].Length != f.Length {
			return layout{}, errors.New("its list of files can be read in two ways")
		}
		s := span{path: m.Files[n].Path, offset: f.TorrentOffset, length: f.Length}
		if !m.Folder {
			s.path = ""
		}
		l.spans = append(l.spans, s)
	}
	if len(l.spans) != len(m.Files) || int64(l.pieces) != m.PieceCount {
		return layout{}, fmt.Errorf("its %d files and %d pieces are not those of its list", len(m.Files), m.PieceCount)
	}
	return l, nil
}

// within yields what a run of n bytes has of files, in order.
func (l *layout) within(offset, n int64) iter.Seq[part] {
	return func(yield func(part) bool) {
		first := sort.Search(len(l.spans), func(i int) bool { return l.spans[i].offset+l.spans[i].length > offset })
		for i := first; i < len(l.spans) && l.spans[i].offset < offset+n; i++ {
			s := &l.spans[i]
			begin, end := max(offset, s.offset), min(offset+n, s.offset+s.length)
			if begin < end && !yield(part{i, begin - s.offset, begin - offset, end - begin}) {
				return
			}
		}
	}
}

// piece yields what a piece has of files.
func (l *layout) piece(i int) iter.Seq[part] {
	return l.within(int64(i)*l.pieceLength, l.pieceLength)
}

// bytes is what a piece has of all files together.
func (l *layout) bytes(piece int) (n int64) {
	for p := range l.piece(piece) {
		n += p.length
	}
	return n
}

// piecesOf returns the pieces that have bytes of a file, from first up to end.
func (l *layout) piecesOf(file int) (first, end int) {
	s := &l.spans[file]
	if s.length == 0 {
		return 0, 0
	}
	return int(s.offset / l.pieceLength), int((s.offset + s.length + l.pieceLength - 1) / l.pieceLength)
}
