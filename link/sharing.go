package link

import (
	"context"
	"encoding/binary"
	"sync"
	"time"

	"waggle/bittorrent"
	"waggle/catalog"
	"waggle/link/core"
)

// How .torrent files travel. Each end tells the other which torrents its catalogue has as
// active, and what has changed of that, and every two seconds a digest of all that it has
// told. Where that is not what was heard, it is asked for again. Who lacks a torrent asks
// for its file, which comes in pieces.
const (
	fileList   core.FileOp = 1 + iota // hashes that are active, in Data
	fileGone                          // hashes that are not active any more
	fileDigest                        // of all that was told: how many, and a sum
	fileAgain                         // tell all of it again
	fileWant                          // send the file of Hash
	filePiece                         // offset, size, name, and bytes of it
	fileNone                          // there is no file of Hash
)

// Bounds of what travels.
const (
	lookEvery    = 2 * time.Second  // at the catalogue
	filesAtOnce  = 4                // a link, in each direction
	fileTimeout  = 20 * time.Second // from one piece to the next
	retryAfter   = 10 * time.Minute // a file that could not be taken
	maxTold      = 200_000          // torrents that a link may tell of
	hashesAtOnce = core.MaxFileData / 20
	pieceBytes   = core.MaxFileData - 1024
	filesQueued  = 32 // jobs that wait for the disk
)

// sharing is what the loop knows of torrents that are shared.
type sharing struct {
	links   *Links
	version uint64 // of the catalogue, as active has it
	seen    bool
	active  map[bittorrent.InfoHash]struct{}
	all     map[bittorrent.InfoHash]struct{} // those not active, too
	refused map[bittorrent.InfoHash]time.Time
	under   map[bittorrent.InfoHash]*exchange // files that come

	jobs    chan func(context.Context)
	workers sync.WaitGroup
	cancel  context.CancelFunc
}

func newSharing(l *Links) *sharing {
	h := &sharing{
		links: l, refused: map[bittorrent.InfoHash]time.Time{}, under: map[bittorrent.InfoHash]*exchange{},
		jobs: make(chan func(context.Context), filesQueued),
	}
	if l.o.Share == ShareOff {
		return h
	}
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel = cancel
	h.workers.Go(func() {
		for job := range h.jobs {
			job(ctx)
		}
	})
	return h
}

func (h *sharing) close() {
	if h.cancel != nil {
		close(h.jobs)
		h.workers.Wait()
		h.cancel()
	}
}

// work has the disk do something; false: it is too busy.
func (h *sharing) work(job func(context.Context)) bool {
	select {
	case h.jobs <- job:
		return true
	default:
		return false
	}
}

// back has the loop take in what a job has found, unless it ends.
func (h *sharing) back(f func()) {
	select {
	case h.links.commands <- f:
	case <-h.links.stopped:
	}
}

// exchange is what a link shares.
type exchange struct {
	session *session
	in, out bool
	any     bittorrent.InfoHash // that may cross the link, for messages about many

	told    hashes                // to them
	theirs  hashes                // that they told of
	settled bool                  // told is what it should be, as of toldOf
	toldOf  uint64                // version of the catalogue
	wanted  []bittorrent.InfoHash // of those, that this tracker lacks
	looked  uint64                // version of the catalogue that wanted was made of
	stale   bool                  // theirs have changed since
	coming  map[bittorrent.InfoHash]*incoming
	leaving []*outgoing
	reading int // files that are read from the disk
	replies []reply
}

// begin shares with a link that is up.
func (h *sharing) begin(s *session) {
	in, out := h.links.shares(s)
	if !in && !out {
		return
	}
	s.files = &exchange{
		session: s, in: in, out: out,
		told: newHashes(), theirs: newHashes(), coming: map[bittorrent.InfoHash]*incoming{}, stale: true,
	}
	if only := h.links.optionsOf(s).Torrents; len(only) > 0 {
		s.files.any = only[0]
	}
}

// end forgets what a link that is gone has begun.
func (h *sharing) end(s *session) {
	if s.files == nil {
		return
	}
	for hash := range s.files.coming {
		h.drop(s.files, hash)
	}
	s.files = nil
}

// forget does so for a link that was dropped.
func (h *sharing) forget(name string) {
	for _, s := range h.links.sessions {
		if s.name == name {
			h.end(s)
		}
	}
}

// look tells links what has changed in the catalogue, and digests of all.
func (h *sharing) look(now time.Time) {
	l := h.links
	if l.o.Share == ShareOff {
		return
	}
	if v := l.o.Catalog.Version(); !h.seen || v != h.version {
		h.read()
	}
	for hash, since := range h.refused {
		if now.Sub(since) > retryAfter {
			delete(h.refused, hash)
		}
	}
	for _, s := range l.sessions {
		if s.files != nil {
			h.tell(s.files, now)
			h.expire(s.files, now)
		}
	}
}

func (h *sharing) read() {
	transfers, version := h.links.o.Catalog.ByName()
	h.version, h.seen = version, true
	h.active = make(map[bittorrent.InfoHash]struct{}, len(transfers))
	h.all = make(map[bittorrent.InfoHash]struct{}, len(transfers))
	for _, t := range transfers {
		h.all[t.InfoHash] = struct{}{}
		if t.Active() {
			h.active[t.InfoHash] = struct{}{}
		}
	}
}

// tell sends what has changed, and a digest where there is room for all of it.
func (h *sharing) tell(x *exchange, now time.Time) {
	if !x.out {
		return
	}
	if !x.settled || x.toldOf != h.version {
		come, gone := h.news(x)
		x.settled = h.sendHashes(x, fileList, come, now) && h.sendHashes(x, fileGone, gone, now)
		x.toldOf = h.version
	}
	if x.settled { // else the rest is sent later
		data := binary.BigEndian.AppendUint64(nil, uint64(len(x.told.all)))
		h.send(x, fileDigest, x.any, binary.BigEndian.AppendUint64(data, x.told.sum), now)
	}
}

// news returns what the other end was not told yet.
func (h *sharing) news(x *exchange) (come, gone []bittorrent.InfoHash) {
	for hash := range h.active {
		if !x.told.has(hash) && h.links.node.May(x.session.id, hash) && len(x.told.all)+len(come) < maxTold {
			come = append(come, hash)
		}
	}
	for hash := range x.told.all {
		if _, is := h.active[hash]; !is {
			gone = append(gone, hash)
		}
	}
	return come, gone
}

func (h *sharing) sendHashes(x *exchange, op core.FileOp, all []bittorrent.InfoHash, now time.Time) bool {
	for len(all) > 0 {
		some := all[:min(len(all), hashesAtOnce)]
		data := make([]byte, 0, 20*len(some))
		for _, hash := range some {
			data = append(data, hash[:]...)
		}
		if !h.send(x, op, some[0], data, now) {
			return false
		}
		for _, hash := range some {
			if op == fileList {
				x.told.add(hash)
			} else {
				x.told.remove(hash)
			}
		}
		all = all[len(some):]
	}
	return true
}

// hashes are a set of torrents, with a sum that two equal sets have in common.
type hashes struct {
	all map[bittorrent.InfoHash]struct{}
	sum uint64
}

func newHashes() hashes { return hashes{all: map[bittorrent.InfoHash]struct{}{}} }

func (s *hashes) has(h bittorrent.InfoHash) bool {
	_, has := s.all[h]
	return has
}

func (s *hashes) add(h bittorrent.InfoHash) {
	if !s.has(h) {
		s.all[h] = struct{}{}
		s.sum += mixed(h)
	}
}

func (s *hashes) remove(h bittorrent.InfoHash) {
	if s.has(h) {
		delete(s.all, h)
		s.sum -= mixed(h)
	}
}

func mixed(h bittorrent.InfoHash) uint64 {
	x := binary.BigEndian.Uint64(h[:]) ^ binary.BigEndian.Uint64(h[12:])
	x = (x ^ x>>32) * 0x9e3779b97f4a7c15
	return x ^ x>>29
}

func (h *sharing) send(x *exchange, op core.FileOp, hash bittorrent.InfoHash, data []byte, now time.Time) bool {
	return h.links.node.SendFile(now, x.session.id, core.FileMessage{Op: op, Hash: hash, Data: data})
}

// take takes in a message. The node may not be called from here, so answers wait for the
// next tick.
func (h *sharing) take(s *session, f *core.FileMessage) {
	x := s.files
	if x == nil {
		return
	}
	switch f.Op {
	case fileList, fileGone:
		h.hear(x, f)
	case fileDigest:
		x.check(f.Data)
	case fileAgain:
		x.told, x.settled = newHashes(), false
	case fileWant:
		h.wanted(x, f.Hash)
	case filePiece:
		h.piece(x, f)
	case fileNone:
		h.refuse(x, f.Hash)
	}
}

// check asks for all again where it is not what was told.
func (x *exchange) check(b []byte) {
	if !x.in || len(b) != 16 {
		return
	}
	count, sum := binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])
	if count <= maxTold && (count != uint64(len(x.theirs.all)) || sum != x.theirs.sum) {
		x.theirs = newHashes()
		x.answer(fileAgain, x.any)
	}
}

// hear takes in which torrents the other end has.
func (h *sharing) hear(x *exchange, f *core.FileMessage) {
	if !x.in || len(f.Data)%20 != 0 {
		return
	}
	for b := f.Data; len(b) > 0; b = b[20:] {
		hash := bittorrent.InfoHash(b)
		switch {
		case f.Op == fileGone && x.theirs.has(hash):
			x.theirs.remove(hash)
			h.removed(x, hash)
		case f.Op == fileList && len(x.theirs.all) < maxTold:
			x.theirs.add(hash)
			x.stale = true
		}
	}
}

// removed deactivates a torrent that was deactivated where it came from, if it may.
func (h *sharing) removed(x *exchange, hash bittorrent.InfoHash) {
	l := h.links
	if _, is := h.active[hash]; !is || !l.o.ShareRemovals {
		return
	}
	from := l.know(x.session.name).title(x.session.name)
	h.work(func(ctx context.Context) {
		t, err := l.o.Catalog.Deactivate(ctx, hash)
		if err != nil {
			l.o.Log.Warn("a torrent that was removed over a link stays", "link", from, "info_hash", hash, "error", err)
			return
		}
		l.o.Log.Info("a torrent was deactivated, as it was over a link", "link", from, "info_hash", hash, "name", t.Name)
	})
}

// nameOf is what the file of a torrent is called where its own name cannot be used.
func nameOf(hash bittorrent.InfoHash, name string) string {
	if catalog.CheckName(name) != nil {
		return hash.String() + ".torrent"
	}
	return name
}
