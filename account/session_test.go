package account_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"waggle/account"
)

func TestSessionLastsUntilItIsIdleOrOld(t *testing.T) {
	clock := newClock()
	a := open(t, account.Options{Now: clock.Now})
	createWith(t, a, "anna", account.Admin)
	who, cookie, err := logIn(t, a, "192.0.2.1", "anna", password)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 15 {
		got, ok := a.Session(with(t, cookie))
		if !ok || got != who || got.Name != "anna" || got.Via != account.ViaSession || got.Ended() || len(got.CSRF) != 43 {
			t.Fatalf("after %d half days: %+v, %v", n, got, ok)
		}
		if n < 14 {
			clock.pass(12*time.Hour - time.Second)
		}
	}
	clock.pass(14*time.Second - time.Nanosecond)
	if _, ok := a.Session(with(t, cookie)); !ok {
		t.Error("it ends before 7 days have passed")
	}
	clock.pass(time.Nanosecond)
	if _, ok := a.Session(with(t, cookie)); ok || !who.Ended() {
		t.Error("it goes on after 7 days")
	}
	who, cookie, err = logIn(t, a, "192.0.2.1", "anna", password)
	clock.pass(12 * time.Hour)
	if _, ok := a.Session(with(t, cookie)); ok || !who.Ended() || err != nil {
		t.Errorf("it goes on after 12 idle hours, %v", err)
	}
}

func TestSessionEndsWithItsAccountOrALogOut(t *testing.T) {
	for name, end := range map[string]func(*account.Accounts, *http.Cookie) error{
		"change of role": func(a *account.Accounts, _ *http.Cookie) error {
			_, _, err := a.Change(t.Context(), "anna", account.Change{Role: account.Viewer})
			return err
		},
		"change of password": func(a *account.Accounts, _ *http.Cookie) error {
			_, _, err := a.Change(t.Context(), "anna", account.Change{Password: "another one"})
			return err
		},
		"deletion": func(a *account.Accounts, _ *http.Cookie) error { return a.Delete(t.Context(), "anna") },
		"log-out": func(a *account.Accounts, c *http.Cookie) error {
			w := httptest.NewRecorder()
			a.LogOut(w, with(t, c))
			if back := w.Result().Cookies(); len(back) != 1 || back[0].Name != account.Cookie || back[0].MaxAge != -1 || back[0].Value != "" {
				return errors.New("the cookie stays")
			}
			return nil
		},
		"another log-in": func(a *account.Accounts, c *http.Cookie) error {
			r := with(t, c)
			r.Method = http.MethodPost
			_, err := a.LogIn(httptest.NewRecorder(), r, "anna", password)
			return err
		},
	} {
		a := open(t, account.Options{})
		create(t, a, "admin", account.Admin)
		createWith(t, a, "anna", account.Operator)
		who, cookie, err := logIn(t, a, "192.0.2.1", "anna", password)
		if err != nil {
			t.Fatal(err)
		}
		other, kept, err := logIn(t, a, "192.0.2.1", "anna", password)
		if err != nil || other.CSRF == who.CSRF || kept.Value == cookie.Value {
			t.Fatalf("two sessions are alike, %v", err)
		}
		if err := end(a, cookie); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, ok := a.Session(with(t, cookie)); ok || !who.Ended() {
			t.Errorf("%s: the session goes on", name)
		}
		if _, ok := a.Session(with(t, kept)); ok != strings.HasSuffix(name, "log-out") && ok != (name == "another log-in") {
			t.Errorf("%s: the other session goes on: %v", name, ok)
		}
	}
}

func TestOldestSessionsMakeRoom(t *testing.T) {
	for name, others := range map[string]int{"of one account": 1, "of all": account.MaxSessions / account.MaxSessionsOfOne} {
		a := open(t, account.Options{})
		token := create(t, a, "account 0", account.Admin)
		for n := 1; n < others; n++ {
			create(t, a, fmt.Sprint("account ", n), account.Viewer)
		}
		first, cookie, err := logIn(t, a, "192.0.2.1", "account 0", token)
		if err != nil {
			t.Fatal(err)
		}
		room := others*account.MaxSessionsOfOne - 1
		for n := range room {
			account.BeginSession(t, a, fmt.Sprint("account ", (n+1)%others))
		}
		if _, ok := a.Session(with(t, cookie)); !ok {
			t.Errorf("%s: it goes too early", name)
		}
		account.BeginSession(t, a, fmt.Sprint("account ", (room+1)%others))
		if _, ok := a.Session(with(t, cookie)); ok || !first.Ended() {
			t.Errorf("%s: the oldest one stays", name)
		}
	}
}

func TestCookieIsForThisConsoleAlone(t *testing.T) {
	a := open(t, account.Options{})
	createWith(t, a, "anna", account.Admin)
	_, cookie, err := logIn(t, a, "192.0.2.1", "anna", password)
	if err != nil || cookie.Name != "waggle_session" || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/" || cookie.Secure || cookie.Domain != "" || len(cookie.Value) != 43 {
		t.Errorf("%+v, %v", cookie, err)
	}
	r, w := with(t, nil), httptest.NewRecorder()
	r.TLS = new(tls.ConnectionState)
	if _, err := a.LogIn(w, r, "anna", password); err != nil || !w.Result().Cookies()[0].Secure {
		t.Errorf("over TLS %+v, %v", w.Result().Cookies(), err)
	}
}

func TestCookieIsForTLSWhereAProxyOnThisMachineSpeaksIt(t *testing.T) {
	a := open(t, account.Options{})
	createWith(t, a, "anna", account.Admin)
	for _, test := range []struct {
		from, said string
		want       bool
	}{
		{"127.0.0.1:1", "https", true},
		{"[::ffff:127.0.0.1]:1", "HTTPS", true},
		{"127.0.0.1:1", "http", false},
		{"127.0.0.1:1", "", false},
		{"192.0.2.1:1", "https", false},
		{"", "https", false},
	} {
		r, w := with(t, nil), httptest.NewRecorder()
		r.RemoteAddr = test.from
		r.Header.Set("X-Forwarded-Proto", test.said)
		if _, err := a.LogIn(w, r, "anna", password); err != nil || w.Result().Cookies()[0].Secure != test.want {
			t.Errorf("from %s, by %s: %+v, %v", test.from, test.said, w.Result().Cookies(), err)
		}
	}
}

func TestLogInTakesNoSessionOver(t *testing.T) {
	a := open(t, account.Options{})
	createWith(t, a, "anna", account.Admin)
	createWith(t, a, "mallory", account.Viewer)
	_, planted, err := logIn(t, a, "192.0.2.66", "mallory", password)
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{planted.Value, strings.Repeat("A", 43)} {
		cookie := &http.Cookie{Name: account.Cookie, Value: value}
		w := httptest.NewRecorder()
		if _, err := a.LogIn(w, with(t, cookie), "anna", password); err != nil {
			t.Fatal(err)
		}
		if fresh := w.Result().Cookies()[0].Value; fresh == value || len(fresh) < 40 {
			t.Errorf("the session of a log-in with the cookie %q is %q", value, fresh)
		}
		if who, ok := a.Session(with(t, cookie)); ok {
			t.Errorf("who has put the cookie there goes on as %s", who.Name)
		}
	}
}

func TestCookieOfNobodyIsNoSession(t *testing.T) {
	a := open(t, account.Options{})
	for _, value := range []string{"", "x", strings.Repeat("A", 43), strings.Repeat("x", 10_000)} {
		if got, ok := a.Session(with(t, &http.Cookie{Name: account.Cookie, Value: value})); ok || got.Role != account.Nobody {
			t.Errorf("%.50q: %+v", value, got)
		}
	}
	w := httptest.NewRecorder()
	a.LogOut(w, with(t, nil))
	if len(audit(t, a)) != 0 {
		t.Error("a log-out of nobody is in the log")
	}
}

func TestProxyOnThisMachineNamesItsClient(t *testing.T) {
	for _, test := range []struct {
		from  string
		lines []string
		want  string
	}{
		{"192.0.2.1:1", nil, "192.0.2.1"},
		{"[::ffff:192.0.2.1]:1", nil, "192.0.2.1"},
		{"127.0.0.1:1", nil, "127.0.0.1"},
		{"[::1]:1", []string{"192.0.2.7"}, "192.0.2.7"},
		{"127.0.0.1:1", []string{"10.0.0.1, 192.0.2.7"}, "192.0.2.7"},
		{"127.0.0.1:1", []string{"10.0.0.1", "2001:db8::7"}, "2001:db8::7"},
		{"127.0.0.1:1", []string{"somebody"}, "127.0.0.1"},
		{"192.0.2.1:1", []string{"10.0.0.1"}, "192.0.2.1"},
		{"", nil, "invalid IP"},
		{"pipe", nil, "invalid IP"},
	} {
		r := with(t, nil)
		r.RemoteAddr, r.Header["X-Forwarded-For"] = test.from, test.lines
		if got := account.ClientAddress(r).String(); got != test.want {
			t.Errorf("from %s, for %q: %s, want %s", test.from, test.lines, got, test.want)
		}
	}
}

func TestPathOfAnotherPlaceIsNotGoneOnTo(t *testing.T) {
	for path, want := range map[string]string{
		"/": "/", "/transfers/x?limit=1#map": "/transfers/x?limit=1#map", "/a%2Fb": "/a%2Fb",
		"": "/", "transfers": "/", "//evil.example/": "/", "/\\evil.example": "/", "\\\\evil.example": "/",
		"http://evil.example/": "/", "javascript:alert(1)": "/", "/a\nb": "/", "/%zz": "/", "/" + strings.Repeat("a", 3000): "/",
	} {
		if got := account.LocalPath(path); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}

func FuzzLocalPath(f *testing.F) {
	for _, path := range []string{"/a?b=c#d", "//evil.example", "/\\evil.example", "http://evil.example/", "/\t/evil.example", "/../..//x"} {
		f.Add(path)
	}
	here := url.URL{Scheme: "http", Host: "waggle.example", Path: "/login"}
	f.Fuzz(func(t *testing.T, path string) {
		got := account.LocalPath(path)
		u, err := here.Parse(got)
		if err != nil || u.Host != here.Host || u.Scheme != here.Scheme || u.User != nil || len(got) > 2048 || strings.HasPrefix(got, "//") {
			t.Errorf("%q leads to %v, %v", path, u, err)
		}
	})
}

func FuzzClientAddress(f *testing.F) {
	f.Add("127.0.0.1:1", "192.0.2.1, 10.0.0.1")
	f.Add("[::1]:1", "::ffff:192.0.2.1%eth0")
	f.Add("192.0.2.1:1", "10.0.0.1")
	f.Add("@", ",,")
	f.Fuzz(func(t *testing.T, from, header string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = from
		r.Header.Set("X-Forwarded-For", header)
		if got := account.ClientAddress(r); got.Is4In6() || got.Zone() != "" && from == "127.0.0.1:1" {
			t.Errorf("from %q, for %q: %v", from, header, got)
		}
	})
}
