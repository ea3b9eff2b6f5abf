package account_test

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"waggle/account"
	"waggle/document/documenttest"
)

func FuzzAccountsInDocuments(f *testing.F) {
	f.Add([]byte(`{"incarnation":"i","number":1,"value":{"name":"anna","role":"admin","secret":"password","hash":"$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"}}`),
		[]byte(`{"sessions":[{"sum":"00","changed":"2026-01-01T00:00:00Z"}]}`), []byte(`{"time":"2026-01-01T00:00:00Z","name":{"bytes":"/w=="},"address":"::1"}`))
	f.Add([]byte(`{"incarnation":"i","number":1,"value":{"name":"anna","role":"nobody"}}`), []byte(`{}`), []byte(`""`))
	sum := sha256.Sum256([]byte("anna"))
	key := hex.EncodeToString(sum[:])
	f.Fuzz(func(t *testing.T, row, sessions, line []byte) {
		m := documenttest.NewMemory()
		for name, value := range map[string][]byte{
			"accounts/row/" + key: row, "sessions/" + key: sessions, "audit/line/9223372036854775806": line,
		} {
			if _, err := m.Put(t.Context(), name, value, ""); err != nil {
				return // too long
			}
		}
		s := inDocuments(t, m)
		_, _, _ = s.Entries(t.Context(), 0, 10)
		if _, err := s.Accounts(t.Context()); err != nil {
			return
		}
		a := tracker(t, m, account.Options{})
		_, cookie, err := logIn(t, a, "192.0.2.1", "anna", password)
		if err == nil && !session(t, a, cookie) {
			t.Error("a session that has just begun is none")
		}
	})
}
