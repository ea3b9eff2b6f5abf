package account_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"waggle/account"
)

func TestLogInsAndLogOutsAreInTheAuditLog(t *testing.T) {
	clock := newClock()
	a := open(t, account.Options{Now: clock.Now})
	createWith(t, a, "anna", account.Admin)
	token := create(t, a, "bert", account.Viewer)
	_, _, _ = logIn(t, a, "192.0.2.1", "anna", "a wrong password")
	_, _, _ = logIn(t, a, "192.0.2.2", "nobody", "a wrong password")
	_, cookie, err := logIn(t, a, "192.0.2.3", "anna", password)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = a.Token(t.Context(), here, token[:24]+strings.Repeat("A", 43))
	_, _ = a.Token(t.Context(), here, token)
	clock.pass(time.Minute)
	a.LogOut(httptest.NewRecorder(), with(t, cookie))
	got := audit(t, a)
	want := []struct{ name, via, from, what, outcome string }{
		{"anna", "session", "192.0.2.1", "log-out", "done"},
		{"bert", "token", "192.0.2.1", "log-in", "this token is not known, or not any more: the name or the secret is wrong"},
		{"anna", "session", "192.0.2.3", "log-in", "done"},
		{"", "session", "192.0.2.2", "log-in", "the name or the secret is wrong"},
		{"anna", "session", "192.0.2.1", "log-in", "the name or the secret is wrong"},
	}
	if len(got) != len(want) {
		t.Fatalf("%d entries: %+v", len(got), got)
	}
	for i, e := range got {
		if w := want[i]; e.Name != w.name || string(e.Via) != w.via || e.Address.String() != w.from || e.What != w.what || e.Outcome != w.outcome || e.Target != "" {
			t.Errorf("%+v, want %+v", e, w)
		}
	}
	if !got[0].Time.Equal(clock.Now()) || got[0].Time.Sub(got[1].Time) != time.Minute || got[0].Number <= got[1].Number {
		t.Errorf("times and numbers of %+v", got)
	}
}

func TestEntriesAreKeptAsTheyCameAndCut(t *testing.T) {
	for name, store := range stores(t) {
		a := open(t, account.Options{Store: store})
		for _, text := range []string{"", "<script>alert(1)</script>", "a\x00b", "\xff\xfe", "☃\u202e"} {
			a.Note(t.Context(), account.Entry{Name: text, Via: account.ViaToken, What: "x", Target: text, Outcome: text})
			if got := audit(t, a)[0]; got.Name != text || got.Target != text || got.Outcome != text || got.Address.IsValid() {
				t.Errorf("%s: %q became %+v", name, text, got)
			}
		}
		for _, text := range []string{strings.Repeat("a", 513), strings.Repeat("é", 300), strings.Repeat("☃", 200), "x" + strings.Repeat("\U0001f41d", 200), strings.Repeat("\xff", 600)} {
			a.Note(t.Context(), account.Entry{Target: text})
			got := audit(t, a)[0].Target
			if len(got) > 512 || len(got) < 505 || !strings.HasPrefix(text, strings.TrimSuffix(got, "…")) || utf8.ValidString(text) != utf8.ValidString(got) {
				t.Errorf("%s: %.10q... became %d bytes, %q", name, text, len(got), got)
			}
		}
	}
}

func TestAuditLogHasPagesTheLatestFirst(t *testing.T) {
	for name, store := range stores(t) {
		a := open(t, account.Options{Store: store})
		for n := range 10 {
			a.Note(t.Context(), account.Entry{What: fmt.Sprint(n)})
		}
		var all string
		before := int64(0)
		for more := true; more; {
			var page []account.Entry
			var err error
			if page, more, err = a.Audit(t.Context(), before, 4); err != nil {
				t.Fatal(err)
			}
			for _, e := range page {
				all += e.What
			}
			before = page[len(page)-1].Number
			a.Note(t.Context(), account.Entry{What: "later"})
		}
		if all != "9876543210" {
			t.Errorf("%s: %s", name, all)
		}
		if page, more, err := a.Audit(t.Context(), 1, 4); len(page) != 0 || more || err != nil {
			t.Errorf("%s: before the first %v, %v, %v", name, page, more, err)
		}
	}
}

func TestLatestEntriesAreKept(t *testing.T) {
	s := sqlite(t, filepath.Join(t.TempDir(), "accounts.db"))
	account.KeepEntries(s, 3)
	memory := account.NewMemory()
	for n := range 10 {
		if err := s.Append(t.Context(), account.Entry{What: fmt.Sprint(n)}); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 2*account.MaxEntries + 5 {
		if err := memory.Append(t.Context(), account.Entry{What: fmt.Sprint(n)}); err != nil {
			t.Fatal(err)
		}
	}
	if page, more, err := s.Entries(t.Context(), 0, 10); err != nil || more || len(page) != 3 || page[0].What != "9" || page[2].What != "7" {
		t.Errorf("sqlite: %+v, %v, %v", page, more, err)
	}
	page, more, err := memory.Entries(t.Context(), 0, 2*account.MaxEntries)
	if err != nil || more || len(page) != account.MaxEntries || page[0].What != fmt.Sprint(2*account.MaxEntries+4) {
		t.Errorf("memory: %d entries, %v, %v", len(page), more, err)
	}
}

func TestRefusalsDoNotFillTheAuditLog(t *testing.T) {
	clock := newClock()
	a := open(t, account.Options{Now: clock.Now})
	for range 150 {
		a.NoteRefusal(t.Context(), account.Entry{Outcome: "wrong"})
	}
	if got := audit(t, a); len(got) != 100 {
		t.Fatalf("%d entries", len(got))
	}
	clock.pass(10 * time.Second)
	a.NoteRefusal(t.Context(), account.Entry{Outcome: strings.Repeat("w", 600)})
	a.NoteRefusal(t.Context(), account.Entry{Outcome: "wrong"})
	a.Note(t.Context(), account.Entry{Outcome: "done"})
	got := audit(t, a)
	if len(got) != 102 || got[0].Outcome != "done" || !strings.HasSuffix(got[1].Outcome, "w… (50 refusals before it are not in this log)") {
		t.Errorf("%d entries, %+v", len(got), got[:2])
	}
}

func TestAuditLogThatCannotBeWrittenIsAnErrorInTheTrackersLog(t *testing.T) {
	store := &broken{Store: account.NewMemory()}
	var logged strings.Builder
	a := open(t, account.Options{Store: store, Log: logger(&logged)})
	createWith(t, a, "anna", account.Admin)
	store.fails = true
	if _, _, err := logIn(t, a, "192.0.2.1", "anna", password); err != nil {
		t.Errorf("nobody can log in: %v", err)
	}
	for _, want := range []string{"level=ERROR", "no space left", "who=anna", "what=log-in", "address=192.0.2.1", "outcome=done"} {
		if !strings.Contains(logged.String(), want) {
			t.Errorf("no %s in %s", want, &logged)
		}
	}
}

func TestWhatWasDoneIsWrittenThoughWhoAskedIsGone(t *testing.T) {
	for name, store := range stores(t) {
		a := open(t, account.Options{Store: store})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		a.Note(ctx, account.Entry{What: "x"})
		if got := audit(t, a); len(got) != 1 {
			t.Errorf("%s: %+v", name, got)
		}
		if _, _, err := a.Create(ctx, account.New{Name: "anna", Role: account.Admin}); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
