package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waggle/account"
	"waggle/console/client"
	"waggle/sqlitefile"
)

// secretFile writes a file that others cannot read.
func secretFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// createToken makes an account, and returns a file with its token.
func createToken(t *testing.T, s *serving, args ...string) string {
	t.Helper()
	out, words, err := runCommand(t.Context(), append([]string{"token", "create", "--console", s.console(t)}, args...)...)
	if err != nil || strings.Count(out, "\n") != 1 || !strings.HasPrefix(out, "waggle_") || !strings.Contains(words, "not shown again") {
		t.Fatalf("printed %q, said %q, %v", out, words, err)
	}
	return secretFile(t, out)
}

func TestTokenThatIsPrintedOpensTheConsole(t *testing.T) {
	s := startServe(t, "--store", "memory:")
	admin := createToken(t, s, "anna", "--role", "admin")
	viewer := createToken(t, s, "bert", "--role", "viewer", "--expires", "90d", "--token-file", admin)
	body, h := metainfo(t, "a")
	token, err := client.ReadToken(admin)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.client(t, token).Upload(t.Context(), "a.torrent", body); err != nil {
		t.Error(err)
	}
	if out, err := runWaggle(t, "transfers", "--console", s.console(t), "--token-file", viewer); err != nil || !strings.Contains(out, h.String()) {
		t.Errorf("printed %q, %v", out, err)
	}
	out, err := runWaggle(t, "token", "list", "--console", s.console(t), "--token-file", admin)
	if err != nil || !strings.Contains(out, "never  anna\n") || !strings.Contains(out, "viewer   token") || strings.Count(out, "\n") != 3 {
		t.Errorf("listed %s, %v", out, err)
	}
	var listed []client.Account
	out, err = runWaggle(t, "token", "list", "--json", "--console", s.console(t), "--token-file", admin)
	if err != nil || json.Unmarshal([]byte(out), &listed) != nil || len(listed) != 2 || time.Until(listed[1].Expires).Round(time.Hour) != 90*24*time.Hour {
		t.Errorf("listed %s, %v", out, err)
	}
	if out, err := runWaggle(t, "token", "delete", "bert", "--console", s.console(t), "--token-file", admin); err != nil || out != "" {
		t.Errorf("deleted: %q, %v", out, err)
	}
	if out, err := runWaggle(t, "transfers", "--console", s.console(t), "--token-file", viewer); err == nil || !strings.Contains(err.Error(), "not any more") {
		t.Errorf("with a deleted one printed %q, %v", out, err)
	}
}

func TestAfterTheFirstAccountTokensNeedAnAdmin(t *testing.T) {
	s := startServe(t, "--store", "memory:")
	_, words, err := runCommand(t.Context(), "token", "create", "anna", "--role", "admin", "--console", s.console(t))
	if err != nil || !strings.Contains(words, "this is the first account") {
		t.Errorf("said %q, %v", words, err)
	}
	for _, args := range [][]string{{"create", "bert", "--role", "admin"}, {"list"}, {"delete", "anna"}} {
		out, err := runWaggle(t, append(append([]string{"token"}, args...), "--console", s.console(t))...)
		if err == nil || out != "" || !strings.Contains(err.Error(), "--token-file") || exitCode(err) != exitFailed {
			t.Errorf("%q: %q, %v", args, out, err)
		}
	}
}

func TestPasswordOfAFileLetsIn(t *testing.T) {
	s := startServe(t, "--store", "memory:")
	out, words, err := runCommand(t.Context(), "token", "create", "anna", "--role", "admin", "--password-file", secretFile(t, "correct horse\n"), "--console", s.console(t))
	if err != nil || out != "" || !strings.Contains(words, "account anna: admin, does not expire\n") || strings.Contains(words, "horse") || strings.Contains(words, "token is not shown") {
		t.Errorf("printed %q, said %q, %v", out, words, err)
	}
}

func TestTokenCreateRefusesWhatItCannotUse(t *testing.T) {
	s := startServe(t, "--store", "memory:")
	open := secretFile(t, "correct horse")
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		code int
		say  string
	}{
		{nil, exitUsage, "takes one argument"},
		{[]string{"anna"}, exitUsage, "--role"},
		{[]string{"anna", "--role", "root"}, exitFailed, "role"},
		{[]string{"anna", "--role", "viewer"}, exitFailed, "first account must be an admin"},
		{[]string{" anna", "--role", "admin"}, exitFailed, "no spaces"},
		{[]string{"anna", "--role", "admin", "--expires", "soon"}, exitUsage, "--expires"},
		{[]string{"anna", "--role", "admin", "--expires", "0d"}, exitUsage, "--expires"},
		{[]string{"anna", "--role", "admin", "--expires", "-5h"}, exitUsage, "--expires"},
		{[]string{"anna", "--role", "admin", "--expires", "99999d"}, exitUsage, "--expires"},
		{[]string{"anna", "--role", "admin", "--password-file", open}, exitFailed, "chmod o-rwx"},
		{[]string{"anna", "--role", "admin", "--password-file", secretFile(t, "two\nlines of text")}, exitFailed, "one line"},
		{[]string{"anna", "--role", "admin", "--password-file", secretFile(t, "")}, exitFailed, "one line"},
		{[]string{"anna", "--role", "admin", "--password-file", secretFile(t, "short")}, exitFailed, "at least 10"},
		{[]string{"anna", "--role", "admin", "--ask-password"}, exitUsage, "terminal"},
		{[]string{"anna", "--role", "admin", "--ask-password", "--password-file", open}, exitUsage, "one of them"},
	} {
		out, _, err := runCommand(t.Context(), append([]string{"token", "create", "--console", s.console(t)}, test.args...)...)
		if err == nil || out != "" || exitCode(err) != test.code || !strings.Contains(err.Error(), test.say) {
			t.Errorf("%q: %q, %v", test.args, out, err)
		}
	}
	if got, err := s.client(t, "").Accounts(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("there is %+v, %v", got, err)
	}
}

// fullDisk fails all that is written to it.
type fullDisk struct{}

var errFull = errors.New("no space left on device")

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

func TestTokenThatCouldNotBeWrittenIsAnError(t *testing.T) {
	s := startServe(t, "--store", "memory:")
	root := newRootCommand()
	root.SetOut(fullDisk{})
	root.SetErr(new(syncBuffer))
	root.SetArgs([]string{"token", "create", "anna", "--role", "admin", "--console", s.console(t)})
	if err := root.ExecuteContext(t.Context()); !errors.Is(err, errFull) || !strings.Contains(err.Error(), "delete the account") {
		t.Error(err)
	}
}

func TestAccountsSurviveARestartAndOpenTheConsole(t *testing.T) {
	store := "sqlite:" + filepath.Join(t.TempDir(), "waggle.db")
	first := startServe(t, "--store", store)
	admin := createToken(t, first, "anna", "--role", "admin")
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	again := startServe(t, "--store", store, "--listen-console", "0.0.0.0:0")
	address := strings.Replace(again.console(t), "0.0.0.0", "127.0.0.1", 1)
	if out, err := runWaggle(t, "token", "list", "--console", address, "--token-file", admin); err != nil || !strings.Contains(out, "anna") {
		t.Errorf("listed %s, %v", out, err)
	}
	if _, err := runWaggle(t, "token", "delete", "anna", "--console", address, "--token-file", admin); err == nil || !strings.Contains(err.Error(), "listens beyond loopback") {
		t.Errorf("the last account of a public console: %v", err)
	}
	if !strings.Contains(strings.Join(again.lines, "\n"), "console (others need a token or a log-in): http://") {
		t.Errorf("printed %q", again.lines)
	}
}

func TestFileOfAccountsThatIsNotOneStopsServe(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, accountsFile), []byte(strings.Repeat("text", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	root := newRootCommand()
	root.SetErr(new(syncBuffer))
	root.SetArgs([]string{"serve", "--store", "sqlite:" + filepath.Join(folder, "waggle.db"), "--listen-udp", "127.0.0.1:0", "--listen-http", "127.0.0.1:0", "--listen-console", "127.0.0.1:0"})
	if err := root.ExecuteContext(t.Context()); !errors.Is(err, sqlitefile.ErrForeign) || !strings.Contains(err.Error(), accountsFile) {
		t.Error(err)
	}
}

func TestExpiryIsADayOrADurationFromNow(t *testing.T) {
	now := time.Unix(1_700_000_000, 5)
	for text, want := range map[string]time.Time{
		"never": {}, "90d": now.AddDate(0, 0, 90), "1d": now.Add(24 * time.Hour), "12h30m": now.Add(12*time.Hour + 30*time.Minute), "36500d": now.Add(36500 * 24 * time.Hour),
	} {
		if got, err := expiryIn(text, now); err != nil || !got.Equal(want.Truncate(time.Second)) {
			t.Errorf("%s is %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "d", "1.5d", "+", "1y", "0s", "36501d", "-1d"} {
		if got, err := expiryIn(text, now); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

func TestNamesOfRolesAreThoseOfTheHelp(t *testing.T) {
	help, _, err := runCommand(t.Context(), "token", "create", "--help")
	if err != nil {
		t.Fatal(err)
	}
	for r := account.Viewer; r <= account.Admin; r++ {
		if !strings.Contains(help, r.String()) {
			t.Errorf("the help does not name %v", r)
		}
	}
}
