package account_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"waggle/account"
	"waggle/document"
	"waggle/document/documenttest"
)

func TestSessionBegunAtOneTrackerGoesOnAtAnotherUntilItEndsAtAny(t *testing.T) {
	clock := newClock()
	m := documenttest.NewMemory()
	a, b, c := tracker(t, m, account.Options{Now: clock.Now}), tracker(t, m, account.Options{Now: clock.Now}), tracker(t, m, account.Options{Now: clock.Now})
	createWith(t, a, "anna", account.Admin)
	fresh(t, b, c)
	at, cookie, err := logIn(t, a, "192.0.2.1", "anna", password)
	if err != nil || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode {
		t.Fatalf("%+v, %v", cookie, err)
	}
	_, other, err := logIn(t, b, "192.0.2.1", "anna", password)
	if err != nil || other.Value == cookie.Value {
		t.Fatalf("%v", err)
	}
	there, ok := b.Session(with(t, cookie))
	if !ok || there.Name != "anna" || there.CSRF != at.CSRF || len(at.CSRF) != 43 || there.Ended() {
		t.Fatalf("%+v, %v", there, ok)
	}
	c.LogOut(httptest.NewRecorder(), with(t, cookie))
	clock.pass(time.Second)
	if session(t, a, cookie) || session(t, b, cookie) || session(t, c, cookie) || !at.Ended() || !there.Ended() {
		t.Error("it goes on after a log-out")
	}
	for _, x := range []*account.Accounts{a, b, c} {
		if !session(t, x, other) {
			t.Error("the other session ended too")
		}
	}
}

func TestStreamEndsWithALogOutElsewhere(t *testing.T) {
	clock := newClock()
	m := documenttest.NewMemory()
	a, b := tracker(t, m, account.Options{Now: clock.Now}), tracker(t, m, account.Options{Now: clock.Now})
	createWith(t, a, "anna", account.Admin)
	fresh(t, b)
	_, cookie, err := logIn(t, a, "192.0.2.1", "anna", password)
	if err != nil {
		t.Fatal(err)
	}
	stream, _ := b.Session(with(t, cookie))
	a.LogOut(httptest.NewRecorder(), with(t, cookie))
	clock.pass(time.Second)
	if !stream.Ended() {
		t.Error("it goes on")
	}
}

func TestSessionIsIdleWhereNoTrackerSeesIt(t *testing.T) {
	clock := newClock()
	m := documenttest.NewMemory()
	a, b := tracker(t, m, account.Options{Now: clock.Now}), tracker(t, m, account.Options{Now: clock.Now})
	createWith(t, a, "anna", account.Admin)
	fresh(t, b)
	_, cookie, err := logIn(t, a, "192.0.2.1", "anna", password)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 14 { // each is asked once a day
		clock.pass(12*time.Hour - 6*time.Minute)
		if !session(t, []*account.Accounts{b, a}[n%2], cookie) {
			t.Fatalf("after %d half days it has ended", n+1)
		}
	}
	clock.pass(2 * time.Hour)
	if session(t, a, cookie) || session(t, b, cookie) {
		t.Error("it goes on after 7 days")
	}
	_, cookie, err = logIn(t, b, "192.0.2.1", "anna", password)
	clock.pass(12 * time.Hour)
	if session(t, a, cookie) || session(t, b, cookie) || err != nil {
		t.Errorf("it goes on after 12 idle hours, %v", err)
	}
}

func TestOldestSavedSessionsMakeRoom(t *testing.T) {
	clock := newClock()
	m := documenttest.NewMemory()
	a, b := tracker(t, m, account.Options{Now: clock.Now}), tracker(t, m, account.Options{Now: clock.Now})
	createWith(t, a, "anna", account.Admin)
	fresh(t, b)
	var cookies []*http.Cookie
	for range account.MaxSessionsOfOne + 1 {
		_, cookie, err := logIn(t, a, "192.0.2.1", "anna", password)
		if err != nil {
			t.Fatal(err)
		}
		cookies = append(cookies, cookie)
		clock.pass(time.Minute)
	}
	for n, cookie := range cookies[:3] {
		if got := session(t, b, cookie); got != (n > 0) {
			t.Errorf("session %d goes on: %v", n, got)
		}
	}
	if session(t, a, cookies[0]) {
		t.Error("the oldest one goes on where it began")
	}
}

func TestSessionEndsElsewhereThoughTheClockIsPutBack(t *testing.T) {
	clock := newClock()
	m := documenttest.NewMemory()
	a, b := tracker(t, m, account.Options{Now: clock.Now}), tracker(t, m, account.Options{Now: clock.Now})
	createWith(t, a, "anna", account.Admin)
	fresh(t, b)
	_, cookie, err := logIn(t, a, "192.0.2.1", "anna", password)
	if err != nil || !session(t, b, cookie) {
		t.Fatalf("%v", err)
	}
	a.LogOut(httptest.NewRecorder(), with(t, cookie))
	clock.pass(-time.Hour)
	if session(t, b, cookie) {
		t.Error("it goes on")
	}
}

// gathering is a store in which those who look for sessions wait for each other.
type gathering struct {
	*documenttest.Memory
	looking *sync.WaitGroup // nil: nobody waits
}

func (g *gathering) Get(ctx context.Context, name string) (document.Document, error) {
	if g.looking != nil && strings.HasPrefix(name, "sessions/") {
		g.looking.Done()
		g.looking.Wait()
	}
	return g.Memory.Get(ctx, name)
}

// TestSessionThatIsFoundAgainCountsOnce has the requests of a page come at once where
// nobody knows its session yet, after each of several log-ins.
func TestSessionThatIsFoundAgainCountsOnce(t *testing.T) {
	const requests = account.MaxSessionsOfOne / 5
	m := documenttest.NewMemory()
	store := &gathering{Memory: m}
	a, b := tracker(t, m, account.Options{}), tracker(t, store, account.Options{})
	createWith(t, a, "anna", account.Admin)
	fresh(t, b)
	var first account.Identity
	for n := range 6 {
		_, cookie, err := logIn(t, a, "192.0.2.1", "anna", password)
		if err != nil {
			t.Fatal(err)
		}
		store.looking = new(sync.WaitGroup)
		store.looking.Add(requests)
		var page sync.WaitGroup
		for range requests {
			page.Go(func() {
				if !session(t, b, cookie) {
					t.Error("it is none")
				}
			})
		}
		page.Wait()
		store.looking = nil
		if n == 0 {
			first, _ = b.Session(with(t, cookie))
		}
	}
	if first.Ended() {
		t.Error("requests of others ended the first session")
	}
}

// crowded is a store in which somebody else changes each document before each write.
type crowded struct {
	*documenttest.Memory
	puts int
}

func (c *crowded) Put(context.Context, string, []byte, string) (string, error) {
	c.puts++
	return "", document.ErrChanged
}

func TestSessionsThatOthersChangeAllTheTimeAreGivenUp(t *testing.T) {
	c := &crowded{Memory: documenttest.NewMemory()}
	err := inDocuments(t, c).ChangeSessions(t.Context(), "anna", func([]account.SavedSession) []account.SavedSession {
		return []account.SavedSession{{}}
	})
	if !errors.Is(err, account.ErrConflict) || c.puts > 100 {
		t.Errorf("after %d times: %v", c.puts, err)
	}
}

func TestCookiesFillNoLogWhileTheStoreIsAway(t *testing.T) {
	fault := documenttest.None
	store := &documenttest.Faulty{Store: documenttest.NewMemory(), Fault: func(string, string) documenttest.Fault { return fault }}
	var logged strings.Builder
	a := tracker(t, store, account.Options{Log: logger(&logged)})
	create(t, a, "anna", account.Admin)
	for range 2 {
		fault = documenttest.Refused
		for n := range 50 {
			session(t, a, &http.Cookie{Name: account.Cookie, Value: fmt.Sprintf("YW5uYQ.%d", n)})
		}
		fault = documenttest.None
		session(t, a, &http.Cookie{Name: account.Cookie, Value: "YW5uYQ.x"})
	}
	if n := strings.Count(logged.String(), "\n"); n != 2 {
		t.Errorf("it is %d lines:\n%s", n, &logged)
	}
}

func FuzzCookieOfASharedSession(f *testing.F) {
	f.Add("YW5uYQ.AAAA")
	f.Add("YW5uYQ")
	f.Add(".")
	f.Add(strings.Repeat("A", 5000) + ".x")
	f.Fuzz(func(t *testing.T, value string) {
		a := tracker(t, documenttest.NewMemory(), account.Options{})
		create(t, a, "anna", account.Admin)
		r := with(t, nil)
		r.Header.Set("Cookie", account.Cookie+"="+value)
		if who, ok := a.Session(r); ok {
			t.Errorf("%q is %+v", value, who)
		}
		a.LogOut(httptest.NewRecorder(), r)
	})
}
