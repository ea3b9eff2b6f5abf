package core

import (
	"bytes"
	"slices"
	"time"

	"waggle/bittorrent"
)

// healing is the comparing of what the other end has told with what came: digests
// of the whole, of buckets, of torrents, of parts of large torrents, then entries.
// Only this end changes; the other one heals by itself. All is asked for, so that
// neither end is given more than it can take, and asking twice does no harm.
type healing struct {
	active   bool
	begun    int64 // ms
	moved    int64 // ms, the latest answer
	id       uint32
	number   uint32
	work     []ask // the last is next
	out      []ask // not answered yet
	applied  int
	returned int       // entries that are newer here
	brings   allowance // entries that listings may bring
	doubted  bool      // it began because digests differed
	alarms   int       // in a row, that found nothing
	quiet    int64     // ms until which differing digests are let be
}

const (
	maxOut      = 8      // asks under way
	healPatient = 20_000 // ms without an answer, then it begins anew
	alarmAfter  = 10_000 // ms until the second look after one that found nothing
	maxAlarms   = 4      // doublings of that
)

// ready reports whether there is something to ask.
func (h *healing) ready() bool {
	return h.active && len(h.out) < maxOut
}

// startHeal begins to compare, or begins anew.
func (n *Node) startHeal(s *session, cause string) {
	h := &s.heal
	if !s.up || !s.o.Receive || s.hello.offers == modeNone {
		return
	}
	if !h.active {
		h.active, h.begun, h.applied, h.returned, h.doubted = true, n.ms, 0, 0, false
		n.event(s, Event{Kind: HealStarted, Words: cause})
	}
	h.id++
	h.moved = n.ms
	h.work, h.out = append(h.work[:0], ask{what: askBuckets}), h.out[:0]
}

// healSoon begins to compare if nothing was found in vain just before.
func (n *Node) healSoon(s *session, cause string) {
	if s.heal.active || n.ms < s.heal.quiet {
		return
	}
	n.startHeal(s, cause)
	s.heal.doubted = true
}

// pump asks what is to be asked, and ends a healing that is done.
func (n *Node) pump(s *session) {
	h := &s.heal
	if !s.up || !h.active || !s.ours.done() || h.brings.room(n.ms) <= 0 || s.looks.room(n.ms) <= 0 {
		return
	}
	for len(h.work) > 0 && len(h.out) < maxOut {
		a := h.work[len(h.work)-1]
		h.work = h.work[:len(h.work)-1]
		h.number++
		a.heal, a.number = h.id, h.number
		h.out = append(h.out, a)
		n.send(s, a.append(begin(kindAsk, 64+len(a.hashes)*hashLen)), passing)
	}
	if len(h.work)+len(h.out) == 0 {
		n.healed(s)
	}
}

func (n *Node) healed(s *session) {
	h := &s.heal
	h.active = false
	took := time.Duration(n.ms-h.begun) * time.Millisecond
	if h.doubted && h.applied+h.returned == 0 {
		h.quiet = n.ms + alarmAfter<<min(h.alarms, maxAlarms)
		h.alarms++
	} else {
		h.alarms = 0
	}
	s.figures.Heals++
	s.figures.LastHeal = Heal{Age: 0, Took: took, Entries: h.applied, at: n.ms}
	n.event(s, Event{Kind: Healed, Took: took, Entries: h.applied})
}

// tendHeal begins anew what stands still.
func (n *Node) tendHeal(s *session) {
	if h := &s.heal; h.active && len(h.out) > 0 && n.ms-h.moved >= healPatient {
		n.startHeal(s, "no answer")
	}
}

// hearAnswer takes in an answer to an ask.
func (n *Node) hearAnswer(s *session, k kind, body []byte) error {
	r := reader{b: body}
	to := r.answer()
	at := slices.IndexFunc(s.heal.out, func(a ask) bool { return a.number == to.number && a.heal == to.heal })
	if at < 0 {
		if k == kindListing {
			return n.hearListing(s, &r, to, nil)
		}
		return nil // of a healing that began anew
	}
	s.heal.moved = n.ms
	a := &s.heal.out[at]
	var err error
	last := true
	switch {
	case k == kindBuckets && a.what == askBuckets:
		err = n.hearBuckets(s, &r)
	case k == kindPage && a.what == askPage:
		err = n.hearPage(s, a, &r)
	case k == kindParts && a.what == askParts:
		err = n.hearParts(s, a, &r)
	case k == kindListing && (a.what == askTorrents || a.what == askPeers):
		last = len(r.b) > 0 && r.b[0]&answerMore == 0
		err = n.hearListing(s, &r, to, a)
	default:
		return errGarbled
	}
	if last && err == nil && !s.closed {
		s.heal.out = slices.Delete(s.heal.out, at, at+1)
	}
	return err
}

// hearBuckets asks for the torrents of buckets that differ.
func (n *Node) hearBuckets(s *session, r *reader) error {
	flags := r.u8()
	var told, all digests
	r.pairs(&told, &all)
	if err := r.end(); err != nil {
		return err
	}
	both := n.comparesAll(s, flags)
	for i := buckets - 1; i >= 0; i-- {
		if told[i] != s.to.from[i] && (!both || all[i] != n.all[i]) {
			s.heal.work = append(s.heal.work, ask{what: askPage, bucket: uint8(i), begin: true})
		}
	}
	return nil
}

// hearPage asks for what differs of the torrents of a page, and for the next page.
func (n *Node) hearPage(s *session, a *ask, r *reader) error {
	more := r.u8()&answerMore != 0
	var page []paged
	for len(r.b) > 0 && !r.bad && len(page) <= pageLen {
		p := r.paged()
		if p.hash[0] != a.bucket || len(page) > 0 && bytes.Compare(page[len(page)-1].hash[:], p.hash[:]) >= 0 {
			return errGarbled
		}
		page = append(page, p)
	}
	if err := r.end(); err != nil || more && len(page) == 0 {
		return errGarbled
	}
	after, begin := a.after, a.begin
	if more {
		last := page[len(page)-1].hash
		s.heal.work = append(s.heal.work, ask{what: askPage, bucket: a.bucket, after: last})
	}
	mine := n.sorted(a.bucket)
	s.looks.take(len(mine))
	want := ask{what: askTorrents}
	entries := 0
	add := func(h bittorrent.InfoHash, size int) {
		want.hashes = append(want.hashes, h)
		if entries += size; entries >= maxAskEntries || len(want.hashes) == maxAskTorrents {
			s.heal.work = append(s.heal.work, want)
			want, entries = ask{what: askTorrents}, 0
		}
	}
	next := 0
	for _, t := range mine {
		h := n.torrent(t).hash
		if !begin && bytes.Compare(h[:], after[:]) <= 0 {
			continue
		}
		for next < len(page) && bytes.Compare(page[next].hash[:], h[:]) < 0 {
			n.comparePaged(s, &page[next], 0, add)
			next++
		}
		switch {
		case next < len(page) && page[next].hash == h:
			n.comparePaged(s, &page[next], t, add)
			next++
		case next == len(page) && more:
			// It is beyond the page.
		case n.saidOnly(s, t):
			add(h, 0)
		}
	}
	for ; next < len(page); next++ {
		n.comparePaged(s, &page[next], 0, add)
	}
	if len(want.hashes) > 0 {
		s.heal.work = append(s.heal.work, want)
	}
	return nil
}

// comparePaged asks for a torrent if it differs.
func (n *Node) comparePaged(s *session, p *paged, t uint32, add func(bittorrent.InfoHash, int)) {
	if !n.wants(s, &p.hash) {
		return
	}
	var told, all uint64
	if t != 0 {
		told, all, _ = n.sum(t, s.to.slot)
		s.looks.take(int(n.torrent(t).size))
	}
	switch {
	case p.told == told^all || p.all == all:
	case p.size > maxWhole:
		s.heal.work = append(s.heal.work, ask{what: askParts, hash: p.hash})
	default:
		add(p.hash, int(p.size))
	}
}

// saidOnly reports whether a torrent has peers that only the other end can know of.
func (n *Node) saidOnly(s *session, t uint32) bool {
	s.looks.take(int(n.torrent(t).size))
	for i := n.torrent(t).first; i != 0; i = n.entry(i).next {
		if e := n.entry(i); e.state == live && e.via == s.to.slot && e.origin == s.hello.origin {
			return true
		}
	}
	return false
}

// hearParts asks for the parts of a torrent that differ.
func (n *Node) hearParts(s *session, a *ask, r *reader) error {
	if r.hash() != a.hash {
		return errGarbled
	}
	var told, all digests
	r.pairs(&told, &all)
	if err := r.end(); err != nil {
		return err
	}
	var from, mine digests
	if t := n.lookup(a.hash); t != 0 {
		others := n.sumParts(t, s.to.slot, &mine)
		s.looks.take(int(n.torrent(t).size))
		for i := range from {
			from[i] = others[i] ^ mine[i]
		}
	}
	want, parts := ask{what: askPeers, hash: a.hash}, 0
	for i := range told {
		if told[i] == from[i] || all[i] == mine[i] {
			continue
		}
		want.parts[i/8] |= 1 << (i % 8)
		if parts++; parts == maxAskParts {
			s.heal.work = append(s.heal.work, want)
			want, parts = ask{what: askPeers, hash: a.hash}, 0
		}
	}
	if parts > 0 {
		s.heal.work = append(s.heal.work, want)
	}
	return nil
}

// sumParts returns the digests of the parts of a torrent but of what came through a
// link, and sets those of all.
func (n *Node) sumParts(t uint32, via uint16, all *digests) (told digests) {
	r := n.torrent(t)
	for i := r.first; i != 0; {
		e := n.entry(i)
		i = e.next
		if e.state == gone {
			continue
		}
		place := e.placeOf(r.seed)
		d := e.digest(place)
		all[partOf(place)] ^= d
		if e.via != via {
			told[partOf(place)] ^= d
		}
	}
	return told
}

func partOf(place uint64) uint8 { return uint8(place >> 56) }

// sorted returns the torrents of a bucket by their hash.
func (n *Node) sorted(bucket uint8) []uint32 {
	n.numbers = append(n.numbers[:0], n.buckets[bucket]...)
	slices.SortFunc(n.numbers, func(a, b uint32) int {
		return bytes.Compare(n.torrent(a).hash[:], n.torrent(b).hash[:])
	})
	return n.numbers
}
