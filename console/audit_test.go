package console_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"

	"waggle/account"
	"waggle/console"
	"waggle/console/client"
)

// entries returns the audit log, the latest first.
func (s *staff) entries(t *testing.T) []account.Entry {
	t.Helper()
	entries, _, err := s.accounts.Audit(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func TestEveryOperationThatChangesSomethingHasARoleAndIsAudited(t *testing.T) {
	s := newStaff(t, nil)
	admin := bearer(s.tokens[account.Admin])
	var document struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
		} `json:"paths"`
	}
	q := get("/api/v1/openapi.json")
	if err := json.Unmarshal(s.do(t, q).body, &document); err != nil {
		t.Fatal(err)
	}
	roles := maps.Clone(console.RoleOf)
	fill := strings.NewReplacer("{hash}", strings.Repeat("0", 40), "{name}", "x", "{id}", "0123456789abcdef", "{address}", "192.0.2.1:1")
	for path, methods := range document.Paths {
		for method, operation := range methods {
			id := operation.OperationID
			_, has := roles[id]
			delete(roles, id)
			if method == "get" || method == "head" {
				continue
			}
			if !has {
				t.Errorf("%s %s, %s, has no role in the table of access.go", method, path, id)
			}
			before := len(s.entries(t))
			got := s.do(t, request{method: strings.ToUpper(method), path: fill.Replace(path), header: admin})
			if after := s.entries(t); len(after) != before+1 || after[0].What != id || after[0].Name != "admin" || after[0].Via != account.ViaToken {
				t.Errorf("%s %s, %s, with status %d is not in the audit log", method, path, id, got.status)
			}
			if got.status == http.StatusForbidden || got.status == http.StatusUnauthorized {
				t.Errorf("%s %s: an admin may not: %s", method, path, got.body)
			}
			q := request{method: strings.ToUpper(method), path: fill.Replace(path), header: bearer(s.tokens[account.Viewer])}
			if got := s.do(t, q); got.status != http.StatusForbidden {
				t.Errorf("%s %s: a viewer may: status %d", method, path, got.status)
			}
		}
	}
	delete(roles, "get-configuration") // may be left out of a console
	for id := range roles {
		t.Errorf("the table of access.go has %s, which is no operation", id)
	}
}

func TestAuditLogSaysWhoDidWhatToWhat(t *testing.T) {
	s := newStaff(t, func(o *console.Options) { o.Token = token })
	ctx, operator := t.Context(), s.client(t, s.tokens[account.Operator])
	uploaded, err := operator.Upload(ctx, "a.torrent", metainfo("<b>a"))
	if err != nil {
		t.Fatal(err)
	}
	h := uploaded.InfoHash
	_, _ = operator.Upload(ctx, "a.torrent", metainfo("<b>a"))
	if _, err := operator.SetProfile(ctx, h, "balanced"); err != nil {
		t.Error(err)
	}
	if _, err := operator.Deactivate(ctx, h); err != nil {
		t.Error(err)
	}
	_ = s.client(t, "").Delete(ctx, h)
	_ = s.client(t, s.tokens[account.Viewer]).Delete(ctx, h)
	if err := s.client(t, token).Delete(ctx, h); err != nil {
		t.Error(err)
	}
	header, _ := s.session(t, account.Admin)
	s.do(t, send1("POST", "/api/v1/accounts", `{"name":"x","role":"viewer","password":"a secret of x"}`, header))
	s.do(t, send1("PATCH", "/api/v1/accounts/x", `{"password":"another secret","expires":"never"}`, header))
	s.do(t, send1("POST", "/api/v1/accounts", `{"name":"y","role":"viewer","password":"short"}`, header))
	s.do(t, send1("DELETE", "/api/v1/accounts/x", "", header))
	torrent := h.String() + " <b>a"
	want := []string{
		"admin, session, delete-account, x, done",
		"admin, session, create-account, y: role viewer, a new password, expires never, 422 a password has at least 10 characters (not allowed for an account)",
		"admin, session, edit-account, x: a new password, expires never, done",
		"admin, session, create-account, x: role viewer, a new password, expires never, done",
		"admin, session, log-in, , done",
		"token file, token file, delete-torrent, " + torrent + ", done",
		"viewer, token, delete-torrent, " + torrent + ", 403 this is for the role operator; viewer is viewer: ask an admin for more",
		"this machine, loopback, delete-torrent, " + torrent + ", 401 this machine may only read",
		"operator, token, deactivate-transfer, " + torrent + ", done",
		"operator, token, edit-transfer, " + torrent,
		"operator, token, upload-torrent, a.torrent, 409 ",
		"operator, token, upload-torrent, " + torrent + ", done",
	}
	got := s.entries(t)
	if len(got) != len(want) {
		t.Errorf("%d entries, want %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		e := got[i]
		if text := fmt.Sprintf("%s, %s, %s, %s, %s", e.Name, e.Via, e.What, e.Target, e.Outcome); !strings.HasPrefix(text, want[i]) {
			t.Errorf("entry %d is %s\nwant %s", i, text, want[i])
		}
		if e.What != account.LogIn && e.Address.String() != "127.0.0.1" {
			t.Errorf("entry %d is from %v", i, e.Address)
		}
		if strings.Contains(e.Target+e.Outcome, "secret") {
			t.Errorf("entry %d has a secret: %+v", i, e)
		}
	}
}

func TestAdminReadsTheAuditLogByPages(t *testing.T) {
	s := newStaff(t, nil)
	for n := range 25 {
		s.accounts.Note(t.Context(), account.Entry{Name: "<i>anna", Via: account.ViaSession, What: fmt.Sprint(n), Target: "\xff", Outcome: account.Done})
	}
	c := s.client(t, s.tokens[account.Admin])
	var all []client.AuditEntry
	for p := (client.Part{Limit: 10}); ; {
		page, err := c.AuditPart(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page.Entries...)
		if p.Cursor = page.Next; p.Cursor == "" {
			break
		}
	}
	if len(all) != 25 || all[0].What != "24" || all[24].What != "0" || all[0].Name != "<i>anna" || all[0].Address != "" || all[0].Time.IsZero() || all[0].Target != "\ufffd" {
		t.Errorf("%d entries, the first %+v", len(all), all[0])
	}
	s.do(t, request{method: "GET", path: "/api/v1/audit?limit=3", header: bearer(s.tokens[account.Admin])}) // as it is described
}
