package core

import (
	"bytes"
	"encoding/binary"

	"waggle/bittorrent"
)

// answering is an ask of the other end that is being answered.
type answering struct {
	ask
	begun   bool
	next    int      // of hashes, or of entries
	entries []uint32 // askPeers
}

const (
	maxAnswers = 32   // asks that wait
	maxListed  = 1024 // entries of a torrent that are listed at once

	// looksASecond is how many entries are looked at for one link, over looksOver
	// seconds, in asking and in answering: some tenth of a processor.
	looksASecond = 5_000_000
	looksOver    = 10

	// listedAtOnce is how many entries a link whose changes are limited is asked for
	// to heal; then ten times as many a second as it may bring changes. One that brings
	// as many more than it was asked for is closed.
	listedAtOnce = 1_000_000
)

// hearAsk lets an ask wait for its answer.
func (n *Node) hearAsk(s *session, body []byte) error {
	a, err := readAsk(body)
	if err != nil {
		return err
	}
	if a.heal < s.lastHeal {
		return nil
	}
	if a.heal > s.lastHeal {
		s.answers, s.lastHeal = s.answers[:0], a.heal
	}
	if len(s.answers) < maxAnswers {
		s.answers = append(s.answers, answering{ask: a})
	}
	return nil
}

// sendAnswer sends the next message of an answer, and reports whether there was one.
func (n *Node) sendAnswer(s *session) bool {
	if len(s.answers) == 0 || s.looks.room(n.ms) <= 0 {
		return false
	}
	a := &s.answers[0]
	more := false
	head := answer{heal: a.heal, number: a.number}
	switch a.what {
	case askBuckets:
		n.sendBuckets(s, head)
	case askPage:
		n.sendPage(s, head, a)
	case askParts:
		n.sendParts(s, head, a)
	case askTorrents:
		more = n.sendTorrents(s, head, a)
	default:
		more = n.sendPeers(s, head, a)
	}
	if !more {
		s.answers = append(s.answers[:0], s.answers[1:]...)
	}
	return true
}

func (n *Node) sendBuckets(s *session, head answer) {
	b := head.append(begin(kindBuckets, 16*buckets+16))
	told := s.told
	if s.tellsAll {
		b = append(b, beatAll)
		for i := range told {
			told[i] = n.all[i] ^ s.to.from[i]
		}
	} else {
		b = append(b, 0)
	}
	n.send(s, appendPairs(b, &told, &n.all), windowed)
}

func (n *Node) sendPage(s *session, head answer, a *answering) {
	b := head.append(begin(kindPage, 4096))
	flags := len(b)
	b = append(b, 0)
	listed := 0
	s.looks.take(len(n.buckets[a.bucket])) // to sort them
	for _, t := range n.sorted(a.bucket) {
		r := n.torrent(t)
		if !a.begin && bytes.Compare(r.hash[:], a.after[:]) <= 0 || !s.tells(&r.hash) {
			continue
		}
		told, all, size := n.sum(t, s.to.slot)
		s.looks.take(int(r.size))
		if size == 0 {
			continue
		}
		if listed == pageLen {
			b[flags] = answerMore
			break
		}
		p := paged{hash: r.hash, pair: pair{told: told, all: all}, size: uint64(size)}
		b = p.append(b)
		listed++
	}
	n.send(s, b, windowed)
}

func (n *Node) sendParts(s *session, head answer, a *answering) {
	b := head.append(begin(kindParts, 16*buckets+64))
	b = append(b, a.hash[:]...)
	var told, all digests
	if t := n.lookup(a.hash); t != 0 && s.tells(&a.hash) {
		told = n.sumParts(t, s.to.slot, &all)
		s.looks.take(int(n.torrent(t).size))
	}
	n.send(s, appendPairs(b, &told, &all), windowed)
}

// beginListing begins a message of entries; the byte of its flags is the returned
// one.
func (n *Node) beginListing(head answer) (b []byte, flags int) {
	b = head.append(begin(kindListing, fullMessage+fullMessage/4))
	flags = len(b)
	n.origins.reset()
	return binary.AppendUvarint(append(b, 0), uint64(n.wall)), flags
}

// sendTorrents lists whole torrents, and reports whether more are to follow.
func (n *Node) sendTorrents(s *session, head answer, a *answering) (more bool) {
	b, flags := n.beginListing(head)
	for ; a.next < len(a.hashes) && len(b) < fullMessage; a.next++ {
		h := a.hashes[a.next]
		if !s.tells(&h) {
			continue
		}
		n.numbers = n.numbers[:0]
		if t := n.lookup(h); t != 0 {
			s.looks.take(int(n.torrent(t).size))
			for i := n.torrent(t).first; i != 0; i = n.entry(i).next {
				if n.entry(i).via != s.to.slot {
					n.numbers = append(n.numbers, i)
				}
			}
		}
		count := uint64(len(n.numbers))<<1 | 1 // all that there are
		if len(n.numbers) > maxListed {
			n.numbers = n.numbers[:maxListed]
			count = maxListed << 1
		}
		b = binary.AppendUvarint(append(b, h[:]...), count)
		for _, i := range n.numbers {
			b = n.appendEntry(b, i, true)
		}
		s.figures.Listed += uint64(len(n.numbers))
	}
	if more = a.next < len(a.hashes); more {
		b[flags] = answerMore
	}
	n.send(s, b, windowed)
	return more
}

// sendPeers lists parts of a torrent, and reports whether more are to follow.
func (n *Node) sendPeers(s *session, head answer, a *answering) (more bool) {
	t := n.lookup(a.hash)
	if t != 0 && !s.tells(&a.hash) {
		t = 0
	}
	if t != 0 && !a.begun {
		a.begun = true
		r := n.torrent(t)
		s.looks.take(int(r.size))
		for i := r.first; i != 0; i = n.entry(i).next {
			if e := n.entry(i); e.via != s.to.slot && a.asksFor(partOf(e.placeOf(r.seed))) {
				a.entries = append(a.entries, i)
			}
		}
	}
	b, flags := n.beginListing(head)
	n.numbers = n.numbers[:0]
	for ; t != 0 && a.next < len(a.entries) && len(n.numbers) < eager; a.next++ {
		// What was forgotten meanwhile has given its number to another.
		i := a.entries[a.next]
		if e := n.entry(i); e.state != free && e.torrent == t && e.via != s.to.slot {
			n.numbers = append(n.numbers, i)
		}
	}
	if len(n.numbers) > 0 {
		b = binary.AppendUvarint(append(b, a.hash[:]...), uint64(len(n.numbers))<<1)
		for _, i := range n.numbers {
			b = n.appendEntry(b, i, true)
		}
		s.figures.Listed += uint64(len(n.numbers))
	}
	if more = t != 0 && a.next < len(a.entries); more {
		b[flags] = answerMore
	}
	n.send(s, b, windowed)
	return more
}

func (a *answering) asksFor(part uint8) bool { return a.parts[part/8]>>(part%8)&1 != 0 }

// hearListing takes in entries. a is the ask that they answer; nil: one of a healing
// that began anew, or none.
func (n *Node) hearListing(s *session, r *reader, to answer, a *ask) error {
	asked := a != nil || to.heal > 0 && to.heal < s.heal.id
	r.u8()
	base := r.milli(r.uvarint())
	late := uint64(n.transit(s, base)) * ticks / 1000
	heard := 0
	n.origins.reset()
	for len(r.b) > 0 && !s.closed {
		h := r.hash()
		count := r.uvarint()
		whole := count&1 != 0 && a != nil && a.lists(&h)
		wanted := n.wants(s, &h)
		t := n.lookup(h)
		for count >>= 1; count > 0 && !r.bad && !s.closed; count-- {
			c := &n.heard
			c.read(r, base, &n.origins)
			if r.bad {
				break
			}
			heard++
			c.age += late
			if wanted {
				n.hearListed(s, &t, h, c, whole)
			} else {
				s.figures.Refused++
			}
		}
		if whole && t != 0 {
			n.buryUnlisted(s, t, base, r.bad || s.closed)
		}
	}
	s.figures.ListedIn += uint64(heard)
	switch {
	case s.closed:
		return nil
	case asked:
		s.heal.brings.take(heard)
		if s.heal.brings.room(n.ms) < -listedAtOnce {
			n.block(s, "far more came through the link than it was asked for: it may come back in a minute; "+
				"if it is no mistake of that tracker, drop it")
		}
	default:
		n.charge(s, heard)
	}
	return r.end()
}

// hearListed takes in one entry of a listing, which is whole where it has all entries of
// the torrent. What is newer here is sent back.
func (n *Node) hearListed(s *session, t *uint32, h bittorrent.InfoHash, c *change, whole bool) {
	addr, port := c.addr, c.port
	heard := n.hear(s, t, h, c)
	if heard == taken {
		s.heal.applied++
	}
	i := n.find(*t, &addr, port)
	if i == 0 {
		return
	}
	n.entry(i).listed = whole
	if heard == older && n.entry(i).via != s.to.slot && s.tells(&h) && s.waiting.n < n.o.MaxWaiting {
		n.wait(s, i, true) // that they have older news does not show in digests
		s.heal.returned++
	}
}

// buryUnlisted removes the peers that announced at the other end, in its present
// life, and that it does not know any more. base is when it listed what it has, by
// its clock.
func (n *Node) buryUnlisted(s *session, t uint32, base int64, broken bool) {
	n.numbers = n.numbers[:0]
	s.looks.take(int(n.torrent(t).size))
	for i := n.torrent(t).first; i != 0; i = n.entry(i).next {
		e := n.entry(i)
		if e.listed {
			e.listed = false
			continue
		}
		if e.state == live && e.via == s.to.slot && e.origin == s.hello.origin && e.stamp.milli() < base {
			n.numbers = append(n.numbers, i)
		}
	}
	if broken {
		return
	}
	for _, i := range n.numbers {
		n.buryAndRemove(i, uint64(n.now-n.entry(i).seen))
	}
}
