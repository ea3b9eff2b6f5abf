package passkey

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Session is what one peer of one torrent has told under a passkey, as a store keeps it.
type Session struct {
	Digest     uint64 // of info hash and peer id
	Torrent    uint32 // of the info hash alone, to tell torrents apart
	Began      uint32 // when it announced its start, in seconds of Unix; 0: nobody saw that
	Marked     uint32 // when it told of the figures
	At         uint32 // when it announced last
	Uploaded   int64  // bytes: the most that was believed
	Downloaded int64
	Stopped    bool
}

// Told is what a session told since it was added in the store last.
type Told struct {
	Session
	Since                    uint32 // when it was heard first
	FirstUploaded, FirstDown int64  // what it told then
}

// Counted is what was told under one passkey.
type Counted struct {
	ID   string
	Told []Told
}

// Rules say what of that counts.
type Rules struct {
	Rate     int64         // bytes a second that a session may have transferred; 0: any number
	Lifetime time.Duration // of peers: a session that was silent for longer is at no torrent
	Forget   time.Duration // a session that was silent for longer is forgotten
	Now      time.Time
}

// Bounds of what is believed.
const (
	// sameStart is within how many seconds two starts of a session are one that came by two
	// ways.
	sameStart = 60

	// late is by how many seconds an announce may be later than what it tells of.
	late = 30
)

// after reports whether a session began anew, after another of the same peer.
func after(began, before uint32) bool { return began != 0 && began > before+sameStart }

// Add adds what a session told to totals, and returns what is to be kept of it. old is what
// was kept, where known says that there was any. Added again it changes nothing.
func (t *Totals) Add(old Session, known bool, s *Told, rules Rules) Session {
	if at := time.Unix(int64(s.At), 0).UTC(); at.After(t.Seen) {
		t.Seen = at
	}
	next, fromUp, fromDown, since := s.Session, s.FirstUploaded, s.FirstDown, s.Since
	switch {
	case !known, after(s.Began, old.Began):
	case s.Began != 0 && after(old.Began, s.Began), s.Began == 0 && s.At < old.Began:
		return old // it was told before the session that is kept began
	default:
		fromUp, fromDown, since = old.Uploaded, old.Downloaded, old.Marked
		next.Began = max(old.Began, s.Began)
		if s.Uploaded <= old.Uploaded && s.Downloaded <= old.Downloaded {
			next.Marked = old.Marked
		}
		next.Uploaded, next.Downloaded = max(old.Uploaded, s.Uploaded), max(old.Downloaded, s.Downloaded)
		if old.At > s.At {
			next.At, next.Stopped = old.At, old.Stopped
		}
	}
	up, down := next.Uploaded-fromUp, next.Downloaded-fromDown
	if !rules.believe(up, since, s.At) || !rules.believe(down, since, s.At) {
		if !known || s.At > old.At { // else it was added before
			t.Implausible++
		}
		next.Uploaded, next.Downloaded, next.Marked = fromUp, fromDown, since
		return next
	}
	t.Uploaded, t.Downloaded = plus(t.Uploaded, up), plus(t.Downloaded, down)
	return next
}

// believe reports whether a session can have transferred so many bytes between two times.
func (r *Rules) believe(bytes int64, since, at uint32) bool {
	if r.Rate <= 0 {
		return true
	}
	seconds := int64(late)
	if at > since {
		seconds += int64(at - since)
	}
	return bytes/r.Rate < seconds
}

// plus adds, and stays at the highest number.
func plus(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// before returns a time so long before the present, in seconds of Unix.
func (r *Rules) before(d time.Duration) uint32 {
	return uint32(min(max(r.Now.Add(-d).Unix(), 0), math.MaxUint32))
}

// torrents counts those that sessions are at.
func (r *Rules) torrents(sessions []Session) int64 {
	from := r.before(r.Lifetime)
	seen := map[uint32]struct{}{}
	for i := range sessions {
		if s := &sessions[i]; !s.Stopped && s.At >= from {
			seen[s.Torrent] = struct{}{}
		}
	}
	return int64(len(seen))
}

// addAll adds what was told under one passkey to all that is kept of it: totals and
// sessions, which are in the order of their digests. Of these the latest stay, so many at most.
func addAll(t *Totals, sessions []Session, told []Told, rules Rules, most int) []Session {
	from := rules.before(rules.Forget)
	sessions = slices.DeleteFunc(sessions, func(s Session) bool { return s.At < from })
	for i := range told {
		s := &told[i]
		at, known := slices.BinarySearchFunc(sessions, s.Digest, func(s Session, d uint64) int { return cmp.Compare(s.Digest, d) })
		var old Session
		if known {
			old = sessions[at]
		}
		next := t.Add(old, known, s, rules)
		if known {
			sessions[at] = next
		} else {
			sessions = slices.Insert(sessions, at, next)
		}
	}
	if over := len(sessions) - most; over > 0 {
		latest := slices.SortedFunc(slices.Values(sessions), func(a, b Session) int { return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Digest, b.Digest)) })
		sessions = latest[over:]
		slices.SortFunc(sessions, func(a, b Session) int { return cmp.Compare(a.Digest, b.Digest) })
	}
	t.Torrents = rules.torrents(sessions)
	return sessions
}
