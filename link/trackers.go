package link

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"time"

	"waggle/link/core"
)

// Each end of a link tells the other where clients reach it, and all trackers that it
// knows of by its other links, as messages like those about files: one has all of them,
// and takes the place of the one before. So each knows of the whole tree, for announce
// lists. Over a link that does not carry all peers both ways, an end tells of itself
// alone, and what is told is for people, not for announce lists: clients there would not
// be told of all.

// Bounds of what is known of other trackers.
const (
	mostTrackers  = 1000   // that a link tells of, the nearest first; and as many as go into core.MaxFileData
	trackersInAll = 10_000 // that are kept, of all links
	mostURLBytes  = 1024   // of one tracker, with a space between two
	mostHops      = 16     // who is farther is left out, which ends what goes round in a loop
)

// A link may say newsAtOnce times that its trackers are others, then once in newsEvery:
// each is passed on to all other links.
const (
	newsAtOnce = 8
	newsEvery  = 10 * time.Second
)

// reach is where clients reach a tracker.
type reach struct {
	origin core.Origin
	hops   uint8 // from who tells of it, which is at 0
	name   string
	urls   string // the best first, with a space between two
}

// trackers are what a link tells of.
type trackers struct {
	news    bool // said, and not taken in yet
	said    []byte
	list    []reach   // the nearest first
	renewed time.Time // the link was up then
	next    time.Time // when news are due, if none had come early
}

// own returns the URLs of the other end of the link.
func (t *trackers) own() []string {
	for i := range t.list {
		if r := &t.list[i]; r.hops == 0 {
			return strings.Fields(r.urls)
		}
	}
	return nil
}

// hear keeps what a link says until the next look: only the latest counts.
func (t *trackers) hear(data []byte) { t.news, t.said = true, data }

// look takes in what was said, and forgets what nobody has renewed for a lifetime.
func (t *trackers) look(now time.Time, up bool, lifetime time.Duration, room int) {
	if up {
		t.renewed = now
	} else if now.Sub(t.renewed) > lifetime {
		t.list = nil
	}
	if !t.news || t.next.Sub(now) > (newsAtOnce-1)*newsEvery {
		return
	}
	if t.next.Before(now) {
		t.next = now
	}
	t.next = t.next.Add(newsEvery)
	list := readTrackers(t.said)
	t.list, t.news, t.said = list[:min(len(list), max(room, 1))], false, nil
}

// far is a tracker of the tree, and the link that it is behind.
type far struct {
	reach
	via string
}

func (f *far) compare(other *far) int {
	return cmp.Or(cmp.Compare(f.hops, other.hops), cmp.Compare(f.name, other.name), cmp.Compare(f.via, other.via),
		cmp.Compare(f.origin, other.origin), cmp.Compare(f.urls, other.urls))
}

// tree returns all other trackers that clients may announce to, the nearest first. Of one
// that is known by several links it has the shortest way. Who lies about another's URLs
// adds to them.
func (l *Links) tree() []far {
	type who struct {
		origin core.Origin
		urls   string
	}
	nearest := map[who]far{}
	for name, k := range l.known {
		if !l.isWhole(name) {
			continue
		}
		for _, r := range k.trackers.list {
			one, of := far{r, name}, who{r.origin, r.urls}
			if was, is := nearest[of]; r.origin != l.life.origin && (!is || one.compare(&was) < 0) {
				nearest[of] = one
			}
		}
	}
	all := make([]far, 0, len(nearest))
	for _, one := range nearest {
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b far) int { return a.compare(&b) })
	return all[:min(len(all), mostTrackers)]
}

// isWhole reports whether all peers may cross a link, both ways.
func (l *Links) isWhole(name string) bool {
	rights := l.know(name).rights
	if name != hubKey {
		leaf, known := l.book.Find(name)
		if !known {
			return false
		}
		rights = leaf.Rights
	}
	return rights.Receive && rights.Send && len(rights.Torrents) == 0
}

// lookAtTrackers takes in what links tell of trackers, and tells them what is new.
func (l *Links) lookAtTrackers(now time.Time) {
	kept := 0
	for _, k := range l.known {
		kept += len(k.trackers.list)
	}
	for _, k := range l.known {
		kept -= len(k.trackers.list)
		k.trackers.look(now, k.up, l.lifetime, trackersInAll-kept)
		kept += len(k.trackers.list)
	}
	tree := l.tree()
	same := slices.Equal(tree, l.toldTree)
	l.toldTree = tree
	for _, s := range l.sessions {
		if s.up && (!same || !s.hasTold) {
			l.tellTrackers(now, s, tree)
		}
	}
}

func (l *Links) tellTrackers(now time.Time, s *session, tree []far) {
	data := writeTrackers(l.trackersFor(s.name, tree))
	if s.hasTold && bytes.Equal(data, s.toldTrackers) {
		return
	}
	s.hasTold = l.node.SendFile(now, s.id, core.FileMessage{Op: fileTrackers, Hash: s.any, Data: data})
	s.toldTrackers = data
}

// trackersFor returns what a link is told of: this tracker, and all that are not behind
// that link.
func (l *Links) trackersFor(name string, tree []far) (all []reach) {
	if urls := l.o.urls(); urls != "" {
		all = append(all, reach{origin: l.life.origin, name: l.o.Name, urls: urls})
	}
	if !l.isWhole(name) {
		return all
	}
	for _, f := range tree {
		if f.via != name {
			f.hops++
			all = append(all, f.reach)
		}
	}
	return all
}

// AnnounceLists returns where clients reach this tracker and all of its tree, as tiers of
// BEP 12: the first has one URL of each tracker, the second their others. Trackers that do
// not tell all peers, or are not told of all, are left out, and what is behind them. Those
// behind a link that is split stay for a lifetime.
func (l *Links) AnnounceLists() (tiers [][]string) {
	all := [][]string{l.o.URLs}
	_ = l.do(func() {
		if l.node != nil {
			for _, f := range l.tree() {
				all = append(all, strings.Fields(f.urls))
			}
		}
	})
	seen := map[string]bool{} // two trackers may be behind one name
	tier := func(urls func(of []string) []string) {
		var some []string
		for _, of := range all {
			for _, u := range urls(of) {
				if !seen[u] {
					seen[u] = true
					some = append(some, u)
				}
			}
		}
		if len(some) > 0 {
			tiers = append(tiers, some)
		}
	}
	tier(func(of []string) []string { return of[:min(len(of), 1)] })
	tier(func(of []string) []string { return of })
	return tiers
}
