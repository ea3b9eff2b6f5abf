package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"waggle/account"
	"waggle/console/client"
)

// editing is where the account ci is edited.
const editing = "/settings/accounts/edit?name=ci"

// newAccountWorld has the accounts anna, an admin, and ci, an operator with a token.
func newAccountWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.who = session()
	at := now.AddDate(0, 0, -2)
	w.answer("GET /accounts", client.AccountPage{Accounts: []client.Account{
		{Name: "anna", Role: "admin", Secret: "password", Created: at, Changed: at},
		{Name: "ci", Role: "operator", Secret: "token", Created: at, Changed: at, Expires: now.AddDate(0, 0, 3)},
	}})
	w.answer("PATCH /accounts/ci", client.AccountWithToken{Account: client.Account{Name: "ci", Role: "operator", Secret: "token"}})
	w.answer("PATCH /accounts/anna", client.AccountWithToken{Account: client.Account{Name: "anna", Role: "admin", Secret: "password"}})
	return w
}

// selected returns what a select of a page has chosen.
func selected(n *html.Node, name string) string {
	for _, e := range all(n, "option") {
		if _, chosen := attribute(e, "selected"); chosen && has(e.Parent, "name", name) {
			return words(e)
		}
	}
	return ""
}

func TestTheFormOfAnAccountShowsItAsItIs(t *testing.T) {
	w := newAccountWorld(t)
	n := page(t, w.get(t, editing))
	for name, want := range map[string]string{"role": "operator", "expires": "stays as it is: in 3 d", "secret": "stays as it is: a token"} {
		if got := selected(n, name); !strings.HasPrefix(got, want) {
			t.Errorf("%s is %q", name, got)
		}
	}
	if said := words(n); !strings.Contains(said, "ends all sessions") || !strings.Contains(said, "is good no more") || strings.Contains(said, "your own account") {
		t.Errorf("got %s", said)
	}
	if said := words(page(t, w.get(t, "/settings/accounts/edit?name=anna"))); !strings.Contains(said, "your own account") || !strings.Contains(said, "never") {
		t.Errorf("got %s", said)
	}
	if got := w.get(t, "/settings/accounts/edit?name=nobody"); got.StatusCode != http.StatusNotFound {
		t.Errorf("of one that is not there: status %d", got.StatusCode)
	}
	if got := all(page(t, w.get(t, "/settings/accounts")), "a"); !func() bool {
		for _, e := range got {
			if has(e, "href", editing) {
				return true
			}
		}
		return false
	}() {
		t.Error("the list does not lead there")
	}
}

func TestOfAnAccountOnlyWhatIsAskedForChanges(t *testing.T) {
	w := newAccountWorld(t)
	stays := url.Values{"role": {"operator"}, "was": {"operator"}, "expires": {""}, "secret": {""}, "password": {""}, "again": {""}}
	for _, c := range []struct {
		change url.Values
		asked  string
	}{
		{url.Values{"role": {"viewer"}}, `{"role":"viewer"}`},
		{url.Values{"expires": {"never"}}, `{"expires":"never"}`},
		{url.Values{"expires": {"30"}}, `{"expires":"2026-12-21T16:00:00Z"}`},
		{url.Values{"secret": {"password"}, "password": {"correct horse"}, "again": {"correct horse"}}, `{"password":"correct horse"}`},
		{url.Values{"secret": {"token"}, "role": {"admin"}}, `{"role":"admin","new_token":true}`},
	} {
		form := url.Values{}
		for _, values := range []url.Values{stays, c.change} {
			for name, value := range values {
				form[name] = value
			}
		}
		next, told := w.follow(t, w.post(t, editing, form))
		changes := w.changes()
		if last := changes[len(changes)-1]; last != "PATCH /accounts/ci? "+c.asked {
			t.Errorf("%v asks %q", c.change, last)
		}
		if next != "/settings/accounts" || len(told) != 1 || told[0] != "done: The account ci is changed, and its sessions have ended" {
			t.Errorf("%v leads to %s, and tells %q", c.change, next, told)
		}
	}
}

func TestANewTokenIsShownOnceByTheAnswer(t *testing.T) {
	w := newAccountWorld(t)
	w.answer("PATCH /accounts/ci", client.AccountWithToken{Account: client.Account{Name: "ci", Role: "operator", Secret: "token"}, Token: "waggle_secret"})
	got := w.post(t, editing, url.Values{"secret": {"token"}})
	n := page(t, got)
	if got.StatusCode != http.StatusOK || strings.Count(words(n), "waggle_secret") != 1 || got.Header.Get("Cache-Control") != "no-store" || len(got.Cookies()) != 0 {
		t.Errorf("status %d, %v: %s", got.StatusCode, got.Header, words(n))
	}
	checkDocument(t, n)
}

func TestWhoEditsTheirOwnAccountLogsInAgain(t *testing.T) {
	w := newAccountWorld(t)
	own := "/settings/accounts/edit?name=anna"
	next, told := w.follow(t, w.post(t, own, url.Values{"expires": {"365"}}))
	if next != "/login?next=/settings/accounts" || len(told) != 1 || !strings.Contains(told[0], "log in again") {
		t.Errorf("leads to %s, and tells %q", next, told)
	}
	w.answer("PATCH /accounts/anna", client.AccountWithToken{Account: client.Account{Name: "anna", Role: "admin", Secret: "token"}, Token: "waggle_secret"})
	n := page(t, w.post(t, own, url.Values{"secret": {"token"}}))
	leads := false
	for _, e := range all(n, "a") {
		leads = leads || has(e, "href", "/login?next=/settings/accounts")
	}
	if said := words(n); !leads || !strings.Contains(said, "waggle_secret") || strings.Contains(said, "Log out") {
		t.Errorf("got %s", said)
	}
	checkDocument(t, n)
}

func TestAnEditThatCannotBeIsToldOnTheFormWhichKeepsTheChoices(t *testing.T) {
	w := newAccountWorld(t)
	for _, c := range []struct {
		form url.Values
		says string
	}{
		{url.Values{"role": {"operator"}, "was": {"operator"}}, "would change nothing"},
		{url.Values{"secret": {"password"}}, "10 characters or more"},
		{url.Values{"secret": {"password"}, "password": {"correct horse"}, "again": {"battery staple"}}, "The two passwords differ"},
		{url.Values{"secret": {"token"}, "password": {"correct horse"}, "again": {"correct horse"}}, "leave both fields of it empty"},
		{url.Values{"expires": {"0"}}, "1 to 3,650 days"},
		{url.Values{"expires": {"x"}}, "1 to 3,650 days"},
	} {
		got := w.post(t, editing, c.form)
		said := text(t, got)
		if got.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(said, c.says) || strings.Contains(said, "correct horse") || len(w.changes()) != 0 {
			t.Errorf("%v: status %d, changes %v: %s", c.form, got.StatusCode, w.changes(), said)
		}
	}
	w.refuse("PATCH /accounts/ci", http.StatusConflict, "this is the last admin that does not expire")
	got := w.post(t, editing, url.Values{
		"role": {"viewer"}, "was": {"operator"}, "expires": {"90"}, "secret": {"password"}, "password": {"correct horse"}, "again": {"correct horse"},
	})
	n := page(t, got)
	if got.StatusCode != http.StatusConflict || !strings.Contains(words(n), "This is the last admin that does not expire.") || !strings.Contains(words(n), "Account ci") {
		t.Errorf("status %d: %s", got.StatusCode, words(n))
	}
	for name, want := range map[string]string{"role": "viewer", "expires": "in 90 days", "secret": "becomes the password"} {
		if chosen := selected(n, name); !strings.HasPrefix(chosen, want) {
			t.Errorf("%s is %q", name, chosen)
		}
	}
	for _, e := range all(n, "input") {
		if value, _ := attribute(e, "value"); has(e, "type", "password") && value != "" {
			t.Errorf("a password is kept: %v", e.Attr)
		}
	}
}

func TestAnEditThatTheVisitorMayNotMakeIsAPageOfItsOwn(t *testing.T) {
	w := newAccountWorld(t)
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusInternalServerError} {
		w.refuse("PATCH /accounts/ci", status, "no")
		if got := w.post(t, editing, url.Values{"role": {"viewer"}}); got.StatusCode != status || strings.Contains(text(t, got), `name="secret"`) {
			t.Errorf("status %d, not %d", got.StatusCode, status)
		}
	}
	w.refuse("PATCH /accounts/gone", http.StatusNotFound, "there is no such account")
	if got := w.post(t, "/settings/accounts/edit?name=gone", url.Values{"role": {"viewer"}}); got.StatusCode != http.StatusNotFound {
		t.Errorf("status %d", got.StatusCode)
	}
	w.who = account.Identity{Name: "vera", Role: account.Viewer, Via: account.ViaSession, CSRF: "c"}
	w.refuse("GET /accounts", http.StatusForbidden, "this is for the role admin")
	if got := w.get(t, editing); got.StatusCode != http.StatusForbidden {
		t.Errorf("status %d", got.StatusCode)
	}
}
