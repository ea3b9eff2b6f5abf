package account_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"waggle/account"
)

func TestTokenIsGoodUntilItIsReplaced(t *testing.T) {
	a := open(t, account.Options{})
	token := create(t, a, "anna", account.Admin)
	if !regexp.MustCompile(`^waggle_[0-9a-f]{16}_[0-9A-Za-z_-]{43}$`).MatchString(token) {
		t.Errorf("a token looks like %s", token)
	}
	for range 3 {
		if who, err := a.Token(t.Context(), here, token); err != nil || who.Name != "anna" || who.Role != account.Admin || who.Via != account.ViaToken || who.Address != here || who.CSRF != "" || who.Ended() {
			t.Errorf("the token is of %+v, %v", who, err)
		}
	}
	before, _ := a.Token(t.Context(), here, token)
	_, second, err := a.Change(t.Context(), "anna", account.Change{NewToken: true})
	if err != nil || second == token || second == "" {
		t.Fatalf("replaced by %q, %v", second, err)
	}
	if !before.Ended() {
		t.Error("who had the old token goes on")
	}
	if who, err := a.Token(t.Context(), here, token); !errors.Is(err, account.ErrWrong) || who.Role != account.Nobody {
		t.Errorf("the old token is of %+v, %v", who, err)
	}
	if _, err := a.Token(t.Context(), here, second); err != nil {
		t.Error(err)
	}
}

func TestTokenThatIsNotOneOfOursIsWrong(t *testing.T) {
	a := open(t, account.Options{})
	token := create(t, a, "anna", account.Admin)
	for i, wrong := range []string{
		"", "x", token[:len(token)-1], token + "x", token[:len(token)-1] + "!", strings.ToUpper(token), "waggle_" + token,
		token[:24] + strings.Repeat("A", 43), strings.Replace(token, "waggle_", "waggle-", 1),
	} {
		if _, err := a.Token(t.Context(), here, wrong); !errors.Is(err, account.ErrWrong) {
			t.Errorf("%d, %q: %v", i, wrong, err)
		}
	}
	if _, err := a.Token(t.Context(), here, token); err != nil {
		t.Errorf("then the right one: %v", err)
	}
}

func TestPasswordLetsInWhoHasTheName(t *testing.T) {
	a := open(t, account.Options{})
	createWith(t, a, "anna", account.Admin)
	token := create(t, a, "bert", account.Viewer)
	for _, test := range []struct {
		name, secret string
		want         error
	}{
		{"anna", password, nil},
		{"bert", token, nil},
		{"anna", "correct horsf", account.ErrWrong},
		{"anna", "", account.ErrWrong},
		{"anna", token, account.ErrWrong},
		{"bert", password, account.ErrWrong},
		{"Anna", password, account.ErrWrong},
		{"", password, account.ErrWrong},
		{"carl", password, account.ErrWrong},
		{"anna", password + strings.Repeat("x", 5000), account.ErrWrong},
	} {
		who, cookie, err := logIn(t, a, "192.0.2.1", test.name, test.secret)
		if !errors.Is(err, test.want) || (err == nil) != (cookie != nil) || err == nil && (who.Name != test.name || who.Via != account.ViaSession) {
			t.Errorf("%q with %.20q: %+v, cookie %v, %v", test.name, test.secret, who, cookie, err)
		}
	}
}

func TestNothingShowsASecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "accounts.db")
	var logged strings.Builder
	a := open(t, account.Options{Store: sqlite(t, path), Log: logger(&logged)})
	createWith(t, a, "anna", account.Admin)
	token := create(t, a, "bert", account.Viewer)
	_, cookie, err := logIn(t, a, "192.0.2.1", "anna", password)
	if err != nil {
		t.Fatal(err)
	}
	_, _, _ = logIn(t, a, "192.0.2.1", "my secret in the wrong field", "x")
	_, _ = a.Token(t.Context(), here, token)
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) < 2 {
		t.Fatalf("%q, %v", files, err)
	}
	kept := logged.String()
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if stat, err := os.Stat(name); err != nil || stat.Mode().Perm()&0o077 != 0 && !strings.HasSuffix(name, ".lock") {
			t.Errorf("%s has the mode %v, %v", name, stat.Mode(), err)
		}
		kept += string(b)
	}
	if !strings.Contains(kept, "$argon2id$v=19$m=64,t=1,p=1$") {
		t.Error("there is no hash")
	}
	for _, secret := range []string{password, token[24:], cookie.Value, "my secret"} {
		if strings.Contains(kept, secret) {
			t.Errorf("%q is on disk", secret)
		}
	}
}

func TestAccountsSurviveARestart(t *testing.T) {
	for name, store := range stores(t) {
		clock := newClock()
		expires := clock.Now().Add(time.Hour + time.Nanosecond)
		a, err := account.Open(t.Context(), account.Options{Store: store, Hash: cheap, Now: clock.Now, Refresh: -1})
		if err != nil {
			t.Fatal(err)
		}
		first := create(t, a, "anna/../☃ b", account.Admin)
		clock.pass(time.Minute)
		if _, _, err := a.Create(t.Context(), account.New{Name: "bert", Role: account.Viewer, Password: password, Expires: expires}); err != nil {
			t.Fatal(err)
		}
		again := open(t, account.Options{Store: store, Now: clock.Now})
		before, _ := a.List("", 10)
		after, more := again.List("", 10)
		if more || len(after) != 2 || fmt.Sprint(before) != fmt.Sprint(after) || after[0].Secret != account.Token || !after[1].Expires.Equal(expires) || after[1].Role != account.Viewer {
			t.Errorf("%s: %+v became %+v", name, before, after)
		}
		if _, err := again.Token(t.Context(), here, first); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, _, err := logIn(t, again, "192.0.2.1", "bert", password); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNameThatWouldMisleadIsRefused(t *testing.T) {
	a := open(t, account.Options{})
	for _, name := range []string{
		"", " anna", "anna ", "an\nna", "an\x00na", "an\u202ena", "\xff", strings.Repeat("é", 65), ".", "..", "this machine", "Token File", "an\u00a0na",
	} {
		if _, _, err := a.Create(t.Context(), account.New{Name: name, Role: account.Admin}); !errors.Is(err, account.ErrInvalid) {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"a", strings.Repeat("é", 64), "anna@example.org", "a b", "<script>", "a/b", "☃"} {
		if _, _, err := a.Create(t.Context(), account.New{Name: name, Role: account.Admin}); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestPasswordThatIsNoneIsRefusedAndNotRepeated(t *testing.T) {
	a := open(t, account.Options{})
	createWith(t, a, "somebody-else", account.Admin)
	for _, secret := range []string{"x", "123456789", strings.Repeat("é", 513), "two lines\nof text", "\xff\xfe12345678", "Anna-is-anna"} {
		_, _, err := a.Create(t.Context(), account.New{Name: "anna-is-anna", Role: account.Admin, Password: secret})
		_, _, changed := a.Change(t.Context(), "somebody-else", account.Change{Password: secret})
		if !errors.Is(err, account.ErrInvalid) || strings.Contains(err.Error(), secret) && len(secret) > 1 {
			t.Errorf("%.30q: %v", secret, err)
		}
		if secret != "Anna-is-anna" && !errors.Is(changed, account.ErrInvalid) {
			t.Errorf("%.30q for another: %v", secret, changed)
		}
	}
	for _, secret := range []string{"1234567890", strings.Repeat("é", 512), "ééééééééé ☃"} {
		if _, _, err := a.Change(t.Context(), "somebody-else", account.Change{Password: secret}); err != nil {
			t.Errorf("%.30q: %v", secret, err)
		}
		if _, _, err := logIn(t, a, "192.0.2.1", "somebody-else", secret); err != nil {
			t.Errorf("%.30q: %v", secret, err)
		}
	}
}

func TestAccountIsAsItWasAskedFor(t *testing.T) {
	clock := newClock()
	a := open(t, account.Options{Now: clock.Now})
	create(t, a, "anna", account.Admin)
	now := clock.Now()
	for _, n := range []account.New{
		{Name: "b", Role: account.Nobody},
		{Name: "b", Role: account.Admin + 1},
		{Name: "b", Role: account.Viewer, Expires: now},
		{Name: "b", Role: account.Viewer, Expires: now.AddDate(500, 0, 0)},
	} {
		if _, _, err := a.Create(t.Context(), n); !errors.Is(err, account.ErrInvalid) {
			t.Errorf("%+v: %v", n, err)
		}
	}
	if _, _, err := a.Create(t.Context(), account.New{Name: "anna", Role: account.Viewer}); !errors.Is(err, account.ErrExists) {
		t.Errorf("twice: %v", err)
	}
	if _, _, err := a.Change(t.Context(), "anna", account.Change{Password: password, NewToken: true}); !errors.Is(err, account.ErrInvalid) {
		t.Errorf("two secrets: %v", err)
	}
	_, _, err := a.Change(t.Context(), "nobody", account.Change{})
	if _, got := a.Get("nobody"); !errors.Is(err, account.ErrUnknown) || !errors.Is(got, account.ErrUnknown) || !errors.Is(a.Delete(t.Context(), "nobody"), account.ErrUnknown) {
		t.Errorf("an unknown one: %v, %v", err, got)
	}
}

func TestAccountEndsWhenItExpires(t *testing.T) {
	clock := newClock()
	a := open(t, account.Options{Now: clock.Now})
	create(t, a, "anna", account.Admin)
	_, token, err := a.Create(t.Context(), account.New{Name: "ci", Role: account.Viewer, Expires: clock.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	_, cookie, err := logIn(t, a, "192.0.2.1", "ci", token)
	if err != nil {
		t.Fatal(err)
	}
	who, err := a.Token(t.Context(), here, token)
	clock.pass(time.Hour - time.Nanosecond)
	if _, ok := a.Session(with(t, cookie)); !ok || err != nil || who.Ended() {
		t.Error("it ends too early")
	}
	clock.pass(time.Nanosecond)
	if _, ok := a.Session(with(t, cookie)); ok || !who.Ended() {
		t.Error("it does not end")
	}
	if _, err := a.Token(t.Context(), here, token); !errors.Is(err, account.ErrExpired) {
		t.Errorf("its token: %v", err)
	}
	if _, _, err := logIn(t, a, "192.0.2.1", "ci", token); !errors.Is(err, account.ErrExpired) {
		t.Errorf("its log-in: %v", err)
	}
	if _, _, err := logIn(t, a, "192.0.2.1", "ci", "another"); !errors.Is(err, account.ErrWrong) {
		t.Errorf("a stranger learns that it has expired: %v", err)
	}
	if _, _, err := a.Change(t.Context(), "ci", account.Change{Expires: new(time.Time{})}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Token(t.Context(), here, token); err != nil {
		t.Errorf("with more time: %v", err)
	}
}

func TestSomebodyCanAlwaysManageAccounts(t *testing.T) {
	clock := newClock()
	later := clock.Now().Add(time.Hour)
	demote, limit := account.Change{Role: account.Operator}, account.Change{Expires: &later}
	for name, test := range map[string]struct {
		access account.Access
		locked bool // whether what would lock all out is refused
		last   bool // whether the last account may go
	}{
		"loopback":              {account.Access{}, true, true},
		"public":                {account.Access{Public: true}, true, false},
		"with a token file":     {account.Access{TokenFile: true}, false, true},
		"public, with the file": {account.Access{Public: true, TokenFile: true}, false, true},
	} {
		a := open(t, account.Options{Now: clock.Now})
		a.SetAccess(test.access)
		expect := func(what string, err error, refused bool) {
			t.Helper()
			if errors.Is(err, account.ErrLastKey) != refused || !refused && err != nil {
				t.Errorf("%s, %s: %v", name, what, err)
			}
			if refused && err != nil && !strings.Contains(err.Error(), "console.token_file") {
				t.Errorf("%s, %s: no remedy in %v", name, what, err)
			}
		}
		for _, first := range []account.New{{Name: "x", Role: account.Operator}, {Name: "x", Role: account.Admin, Expires: later}} {
			_, _, err := a.Create(t.Context(), first)
			expect("the first account", err, test.locked)
			if err == nil {
				expect("its deletion", a.Delete(t.Context(), "x"), false)
			}
		}
		create(t, a, "anna", account.Admin)
		create(t, a, "bert", account.Viewer)
		_, _, err := a.Change(t.Context(), "anna", demote)
		expect("demoting", err, test.locked)
		_, _, err = a.Change(t.Context(), "anna", limit)
		expect("limiting", err, test.locked)
		if test.locked {
			expect("deleting with others", a.Delete(t.Context(), "anna"), true)
		}
		create(t, a, "carl", account.Admin)
		_, _, err = a.Change(t.Context(), "anna", demote)
		expect("demoting one of two", err, false)
		expect("deleting another", a.Delete(t.Context(), "anna"), false)
		expect("deleting a viewer", a.Delete(t.Context(), "bert"), false)
		expect("deleting the last", a.Delete(t.Context(), "carl"), !test.last)
	}
}

func TestAccountsAreSoManyAtMost(t *testing.T) {
	store := account.NewMemory()
	a := open(t, account.Options{Store: store})
	create(t, a, "admin", account.Admin)
	records, _ := store.Accounts(t.Context())
	r := records[0]
	for n := range account.MaxAccounts - 1 {
		r.Name, r.TokenID, r.Role = fmt.Sprintf("%05d", n), fmt.Sprintf("%016x", n), account.Viewer
		if err := store.Put(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	full := open(t, account.Options{Store: store})
	if _, _, err := full.Create(t.Context(), account.New{Name: "one more", Role: account.Viewer}); !errors.Is(err, account.ErrFull) {
		t.Errorf("one more: %v", err)
	}
	var names []string
	for after, more := "", true; more; {
		var page []account.Account
		page, more = full.List(after, 999)
		if more && len(page) != 999 {
			t.Fatalf("a page of %d", len(page))
		}
		for _, one := range page {
			names = append(names, one.Name)
		}
		after = names[len(names)-1]
	}
	if len(names) != account.MaxAccounts || names[0] != "00000" || names[len(names)-1] != "admin" {
		t.Errorf("listed %d, %q to %q", len(names), names[0], names[len(names)-1])
	}
	if err := full.Delete(t.Context(), "00007"); err != nil {
		t.Fatal(err)
	}
	create(t, full, "one more", account.Viewer)
}

func TestStoreThatFailsChangesNothing(t *testing.T) {
	store := &broken{Store: account.NewMemory()}
	a := open(t, account.Options{Store: store})
	token := create(t, a, "anna", account.Admin)
	create(t, a, "bert", account.Admin)
	store.fails = true
	_, _, created := a.Create(t.Context(), account.New{Name: "carl", Role: account.Viewer})
	_, _, changed := a.Change(t.Context(), "anna", account.Change{Role: account.Viewer, NewToken: true})
	for _, err := range []error{created, changed, a.Delete(t.Context(), "anna")} {
		if !errors.Is(err, errDisk) {
			t.Errorf("%v, want %v", err, errDisk)
		}
	}
	if who, err := a.Token(t.Context(), here, token); err != nil || who.Role != account.Admin || a.Len() != 2 {
		t.Errorf("then %+v, %v, of %d", who, err, a.Len())
	}
}

func TestRolesAreTextInJSON(t *testing.T) {
	for role, want := range map[account.Role]string{account.Nobody: `"nobody"`, account.Viewer: `"viewer"`, account.Operator: `"operator"`, account.Admin: `"admin"`} {
		b, err := json.Marshal(role)
		var back account.Role
		if err != nil || string(b) != want || json.Unmarshal(b, &back) != nil || back != role {
			t.Errorf("%v is %s, %v, and back %v", role, b, err, back)
		}
	}
	var r account.Role
	if err := json.Unmarshal([]byte(`"root"`), &r); !errors.Is(err, account.ErrInvalid) || !strings.Contains(err.Error(), "viewer, operator or admin") {
		t.Errorf("root: %v", err)
	}
	if _, err := account.ParseRole("nobody"); err == nil {
		t.Error("nobody is a role that one can have")
	}
}

func TestContextSaysWhoMakesARequest(t *testing.T) {
	if got := account.From(t.Context()); got != (account.Identity{}) || got.Role != account.Nobody || got.Ended() {
		t.Errorf("without one: %+v", got)
	}
	want := account.Identity{Name: "anna", Role: account.Viewer, Via: account.ViaToken, Address: here}
	if got := account.From(account.With(t.Context(), want)); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestWhatTheStoreKeptStandsThoughWhoeverAskedIsGone(t *testing.T) {
	store := account.NewMemory()
	kept := open(t, account.Options{Store: store})
	createWith(t, kept, "anna", account.Admin)
	createWith(t, kept, "bert", account.Viewer)
	h := &hurried{Store: store}
	a := open(t, account.Options{Store: h})
	ctx, cancel := context.WithCancel(t.Context())
	h.gone = cancel
	if _, _, err := a.Change(ctx, "bert", account.Change{Role: account.Operator}); err != nil {
		t.Error(err)
	}
	if got, err := a.Get("bert"); err != nil || got.Role != account.Operator {
		t.Errorf("%+v, %v", got, err)
	}
	ctx, h.gone = context.WithCancel(t.Context())
	if err := a.Delete(ctx, "bert"); err != nil {
		t.Error(err)
	}
	if got, err := a.Get("bert"); !errors.Is(err, account.ErrUnknown) {
		t.Errorf("%+v, %v", got, err)
	}
}
