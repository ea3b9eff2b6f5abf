package console

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"waggle/account"
	"waggle/catalog"
)

// watched says how many entries the audit log has when an answer begins.
type watched struct {
	*httptest.ResponseRecorder
	accounts *account.Accounts
	began    int
}

func (w *watched) WriteHeader(status int) {
	entries, _, err := w.accounts.Audit(context.Background(), 0, 100)
	if err != nil {
		panic(err)
	}
	w.began = len(entries)
	w.ResponseRecorder.WriteHeader(status)
}

func (w *watched) Write(b []byte) (int, error) {
	if w.began == 0 {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseRecorder.Write(b)
}

// auditedAPI is an API with an empty catalogue.
func auditedAPI(t *testing.T) (*api, *account.Accounts) {
	t.Helper()
	c, err := catalog.Open(t.Context(), catalog.Options{Store: catalog.NewMemory(1 << 20)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	o := Options{Catalog: c, MaxUpload: 1 << 20}
	if err := o.openAccounts(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	return newAPI(&o), o.Accounts
}

func TestAnswerGoesOutAfterItIsInTheAuditLog(t *testing.T) {
	a, accounts := auditedAPI(t)
	ctx := account.With(t.Context(), account.Identity{Name: "anna", Role: account.Admin, Via: account.ViaToken})
	const missing = "/transfers/0000000000000000000000000000000000000000"
	entries := 0
	for _, test := range []struct {
		method, path, body string
		status             int
	}{
		{http.MethodPost, "/accounts", `{"name":"anna","role":"admin"}`, 201},
		{http.MethodPatch, "/accounts/anna", `{"expires":"never"}`, 200},
		{http.MethodPost, missing + "/activate", "", 404},
		{http.MethodPatch, missing, `{`, 400},
		{http.MethodDelete, "/accounts/anna", "", 204},
		{http.MethodDelete, "/accounts/anna", "", 404},
	} {
		r := httptest.NewRequestWithContext(ctx, test.method, root+test.path, strings.NewReader(test.body))
		r.Header.Set("Content-Type", "application/json")
		w := &watched{ResponseRecorder: httptest.NewRecorder(), accounts: accounts}
		a.ServeHTTP(w, r)
		entries++
		if w.Code != test.status || w.began != entries {
			t.Errorf("%s %s: status %d, with %d of %d entries in the log, %s", test.method, test.path, w.Code, w.began, entries, w.Body)
		}
	}
}

func TestOperationWithoutAnAnswerIsInTheAuditLog(t *testing.T) {
	a, accounts := auditedAPI(t)
	a.catalog = nil // so that it panics
	ctx := account.With(t.Context(), account.Identity{Name: "anna", Role: account.Admin, Via: account.ViaToken})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("it did not panic")
			}
		}()
		a.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodDelete, root+"/torrents/0000000000000000000000000000000000000000", nil))
	}()
	entries, _, err := accounts.Audit(t.Context(), 0, 10)
	if err != nil || len(entries) != 1 || entries[0].What != "delete-torrent" || !strings.HasPrefix(entries[0].Outcome, "no answer") {
		t.Errorf("%+v, %v", entries, err)
	}
}
