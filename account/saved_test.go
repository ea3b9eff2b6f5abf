package account_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"waggle/account"
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
