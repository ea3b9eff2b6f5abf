package link

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"waggle/bittorrent"
	"waggle/catalog"
	"waggle/link/core"
	"waggle/torrent"
)

// incoming is a .torrent that comes in pieces, and outgoing one that goes.
type incoming struct {
	name  string
	bytes []byte
	size  int // 0: nothing came yet
	heard time.Time
	whole bool // all of it came, and it is being added
}

type outgoing struct {
	hash   bittorrent.InfoHash
	name   string
	bytes  []byte
	offset int
}

// reply is a message that waits for the next tick.
type reply struct {
	op   core.FileOp
	hash bittorrent.InfoHash
}

// maxReplies is how many of them wait; more are not sent, and asked for again.
const maxReplies = 256

func (x *exchange) answer(op core.FileOp, hash bittorrent.InfoHash) {
	if len(x.replies) < maxReplies {
		x.replies = append(x.replies, reply{op, hash})
	}
}

// pump sends what waits, and asks for what is lacking.
func (h *sharing) pump(now time.Time) {
	h.obey()
	for _, s := range h.links.sessions {
		x := s.files
		if x == nil {
			continue
		}
		for len(x.replies) > 0 && h.send(x, x.replies[0].op, x.replies[0].hash, nil, now) {
			x.replies = x.replies[1:]
		}
		h.pour(x, now)
		h.ask(x, now)
	}
}

// pour sends pieces for as long as there is room.
func (h *sharing) pour(x *exchange, now time.Time) {
	for len(x.leaving) > 0 {
		f := x.leaving[0]
		data := binary.BigEndian.AppendUint32(nil, uint32(f.offset))
		data = binary.BigEndian.AppendUint32(data, uint32(len(f.bytes)))
		data = append(append(data, byte(len(f.name))), f.name...)
		end := min(f.offset+pieceBytes, len(f.bytes))
		if !h.send(x, filePiece, f.hash, append(data, f.bytes[f.offset:end]...), now) {
			return
		}
		if f.offset = end; end == len(f.bytes) {
			x.leaving = x.leaving[1:]
			h.going--
			h.links.know(x.session.name).filesOut++
		}
	}
}

// wanted reads a file that the other end lacks.
func (h *sharing) wanted(x *exchange, hash bittorrent.InfoHash) {
	if !x.out || !x.told.has(hash) {
		x.answer(fileNone, hash)
		return
	}
	if len(x.leaving)+x.reading >= filesAtOnce || h.going >= filesInAll {
		return // it is asked for again
	}
	l := h.links
	if h.work(func(ctx context.Context) {
		b, err := l.o.Catalog.Torrent(ctx, hash)
		t, err2 := l.o.Catalog.Get(hash)
		h.back(func() {
			x.reading--
			switch {
			case x.session.files != x: // it is gone
				h.going--
			case err != nil || err2 != nil || len(b) == 0:
				h.going--
				x.answer(fileNone, hash)
			default:
				x.leaving = append(x.leaving, &outgoing{hash: hash, name: t.File[:min(len(t.File), 255)], bytes: b})
			}
		})
	}) { // else the disk is too busy: it is asked for again
		x.reading++
		h.going++
	}
}

// ask asks for files that this tracker lacks.
func (h *sharing) ask(x *exchange, now time.Time) {
	if !x.in || !h.seen || len(x.coming) >= filesAtOnce {
		return
	}
	if x.stale || x.looked != h.version || x.lapsed != h.lapsed {
		h.list(x)
	}
	for len(x.wanted) > 0 && len(x.coming) < filesAtOnce && len(h.under) < filesInAll {
		hash := x.wanted[0]
		if _, refused := h.refused[hash]; h.lacks(hash) && !refused && h.under[hash] == nil {
			if !h.send(x, fileWant, hash, nil, now) {
				return
			}
			x.coming[hash] = &incoming{heard: now}
			h.under[hash] = x
		}
		x.wanted = x.wanted[1:]
	}
}

// list makes the list of what the other end has and this one lacks.
func (h *sharing) list(x *exchange) {
	x.stale, x.looked, x.lapsed, x.wanted = false, h.version, h.lapsed, nil
	for hash := range x.theirs.all {
		if h.lacks(hash) {
			x.wanted = append(x.wanted, hash)
		}
	}
}

// lacks reports whether a torrent is to be had: this tracker has none of it, and did not
// remove it.
func (h *sharing) lacks(hash bittorrent.InfoHash) bool {
	_, has := h.all[hash]
	_, gone := h.removals.gone[hash]
	return !has && !gone
}

// expire gives up files that do not come, and asks again later.
func (h *sharing) expire(x *exchange, now time.Time) {
	for hash, f := range x.coming {
		if !f.whole && now.Sub(f.heard) > fileTimeout {
			h.drop(x, hash)
		}
	}
}

// drop gives up a file that was to come, which any link may be asked for then.
func (h *sharing) drop(x *exchange, hash bittorrent.InfoHash) {
	h.done(x, hash)
	h.lapsed++
}

func (h *sharing) done(x *exchange, hash bittorrent.InfoHash) {
	delete(x.coming, hash)
	if h.under[hash] == x {
		delete(h.under, hash)
	}
}

// refuse does not ask for a file for a while.
func (h *sharing) refuse(x *exchange, hash bittorrent.InfoHash) {
	if x.coming[hash] == nil {
		return
	}
	h.drop(x, hash)
	if len(h.refused) < maxTold {
		h.refused[hash] = time.Now()
	}
}

var errPiece = errors.New("a piece of it is not where it should be")

// piece takes in a piece of a file, and adds the file to the catalogue where it was the
// last one.
func (h *sharing) piece(x *exchange, m *core.FileMessage) {
	f := x.coming[m.Hash]
	if f == nil || f.whole {
		return // it was not asked for, or is being added
	}
	whole, err := f.take(m.Data, h.links.o.MaxFile)
	switch {
	case err != nil:
		h.failed(x, m.Hash, err)
	case whole:
		h.add(x, m.Hash, f)
	}
}

// take reads offset and size in 4 bytes each, a length and the name, and the bytes.
func (f *incoming) take(b []byte, most int64) (whole bool, err error) {
	if len(b) < 9 || len(b) < 9+int(b[8]) {
		return false, errPiece
	}
	offset, size := int64(binary.BigEndian.Uint32(b)), int64(binary.BigEndian.Uint32(b[4:]))
	name, part := string(b[9:9+int(b[8])]), b[9+int(b[8]):]
	switch {
	case size > most:
		return false, fmt.Errorf("it has %d bytes, and at most %d are taken: see torrents.max_upload", size, most)
	case offset != int64(len(f.bytes)) || f.size != 0 && size != int64(f.size) || len(part) == 0 || offset+int64(len(part)) > size:
		return false, errPiece
	}
	f.size, f.name, f.heard = int(size), name, time.Now()
	f.bytes = append(f.bytes, part...)
	return len(f.bytes) == f.size, nil
}

// add puts a file that has come into the catalogue.
func (h *sharing) add(x *exchange, hash bittorrent.InfoHash, f *incoming) {
	l := h.links
	f.whole = true
	from := l.know(x.session.name).title(x.session.name)
	took := h.work(func(ctx context.Context) {
		err := addTo(ctx, l.o.Catalog, hash, f)
		h.back(func() {
			if err != nil {
				h.failed(x, hash, err)
				return
			}
			h.done(x, hash)
			l.know(x.session.name).filesIn++
			l.o.Log.Info("a torrent came over a link", "link", from, "info_hash", hash, "file", f.name)
		})
	})
	if !took {
		h.drop(x, hash)
	}
}

func addTo(ctx context.Context, to Catalog, hash bittorrent.InfoHash, f *incoming) error {
	m, err := torrent.Parse(f.bytes)
	if err != nil {
		return err
	}
	if m.InfoHash() != hash {
		return errors.New("it is another torrent than it should be")
	}
	_, err = to.Add(ctx, nameOf(hash, f.name), f.bytes)
	if errors.Is(err, catalog.ErrDuplicate) {
		if t, has := to.Get(hash); has == nil && t.InfoHash == hash {
			return nil // it was added meanwhile
		}
	}
	return err
}

// failuresSaid is how many files of a connection the log says are not taken.
const failuresSaid = 100

func (h *sharing) failed(x *exchange, hash bittorrent.InfoHash, err error) {
	if x.failed++; x.failed <= failuresSaid {
		h.links.o.Log.Warn("a torrent that came over a link is not taken; it is asked for again in ten minutes",
			"link", h.links.know(x.session.name).title(x.session.name), "info_hash", hash, "error", err, "more_are_said", x.failed < failuresSaid)
	}
	h.refuse(x, hash)
}
