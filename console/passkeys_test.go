package console_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"waggle/account"
	"waggle/bittorrent"
	"waggle/console"
	"waggle/console/client"
	"waggle/passkey"
	"waggle/swarm"
)

// newBook returns passkeys of a tracker at t.example.
func newBook(t *testing.T, c *clock) *console.Passkeys {
	t.Helper()
	book, err := passkey.Open(t.Context(), passkey.Options{Now: c.Now, WriteEvery: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := book.Close(); err != nil {
			t.Error(err)
		}
	})
	return &console.Passkeys{Book: book, URLs: func() []string { return []string{"udp://t.example:1/announce", "https://t.example/announce"} }}
}

// keyed is a console with accounts and passkeys.
func keyed(t *testing.T) (*staff, *passkey.Book) {
	t.Helper()
	var keys *console.Passkeys
	s := newStaff(t, func(o *console.Options) {
		keys = newBook(t, &clock{now: time.Unix(1_800_000_000, 0)})
		o.Passkeys = keys
	})
	return s, keys.Book
}

func TestOperatorManagesPasskeysByTheClient(t *testing.T) {
	s, book := keyed(t)
	ctx, c := t.Context(), s.client(t, s.tokens[account.Operator])
	brought := strings.Repeat("k", 32)
	made, err := c.CreatePasskeys(ctx, []client.NewPasskey{{Name: "anna", Note: "n"}, {Name: "bert", Key: brought, Expires: s.clock.Now().Add(time.Hour)}})
	if err != nil || len(made) != 2 || made[1].Key != brought || made[1].Expires.IsZero() || made[0].State != "active" {
		t.Fatalf("made %+v, %v", made, err)
	}
	if want := "https://t.example/" + brought + "/announce"; len(made[1].AnnounceURLs) != 2 || made[1].AnnounceURLs[1] != want {
		t.Errorf("announce URLs %q, want %s", made[1].AnnounceURLs, want)
	}
	id := made[0].ID
	a := &swarm.Announce{Now: s.clock.Now(), Credentials: swarm.Credentials{Passkey: made[0].Key}}
	a.Event = bittorrent.EventStarted
	book.Announce(a)
	a.Event, a.Uploaded, a.Downloaded = bittorrent.EventNone, 5, 7
	book.Announce(a)
	if err := book.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if p, err := c.Passkey(ctx, id); err != nil || p.Uploaded != 5 || p.Downloaded != 7 || p.Torrents != 1 || p.Seen.IsZero() {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err := c.FindPasskey(ctx, made[0].Key); err != nil || p.ID != id {
		t.Errorf("found %+v, %v", p, err)
	}
	if p, err := c.EditPasskey(ctx, id, client.PasskeyEdit{Name: new("carl"), Expires: s.clock.Now().Add(time.Hour).Format(time.RFC3339)}); err != nil || p.Name != "carl" || p.Note != "n" || p.Expires.IsZero() {
		t.Errorf("edited %+v, %v", p, err)
	}
	if p, err := c.EditPasskey(ctx, id, client.PasskeyEdit{Expires: "never"}); err != nil || !p.Expires.IsZero() {
		t.Errorf("for ever %+v, %v", p, err)
	}
	for _, step := range []struct {
		action client.PasskeyAction
		is     func(client.Passkey) bool
	}{
		{client.RevokePasskey, func(p client.Passkey) bool { return p.State == "revoked" && !p.Revoked.IsZero() }},
		{client.RestorePasskey, func(p client.Passkey) bool { return p.State == "active" }},
		{client.RenewPasskey, func(p client.Passkey) bool { return p.Key != made[0].Key && p.Uploaded == 5 }},
		{client.ResetPasskey, func(p client.Passkey) bool { return p.Uploaded == 0 && p.Downloaded == 0 }},
	} {
		if p, err := c.ActOnPasskey(ctx, id, step.action); err != nil || !step.is(p) {
			t.Errorf("%s: %+v, %v", step.action, p, err)
		}
	}
	if all, err := c.Passkeys(ctx, client.PasskeyQuery{Query: "CARL", State: "active"}); err != nil || len(all) != 1 || all[0].ID != id {
		t.Errorf("all %+v, %v", all, err)
	}
	if page, err := c.PasskeysPart(ctx, client.PasskeyQuery{Part: client.Part{Limit: 1}}); err != nil || len(page.Passkeys) != 1 || page.Total != 2 || page.Next == "" {
		t.Errorf("a page %+v, %v", page, err)
	}
	if err := c.DeletePasskey(ctx, id); err != nil {
		t.Error(err)
	}
	problem, _ := errors.AsType[*client.Problem](second(c.Passkey(ctx, id)))
	if problem == nil || problem.Status != http.StatusNotFound {
		t.Errorf("deleted: %v", problem)
	}
}

func second[T any](_ T, err error) error { return err }

func TestViewersSeePasskeysWithoutTheirSecrets(t *testing.T) {
	s, book := keyed(t)
	made, err := book.Create(t.Context(), []passkey.New{{Name: "anna"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, header := range []map[string]string{bearer(s.tokens[account.Viewer]), nil} { // nil: this machine
		for _, path := range []string{"/api/v1/passkeys", "/api/v1/passkeys?query=anna", "/api/v1/passkeys/" + made[0].ID} {
			got := s.do(t, request{method: http.MethodGet, path: path, header: header})
			if got.status != http.StatusOK || !strings.Contains(string(got.body), "anna") || strings.Contains(string(got.body), made[0].Key) {
				t.Errorf("%s: %d %s", path, got.status, got.body)
			}
		}
		if got := s.do(t, send1(http.MethodPost, "/api/v1/passkeys/find", `{"key":"`+made[0].Key+`"}`, header)); got.status != http.StatusForbidden && got.status != http.StatusUnauthorized {
			t.Errorf("finding: %d %s", got.status, got.body)
		}
	}
}

func TestPasskeyThatMayNotBeIsAProblemWithoutSecrets(t *testing.T) {
	s, book := keyed(t)
	secret := strings.Repeat("s", 32)
	made, err := book.Create(t.Context(), []passkey.New{{Name: "anna", Key: secret}})
	if err != nil {
		t.Fatal(err)
	}
	at := "/api/v1/passkeys/" + made[0].ID
	many := strings.Repeat(`{},`, passkey.MaxMany) + `{}`
	for name, test := range map[string]struct {
		method, path, body string
		status             int
	}{
		"known":          {"POST", "/api/v1/passkeys", `{"passkeys":[{"key":"` + secret + `"}]}`, 409},
		"too short":      {"POST", "/api/v1/passkeys", `{"passkeys":[{"key":"` + secret[1:] + `"}]}`, 422},
		"none":           {"POST", "/api/v1/passkeys", `{"passkeys":[]}`, 422},
		"too many":       {"POST", "/api/v1/passkeys", `{"passkeys":[` + many + `]}`, 422},
		"expired":        {"POST", "/api/v1/passkeys", `{"passkeys":[{"expires":"2001-01-01T00:00:00Z"}]}`, 422},
		"unknown id":     {"POST", "/api/v1/passkeys/0000000000000000/revoke", "", 404},
		"a secret as id": {"POST", "/api/v1/passkeys/" + secret + "/revoke", "", 422},
		"no such secret": {"POST", "/api/v1/passkeys/find", `{"key":"` + secret[1:] + `x"}`, 404},
		"no time":        {"PATCH", at, `{"expires":"soon"}`, 422},
		"a long name":    {"PATCH", at, `{"name":"` + strings.Repeat("x", 101) + `"}`, 422},
		"a cursor":       {"GET", "/api/v1/passkeys?cursor=x", "", 422},
	} {
		got := s.do(t, send1(test.method, test.path, test.body, bearer(s.tokens[account.Operator])))
		if got.status != test.status || got.problem(t).Detail == "" {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	for _, e := range s.entries(t) {
		if text := fmt.Sprintf("%+v", e); strings.Contains(text, secret[1:]) && !strings.Contains(e.What, "revoke") {
			t.Errorf("the audit log has %s", text)
		}
	}
}

func TestChangesOfPasskeysAreInTheAuditLogByIdAndName(t *testing.T) {
	s, _ := keyed(t)
	c := s.client(t, s.tokens[account.Operator])
	made, err := c.CreatePasskeys(t.Context(), []client.NewPasskey{{Name: "anna"}})
	if err != nil {
		t.Fatal(err)
	}
	p := made[0]
	if _, err := c.EditPasskey(t.Context(), p.ID, client.PasskeyEdit{Name: new("bert"), Note: new("x"), Expires: "never"}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ActOnPasskey(t.Context(), p.ID, client.RevokePasskey); err != nil {
		t.Fatal(err)
	}
	if _, err := c.FindPasskey(t.Context(), p.Key); err != nil {
		t.Fatal(err)
	}
	if err := c.DeletePasskey(t.Context(), p.ID); err != nil {
		t.Fatal(err)
	}
	entries := s.entries(t)
	for i, want := range []string{
		"delete-passkey " + p.ID + " bert", "find-passkey " + p.ID + " bert", "revoke-passkey " + p.ID + " bert",
		"edit-passkey " + p.ID + " anna: name bert, another note, expires never", "create-passkeys " + p.ID + " anna",
	} {
		if got := entries[i].What + " " + entries[i].Target; got != want || entries[i].Outcome != account.Done {
			t.Errorf("%q, %s; want %q", got, entries[i].Outcome, want)
		}
		if strings.Contains(fmt.Sprintf("%+v", entries[i]), p.Key) {
			t.Errorf("the secret is in %+v", entries[i])
		}
	}
}

func TestTrackerWithoutPasskeysSaysHowToHaveThem(t *testing.T) {
	w := newWorld(t, nil)
	for _, q := range []request{get("/api/v1/passkeys"), get("/api/v1/passkeys/0123456789abcdef"), send1(http.MethodPost, "/api/v1/passkeys", `{"passkeys":[{}]}`, nil), {method: http.MethodDelete, path: "/api/v1/passkeys/0123456789abcdef"}} {
		got := w.do(t, q)
		if got.status != http.StatusNotFound || !strings.Contains(got.problem(t).Detail, "access.passkeys") {
			t.Errorf("%s %s: %d %s", q.method, q.path, got.status, got.body)
		}
	}
}

func TestPasskeysAreManagedByPagesAndInNoURL(t *testing.T) {
	var keys *console.Passkeys
	_, v := newVisitorWith(t, func(o *console.Options) {
		keys = newBook(t, &clock{now: time.Now()})
		o.Passkeys = keys
	})
	csrf := v.logIn(t)
	post := func(path, fields string) (status int, next, body string) {
		t.Helper()
		values, err := url.ParseQuery(fields)
		if err != nil {
			t.Fatal(err)
		}
		values.Set("csrf", csrf)
		return v.post(t, path, values)
	}
	status, next, body := post("/passkeys", "name=anna&note=a+note&count=1&days=30")
	if status != http.StatusSeeOther || !regexp.MustCompile(`^/passkeys/[0-9a-f]{16}$`).MatchString(next) {
		t.Fatalf("status %d to %s: %s", status, next, body)
	}
	page, _, err := keys.Book.List(passkey.Query{Limit: 1})
	if err != nil || len(page) != 1 || page[0].Expires.IsZero() {
		t.Fatalf("%+v, %v", page, err)
	}
	secret := page[0].Key
	if _, body := v.get(t, next); !strings.Contains(body, "https://t.example/"+secret+"/announce") || strings.Contains(body, `href="/passkeys/`+secret) {
		t.Errorf("%s shows %s", next, body)
	}
	for _, query := range []string{secret, "udp://t.example:1/" + secret + "/announce"} {
		status, to, body := post("/passkeys/search", url.Values{"query": {query}}.Encode())
		if strings.Contains(to, secret) || query == secret && (status != http.StatusSeeOther || to != next) {
			t.Errorf("searching for %s: %d to %s: %s", query, status, to, body)
		}
	}
	if status, to, _ := post("/passkeys/search", "query=ann&state=active"); status != http.StatusSeeOther || to != "/passkeys?query=ann&state=active" {
		t.Errorf("a search: %d to %s", status, to)
	}
	if status, body := v.get(t, "/passkeys?query=ann&state=active"); status != http.StatusOK || !strings.Contains(body, next) || strings.Contains(body, secret) {
		t.Errorf("the list: %d %s", status, body)
	}
	if status, body := v.get(t, next+"/revoke"); status != http.StatusOK || !strings.Contains(body, "Revoke the passkey of anna?") {
		t.Errorf("asked before: %d %s", status, body)
	}
	for _, step := range []struct {
		path, fields, to string
	}{
		{next + "/revoke", "", next},
		{next + "/restore", "", next},
		{next + "/reset", "", next},
		{next + "/renew", "", next},
		{next, "name=bert&note=&days=never", next},
		{next + "/delete", "", "/passkeys"},
	} {
		if status, to, body := post(step.path, step.fields); status != http.StatusSeeOther || to != step.to {
			t.Errorf("%s: %d to %s: %s", step.path, status, to, body)
		}
	}
	if status, body := v.get(t, "/passkeys"); status != http.StatusOK || !strings.Contains(body, "The passkey is deleted") || !strings.Contains(body, "There are no passkeys yet") {
		t.Errorf("at last: %d %s", status, body)
	}
	for fields, want := range map[string]string{
		"name=x&count=0":                   "1 to 100",
		"name=x&count=2&key=" + secret:     "make 1",
		"name=x&count=1&key=" + secret[1:]: "32 or 40",
		"name=x&count=1&days=0":            "days",
	} {
		if status, _, body := post("/passkeys", fields); status != http.StatusUnprocessableEntity || !strings.Contains(body, want) || strings.Contains(body, secret[1:]) {
			t.Errorf("%s: %d %s", fields, status, body)
		}
	}
	if status, next, _ := post("/passkeys", "name=many&count=3"); status != http.StatusSeeOther || next != "/passkeys?query=many" || keys.Book.Len() != 3 {
		t.Errorf("three: %d to %s", status, next)
	}
}
