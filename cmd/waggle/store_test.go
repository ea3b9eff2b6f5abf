package main

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waggle/account"
	"waggle/bittorrent"
	"waggle/catalog"
	"waggle/store/memory"
	"waggle/store/sqlite"
	"waggle/swarm"
)

// runStore runs "waggle store" with arguments, and returns what it prints.
func runStore(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	root := newRootCommand()
	root.SetArgs(append([]string{"store"}, args...))
	root.SetOut(&out)
	root.SetErr(&errs)
	err = root.ExecuteContext(t.Context())
	return out.String(), errs.String(), err
}

// tracked makes the files of a tracker that has a peer, a transfer and an account, and
// keeps them open, as a tracker that runs does.
func tracked(t *testing.T) (url string) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "waggle.db")
	open := func() *sqlite.Store {
		s, err := sqlite.Open(t.Context(), path, sqlite.Options{Memory: memory.Options{Details: true}})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	c, err := catalog.OpenSQLite(t.Context(), filepath.Join(dir, catalogFile))
	if err != nil {
		t.Fatal(err)
	}
	a, err := account.OpenSQLite(t.Context(), filepath.Join(dir, accountsFile))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), c.Close(), a.Close()); err != nil {
			t.Error(err)
		}
	})
	announce := swarm.Announce{
		AnnounceRequest: bittorrent.AnnounceRequest{InfoHash: bittorrent.InfoHash{1}, Port: 1, Left: 1},
		From:            netip.MustParseAddr("10.0.0.1"), Now: time.Now(), Families: swarm.IPv4,
	}
	if err := s.Announce(t.Context(), &announce, new(swarm.Reply)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil { // the journal is written behind, and now
		t.Fatal(err)
	}
	s = open()
	record := catalog.Record{Transfer: catalog.Transfer{InfoHash: bittorrent.InfoHash{1}, Name: "one", Source: catalog.Directory, Registered: time.Now()}}
	if err := c.Apply(t.Context(), []catalog.Change{{Record: record}}); err != nil {
		t.Fatal(err)
	}
	if err := a.Put(t.Context(), account.Record{Account: account.Account{Name: "ann", Role: account.Admin, Created: time.Now(), Changed: time.Now()}, Hash: "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"}); err != nil {
		t.Fatal(err)
	}
	return "sqlite:" + path
}

func TestStoreOfATrackerThatRunsIsCopiedAndChecked(t *testing.T) {
	from, to := tracked(t), "sqlite:"+filepath.Join(t.TempDir(), "new", "waggle.db")
	const all = "1 peers of 1 torrents, 1 transfers and 0 of their history, 1 accounts and 0 lines of the audit log, 0 passkeys\n"
	for _, step := range []struct{ args, want string }{
		{"copy " + from + " " + to, "copied " + all},
		{"check " + to, "checked " + all},
		{"copy " + from + " " + to, "copied " + strings.Replace(all, "1 accounts", "0 accounts", 1)}, // there already
		{"check " + from, "checked " + all},
	} {
		out, _, err := runStore(t, strings.Fields(step.args)...)
		if err != nil || out != step.want {
			t.Fatalf("waggle store %s: %q, %v; want %q", step.args, out, err, step.want)
		}
	}
}

func TestStoreThatCannotBeCopiedIsNamedWithTheRemedy(t *testing.T) {
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	busy := tracked(t)
	missing := "sqlite:" + filepath.Join(t.TempDir(), "none.db")
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"copy", busy}, exitUsage, "the store to copy from"},
		{[]string{"copy", busy, busy}, exitUsage, "to itself"},
		{[]string{"copy", "memory:", busy}, exitUsage, "gone with its tracker"},
		{[]string{"copy", "redis://:hush@", busy}, exitFailed, "***"},
		{[]string{"copy", "postgres://x", busy}, exitUsage, "write memory: or a URL"},
		{[]string{"copy", missing, busy}, exitFailed, "no such file"},
		{[]string{"copy", busy, tracked(t)}, exitFailed, "stop that one"},
		{[]string{"check", "redis://127.0.0.1:1/0"}, exitFailed, "redis://127.0.0.1:1/0"},
		{[]string{"check", "redis://127.0.0.1:1/0"}, exitFailed, "start Redis there, or correct host and port"},
		{[]string{"check", "s3://bucket/x?region="}, exitFailed, "region"},
		{[]string{"chek"}, exitUsage, "has no command"},
	} {
		_, _, err := runStore(t, test.args...)
		if err != nil && strings.Count(err.Error(), "://bucket") > 1 {
			t.Errorf("the store is named twice: %v", err)
		}
		if err == nil || exitCode(err) != test.code || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hush") {
			t.Errorf("waggle store %v: %v, exit code %d; want %q and %d", test.args, err, exitCode(err), test.want, test.code)
		}
	}
}
