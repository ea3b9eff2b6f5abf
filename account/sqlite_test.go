package account_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"waggle/account"
	"waggle/catalog"
	"waggle/sqlitefile"
)

func TestFileThatIsNotOfAccountsIsRefusedAndLeftAsItIs(t *testing.T) {
	folder := t.TempDir()
	other, err := catalog.OpenSQLite(t.Context(), filepath.Join(folder, "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(folder, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("text ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{text, filepath.Join(folder, "catalog.db")} {
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := account.OpenSQLite(t.Context(), path); !errors.Is(err, sqlitefile.ErrForeign) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
		if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
			t.Errorf("%s was changed, %v", path, err)
		}
	}
}

func TestSecondProcessIsKeptOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "accounts.db")
	s := sqlite(t, path)
	if _, err := account.OpenSQLite(t.Context(), path); !errors.Is(err, sqlitefile.ErrInUse) || !strings.Contains(err.Error(), path) {
		t.Errorf("a second time: %v", err)
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Error(err)
	}
	sqlite(t, path)
}

func TestAccountThatIsNoneIsDamage(t *testing.T) {
	s := sqlite(t, filepath.Join(t.TempDir(), "accounts.db"))
	for _, r := range []account.Record{
		{Account: account.Account{Name: "a", Role: account.Admin + 1}, Hash: "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"},
		{Account: account.Account{Name: "a", Role: account.Admin}, Hash: "secret"},
	} {
		if err := s.Put(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if _, err := account.Open(t.Context(), account.Options{Store: s}); !errors.Is(err, sqlitefile.ErrDamaged) {
			t.Errorf("%+v: %v", r, err)
		}
	}
}
