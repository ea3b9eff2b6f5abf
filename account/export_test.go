package account

import (
	"testing"

	"waggle/document"
)

// For tests.
const (
	MaxSessions      = maxSessions
	MaxSessionsOfOne = maxOfOne
)

// KeepEntries has a file keep so many entries of the audit log.
func KeepEntries(s *SQLite, n int) { s.maxEntries = n }

// BeginSession begins a session without a log-in.
func BeginSession(t *testing.T, a *Accounts, name string) {
	t.Helper()
	if _, _, err := a.sessions.begin(a.find(name), a.o.Random, a.o.Now()); err != nil {
		t.Fatal(err)
	}
}

// FewEntries opens accounts that keep so many entries of the audit log.
func FewEntries(t *testing.T, store document.Store, n int64) *Documents {
	t.Helper()
	s, err := openDocuments(t.Context(), store, n)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
