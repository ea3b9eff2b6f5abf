package passkey

import (
	"cmp"
	"context"
	"encoding/binary"
	"maps"
	"slices"
	"sync"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// Announce is of tracker.Recorder: what an announce tells under a good passkey waits to be
// written. It allocates nothing where the session waits already.
func (b *Book) Announce(a *swarm.Announce) {
	if a.Credentials.Passkey == "" {
		return
	}
	e := b.index.find(a.Credentials.Passkey)
	if e == nil || e.record().State(a.Now) != Active {
		return // a peer that was let go
	}
	hash := a.InfoHash
	if b.o.Torrent != nil {
		hash = b.o.Torrent(&a.InfoHash)
	}
	if !b.waiting.hear(e, &hash, a) {
		b.figures.leftOut.Add(1)
	}
}

// waiting is what sessions told and is not written yet.
type waiting struct {
	flush  sync.Mutex // held by who writes
	most   int        // in a shard
	shards [64]shard
}

// shard has the sessions of some digests.
type shard struct {
	mu      sync.Mutex
	told    map[sessionKey]Told
	ended   []ended // sessions that began anew before they were written
	away    int     // sessions that are being written, and come back where they cannot be
	written map[sessionKey]Told
}

type sessionKey struct {
	entry  *entry
	digest uint64
}

type ended struct {
	key  sessionKey
	told Told
}

func (w *waiting) open(most int) {
	w.most = max(most/len(w.shards), 1)
	for i := range w.shards {
		w.shards[i].told, w.shards[i].written = map[sessionKey]Told{}, map[sessionKey]Told{}
	}
}

// len returns how many sessions have a place. The lock is the caller's.
func (s *shard) len() int { return len(s.told) + len(s.ended) + s.away }

func (w *waiting) len() (n int) {
	for i := range w.shards {
		s := &w.shards[i]
		s.mu.Lock()
		n += s.len()
		s.mu.Unlock()
	}
	return n
}

// hear takes in what an announce tells of a torrent, and reports whether there was room for it.
func (w *waiting) hear(e *entry, torrent *bittorrent.InfoHash, a *swarm.Announce) bool {
	digest := digestOf(torrent, &a.PeerID)
	key, s := sessionKey{e, digest}, &w.shards[digest%uint64(len(w.shards))]
	now := uint32(a.Now.Unix())
	s.mu.Lock()
	defer s.mu.Unlock()
	t, known := s.told[key]
	anew := known && a.Event == bittorrent.EventStarted && (a.Uploaded < t.Uploaded || a.Downloaded < t.Downloaded) && after(now, t.Began)
	if (!known || anew) && s.len() >= w.most {
		return false
	}
	if anew {
		t.At = min(t.At, now-1) // it was told before, also where that was in the same second
		s.ended = append(s.ended, ended{key, t})
	}
	if !known || anew {
		t = Told{
			Session: Session{Digest: digest, Torrent: binary.LittleEndian.Uint32(torrent[:]), Marked: now},
			Since:   now, FirstUploaded: a.Uploaded, FirstDown: a.Downloaded,
		}
	}
	if a.Event == bittorrent.EventStarted && t.Began == 0 {
		t.Began = now
	}
	if a.Uploaded > t.Uploaded || a.Downloaded > t.Downloaded {
		t.Uploaded, t.Downloaded, t.Marked = max(t.Uploaded, a.Uploaded), max(t.Downloaded, a.Downloaded), now
	}
	t.At, t.Stopped = now, a.Event == bittorrent.EventStopped
	s.told[key] = t
	return true
}

// digestOf is FNV-1a of info hash and peer id. Who makes two of them alike has less counted
// of his own.
func digestOf(torrent *bittorrent.InfoHash, peer *bittorrent.PeerID) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range torrent {
		h = (h ^ uint64(c)) * 1099511628211
	}
	for _, c := range peer {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h ^ h>>32
}

// take returns all that waits, by passkey.
func (w *waiting) take() map[*entry][]Told {
	all := map[*entry][]Told{}
	for i := range w.shards {
		s := &w.shards[i]
		s.mu.Lock()
		told, before := s.told, s.ended
		s.away = len(told) + len(before)
		s.told, s.ended = s.written, nil
		s.written = nil
		s.mu.Unlock()
		slices.SortFunc(before, func(x, y ended) int { return cmp.Compare(x.told.Began, y.told.Began) })
		for _, e := range before {
			all[e.key.entry] = append(all[e.key.entry], e.told)
		}
		for key, t := range told {
			all[key.entry] = append(all[key.entry], t)
		}
		clear(told) // and keeps its memory, for the next
		s.written = told
	}
	return all
}

// settle takes back the places of what was taken: it is written, or was given back.
func (w *waiting) settle() {
	for i := range w.shards {
		s := &w.shards[i]
		s.mu.Lock()
		s.away = 0
		s.mu.Unlock()
	}
}

// giveBack has what could not be written wait again, with what was told meanwhile.
func (w *waiting) giveBack(e *entry, told []Told) {
	for _, t := range slices.Backward(told) {
		key, s := sessionKey{e, t.Digest}, &w.shards[t.Digest%uint64(len(w.shards))]
		s.mu.Lock()
		since, is := s.told[key]
		switch {
		case !is:
			s.told[key] = t
		case after(since.Began, t.Began):
			s.ended = append(s.ended, ended{key, t})
		default:
			since.Since, since.FirstUploaded, since.FirstDown = t.Since, t.FirstUploaded, t.FirstDown
			since.Began = max(since.Began, t.Began)
			since.Uploaded, since.Downloaded = max(since.Uploaded, t.Uploaded), max(since.Downloaded, t.Downloaded)
			s.told[key] = since
		}
		s.mu.Unlock()
	}
}

// countStep is how many passkeys are counted at a time, for which edits wait.
const countStep = 256

// Flush writes what waits. Nobody need call it but who may be stopped for good at any time,
// and cannot Close. What cannot be written waits on.
func (b *Book) Flush(ctx context.Context) error {
	b.waiting.flush.Lock()
	defer b.waiting.flush.Unlock()
	all := b.waiting.take()
	defer b.waiting.settle()
	entries := slices.SortedFunc(maps.Keys(all), func(x, y *entry) int { return cmp.Compare(x.record().ID, y.record().ID) })
	for len(entries) > 0 {
		step := entries[:min(countStep, len(entries))]
		if err := b.write(ctx, step, all); err != nil {
			for _, e := range entries {
				b.waiting.giveBack(e, all[e])
			}
			return err
		}
		entries = entries[len(step):]
	}
	return nil
}

func (b *Book) write(ctx context.Context, entries []*entry, all map[*entry][]Told) error {
	b.edit.Lock()
	defer b.edit.Unlock()
	told := make([]Counted, len(entries))
	for i, e := range entries {
		told[i] = Counted{e.record().ID, all[e]}
	}
	totals, err := b.o.Store.Count(ctx, told, b.rules())
	if err != nil {
		return err
	}
	for i, e := range entries {
		if t := totals[i]; t != nil {
			if more := t.Implausible - e.totals.Load().Implausible; more > 0 {
				b.figures.implausible.Add(uint64(more))
			}
			e.totals.Store(t)
		}
	}
	return nil
}

func (b *Book) rules() Rules {
	lifetime := time.Duration(b.lifetime.Load())
	return Rules{Rate: b.rate.Load(), Lifetime: lifetime, Forget: forgetAfter * lifetime, Now: b.Now()}
}
