package console_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"waggle/account"
	"waggle/console"
	"waggle/console/client"
)

const password = "correct horse"

// clock is a time that tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// staff is a console with an account for each role, called as the role is: tokens, and
// sessions of others, called so with a password.
type staff struct {
	*world
	accounts *account.Accounts
	clock    *clock
	tokens   map[account.Role]string
}

func newStaff(t *testing.T, change func(*console.Options)) *staff {
	t.Helper()
	s := &staff{clock: &clock{now: time.Unix(1_800_000_000, 0)}, tokens: map[account.Role]string{}}
	var err error
	s.accounts, err = account.Open(t.Context(), account.Options{Hash: account.Cost{Memory: 64, Passes: 1, Threads: 1}, Now: s.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range []account.Role{account.Admin, account.Operator, account.Viewer} {
		if _, s.tokens[role], err = s.accounts.Create(t.Context(), account.New{Name: role.String(), Role: role}); err != nil {
			t.Fatal(err)
		}
	}
	s.world = newWorld(t, func(o *console.Options) {
		o.Accounts = s.accounts
		if change != nil {
			change(o)
		}
	})
	return s
}

// session logs in as a role, and returns the header of a request that is of the
// session's, with what it must carry.
func (s *staff) session(t *testing.T, role account.Role) (header map[string]string, who account.Identity) {
	t.Helper()
	r, w := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/login", nil), httptest.NewRecorder()
	who, err := s.accounts.LogIn(w, r, role.String(), s.tokens[role])
	if err != nil {
		t.Fatal(err)
	}
	cookie := w.Result().Cookies()[0]
	return map[string]string{"Cookie": cookie.Name + "=" + cookie.Value, "X-CSRF-Token": who.CSRF}, who
}

func bearer(token string) map[string]string {
	return map[string]string{"Authorization": "Bearer " + token}
}

func send1(method, path, body string, header map[string]string) request {
	q := request{method: method, path: path, body: []byte(body), header: map[string]string{}}
	if body != "" {
		q.header["Content-Type"] = "application/json"
	}
	maps.Copy(q.header, header)
	return q
}

func TestAdminManagesAccountsByTheClient(t *testing.T) {
	s := newStaff(t, nil)
	ctx, c := t.Context(), s.client(t, s.tokens[account.Admin])
	if got, err := c.Self(ctx); err != nil || got != (client.Self{Name: "admin", Role: "admin", Via: "token"}) {
		t.Errorf("self %+v, %v", got, err)
	}
	made, err := c.CreateAccount(ctx, client.NewAccount{Name: "a/ü..", Role: "operator", Expires: s.clock.Now().Add(time.Hour)})
	if err != nil || made.Token == "" || made.Secret != "token" || made.Role != "operator" || made.Expires.IsZero() {
		t.Fatalf("made %+v, %v", made, err)
	}
	if got, err := s.client(t, made.Token).Self(ctx); err != nil || got.Name != "a/ü.." {
		t.Errorf("it is %+v, %v", got, err)
	}
	edited, err := c.EditAccount(ctx, made.Name, client.AccountEdit{Role: "viewer", Expires: "never"})
	if err != nil || edited.Role != "viewer" || !edited.Expires.IsZero() || edited.Token != "" {
		t.Errorf("edited %+v, %v", edited, err)
	}
	renewed, err := c.EditAccount(ctx, made.Name, client.AccountEdit{NewToken: true, Expires: s.clock.Now().Add(time.Hour).Format(time.RFC3339)})
	if err != nil || renewed.Token == "" || renewed.Expires.IsZero() {
		t.Errorf("renewed %+v, %v", renewed, err)
	}
	if _, err := s.client(t, made.Token).Self(ctx); err == nil || !strings.Contains(err.Error(), "not any more") {
		t.Errorf("with the old token: %v", err)
	}
	withPassword, err := c.CreateAccount(ctx, client.NewAccount{Name: "bert", Role: "viewer", Password: password})
	if err != nil || withPassword.Token != "" || withPassword.Secret != "password" {
		t.Errorf("with a password %+v, %v", withPassword, err)
	}
	all, err := c.Accounts(ctx)
	if err != nil || len(all) != 5 || all[0].Name != "a/ü.." || all[1].Name != "admin" {
		t.Errorf("accounts %+v, %v", all, err)
	}
	if err := c.DeleteAccount(ctx, "a/ü.."); err != nil {
		t.Error(err)
	}
	if _, err := s.client(t, renewed.Token).Self(ctx); err == nil {
		t.Error("a deleted account goes on")
	}
}

func TestAccountThatMayNotBeIsAProblem(t *testing.T) {
	s := newStaff(t, nil)
	admin := bearer(s.tokens[account.Admin])
	for name, test := range map[string]struct {
		method, path, body string
		status             int
		say                string
	}{
		"no name":        {"POST", "accounts", `{"name":"","role":"viewer"}`, 422, "1 to 64"},
		"no role":        {"POST", "accounts", `{"name":"x"}`, 422, "role"},
		"another role":   {"POST", "accounts", `{"name":"x","role":"root"}`, 422, "role"},
		"nobody":         {"POST", "accounts", `{"name":"x","role":"nobody"}`, 422, "role"},
		"short password": {"POST", "accounts", `{"name":"x","role":"viewer","password":"short"}`, 422, "at least 10"},
		"known":          {"POST", "accounts", `{"name":"viewer","role":"viewer"}`, 409, "already"},
		"no JSON":        {"POST", "accounts", `{`, 400, ""},
		"too large":      {"POST", "accounts", `{"name":"` + strings.Repeat("x", 9000) + `","role":"viewer"}`, 413, ""},
		"another key":    {"POST", "accounts", `{"name":"x","role":"viewer","admin":true}`, 422, ""},
		"past":           {"POST", "accounts", `{"name":"x","role":"viewer","expires":"2020-01-01T00:00:00Z"}`, 422, "expired"},
		"unknown":        {"PATCH", "accounts/x", `{"role":"viewer"}`, 404, "no such account"},
		"no time":        {"PATCH", "accounts/viewer", `{"expires":"tomorrow"}`, 422, "never"},
		"two secrets":    {"PATCH", "accounts/viewer", `{"new_token":true,"password":"1234567890"}`, 422, "not both"},
		"last admin":     {"PATCH", "accounts/admin", `{"role":"viewer"}`, 409, "console.token_file"},
		"unknown again":  {"DELETE", "accounts/x", "", 404, "waggle token list"},
		"last one":       {"DELETE", "accounts/admin", "", 409, "console.token_file"},
		"cursor":         {"GET", "accounts?cursor=!", "", 422, "first page"},
		"audit cursor":   {"GET", "audit?cursor=-1", "", 422, "first page"},
	} {
		got := s.do(t, send1(test.method, "/api/v1/"+test.path, test.body, admin))
		if got.status != test.status || !strings.Contains(string(got.body), test.say) {
			t.Errorf("%s: status %d, %s", name, got.status, got.body)
		}
	}
	if s.accounts.Len() != 3 {
		t.Errorf("%d accounts", s.accounts.Len())
	}
}

func TestFirstAccountClosesTheConsole(t *testing.T) {
	w := newWorld(t, nil)
	c, ctx := w.client(t, ""), t.Context()
	if got, err := c.Self(ctx); err != nil || got != (client.Self{Name: "this machine", Role: "admin", Via: "loopback"}) {
		t.Errorf("before: %+v, %v", got, err)
	}
	if _, err := c.CreateAccount(ctx, client.NewAccount{Name: "anna", Role: "viewer"}); err == nil || !strings.Contains(err.Error(), "first account must be an admin") {
		t.Errorf("a viewer first: %v", err)
	}
	made, err := c.CreateAccount(ctx, client.NewAccount{Name: "anna", Role: "admin"})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Self(ctx); err != nil || got.Role != "viewer" {
		t.Errorf("after: %+v, %v", got, err)
	}
	if _, err := c.CreateAccount(ctx, client.NewAccount{Name: "bert", Role: "admin"}); err == nil || !strings.Contains(err.Error(), "--token-file") {
		t.Errorf("another one: %v", err)
	}
	anna := w.client(t, made.Token)
	if err := anna.DeleteAccount(ctx, "anna"); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Self(ctx); err != nil || got.Role != "admin" {
		t.Errorf("without accounts again: %+v, %v", got, err)
	}
}

func TestWithAnAccountTheConsoleListensAnywhere(t *testing.T) {
	accounts, err := account.Open(t.Context(), account.Options{Hash: account.Cost{Memory: 64, Passes: 1, Threads: 1}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := console.Listen(t.Context(), "0.0.0.0:0", console.Options{Accounts: accounts}); !errors.Is(err, console.ErrPublic) {
		t.Errorf("without an account: %v", err)
	}
	if _, _, err := accounts.Create(t.Context(), account.New{Name: "anna", Role: account.Admin}); err != nil {
		t.Fatal(err)
	}
	c, err := console.Listen(t.Context(), "0.0.0.0:0", console.Options{Accounts: accounts})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := accounts.Delete(t.Context(), "anna"); !errors.Is(err, account.ErrLastKey) {
		t.Errorf("the last account of a public console: %v", err)
	}
}

func TestRoleDecidesWhatOneMayDo(t *testing.T) {
	s := newStaff(t, nil)
	h := s.add(t, "a").InfoHash.String()
	asked := []struct {
		need account.Role
		request
	}{
		{account.Viewer, get("/api/v1/transfers")},
		{account.Viewer, get("/api/v1/self")},
		{account.Viewer, get("/api/v1/openapi.json")},
		{account.Viewer, get("/figures")},
		{account.Operator, request{method: "POST", path: "/api/v1/transfers/" + h + "/activate"}},
		{account.Operator, request{method: "POST", path: "/api/v1/transfers/" + h + "/deactivate"}},
		{account.Operator, send1("PATCH", "/api/v1/transfers/"+h, `{"profile":"balanced"}`, nil)},
		{account.Admin, get("/api/v1/accounts")},
		{account.Admin, get("/api/v1/audit")},
		{account.Admin, get("/debug/pprof/cmdline")},
		{account.Admin, send1("PATCH", "/api/v1/accounts/viewer", `{"role":"viewer"}`, nil)},
	}
	for role := account.Viewer; role <= account.Admin; role++ {
		for _, test := range asked {
			session, _ := s.session(t, role)
			for how, header := range map[string]map[string]string{"token": bearer(s.tokens[role]), "session": session} {
				q := test.request
				q.header = maps.Clone(header)
				maps.Copy(q.header, test.header)
				q.host = "tracker.example"
				got := s.do(t, q)
				if want := role >= test.need; want != (got.status == 200) || !want && (got.status != 403 || !strings.Contains(got.problem(t).Detail, "role "+test.need.String())) {
					t.Errorf("%v by %s, %s %s: status %d, %s", role, how, q.method, q.path, got.status, got.body)
				}
			}
		}
	}
}

func TestThisMachineReadsWithoutACredential(t *testing.T) {
	s := newStaff(t, nil)
	h := s.add(t, "a").InfoHash.String()
	for _, test := range []struct {
		request
		here, elsewhere int
	}{
		{get("/api/v1/transfers"), 200, 401},
		{get("/api/v1/self"), 200, 401},
		{get("/figures"), 200, 401},
		{get("/api/v1/audit"), 401, 401},
		{get("/api/v1/accounts"), 401, 401},
		{get("/debug/pprof/cmdline"), 401, 401},
		{request{method: "POST", path: "/api/v1/transfers/" + h + "/activate"}, 401, 401},
	} {
		for host, want := range map[string]int{"": test.here, "tracker.example": test.elsewhere} {
			q := test.request
			q.host = host
			got := s.do(t, q)
			if got.status != want || want == 401 && (got.problem(t).Detail == "" || !strings.HasPrefix(got.header.Get("WWW-Authenticate"), "Bearer")) {
				t.Errorf("%s %s of %q: status %d, %s", q.method, q.path, host, got.status, got.body)
			}
		}
	}
	if got, err := s.client(t, "").Self(t.Context()); err != nil || got != (client.Self{Name: "this machine", Role: "viewer", Via: "loopback"}) {
		t.Errorf("self %+v, %v", got, err)
	}
}

func TestTokenFileIsAnAdminBesideAccounts(t *testing.T) {
	s := newStaff(t, func(o *console.Options) { o.Token = token })
	c := s.client(t, token)
	if got, err := c.Self(t.Context()); err != nil || got != (client.Self{Name: "token file", Role: "admin", Via: "token file"}) {
		t.Errorf("self %+v, %v", got, err)
	}
	for _, name := range []string{"viewer", "operator", "admin"} {
		if err := c.DeleteAccount(t.Context(), name); err != nil {
			t.Error(err)
		}
	}
}

func TestRequestOfASessionMustComeFromItsPages(t *testing.T) {
	s := newStaff(t, nil)
	header, who := s.session(t, account.Operator)
	_, other := s.session(t, account.Operator)
	h := s.add(t, "a").InfoHash.String()
	for carried, want := range map[string]int{who.CSRF: 200, "": 403, "x": 403, other.CSRF: 403, who.CSRF + "x": 403} {
		q := request{method: "POST", path: "/api/v1/transfers/" + h + "/activate", header: maps.Clone(header)}
		q.header["X-CSRF-Token"] = carried
		if got := s.do(t, q); got.status != want {
			t.Errorf("with %q: status %d, %s", carried, got.status, got.body)
		}
	}
	delete(header, "X-CSRF-Token")
	if got := s.do(t, request{method: "GET", path: "/api/v1/self", header: header}); got.status != 200 {
		t.Errorf("reading: status %d, %s", got.status, got.body)
	}
}

func TestSessionThatHasEndedIsNone(t *testing.T) {
	s := newStaff(t, nil)
	header, _ := s.session(t, account.Admin)
	q := get("/api/v1/self")
	q.header, q.host = header, "tracker.example"
	if got := s.do(t, q); got.status != 200 {
		t.Errorf("before: status %d, %s", got.status, got.body)
	}
	s.clock.pass(12 * time.Hour)
	if got := s.do(t, q); got.status != 401 {
		t.Errorf("after: status %d, %s", got.status, got.body)
	}
}

func TestWrongTokensAreRefusedForAWhile(t *testing.T) {
	s := newStaff(t, nil)
	q := get("/api/v1/self")
	q.header = bearer("wrong")
	var statuses []int
	for range 12 {
		got := s.do(t, q)
		statuses = append(statuses, got.status)
		if got.status == 429 && (got.header.Get("Retry-After") != "6" || got.problem(t).Detail == "") {
			t.Errorf("%v, %s", got.header, got.body)
		}
	}
	if want := "[401 401 401 401 401 401 401 401 401 401 429 429]"; fmt.Sprint(statuses) != want {
		t.Errorf("%v, want %s", statuses, want)
	}
	if _, err := s.client(t, s.tokens[account.Viewer]).Self(t.Context()); err != nil {
		t.Errorf("a right one meanwhile: %v", err)
	}
}

func TestAccountOfAnyNameIsChangedAndDeletedByTheClient(t *testing.T) {
	s := newStaff(t, nil)
	c := s.client(t, s.tokens[account.Admin])
	for _, name := range []string{"a/b", "a%2Fb", "a/../b", "../admin", "a//b", "%", "ä ?#&;", "...", strings.Repeat("☃", 64)} {
		if _, err := c.CreateAccount(t.Context(), client.NewAccount{Name: name, Role: "viewer"}); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		if got, err := c.EditAccount(t.Context(), name, client.AccountEdit{Role: "operator"}); err != nil || got.Name != name || got.Role != "operator" {
			t.Errorf("%q: %+v, %v", name, got, err)
		}
		if err := c.DeleteAccount(t.Context(), name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	if all, err := c.Accounts(t.Context()); err != nil || len(all) != 3 {
		t.Errorf("left are %+v, %v", all, err)
	}
}
