package link

import (
	"cmp"
	"context"
	"encoding/binary"
	"maps"
	"slices"
	"time"

	"waggle/bittorrent"
	"waggle/link/core"
)

// A torrent that is deactivated or deleted is told to links at once. For those that are
// gone at that time it is remembered, and told with its age when they come: who was not
// there takes it as it comes, unless the torrent is newer there.
const (
	removalsKept = 7 * 24 * time.Hour
	removalBytes = 20 + 4      // info hash and age, in seconds
	mostRemoved  = 1000        // that no catalogue has any more, or that are active again
	agreedSlack  = time.Minute // by how much what two ends agreed upon may be older than it seems
	maxRemovals  = maxTold     // that wait to be obeyed
)

// removals are what is known of torrents that were removed here. Times are by this
// tracker's clock.
type removals struct {
	gone     map[bittorrent.InfoHash]time.Time // that are, since then
	again    map[bittorrent.InfoHash]time.Time // that are active again, since then
	inactive map[bittorrent.InfoHash]time.Time // that the catalogue has, however long
}

func newRemovals() removals {
	return removals{gone: map[bittorrent.InfoHash]time.Time{}, again: map[bittorrent.InfoHash]time.Time{}}
}

// remember takes in what a life before knew.
func (h *sharing) remember(was *state) {
	fill := func(to map[bittorrent.InfoHash]time.Time, from map[string]int64) {
		for text, at := range from {
			if hash, err := bittorrent.ParseInfoHash(text); err == nil {
				to[hash] = time.Unix(at, 0)
			}
		}
	}
	fill(h.removals.gone, was.Removed)
	fill(h.removals.again, was.Again)
}

// keep writes into a state what only this tracker knows: the latest, as many as there is
// room for.
func (h *sharing) keep(s *state) {
	latest := func(all map[bittorrent.InfoHash]time.Time, not map[bittorrent.InfoHash]struct{}, later time.Duration) map[string]int64 {
		var hashes []bittorrent.InfoHash
		for hash := range all {
			if _, is := not[hash]; !is {
				hashes = append(hashes, hash)
			}
		}
		slices.SortFunc(hashes, func(a, b bittorrent.InfoHash) int {
			return cmp.Or(all[b].Compare(all[a]), slices.Compare(a[:], b[:]))
		})
		kept := map[string]int64{}
		for _, hash := range hashes[:min(len(hashes), mostRemoved)] {
			kept[hash.String()] = all[hash].Add(later).Unix()
		}
		return kept
	}
	s.Removed = latest(h.removals.gone, h.all, 0)          // what the catalogue has, it has the time of
	s.Again = latest(h.removals.again, nil, time.Second-1) // no less than it is, or the removal would come later
}

// changed takes in what became of a catalogue, of which were and are active some, and others
// are inactive, and reports whether that is worth keeping.
func (r *removals) changed(now time.Time, were, are map[bittorrent.InfoHash]struct{}, inactive map[bittorrent.InfoHash]time.Time) (news bool) {
	for hash := range were {
		if _, is := are[hash]; !is {
			r.gone[hash], news = now, true
		}
	}
	for hash := range are {
		_, wasGone := r.gone[hash]
		if _, was := r.inactive[hash]; was || wasGone {
			delete(r.gone, hash)
			r.again[hash], news = now, true
		}
	}
	for hash, at := range inactive {
		r.gone[hash] = at
	}
	r.inactive = inactive
	old := func(_ bittorrent.InfoHash, at time.Time) bool { return now.Sub(at) >= removalsKept }
	maps.DeleteFunc(r.gone, old)
	maps.DeleteFunc(r.again, old)
	return news
}

// listRemovals returns what is to be told to a link that is new.
func (h *sharing) listRemovals(x *exchange) (all []bittorrent.InfoHash) {
	for hash := range h.removals.gone {
		if x.may(hash) && len(all) < maxTold {
			all = append(all, hash)
		}
	}
	return all
}

// sendRemovals tells of removals, and reports whether all are told.
func (h *sharing) sendRemovals(x *exchange, now time.Time) bool {
	for len(x.removals) > 0 {
		some := x.removals[:min(len(x.removals), core.MaxFileData/removalBytes)]
		data := make([]byte, 0, removalBytes*len(some))
		for _, hash := range some {
			age := max(now.Sub(h.removals.gone[hash]), 0)/time.Second + 1 // no less than it is
			data = binary.BigEndian.AppendUint32(append(data, hash[:]...), uint32(min(age, 1<<31)))
		}
		if !h.send(x, fileRemoved, some[0], data, now) {
			return false
		}
		x.removals = x.removals[len(some):]
	}
	return true
}

// hearRemovals takes in what the other end has removed. What it did before both agreed
// last, has been heard.
func (h *sharing) hearRemovals(x *exchange, b []byte) {
	if !x.in || !h.links.o.ShareRemovals || len(b)%removalBytes != 0 {
		return
	}
	now := time.Now()
	for ; len(b) > 0; b = b[removalBytes:] {
		hash, age := bittorrent.InfoHash(b), time.Duration(binary.BigEndian.Uint32(b[20:]))*time.Second
		at := now.Add(-age)
		switch t, err := h.links.o.Catalog.Get(hash); {
		case !x.may(hash) || at.Before(x.agreed.Add(-agreedSlack)):
		case err != nil || !t.Active() || t.Registered.After(at) || h.removals.again[t.InfoHash].After(at):
		default:
			h.remove(x, hash)
		}
	}
}

// removal is one that is to be obeyed.
type removal struct {
	hash bittorrent.InfoHash
	from string
}

// remove has a torrent deactivated that was removed where it came from.
func (h *sharing) remove(x *exchange, hash bittorrent.InfoHash) {
	if len(h.removing) < maxRemovals {
		h.removing = append(h.removing, removal{hash, h.links.know(x.session.name).title(x.session.name)})
	}
}

// obey deactivates what is to be, as the disk has time for it.
func (h *sharing) obey() {
	l := h.links
	for len(h.removing) > 0 {
		r := h.removing[0]
		if !h.work(func(ctx context.Context) {
			t, err := l.o.Catalog.Deactivate(ctx, r.hash)
			if err != nil {
				l.o.Log.Warn("a torrent that was removed over a link stays", "link", r.from, "info_hash", r.hash, "error", err)
				return
			}
			l.o.Log.Info("a torrent was deactivated, as it was over a link", "link", r.from, "info_hash", r.hash, "name", t.Name)
			h.back(func() { h.removals.gone[t.InfoHash] = time.Now() }) // also where it is activated again before anybody looks
		}) {
			return
		}
		h.removing = h.removing[1:]
	}
	h.removing = nil
}
