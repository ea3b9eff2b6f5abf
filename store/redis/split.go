package redis

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"

	"waggle/bittorrent"
	"waggle/swarm"
)

// A torrent that is too hot for one node is split: its peers lie in 2, 4 and so on parts,
// by a hash of their address. Part n is under the tag n after the torrent's own, so that
// it mostly lies on another node. The torrent's own key says how many parts there are.
//
// A split moves nobody: peers stay where they were recorded, and are counted and chosen
// from there, until they announce again. A part that does not know a peer says so; then
// its record is taken from the parts where it may have been, and put there. So a peer is
// never in two parts, and what was counted is not counted again.

// splits remembers which torrents are split. It is a hint: the server says when it is
// wrong.
type splits struct {
	mu    sync.RWMutex
	parts map[bittorrent.InfoHash]int
}

// maxSplits is the most torrents that are remembered to be split.
const maxSplits = 10000

func (p *splits) of(h bittorrent.InfoHash) int {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if n, ok := p.parts[h]; ok {
		return n
	}
	return 1
}

func (p *splits) set(h bittorrent.InfoHash, parts int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case parts == 1:
		delete(p.parts, h)
		return
	case p.parts == nil || len(p.parts) >= maxSplits:
		p.parts = map[bittorrent.InfoHash]int{}
	}
	p.parts[h] = parts
}

// rates counts announces of a second, of some torrents together.
type rates [4096]atomic.Uint32

// more counts one, and returns how many there were in this second.
func (r *rates) more(h *bittorrent.InfoHash) int {
	return int(r[(int(h[18])<<8|int(h[19]))%len(r)].Add(1))
}

func (r *rates) reset() {
	for i := range r {
		r[i].Store(0)
	}
}

// considerSplit splits a torrent that has too many peers or announces a part. Where that
// fails, a later announce tries again.
func (s *Store) considerSplit(ctx context.Context, a *swarm.Announce, w *worker, parts int) {
	rate := s.rates.more(&a.InfoHash)
	o := s.server.options
	many := o.SplitPeers > 0 && w.peers() > o.SplitPeers*parts
	often := o.SplitRate > 0 && min(rate, w.peers()) > o.SplitRate*parts // one of few peers shares the rate of another one
	if !many && !often || parts == maxParts || w.located {
		return
	}
	answer, err := s.server.run(ctx, splitScript, s.keys.part(&a.InfoHash, 0), decimal(int64(parts)))
	text, _ := answer.ToString()
	if now, wrong := parseParts(text); err == nil && wrong == nil {
		s.parts.set(a.InfoHash, now)
	}
}

// recordPart records a peer of a torrent that is split, and returns how many parts it has
// if they are not as many.
func (s *Store) recordPart(ctx context.Context, w *worker, a *swarm.Announce, parts int) (now int, err error) {
	part := partOf(a.Addr(), parts)
	flags := ""
	if part != 0 && w.brought == "" { // the peers of part 0 never were in another one
		flags = "k"
	}
	head, now, err := s.announceAndLook(ctx, w, a, parts, part, flags)
	switch {
	case err != nil:
		return 0, err
	case now != parts:
		if head == "" && part != 0 { // it was recorded where it does not belong
			err = s.bring(ctx, w, a.Addr(), []place{s.keys.part(&a.InfoHash, part)})
		}
		return now, err
	case head == "":
		return parts, nil
	}
	var from []place
	for _, i := range before(part, parts) {
		from = append(from, s.keys.part(&a.InfoHash, i))
	}
	if err := s.bring(ctx, w, a.Addr(), from); err != nil {
		return 0, err
	}
	w.reset(a.Addr())
	head, now, err = s.announceAndLook(ctx, w, a, parts, part, "")
	if err == nil && now != parts && head == "" && part != 0 {
		err = s.bring(ctx, w, a.Addr(), []place{s.keys.part(&a.InfoHash, part)})
	}
	return now, err
}

// announceAndLook announces to a part, and looks at the others in the same round trip.
// head is empty where the peer was recorded.
func (s *Store) announceAndLook(ctx context.Context, w *worker, a *swarm.Announce, parts, part int, flags string) (head string, now int, err error) {
	families, ask, want := s.ask(w, a, true)
	calls := make([]call, parts)
	for i, at := range s.keys.parts(&a.InfoHash, parts) {
		calls[i] = call{lookScript, at, []string{families, ask, want, w.chance()}}
	}
	known := ""
	if part == 0 {
		known = decimal(int64(parts))
	}
	calls[part].script, calls[part].args = announceScript, s.arguments(w, a, known, flags)
	answers, err := s.server.runAll(ctx, calls)
	if err != nil {
		return "", 0, err
	}
	for i := range answers {
		said, err := w.read(answers[i])
		if err != nil {
			return "", 0, err
		}
		if i == part {
			head = said
		}
	}
	if text, ok := strings.CutPrefix(head, "parts "); ok {
		now, err := parseParts(text)
		return head, now, err
	}
	if part == 0 { // it has checked
		return head, parts, nil
	}
	return head, w.parts, nil
}

// bring takes a peer's record out of other parts. If the tracker dies before it has put
// it where it belongs, the peer, which got no answer, announces again.
func (s *Store) bring(ctx context.Context, w *worker, addr netip.AddrPort, from []place) error {
	calls := make([]call, len(from))
	for i, at := range from {
		calls[i] = call{stopScript, at, []string{address(addr), "", ""}}
	}
	answers, err := s.server.runAll(ctx, calls)
	if err != nil {
		return err
	}
	for i := range answers {
		record, err := removed(answers[i])
		if err != nil {
			return err
		}
		if len(record) > placeEnd && (w.brought == "" || record[lastStart:lastEnd] >= w.brought[lastStart:lastEnd]) {
			w.brought = record
		}
	}
	return nil
}

// forget forgets a split torrent if nothing is left in any part.
func (s *Store) forget(ctx context.Context, h bittorrent.InfoHash, parts int) error {
	t, err := s.tally(ctx, h, parts)
	if err != nil || t.peers() > 0 || t.completed > 0 || t.parts != parts || parts == 1 {
		return err
	}
	_, err = s.forgetAt(ctx, h, parts)
	return err
}

// forgetAt has forget.lua forget a split torrent, with what else that takes, and reports
// whether it did.
func (s *Store) forgetAt(ctx context.Context, h bittorrent.InfoHash, parts int, more ...string) (forgotten bool, err error) {
	answer, err := s.server.run(ctx, forgetScript, s.keys.part(&h, 0), append([]string{decimal(int64(parts))}, more...)...)
	if err != nil {
		return false, err
	}
	s.parts.set(h, 1)
	return answer.AsBool()
}

// learn remembers how many parts a torrent has, which were thought to be others, and returns
// that. Where they are fewer it was given up: a peer that completed in a part at that moment
// may have left its count there, which is removed.
func (s *Store) learn(ctx context.Context, h bittorrent.InfoHash, thought, parts int) (int, error) {
	s.parts.set(h, parts)
	if parts >= thought {
		return parts, nil
	}
	_, err := s.sweep(ctx, h, parts, thought)
	return parts, err
}
