package redis

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/redis/rueidis"

	"waggle/bittorrent"
	"waggle/swarm"
)

// What a newcomer is told at the limits of peers and of torrents.
const (
	warnPeers    = "this tracker is at its limit of peers: it cannot tell others of you now"
	warnTorrents = "this tracker is at its limit of torrents: it cannot tell others of you now"
)

// strangers is how many unlocated peers of each kind are looked at for a located one.
const strangers = 8

// worker is what one announce needs at a time. It is used again.
type worker struct {
	view
	selector swarm.Selector

	kind    swarm.Kind
	limits  string // the flags of announce.lua for the limits that are reached
	warning string // why the peer was not recorded; "": it was
	brought string // its record, taken from another part
	request [11]string
}

func (s *Store) worker() *worker {
	if w, ok := s.workers.Get().(*worker); ok {
		return w
	}
	return s.newWorker()
}

// Announce is documented at [swarm.Store]. It is one round trip: a script call, and for
// a located peer at the same time a step of its map. Another one follows where roles or
// leases change, and where it comes out only then that the map must be asked.
func (s *Store) Announce(ctx context.Context, a *swarm.Announce, r *swarm.Reply) error {
	w := s.worker()
	defer s.workers.Put(w)
	w.kind, w.brought, w.warning, w.limits = a.Kind(), "", "", s.limits()
	if s.hosts != nil && a.Location != nil {
		s.hosts.see(a)
	}
	if s.beside(a, w) {
		return s.replicas.AnnounceWhile(ctx, a, r, func(ctx context.Context) (swarm.View, swarm.Position, error) {
			asker, _, err := s.write(ctx, w, a, r)
			return w, asker, err
		})
	}
	asker, parts, err := s.write(ctx, w, a, r)
	stopped := a.Event == bittorrent.EventStopped
	switch {
	case err != nil:
		return err
	case s.replicas != nil && w.warning == "" && (w.located || a.Location != nil && !stopped):
		return s.replicas.Announce(ctx, a, r, w, asker)
	case stopped: // one that leaves wants no peers
	case w.warning != "":
		r.Warning = w.warning
		if a.Location == nil && !w.located {
			w.selector.Select(w, swarm.Absent, a, r)
		}
	default:
		w.selector.Select(w, asker, a, r)
		s.considerSplit(ctx, a, w, parts)
	}
	return nil
}

// beside reports whether the map is asked in any case, and so may be at once. At a limit
// it may not: a newcomer is in neither.
func (s *Store) beside(a *swarm.Announce, w *worker) bool {
	return s.replicas != nil && w.limits == "" && (a.Location != nil && a.Event != bittorrent.EventStopped || s.replicas.Holds(a.InfoHash))
}

// write records a peer, or removes one that stopped, and fills the view and the counts of
// the answer. It returns where the peer stands, and how many parts the torrent has.
func (s *Store) write(ctx context.Context, w *worker, a *swarm.Announce, r *swarm.Reply) (asker swarm.Position, parts int, err error) {
	asker = swarm.Absent
	if a.Event == bittorrent.EventStopped {
		_, err = s.leave(ctx, w, a.InfoHash, a.Addr(), "")
	} else if parts, err = s.record(ctx, w, a); err == nil && w.warning == "" {
		asker = w.position(w.kind)
	}
	if err == nil {
		s.setCounts(w, r)
	}
	return asker, parts, err
}

func (s *Store) setCounts(w *worker, r *swarm.Reply) {
	c := w.counts()
	r.Complete, r.Incomplete, r.Downloaded = c.Complete, c.Incomplete, c.Downloaded
}

// moves is how often an announce follows a torrent whose parts change.
const moves = 8

// record records a peer, and fills the view. It returns how many parts the torrent has.
func (s *Store) record(ctx context.Context, w *worker, a *swarm.Announce) (parts int, err error) {
	parts = s.parts.of(a.InfoHash)
	for range moves {
		w.reset(a.Addr())
		w.warning = ""
		var now int
		if parts == 1 {
			now, err = s.recordWhole(ctx, w, a)
		} else {
			now, err = s.recordPart(ctx, w, a, parts)
		}
		if err != nil || now == parts {
			return parts, err
		}
		if parts, err = s.learn(ctx, a.InfoHash, parts, now); err != nil {
			return parts, err
		}
	}
	return parts, swarm.ErrBusy
}

// mostWanted is the most peers of an answer.
const mostWanted = 10000

// ask is what a sample is for: see sample.lua.
func (s *Store) ask(w *worker, a *swarm.Announce, split bool) (families, ask, want string) {
	most := min(max(a.NumWant, 0), mostWanted)
	switch {
	case a.Location != nil && s.replicas != nil:
		ask, most = "a", strangers
	case w.kind != swarm.Leecher:
		ask = "s"
	case split:
		ask = "a"
	default:
		ask = "l"
	}
	switch a.Families & (swarm.IPv4 | swarm.IPv6) {
	case swarm.IPv4:
		families = "4"
	case swarm.IPv6:
		families = "6"
	case swarm.IPv4 | swarm.IPv6:
		families = "46"
	}
	return families, ask, decimal(int64(most))
}

// arguments are those of announce.lua, which are w's.
func (s *Store) arguments(w *worker, a *swarm.Announce, parts, flags string) []string {
	if a.Event == bittorrent.EventCompleted {
		flags += "c"
	}
	if a.Location != nil && s.replicas != nil {
		flags += "m"
	}
	flags += w.limits
	families, ask, want := s.ask(w, a, parts != "1")
	w.request = [...]string{
		address(a.Addr()), groupOf(w.kind, a.From), seconds(a.Now), rest(a.Left, a.Downloaded, a.Uploaded, a.Key, event(a), form(a), &a.PeerID),
		families, ask, want, parts, w.chance(), flags, w.brought,
	}
	switch {
	case w.brought != "":
		return w.request[:]
	case flags != "":
		return w.request[:10]
	}
	return w.request[:9]
}

// recordWhole records a peer of a torrent that is not split, and returns how many parts
// it has if it is.
func (s *Store) recordWhole(ctx context.Context, w *worker, a *swarm.Announce) (parts int, err error) {
	answer, err := s.server.run(ctx, announceScript, s.keys.part(&a.InfoHash, 0), s.arguments(w, a, "1", "")...)
	if err != nil {
		return 0, err
	}
	head, err := w.read(answer)
	if err != nil {
		return 0, err
	}
	if text, ok := strings.CutPrefix(head, "parts "); ok {
		return parseParts(text)
	}
	return 1, nil
}

// read adds to the view what a script answers with: counts, and samples of groups.
// Another answer it returns.
func (w *worker) read(answer rueidis.RedisMessage) (head string, err error) {
	list, err := answer.ToArray()
	if err != nil || len(list) == 0 || len(list) > 13 {
		return "", fmt.Errorf("%w: an answer has %d parts", errAnswer, len(list))
	}
	head, err = list[0].ToString()
	if err != nil {
		return "", fmt.Errorf("%w: %w", errAnswer, err)
	}
	if head == "" || head[0] == 'p' || head == stranger {
		return head, nil
	}
	if line, ok := strings.CutPrefix(head, "full "); ok {
		w.warning, head = warnPeers, line
	} else if line, ok := strings.CutPrefix(head, "crowded "); ok {
		w.warning, head = warnTorrents, line
	}
	if err := w.count(head); err != nil {
		return "", err
	}
	for i := 1; i+1 < len(list); i += 2 {
		group, err := list[i].ToString()
		if err != nil {
			return "", fmt.Errorf("%w: %w", errAnswer, err)
		}
		lines, err := list[i+1].ToString()
		if err != nil {
			return "", fmt.Errorf("%w: %w", errAnswer, err)
		}
		if err := w.take(group, lines); err != nil {
			return "", err
		}
	}
	return "", nil
}

// stranger is the answer of a part that does not know a peer.
const stranger = "stranger"

// leave removes a peer, unless it was seen at a time or later, "" for any, and fills in
// the counts that are left. It reports whether it is not there any more.
func (s *Store) leave(ctx context.Context, w *worker, h bittorrent.InfoHash, addr netip.AddrPort, seen string) (gone bool, err error) {
	parts := s.parts.of(h)
	for range moves {
		w.reset(addr)
		now, there, err := s.remove(ctx, w, h, addr, parts, seen)
		if err != nil {
			return false, err
		}
		if now == parts {
			if parts > 1 && w.peers() == 0 {
				err = s.forget(ctx, h, parts)
			}
			return !there, err
		}
		if parts, err = s.learn(ctx, h, parts, now); err != nil {
			return false, err
		}
	}
	return false, swarm.ErrBusy
}

// remove removes a peer wherever it was recorded. It returns how many parts the torrent
// has, and whether the peer is still there, because it was seen.
func (s *Store) remove(ctx context.Context, w *worker, h bittorrent.InfoHash, addr netip.AddrPort, parts int, seen string) (now int, there bool, err error) {
	places, part := s.keys.parts(&h, parts), partOf(addr, parts)
	calls := make([]call, parts)
	for i, at := range places {
		calls[i] = call{lookScript, at, []string{"", "s", "0", "0"}}
	}
	for _, i := range append(before(part, parts), part) {
		known := ""
		if i == 0 {
			known = decimal(int64(parts))
		}
		calls[i] = call{stopScript, places[i], []string{address(addr), known, seen}}
	}
	answers, err := s.server.runAll(ctx, calls)
	if err != nil {
		return 0, false, err
	}
	for i := range answers {
		list, head, err := w.readCounts(answers[i])
		if err != nil {
			return 0, false, err
		}
		if text, ok := strings.CutPrefix(head, "parts "); ok {
			now, err = parseParts(text)
			return now, false, err
		}
		if len(list) == 3 {
			kept, _ := list[2].AsInt64()
			there = there || kept == 1
		}
	}
	return w.parts, there, nil
}

// readCounts adds the counts of an answer of stop.lua or look.lua.
func (w *worker) readCounts(answer rueidis.RedisMessage) (list []rueidis.RedisMessage, head string, err error) {
	list, err = answer.ToArray()
	if err != nil || len(list) == 0 {
		return nil, "", fmt.Errorf("%w: an answer is empty", errAnswer)
	}
	head, err = list[0].ToString()
	if err != nil {
		return nil, "", fmt.Errorf("%w: %w", errAnswer, err)
	}
	if strings.HasPrefix(head, "parts ") {
		return list, head, nil
	}
	return list, "", w.count(head)
}

// count adds a line of counts.
func (w *worker) count(line string) error {
	t, err := parseTally(line)
	if err != nil {
		return err
	}
	w.add(&t)
	w.located = w.located || t.located
	w.parts = max(w.parts, t.parts)
	return nil
}

// removed returns the record in an answer of stop.lua.
func removed(answer rueidis.RedisMessage) (record string, err error) {
	list, err := answer.ToArray()
	if err != nil || len(list) != 3 {
		return "", fmt.Errorf("%w: a removal's", errAnswer)
	}
	return list[1].ToString()
}
