package main

import (
	"strings"
	"testing"

	"waggle/console/client"
)

func TestTokenEditChangesWhatItsFlagsName(t *testing.T) {
	s := startServe(t, "--store", "memory:")
	admin := createToken(t, s, "anna", "--role", "admin")
	old := createToken(t, s, "ci", "--role", "operator", "--token-file", admin)
	edit := func(args ...string) (out, words string) {
		t.Helper()
		out, words, err := runCommand(t.Context(), append([]string{"token", "edit", "ci", "--console", s.console(t), "--token-file", admin}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		return out, words
	}
	if out, words := edit("--role", "viewer"); out != "" || words != "account ci: viewer, does not expire\n" {
		t.Errorf("printed %q, said %q", out, words)
	}
	if out, words := edit("--expires", "90d"); out != "" || !strings.HasPrefix(words, "account ci: viewer, expires at 2") {
		t.Errorf("printed %q, said %q", out, words)
	}
	if _, words := edit("--expires", "never"); words != "account ci: viewer, does not expire\n" {
		t.Errorf("said %q", words)
	}
	if _, err := runWaggle(t, "transfers", "--console", s.console(t), "--token-file", old); err != nil {
		t.Errorf("its token stays: %v", err)
	}
	out, words := edit("--new-token")
	if !strings.HasPrefix(out, "waggle_") || !strings.Contains(words, "not shown again") {
		t.Errorf("printed %q, said %q", out, words)
	}
	if _, err := runWaggle(t, "transfers", "--console", s.console(t), "--token-file", old); err == nil {
		t.Error("the old token goes on")
	}
	if _, err := runWaggle(t, "transfers", "--console", s.console(t), "--token-file", secretFile(t, out)); err != nil {
		t.Errorf("the new one: %v", err)
	}
	edit("--password-file", secretFile(t, "correct horse\n"))
	token, err := client.ReadToken(admin)
	if err != nil {
		t.Fatal(err)
	}
	if all, err := s.client(t, token).Accounts(t.Context()); err != nil || len(all) != 2 || all[1].Secret != "password" || all[1].Role != "viewer" {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestTokenEditRefusesWhatItCannotUse(t *testing.T) {
	s := startServe(t, "--store", "memory:")
	admin := createToken(t, s, "anna", "--role", "admin")
	for _, test := range []struct {
		args []string
		code int
		say  string
	}{
		{nil, exitUsage, "takes one argument"},
		{[]string{"anna"}, exitUsage, "say what to change"},
		{[]string{"anna", "--expires", "soon"}, exitUsage, "--expires"},
		{[]string{"anna", "--new-token", "--password-file", secretFile(t, "correct horse")}, exitUsage, "one of them"},
		{[]string{"anna", "--role", "viewer"}, exitFailed, "last admin"},
		{[]string{"nobody", "--role", "viewer"}, exitFailed, "no such account"},
		{[]string{"anna", "--password-file", secretFile(t, "correct h\xffrse")}, exitFailed, "UTF-8"},
	} {
		args := append([]string{"token", "edit", "--console", s.console(t), "--token-file", admin}, test.args...)
		out, err := runWaggle(t, args...)
		if err == nil || out != "" || exitCode(err) != test.code || !strings.Contains(err.Error(), test.say) {
			t.Errorf("%q: %q, %v", test.args, out, err)
		}
	}
}

func TestTokenOfANameThatIsNoUTF8IsRefused(t *testing.T) {
	if out, err := runWaggle(t, "token", "create", "ann\xff", "--role", "admin"); exitCode(err) != exitUsage || out != "" || !strings.Contains(err.Error(), "UTF-8") {
		t.Errorf("%q, %v", out, err)
	}
}
