package account

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Sessions in a [Shared] store.
const (
	savedFor  = time.Second     // what is known of a session is asked for again when it is used after that
	savedUse  = 5 * time.Minute // how exactly it is written when a session was used
	savedTime = 2 * time.Second // how long a request waits for the store
)

// saved is what is known of a session in a store.
type saved struct {
	store Shared
	name  string       // of the account
	sum   string       // of the cookie
	asked atomic.Int64 // Unix nanoseconds
}

// lasts reports whether the session of an account as it is now goes on.
func (s *SavedSession) lasts(e *entry, now time.Time) bool {
	return s.Changed.Equal(e.record.Changed) && now.Sub(s.Used) < sessionIdle && now.Sub(s.Began) < sessionLong
}

// beginSession returns a new session and its cookie.
func (a *Accounts) beginSession(ctx context.Context, e *entry) (cookie string, begun *session, err error) {
	now := a.o.Now()
	if a.shared == nil {
		return a.sessions.begin(e, a.o.Random, now)
	}
	var key [sessionKey]byte
	if _, err := io.ReadFull(a.o.Random, key[:]); err != nil {
		return "", nil, err
	}
	name := e.record.Name
	cookie = base64.RawURLEncoding.EncodeToString([]byte(name)) + "." + base64.RawURLEncoding.EncodeToString(key[:])
	sum := sha256.Sum256([]byte(cookie))
	next := SavedSession{Sum: hex.EncodeToString(sum[:]), Changed: e.record.Changed, Began: now, Used: now}
	err = a.shared.ChangeSessions(ctx, name, func(all []SavedSession) []SavedSession {
		all = slices.DeleteFunc(all, func(s SavedSession) bool { return s.Sum == next.Sum || !s.lasts(e, now) })
		return append(all[max(0, len(all)-maxOfOne+1):], next)
	})
	if err != nil {
		return "", nil, err
	}
	return cookie, a.goOn(e, cookie, &next), nil
}

// goOn has a session known here too. What requests must carry follows from the cookie, so
// that the store has nothing by which one could be in it.
func (a *Accounts) goOn(e *entry, cookie string, from *SavedSession) *session {
	csrf := sha256.Sum256([]byte("waggle csrf " + cookie))
	s := &session{
		entry: e, csrf: base64.RawURLEncoding.EncodeToString(csrf[:]), began: from.Began,
		saved: &saved{store: a.shared, name: e.record.Name, sum: from.Sum},
	}
	s.used.Store(from.Used.UnixNano())
	s.saved.asked.Store(a.o.Now().UnixNano())
	a.sessions.add(sha256.Sum256([]byte(cookie)), s)
	return s
}

// findSession returns the session of a cookie, if it lasts, and counts it as used.
func (a *Accounts) findSession(ctx context.Context, cookie string) *session {
	now := a.o.Now()
	if a.shared == nil {
		return a.sessions.find(cookie, now)
	}
	if s := a.sessions.known(sha256.Sum256([]byte(cookie))); s != nil {
		s.confirm(ctx, now, now)
	}
	if s := a.sessions.find(cookie, now); s != nil {
		return s
	}
	return a.findSaved(ctx, cookie, now)
}

// findSaved looks for a session that another tracker has begun.
func (a *Accounts) findSaved(ctx context.Context, cookie string, now time.Time) *session {
	e := a.find(nameIn(cookie))
	if e == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, savedTime)
	defer cancel()
	all, err := a.shared.Sessions(ctx, e.record.Name)
	if lost := err != nil; a.lost.Swap(lost) != lost && lost {
		a.o.Log.Warn("sessions cannot be looked for; their owners must wait until they can, or log in anew", "account", e.record.Name, "error", err)
	}
	if err != nil {
		return nil
	}
	sum := sha256.Sum256([]byte(cookie))
	at := slices.IndexFunc(all, func(s SavedSession) bool { return s.Sum == hex.EncodeToString(sum[:]) })
	if at < 0 || !all[at].lasts(e, now) {
		return nil
	}
	s := a.goOn(e, cookie, &all[at])
	if now.Sub(all[at].Used) >= savedUse {
		s.saved.use(ctx, now)
	}
	return a.sessions.find(cookie, now)
}

// nameIn returns the account that a cookie says it is of.
func nameIn(cookie string) string {
	encoded, _, found := strings.Cut(cookie, ".")
	if !found || len(encoded) > base64.RawURLEncoding.EncodedLen(4*maxName) {
		return ""
	}
	name, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return ""
	}
	return string(name)
}

// confirm ends a session that has ended elsewhere, and writes there when it was used. It
// asks once in a second. Where the store does not answer, what is known goes on: nobody
// can log out anywhere else then either.
func (s *session) confirm(ctx context.Context, now, used time.Time) {
	if s.saved == nil || s.ended.Load() {
		return
	}
	asked := s.saved.asked.Load()
	since := time.Duration(now.UnixNano() - asked) // less than 0: the clock was put back
	if 0 <= since && since < savedFor || !s.saved.asked.CompareAndSwap(asked, now.UnixNano()) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), savedTime)
	defer cancel()
	all, err := s.saved.store.Sessions(ctx, s.saved.name)
	if err != nil {
		return
	}
	at := slices.IndexFunc(all, s.saved.is)
	if at < 0 {
		s.ended.Store(true)
		return
	}
	raise(&s.used, all[at].Used.UnixNano())
	if s.lasts(now) && used.Sub(all[at].Used) >= savedUse {
		s.saved.use(ctx, used)
	}
}

func (s *saved) is(other SavedSession) bool { return other.Sum == s.sum }

// use writes when a session was used. Where it fails, another time will do.
func (s *saved) use(ctx context.Context, used time.Time) {
	_ = s.store.ChangeSessions(ctx, s.name, func(all []SavedSession) []SavedSession {
		if at := slices.IndexFunc(all, s.is); at >= 0 && used.After(all[at].Used) {
			all[at].Used = used.UTC()
		}
		return all
	})
}

// raise makes a time that is earlier this one.
func raise(at *atomic.Int64, to int64) {
	for {
		old := at.Load()
		if old >= to || at.CompareAndSwap(old, to) {
			return
		}
	}
}

// endSession ends the session of a cookie, everywhere.
func (a *Accounts) endSession(ctx context.Context, cookie string) {
	a.sessions.end(cookie)
	if a.shared == nil {
		return
	}
	name := nameIn(cookie)
	if a.find(name) == nil {
		return
	}
	ctx, cancel := toTheEnd(ctx)
	defer cancel()
	sum := sha256.Sum256([]byte(cookie))
	err := a.shared.ChangeSessions(ctx, name, func(all []SavedSession) []SavedSession {
		return slices.DeleteFunc(all, func(s SavedSession) bool { return s.Sum == hex.EncodeToString(sum[:]) })
	})
	if err != nil {
		a.o.Log.Error("a session cannot be ended at other trackers; change the account's secret if somebody may have its cookie", "account", name, "error", err)
	}
}
