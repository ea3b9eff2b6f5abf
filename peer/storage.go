package peer

import (
	"context"
	"io"

	"github.com/anacrolix/torrent/metainfo"
	"github.com/anacrolix/torrent/storage"
)

// disk is how the library sees files: a storage.ClientImpl of one torrent, whose
// pieces know by the table whether they are whole (storage.Completion).
type disk struct{ *files }

func (d disk) OpenTorrent(context.Context, *metainfo.Info, metainfo.Hash) (storage.TorrentImpl, error) {
	return storage.TorrentImpl{
		Piece: func(p metainfo.Piece) storage.PieceImpl {
			return &diskPiece{d.files, p, int64(p.Index()) * d.layout.pieceLength}
		},
		Close: func() error { return nil }, // the torrent closes them, after its last rows
	}, nil
}

type diskPiece struct {
	files  *files
	piece  metainfo.Piece
	offset int64
}

func (p *diskPiece) ReadAt(b []byte, off int64) (int, error) {
	return p.files.readAt(b, p.offset+off)
}

func (p *diskPiece) WriteAt(b []byte, off int64) (int, error) {
	return p.files.writeAt(b, p.offset+off)
}

// WriteTo is what the library hashes by.
func (p *diskPiece) WriteTo(w io.Writer) (int64, error) {
	reader := io.NewSectionReader(p, 0, p.piece.Length())
	return io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{reader}, make([]byte, 256<<10))
}

func (p *diskPiece) MarkComplete() error {
	p.files.mark(p.piece.Index(), whole)
	return nil
}

func (p *diskPiece) MarkNotComplete() error {
	p.files.mark(p.piece.Index(), missing)
	return nil
}

func (p *diskPiece) Completion() storage.Completion {
	s := p.files.pieceState(p.piece.Index())
	return storage.Completion{Ok: s != unknown, Complete: s == whole}
}

// nowhere is the storage of a torrent of which only the info dictionary is
// wanted.
type nowhere struct{}

func (nowhere) OpenTorrent(context.Context, *metainfo.Info, metainfo.Hash) (storage.TorrentImpl, error) {
	return storage.TorrentImpl{
		Piece: func(metainfo.Piece) storage.PieceImpl { return nowhere{} },
		Close: func() error { return nil },
	}, nil
}

func (nowhere) ReadAt([]byte, int64) (int, error)      { return 0, io.EOF }
func (nowhere) WriteAt(b []byte, _ int64) (int, error) { return len(b), nil }
func (nowhere) MarkComplete() error                    { return nil }
func (nowhere) MarkNotComplete() error                 { return nil }
func (nowhere) Completion() storage.Completion         { return storage.Completion{Ok: true} }
