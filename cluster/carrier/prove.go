package carrier

import (
	"crypto/hmac"
	"encoding/binary"
	"net/netip"
	"time"
)

const (
	nonceLen = 16

	// controlLen is the length of a challenge (mark, nonce, MAC) and of its answer (mark, boot
	// id, counter, MAC; the nonce is under the MAC alone): that of the shortest datagram.
	controlLen = 4 + nonceLen + macLen

	maxSenders    = 512             // that are known
	maxSilence    = time.Minute     // for which one is known
	maxChallenges = 128             // in a quarter of a second; for each boot id one
	maxAnswers    = 512             // in a quarter of a second
	nonceAge      = 4 * time.Second // a nonce is good for as long, and twice as long at most
	roundAge      = time.Second / 4 // of challenges and answers
	sweepAge      = maxSilence / 60 // between looks for those that were silent
	reordering    = 1024            // counters that one may come late by
	words         = reordering / 64 // of a window
)

// sender is a boot id that has shown that it lives. One whose address another has taken is
// kept as dead, so that no recorded answer brings it back: a nonce does not live as long.
type sender struct {
	addr    netip.AddrPort
	heard   time.Time
	dead    bool
	windows [2]window
}

// The windows of a sender. What it sends to all and what it sends to this instance come by
// different sockets, of which one may be behind.
const (
	windowAll = iota
	windowOwn
)

// window remembers the last counters.
type window struct {
	top  uint64
	seen [words]uint64
}

// begin has a window take only what comes after a counter.
func (w *window) begin(counter uint64) {
	w.top = counter
	for i := range w.seen {
		w.seen[i] = ^uint64(0)
	}
}

// take reports whether a counter is new, and remembers it.
func (w *window) take(counter uint64) bool {
	switch {
	case counter > w.top:
		if counter-w.top >= reordering {
			w.seen = [words]uint64{}
		} else {
			for c := w.top + 1; c != counter; c++ {
				w.seen[c%reordering/64] &^= 1 << (c % 64)
			}
		}
		w.top = counter
	case w.top-counter >= reordering, w.seen[counter%reordering/64]&(1<<(counter%64)) != 0:
		return false
	}
	w.seen[counter%reordering/64] |= 1 << (counter % 64)
	return true
}

// pass lets time pass.
func (s *Seal) pass(now time.Time) {
	if s.start.IsZero() {
		s.start, s.swept = now, now
	}
	if round := int64(now.Sub(s.start) / roundAge); round != s.round {
		s.round, s.answered = round, 0
		clear(s.asked)
	}
	if now.Sub(s.swept) >= sweepAge {
		s.swept = now
		s.sweep(now)
	}
}

// sweep forgets who was silent.
func (s *Seal) sweep(now time.Time) {
	for boot, k := range s.senders {
		if now.Sub(k.heard) > maxSilence {
			delete(s.senders, boot)
		}
	}
}

// nonce returns the nonce for a boot id at an address. It follows from a key of this life of this
// instance and from the time, so that nothing has to be remembered of who was challenged.
func (s *Seal) nonce(boot uint64, addr netip.AddrPort, age int64) (n [nonceLen]byte) {
	s.context = binary.BigEndian.AppendUint64(s.context[:0], boot)
	s.context = binary.BigEndian.AppendUint64(appendAddress(s.context, addr), uint64(age))
	s.own.Reset()
	_, _ = s.own.Write(s.context) // a hash takes all
	s.sum = s.own.Sum(s.sum[:0])
	copy(n[:], s.sum)
	return n
}

func (s *Seal) age(now time.Time) int64 { return int64(now.Sub(s.start) / nonceAge) }

// challenge asks a boot id that is new whether it lives.
func (s *Seal) challenge(now time.Time, from netip.AddrPort, boot uint64) (reply []byte, err error) {
	if _, asked := s.asked[boot]; asked {
		return nil, errUnproven
	}
	if len(s.asked) >= maxChallenges || len(s.senders) >= maxSenders {
		return nil, errCrowded
	}
	s.asked[boot], s.lastAsked = struct{}{}, now
	nonce := s.nonce(boot, from, s.age(now))
	s.reply = append(binary.BigEndian.AppendUint32(s.reply[:0], markChallenge), nonce[:]...)
	s.reply = append(s.reply, s.sign(signChallenge, s.o.Address, from, bootBytes(boot), s.reply)...)
	s.figures.Challenges++
	return s.reply, errUnproven
}

// challenged answers a challenge of this boot id.
func (s *Seal) challenged(from netip.AddrPort, b []byte) (reply []byte, err error) {
	said := b[:4+nonceLen]
	if !hmac.Equal(s.sign(signChallenge, from, s.o.Address, bootBytes(s.boot), said), b[len(said):]) {
		return nil, errForged
	}
	if s.answered >= maxAnswers {
		return nil, errCrowded
	}
	s.answered++
	s.counter++
	s.reply = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(s.reply[:0], markAnswer), s.boot)
	s.reply = binary.BigEndian.AppendUint64(s.reply, s.counter)
	s.reply = append(s.reply, s.sign(signAnswer, s.o.Address, from, said[4:], s.reply)...)
	s.figures.Answers++
	return s.reply, nil
}

// proven takes in the answer to a challenge. What was sent before it is not taken.
func (s *Seal) proven(now time.Time, from netip.AddrPort, b []byte) error {
	said := b[:4+8+8]
	boot, counter := binary.BigEndian.Uint64(said[4:]), binary.BigEndian.Uint64(said[12:])
	age := s.age(now)
	if s.lastAsked.IsZero() || now.Sub(s.lastAsked) >= 2*nonceAge {
		return errForged // nobody was asked: that is seen without the cost of four MACs
	}
	if !s.isAnswer(from, boot, age, b) && !s.isAnswer(from, boot, age-1, b) {
		return errForged
	}
	switch {
	case boot == s.boot:
		return errOwn
	case s.senders[boot] != nil:
		return errReplayed
	case len(s.senders) >= maxSenders:
		return errCrowded
	}
	for _, other := range s.senders {
		if other.addr == from && !other.dead {
			other.dead, other.heard = true, now
		}
	}
	k := &sender{addr: from, heard: now}
	for i := range k.windows {
		k.windows[i].begin(counter)
	}
	s.senders[boot] = k
	return nil
}

// isAnswer reports whether an answer has the nonce of an age under its MAC.
func (s *Seal) isAnswer(from netip.AddrPort, boot uint64, age int64, b []byte) bool {
	nonce := s.nonce(boot, from, age)
	return hmac.Equal(s.sign(signAnswer, from, s.o.Address, nonce[:], b[:len(b)-macLen]), b[len(b)-macLen:])
}

func bootBytes(boot uint64) []byte {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], boot)
	return b[:]
}
