package web_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"waggle/account"
	"waggle/console/client"
)

// follow returns the page that an answer leads to, and what messages it shows.
func (w *world) follow(t *testing.T, got *http.Response) (path string, messages []string) {
	t.Helper()
	if got.StatusCode != http.StatusSeeOther {
		t.Fatalf("status %d: %s", got.StatusCode, text(t, got))
	}
	path = got.Header.Get("Location")
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	for _, c := range got.Cookies() {
		r.AddCookie(c)
	}
	shown := w.do(t, r)
	taken := slices.ContainsFunc(shown.Cookies(), func(c *http.Cookie) bool { return c.Name == "waggle_message" && c.MaxAge < 0 })
	if !taken {
		t.Error("the messages would be shown again")
	}
	for _, e := range all(page(t, shown), "p") {
		if class, _ := attribute(e, "class"); strings.HasPrefix(class, "message ") && has(e.Parent, "class", "messages") {
			messages = append(messages, strings.TrimPrefix(class, "message ")+": "+words(e))
		}
	}
	return path, messages
}

func TestChangesAreAskedOfTheAPIAndTold(t *testing.T) {
	w := newWorld(t)
	at := "/transfers/" + hash.String()
	transfer := client.Transfer{Torrent: client.Torrent{InfoHash: hash, Name: "image.iso", Profile: "parity"}}
	w.answer("POST "+at+"/activate", transfer)
	w.answer("POST "+at+"/deactivate", transfer)
	w.answer("PATCH "+at, transfer)
	w.answer("DELETE /torrents/"+hash.String(), nil)
	w.answer("DELETE /accounts/anna", nil)
	for _, c := range []struct {
		path  string
		form  url.Values
		asked string
		next  string
		told  string
	}{
		{at + "/activate", nil, "POST " + at + "/activate?", at, "image.iso is active"},
		{at + "/deactivate", url.Values{"back": {"/torrents?sort=size"}}, "POST " + at + "/deactivate?", "/torrents?sort=size", "image.iso is not active any more"},
		{at + "/profile", url.Values{"profile": {"parity"}}, "PATCH " + at + `? {"profile":"parity"}`, at, "image.iso has the profile parity"},
		{at + "/delete", nil, "DELETE /torrents/" + hash.String() + "?", "/torrents", "is deleted"},
		{"/settings/accounts/delete", url.Values{"name": {"anna"}}, "DELETE /accounts/anna?", "/settings/accounts", "The account anna is deleted"},
		{"/settings/accounts/delete?name=anna", nil, "DELETE /accounts/anna?", "/settings/accounts", "The account anna is deleted"},
	} {
		next, told := w.follow(t, w.post(t, c.path, c.form))
		changes := w.changes()
		if last := changes[len(changes)-1]; last != c.asked {
			t.Errorf("%s asks %q", c.path, last)
		}
		if next != c.next || len(told) != 1 || !strings.HasPrefix(told[0], "done: ") || !strings.Contains(told[0], c.told) {
			t.Errorf("%s leads to %s, and tells %q", c.path, next, told)
		}
	}
}

func TestAChangeThatFailsIsToldWhereItWasAsked(t *testing.T) {
	w := newWorld(t)
	at := "/transfers/" + hash.String()
	w.refuse("POST "+at+"/activate", http.StatusGone, "the .torrent is gone: "+nasty)
	next, told := w.follow(t, w.post(t, at+"/activate", url.Values{"back": {"/torrents"}}))
	if next != "/torrents" || len(told) != 1 || told[0] != "failed: Failed: The .torrent is gone: "+nasty+"." {
		t.Errorf("%s tells %q", next, told)
	}
	w.refuse("POST "+at+"/activate", http.StatusForbidden, "this is for the role operator")
	if got := w.post(t, at+"/activate", nil); got.StatusCode != http.StatusForbidden {
		t.Errorf("status %d", got.StatusCode)
	}
}

func TestNobodyIsSentToAnotherSite(t *testing.T) {
	w := newWorld(t)
	at := "/transfers/" + hash.String()
	w.answer("POST "+at+"/activate", client.Transfer{})
	for _, back := range []string{"https://evil.example/", "//evil.example/", `/\evil.example/`, "/\tx", "javascript:alert(1)", "evil"} {
		if got := w.post(t, at+"/activate", url.Values{"back": {back}}).Header.Get("Location"); got != "/" {
			t.Errorf("%q leads to %q", back, got)
		}
		for _, e := range all(page(t, w.get(t, "/login?next="+url.QueryEscape(back))), "input") {
			if name, _ := attribute(e, "name"); name == "next" && !has(e, "value", "/") {
				t.Errorf("%q: %v", back, e.Attr)
			}
		}
	}
}

func TestAFormThatIsTooLargeIsRefused(t *testing.T) {
	w := newWorld(t)
	got := w.post(t, "/transfers/"+hash.String()+"/profile", url.Values{"profile": {strings.Repeat("x", 1<<20)}})
	if got.StatusCode != http.StatusBadRequest || len(w.changes()) != 0 {
		t.Errorf("status %d, changes %v", got.StatusCode, w.changes())
	}
}

func TestUploadsRegisterEveryFileAndTellWhatCameOfEach(t *testing.T) {
	w := newWorld(t)
	w.answer("POST /torrents", client.Uploaded{
		Transfer: client.Transfer{Torrent: client.Torrent{Name: "image.iso"}}, Warnings: []string{"it is not private"},
	})
	next, told := w.follow(t, w.upload(t, "", "a.torrent", `C:\dir\b.torrent`))
	want := []string{"POST /torrents?file=a.torrent the bytes of a.torrent", `POST /torrents?file=b.torrent the bytes of C:\dir\b.torrent`}
	if next != "/torrents" || !slices.Equal(w.changes(), want) {
		t.Errorf("leads to %s, changes %q", next, w.changes())
	}
	if len(told) != 3 || told[0] != "done: 2 torrents registered, and active" || told[1] != "warning: Warning: image.iso: it is not private" {
		t.Errorf("told %q", told)
	}
}

func TestUploadsHaveTheProfileThatWasChosen(t *testing.T) {
	w := newWorld(t)
	w.answer("POST /torrents", client.Uploaded{})
	if _, told := w.follow(t, w.upload(t, "parity", "a.torrent")); len(w.changes()) != 1 || !strings.Contains(w.changes()[0], "profile=parity") {
		t.Errorf("changes %q, told %q", w.changes(), told)
	}
	w.who = session()
	var fields []string // as a browser sends them
	for _, e := range all(page(t, w.get(t, "/torrents")), "") {
		if name, _ := attribute(e, "name"); name == "csrf" || name == "profile" || name == "file" {
			fields = append(fields, name)
		}
	}
	if got := strings.Join(fields, " "); !strings.Contains(got, "csrf profile file") {
		t.Errorf("the form has %s", got)
	}
}

func TestAProfileAfterTheFilesIsRefused(t *testing.T) {
	w := newWorld(t)
	w.answer("POST /torrents", client.Uploaded{})
	const body = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.torrent\"\r\n\r\nabc\r\n" +
		"--x\r\nContent-Disposition: form-data; name=\"profile\"\r\n\r\nparity\r\n--x--\r\n"
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/torrents", strings.NewReader(body))
	r.Header.Set("Content-Type", "multipart/form-data; boundary=x")
	if _, told := w.follow(t, w.do(t, r)); len(told) != 2 || !strings.Contains(told[0], "1 torrent registered") || !strings.Contains(told[1], "before the files") {
		t.Errorf("told %q", told)
	}
}

func TestUploadsThatAreRefusedSayWhich(t *testing.T) {
	w := newWorld(t)
	w.refuse("POST /torrents", http.StatusConflict, "the torrent is known already")
	_, told := w.follow(t, w.upload(t, "", nasty+".torrent"))
	if len(told) != 1 || !strings.HasPrefix(told[0], "failed: ") || !strings.Contains(told[0], "known already") {
		t.Errorf("told %q", told)
	}
	w.refuse("POST /torrents", http.StatusForbidden, "this is for the role operator")
	if got := w.upload(t, "", "a.torrent"); got.StatusCode != http.StatusForbidden {
		t.Errorf("status %d", got.StatusCode)
	}
}

func TestUploadsAreBounded(t *testing.T) {
	w := newWorld(t)
	w.answer("POST /torrents", client.Uploaded{})
	var files []string
	for i := range 101 {
		files = append(files, fmt.Sprint(i, ".torrent"))
	}
	_, told := w.follow(t, w.upload(t, "", files...))
	if len(w.changes()) != 100 || len(told) != 2 || told[0] != "done: 100 torrents registered, and active" || !strings.Contains(told[1], "first 100 files") {
		t.Errorf("%d changes, told %q", len(w.changes()), told)
	}
	if _, told := w.follow(t, w.upload(t, "")); len(told) != 1 || !strings.Contains(told[0], "No file was chosen") {
		t.Errorf("told %q", told)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/torrents", strings.NewReader("x=1"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if got := w.do(t, r); got.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("status %d", got.StatusCode)
	}
}

func TestMessagesOfAPageOverTLSAreForTLS(t *testing.T) {
	w := newWorld(t)
	for proto, want := range map[string]bool{"https": true, "http": false} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/logout", nil)
		r.RemoteAddr = "127.0.0.1:1"
		r.Header.Set("X-Forwarded-Proto", proto)
		if got := w.do(t, r).Cookies(); len(got) != 1 || got[0].Secure != want {
			t.Errorf("behind a proxy that speaks %s: %v", proto, got)
		}
	}
}

func TestManyMessagesFitInACookie(t *testing.T) {
	w := newWorld(t)
	w.refuse("POST /torrents", http.StatusBadRequest, strings.Repeat("é", 1000))
	var files []string
	for i := range 50 {
		files = append(files, fmt.Sprint(i, ".torrent"))
	}
	got := w.upload(t, "", files...)
	for _, c := range got.Cookies() {
		if len(c.String()) > 4096 {
			t.Errorf("a cookie has %d bytes", len(c.String()))
		}
	}
	if _, told := w.follow(t, got); len(told) < 3 || !strings.Contains(told[len(told)-1], fmt.Sprintf("and %d more messages", 51-len(told))) {
		t.Errorf("told %q", told)
	}
}

func TestATokenIsShownOnceByTheAnswer(t *testing.T) {
	w := newWorld(t)
	w.who = session()
	w.answer("POST /accounts", client.AccountWithToken{Account: client.Account{Name: "ci"}, Token: "waggle_secret"})
	got := w.post(t, "/settings/accounts", url.Values{"name": {"ci"}, "role": {"operator"}})
	said := text(t, got)
	if got.StatusCode != http.StatusCreated || !strings.Contains(said, "waggle_secret") || got.Header.Get("Cache-Control") != "no-store" || len(got.Cookies()) != 0 {
		t.Errorf("status %d, %v", got.StatusCode, got.Header)
	}
	if asked := w.changes(); len(asked) != 1 || asked[0] != `POST /accounts? {"name":"ci","role":"operator"}` {
		t.Errorf("asked %q", asked)
	}
}

func TestAnAccountMayExpire(t *testing.T) {
	w := newWorld(t)
	w.answer("POST /accounts", client.AccountWithToken{Token: "x"})
	w.post(t, "/settings/accounts", url.Values{"name": {"ci"}, "role": {"viewer"}, "days": {"30"}})
	if asked := w.changes(); len(asked) != 1 || !strings.Contains(asked[0], `"expires":"2026-12-21T16:00:00Z"`) {
		t.Errorf("asked %q", asked)
	}
	for _, days := range []string{"0", "-1", "x", "3651"} {
		if got := w.post(t, "/settings/accounts", url.Values{"name": {"ci"}, "role": {"viewer"}, "days": {days}}); got.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%s days: status %d", days, got.StatusCode)
		}
	}
}

func TestPasswordsThatDifferMakeNoAccount(t *testing.T) {
	w := newWorld(t)
	got := w.post(t, "/settings/accounts", url.Values{"name": {"anna"}, "role": {"admin"}, "password": {"correct horse"}, "again": {"battery staple"}})
	said := text(t, got)
	if got.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(said, "The two passwords differ") || strings.Contains(said, "correct horse") || len(w.changes()) != 0 {
		t.Errorf("status %d, changes %v", got.StatusCode, w.changes())
	}
}

func TestWithoutAnyAccountTheFirstCanBeMade(t *testing.T) {
	w := newWorld(t)
	w.answer("GET /accounts", client.AccountPage{Accounts: []client.Account{}})
	if said := words(page(t, w.get(t, "/settings/accounts"))); !strings.Contains(said, "Set the first admin password") || !strings.Contains(said, "nobody else gets an answer") {
		t.Errorf("got %s", said)
	}
	w.answer("POST /accounts", client.AccountWithToken{Account: client.Account{Name: "admin"}})
	got := w.post(t, "/settings/accounts", url.Values{"name": {"admin"}, "role": {"admin"}, "secret": {"password"}, "password": {"0123456789"}, "again": {"0123456789"}})
	if next, told := w.follow(t, got); next != "/login?next=/settings/accounts" || len(told) != 1 {
		t.Errorf("%s, %q", next, told)
	}
	w.who = session()
	if said := words(page(t, w.get(t, "/settings/accounts"))); strings.Contains(said, "first admin password") {
		t.Error("an admin of an account is asked for the first password")
	}
}

// accounts has a real account, whose hashes are quick.
func accounts(t *testing.T) *account.Accounts {
	t.Helper()
	a, err := account.Open(t.Context(), account.Options{Hash: account.Cost{Memory: 8, Passes: 1, Threads: 1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, _, err := a.Create(t.Context(), account.New{Name: "anna", Role: account.Admin, Password: "correct horse"}); err != nil {
		t.Fatal(err)
	}
	return a
}

func TestWhoeverLogsInGoesOnWhereTheyWere(t *testing.T) {
	w := newWorldWith(t, accounts(t))
	got := w.post(t, "/login", url.Values{"name": {"anna"}, "password": {"correct horse"}, "next": {"/torrents?sort=size"}})
	if got.StatusCode != http.StatusSeeOther || got.Header.Get("Location") != "/torrents?sort=size" {
		t.Errorf("status %d to %s", got.StatusCode, got.Header.Get("Location"))
	}
	cookies := got.Cookies()
	if len(cookies) != 1 || cookies[0].Name != account.Cookie || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteLaxMode {
		t.Fatalf("cookies %v", cookies)
	}
	out := w.post(t, "/logout", nil, cookies...)
	if out.StatusCode != http.StatusSeeOther || out.Header.Get("Location") != "/login" {
		t.Errorf("status %d to %s", out.StatusCode, out.Header.Get("Location"))
	}
}

func TestAWrongPasswordKeepsTheNameAlone(t *testing.T) {
	w := newWorldWith(t, accounts(t))
	for i := range 12 {
		got := w.post(t, "/login", url.Values{"name": {"anna"}, "password": {"battery staple"}, "next": {"//evil.example"}})
		status, said := got.StatusCode, text(t, got)
		if i < 10 && status != http.StatusUnauthorized || i > 10 && (status != http.StatusTooManyRequests || got.Header.Get("Retry-After") == "") {
			t.Fatalf("attempt %d: status %d", i, status)
		}
		if !strings.Contains(said, `value="anna"`) || strings.Contains(said, "battery staple") || strings.Contains(said, "evil") || len(got.Cookies()) != 0 {
			t.Errorf("got %s", said)
		}
	}
}

func TestWhoLogsInWhileTooManyDoIsToldToTryAgain(t *testing.T) {
	a, err := account.Open(t.Context(), account.Options{Hash: account.Cost{Memory: 32 << 10, Passes: 4, Threads: 1}})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.Create(t.Context(), account.New{Name: "anna", Role: account.Admin, Password: "correct horse"}); err != nil {
		t.Fatal(err)
	}
	w := newWorldWith(t, a)
	ctx, cancel := context.WithCancel(t.Context())
	const many = 100 // two at a time, and 64 that wait
	answers := make(chan *http.Response, many)
	for i := range many {
		go func() {
			form := url.Values{"name": {fmt.Sprint("nobody ", i)}, "password": {"x"}}
			r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/login", strings.NewReader(form.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.RemoteAddr = fmt.Sprintf("192.0.2.%d:1", i)
			recorder := httptest.NewRecorder()
			w.site.ServeHTTP(recorder, r)
			answers <- recorder.Result()
		}()
	}
	first := <-answers
	cancel()
	for range many - 1 {
		<-answers
	}
	if first.StatusCode != http.StatusTooManyRequests || first.Header.Get("Retry-After") != "1" || !strings.Contains(text(t, first), "Too many are logging in") {
		t.Errorf("status %d, %v", first.StatusCode, first.Header)
	}
}

func TestWithoutAccountsNobodyLogsIn(t *testing.T) {
	w := newWorld(t)
	got := w.post(t, "/login", url.Values{"name": {"anna"}, "password": {"x"}})
	if got.StatusCode != http.StatusForbidden || !strings.Contains(text(t, got), "no accounts yet") {
		t.Errorf("status %d", got.StatusCode)
	}
}
