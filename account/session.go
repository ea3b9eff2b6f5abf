package account

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// What sessions are bounded by.
const (
	maxSessions = 10_000
	maxOfOne    = 100 // of one account, so that it cannot end those of others
	sessionIdle = 12 * time.Hour
	sessionLong = 7 * 24 * time.Hour

	sessionKey = 32 // bytes of a cookie, and of what requests must carry
)

// session is what a log-in began.
type session struct {
	entry *entry
	csrf  string
	began time.Time
	used  atomic.Int64 // Unix nanoseconds
	ended atomic.Bool

	saved *saved // nil: it is known here alone
}

func (s *session) lasts(now time.Time) bool {
	return !s.ended.Load() && s.entry.lasts(now) &&
		now.Sub(time.Unix(0, s.used.Load())) < sessionIdle && now.Sub(s.began) < sessionLong
}

// sessions has them by the SHA-256 of their cookies, and forgets the oldest where they
// are too many, of one account or of all.
type sessions struct {
	mu  sync.Mutex
	all *simplelru.LRU[[sha256.Size]byte, *session]
}

// sessionKeys has the sessions of an entry in the order of their beginnings, also ended
// ones. The lock of sessions is theirs too.
type sessionKeys [][sha256.Size]byte

func newSessions() *sessions {
	all, _ := simplelru.NewLRU(maxSessions, func(_ [sha256.Size]byte, s *session) { s.ended.Store(true) }) // fails for no size
	return &sessions{all: all}
}

// begin returns a new session and its cookie.
func (s *sessions) begin(e *entry, random io.Reader, now time.Time) (cookie string, begun *session, err error) {
	var b [2 * sessionKey]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", nil, err
	}
	cookie = base64.RawURLEncoding.EncodeToString(b[:sessionKey])
	begun = &session{entry: e, csrf: base64.RawURLEncoding.EncodeToString(b[sessionKey:]), began: now}
	begun.used.Store(now.UnixNano())
	s.add(sha256.Sum256([]byte(cookie)), begun)
	return cookie, begun, nil
}

// add puts a session, which is forgotten as the oldest of its account, or of all. One that
// is there stays in its place.
func (s *sessions) add(sum [sha256.Size]byte, begun *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := begun.entry
	if old, ok := s.all.Peek(sum); ok && old.entry == e && !old.ended.Load() {
		return
	}
	e.sessions = slices.DeleteFunc(e.sessions, func(other [sha256.Size]byte) bool { return other == sum })
	if len(e.sessions) == maxOfOne {
		s.all.Remove(e.sessions[0])
		e.sessions = slices.Delete(e.sessions, 0, 1)
	}
	e.sessions = append(e.sessions, sum)
	s.all.Add(sum, begun)
}

// find returns the session of a cookie, if it lasts, and counts it as used.
func (s *sessions) find(cookie string, now time.Time) *session {
	sum := sha256.Sum256([]byte(cookie))
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.all.Peek(sum) // Get would make it the youngest
	if !ok {
		return nil
	}
	if !found.lasts(now) {
		s.all.Remove(sum)
		return nil
	}
	found.used.Store(now.UnixNano())
	return found
}

// end ends the session of a cookie.
func (s *sessions) end(cookie string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all.Remove(sha256.Sum256([]byte(cookie)))
}

// known returns the session of a cookie, also an ended one; nil: none.
func (s *sessions) known(sum [sha256.Size]byte) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, _ := s.all.Peek(sum)
	return found
}
