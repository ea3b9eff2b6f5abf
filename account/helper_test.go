package account_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"waggle/account"
	"waggle/document"
	"waggle/document/documenttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cheap is the cost of hashes in tests.
var cheap = account.Cost{Memory: 64, Passes: 1, Threads: 1}

const password = "correct horse"

var here = netip.MustParseAddr("192.0.2.1")

// clock is a time that tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Unix(1_700_000_000, 0).UTC()} }

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

// open opens accounts that are closed when the test ends.
func open(t *testing.T, o account.Options) *account.Accounts {
	t.Helper()
	if o.Hash == (account.Cost{}) {
		o.Hash = cheap
	}
	a, err := account.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

func sqlite(t *testing.T, path string) *account.SQLite {
	t.Helper()
	s, err := account.OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// stores are one of each kind, empty.
func stores(t *testing.T) map[string]account.Store {
	t.Helper()
	return map[string]account.Store{
		"memory":    account.NewMemory(),
		"sqlite":    sqlite(t, filepath.Join(t.TempDir(), "sub", "accounts.db")),
		"documents": inDocuments(t, documenttest.NewMemory()),
	}
}

func inDocuments(t *testing.T, store document.Store) *account.Documents {
	t.Helper()
	s, err := account.OpenDocuments(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// create makes an account with a token.
func create(t *testing.T, a *account.Accounts, name string, role account.Role) (token string) {
	t.Helper()
	_, token, err := a.Create(t.Context(), account.New{Name: name, Role: role})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// createWith makes an account with the password.
func createWith(t *testing.T, a *account.Accounts, name string, role account.Role) {
	t.Helper()
	if _, token, err := a.Create(t.Context(), account.New{Name: name, Role: role, Password: password}); err != nil || token != "" {
		t.Fatalf("token %q, %v", token, err)
	}
}

// logIn logs in from an address, and returns the cookie.
func logIn(t *testing.T, a *account.Accounts, from, name, secret string) (account.Identity, *http.Cookie, error) {
	t.Helper()
	return logInAs(t.Context(), a, from, name, secret)
}

func logInAs(ctx context.Context, a *account.Accounts, from, name, secret string) (account.Identity, *http.Cookie, error) {
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/login", nil)
	r.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(from), 1).String()
	w := httptest.NewRecorder()
	i, err := a.LogIn(w, r, name, secret)
	if cookies := w.Result().Cookies(); len(cookies) == 1 {
		return i, cookies[0], err
	}
	return i, nil, err
}

// with is a request that carries a cookie.
func with(t *testing.T, cookie *http.Cookie) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.RemoteAddr = "192.0.2.1:1"
	if cookie != nil {
		r.AddCookie(cookie)
	}
	return r
}

// audit returns the log, the latest first.
func audit(t *testing.T, a *account.Accounts) []account.Entry {
	t.Helper()
	entries, more, err := a.Audit(t.Context(), 0, 1000)
	if err != nil || more {
		t.Fatalf("more %v, %v", more, err)
	}
	return entries
}

var errDisk = errors.New("no space left on device")

// broken is a store that fails to write.
type broken struct {
	account.Store
	fails bool
}

func (b *broken) Put(ctx context.Context, r account.Record) error {
	if b.fails {
		return errDisk
	}
	return b.Store.Put(ctx, r)
}

func (b *broken) Remove(ctx context.Context, name string) error {
	if b.fails {
		return errDisk
	}
	return b.Store.Remove(ctx, name)
}

func (b *broken) Append(ctx context.Context, e account.Entry) error {
	if b.fails {
		return errDisk
	}
	return b.Store.Append(ctx, e)
}

// hurried is a store whose writes are kept, and end whoever asked for them meanwhile.
type hurried struct {
	account.Store
	gone context.CancelFunc
}

func (h *hurried) Put(ctx context.Context, r account.Record) error {
	err := h.Store.Put(ctx, r)
	h.gone()
	return errors.Join(err, ctx.Err())
}

func (h *hurried) Remove(ctx context.Context, name string) error {
	err := h.Store.Remove(ctx, name)
	h.gone()
	return errors.Join(err, ctx.Err())
}
