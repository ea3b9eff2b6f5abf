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
	fileList     core.FileOp = 1 + iota // hashes that are active, in Data
	fileGone                            // hashes that are not active any more
	fileDigest                          // of all that was told: how many, and a sum
	fileAgain                           // tell all of it again
	fileWant                            // send the file of Hash
	filePiece                           // offset, size, name, and bytes of it
	fileNone                            // there is no file of Hash
	fileRemoved                         // hashes that were removed, and for how many seconds they are
	fileTrackers                        // no file: where clients reach trackers (trackers.go)
)

// Bounds of what travels.
const (
	lookEvery    = 2 * time.Second  // at the catalogue
	filesAtOnce  = 4                // a link, in each direction
	filesInAll   = 32               // of all links, in each direction
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
	lapsed  int                               // how often one did not, or may be asked for again
	going   int                               // files that go, of all links

	removals removals
	removing []removal // that wait to be obeyed

	jobs    chan func(context.Context)
	workers sync.WaitGroup
	cancel  context.CancelFunc
}

func newSharing(l *Links) *sharing {
	h := &sharing{
		links: l, refused: map[bittorrent.InfoHash]time.Time{}, under: map[bittorrent.InfoHash]*exchange{}, removals: newRemovals(),
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

// close ends what is under way, and looks at the catalogue once more, for the next start.
func (h *sharing) close() {
	if h.cancel == nil {
		return
	}
	close(h.jobs)
	h.workers.Wait()
	h.cancel()
	if h.seen {
		h.read(time.Now())
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
	only    map[bittorrent.InfoHash]struct{} // that may; nil: all

	agreed   time.Time             // when both ends agreed on what the other one has, before this session
	removals []bittorrent.InfoHash // to be told
	listed   bool                  // those are

	told    hashes                // to them
	theirs  hashes                // that they told of
	settled bool                  // told is what it should be, as of toldOf
	toldOf  uint64                // version of the catalogue
	wanted  []bittorrent.InfoHash // of those, that this tracker lacks
	looked  uint64                // version of the catalogue that wanted was made of
	lapsed  int                   // of all files, as of then
	stale   bool                  // theirs have changed since
	coming  map[bittorrent.InfoHash]*incoming
	failed  int // of those that came
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
	k := h.links.know(s.name)
	if k.agreed.IsZero() { // what was removed before they ever met is not for this one
		k.agreed = time.Now().Add(agreedSlack)
	}
	x := &exchange{
		session: s, in: in, out: out, agreed: k.agreed,
		told: newHashes(), theirs: newHashes(), coming: map[bittorrent.InfoHash]*incoming{}, stale: true,
	}
	if only := h.links.optionsOf(s).Torrents; only != nil {
		x.only = make(map[bittorrent.InfoHash]struct{}, len(only))
		for _, hash := range only {
			x.only[hash] = struct{}{}
		}
	}
	s.files = x
}

// may reports whether a torrent may cross the link.
func (x *exchange) may(hash bittorrent.InfoHash) bool {
	_, is := x.only[hash]
	return is || x.only == nil
}

// end forgets what a link that is gone has begun.
func (h *sharing) end(s *session) {
	if s.files == nil {
		return
	}
	for hash := range s.files.coming {
		h.drop(s.files, hash)
	}
	h.going -= len(s.files.leaving)
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
		h.read(now)
	}
	for hash, since := range h.refused {
		if now.Sub(since) > retryAfter {
			delete(h.refused, hash)
			h.lapsed++
		}
	}
	for _, s := range l.sessions {
		if s.files != nil {
			h.tell(s.files, now)
			h.expire(s.files, now)
		}
	}
}

func (h *sharing) read(now time.Time) {
	transfers, version := h.links.o.Catalog.ByName()
	h.version, h.seen = version, true
	was, inactive := h.active, map[bittorrent.InfoHash]time.Time{}
	h.active = make(map[bittorrent.InfoHash]struct{}, len(transfers))
	h.all = make(map[bittorrent.InfoHash]struct{}, len(transfers))
	for _, t := range transfers {
		h.all[t.InfoHash] = struct{}{}
		if t.Active() {
			h.active[t.InfoHash] = struct{}{}
		} else {
			inactive[t.InfoHash] = t.Deactivated
		}
	}
	if h.removals.changed(now, was, h.active, inactive) {
		h.links.changed = true
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
	if x.settled && !x.listed {
		x.removals, x.listed = h.listRemovals(x), true
	}
	if x.settled && h.sendRemovals(x, now) { // else the rest is sent later
		data := binary.BigEndian.AppendUint64(nil, uint64(len(x.told.all)))
		h.send(x, fileDigest, x.session.any, binary.BigEndian.AppendUint64(data, x.told.sum), now)
	}
}

// news returns what the other end was not told yet.
func (h *sharing) news(x *exchange) (come, gone []bittorrent.InfoHash) {
	for hash := range h.active {
		if !x.told.has(hash) && x.may(hash) && len(x.told.all)+len(come) < maxTold {
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
		h.check(x, f.Data)
	case fileAgain:
		x.told, x.settled, x.listed = newHashes(), false, false
	case fileRemoved:
		h.hearRemovals(x, f.Data)
	case fileWant:
		h.wanted(x, f.Hash)
	case filePiece:
		h.piece(x, f)
	case fileNone:
		h.refuse(x, f.Hash)
	}
}

// check asks for all again where it is not what was told.
func (h *sharing) check(x *exchange, b []byte) {
	if !x.in || len(b) != 16 {
		return
	}
	count, sum := binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])
	switch {
	case count == uint64(len(x.theirs.all)) && sum == x.theirs.sum:
		k, now := h.links.know(x.session.name), time.Now()
		if len(h.removing) == 0 && now.After(k.agreed) { // else what waits would not be made up for
			k.agreed = now
		}
	case count <= maxTold:
		x.theirs = newHashes()
		x.answer(fileAgain, x.session.any)
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
		case !x.may(hash):
		case f.Op == fileGone && x.theirs.has(hash):
			x.theirs.remove(hash)
			if h.links.o.ShareRemovals && h.isActive(hash) {
				h.remove(x, hash)
			}
		case f.Op == fileList && len(x.theirs.all) < maxTold:
			x.theirs.add(hash)
			x.stale = true
		}
	}
}

// isActive asks the catalogue itself: a torrent may have come since the last look.
func (h *sharing) isActive(hash bittorrent.InfoHash) bool {
	t, err := h.links.o.Catalog.Get(hash)
	return err == nil && t.Active()
}

// nameOf is what the file of a torrent is called where its own name cannot be used.
func nameOf(hash bittorrent.InfoHash, name string) string {
	if catalog.CheckName(name) != nil {
		return hash.String() + ".torrent"
	}
	return name
}
