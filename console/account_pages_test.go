package console_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

func TestAccountsAreEditedByPages(t *testing.T) {
	_, v := newVisitor(t)
	csrf := v.logIn(t)
	change := func(path, fields string) (status int, next, body string) {
		t.Helper()
		values, err := url.ParseQuery(fields)
		if err != nil {
			t.Fatal(err)
		}
		values.Set("csrf", csrf)
		return v.post(t, path, values)
	}
	_, _, body := change("/settings/accounts", "name=ci&role=viewer")
	first := regexp.MustCompile(`waggle_[0-9a-f][^<]+`).FindString(body)
	status, _, body := change("/settings/accounts/edit?name=ci", "role=operator&was=viewer&secret=token")
	second := regexp.MustCompile(`waggle_[0-9a-f][^<]+`).FindString(body)
	if status != http.StatusOK || first == "" || second == "" || first == second {
		t.Fatalf("status %d, token %q then %q: %s", status, first, second, body)
	}
	if _, body := v.get(t, "/settings/accounts/edit?name=ci"); !strings.Contains(body, `value="operator" selected`) || strings.Contains(body, second) {
		t.Errorf("got %s", body)
	}
	for token, want := range map[string]int{first: http.StatusUnauthorized, second: http.StatusOK} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, v.base+"/api/v1/self", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		if got := send(t, r); got.status != want {
			t.Errorf("with the token %s: %d, not %d", token, got.status, want)
		}
	}
	own := "/settings/accounts/edit?name=anna"
	if status, _, body := change(own, "role=viewer&was=admin"); status != http.StatusConflict || !strings.Contains(body, "This is the last admin that does not expire") || !strings.Contains(body, `value="viewer" selected`) {
		t.Errorf("status %d: %s", status, body)
	}
	if status, next, body := change(own, "secret=password&password=battery+staple&again=battery+staple"); status != http.StatusSeeOther || next != "/login?next=/settings/accounts" {
		t.Errorf("status %d to %s: %s", status, next, body)
	}
	if status, body := v.get(t, "/login?next=/settings/accounts"); status != http.StatusOK || !strings.Contains(body, "log in again") || strings.Contains(body, "Log out") {
		t.Errorf("status %d: %s", status, body)
	}
	for password, want := range map[string]int{"correct horse": http.StatusUnauthorized, "battery staple": http.StatusSeeOther} {
		if status, _, body := v.post(t, "/login", url.Values{"name": {"anna"}, "password": {password}}); status != want {
			t.Errorf("with %q: status %d: %s", password, status, body)
		}
	}
}
