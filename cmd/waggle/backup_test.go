//go:build !function

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/config"
	"waggle/link/carrier"
	"waggle/moving"
)

func TestTrackerGoesOnFromACopyThatWasMadeWhileItRan(t *testing.T) {
	data, copied := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "copied")
	settings := func(data string) []string {
		return []string{"--store", "sqlite:" + filepath.Join(data, "waggle.db"), "--link-directory", filepath.Join(data, "link")}
	}
	s := startServe(t, settings(data)...)
	s.announce(t, "")
	book, err := carrier.OpenBook(filepath.Join(data, "link"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := book.Invite("fra", carrier.Rights{Receive: true, Send: true}, []string{"127.0.0.1:6971"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the peer is in the file", func() bool {
		out, _, err := runStore(t, "check", "sqlite:"+filepath.Join(data, "waggle.db"))
		return err == nil && strings.HasPrefix(out, "checked 1 peers of 1 torrents")
	})
	out, _, err := runCommand(t.Context(), slices.Concat([]string{"backup"}, settings(data), []string{copied})...)
	if err != nil || !strings.HasPrefix(out, "copied waggle.db, catalog.db, accounts.db, timeline.db, link: ") || !strings.HasSuffix(out, " in "+copied+"\n") {
		t.Fatalf("%q, %v", out, err)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if out, _, err := runStore(t, "check", "sqlite:"+filepath.Join(copied, "waggle.db")); err != nil || !strings.HasPrefix(out, "checked 1 peers of 1 torrents") {
		t.Errorf("%q, %v", out, err)
	}
	restored := startServe(t, settings(copied)...)
	scrape := strings.Replace(restored.url(t, "http"), "/announce", "/scrape", 1) + "?" + string(bittorrent.AppendHTTPScrape(nil, []bittorrent.InfoHash{{1}}))
	if got := get(t, scrape); !bytes.Contains(got, []byte("10:incompletei1e")) {
		t.Errorf("%q: the peer is not there", got)
	}
	for _, name := range []string{"hub.key", "leaves.json"} { // by which leaves know their hub, and it them
		before, err := os.ReadFile(filepath.Join(data, "link", name))
		if err != nil {
			t.Fatal(err)
		}
		if after, err := os.ReadFile(filepath.Join(copied, "link", name)); err != nil || !bytes.Equal(before, after) {
			t.Errorf("%s is another one: %v", name, err)
		}
	}
	if err := restored.stop(); err != nil {
		t.Error(err)
	}
}

func TestBackupThatCannotBeSaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{nil, exitUsage, "a folder to make"},
		{[]string{"--store", "redis://:hush@127.0.0.1:1/0", "to"}, exitFailed, `"waggle store copy redis://:***@127.0.0.1:1/0 sqlite:to/waggle.db"`},
		{[]string{"--store", "memory:", "to"}, exitFailed, "keeps nothing"},
		{[]string{"--store", "sqlite:" + dir + "/waggle.db", "to"}, exitFailed, "name its file by --config"},
		{[]string{"--store", tracked(t), dir}, exitFailed, "not there yet"},
	} {
		_, _, err := runCommand(t.Context(), append([]string{"backup"}, test.args...)...)
		if err == nil || exitCode(err) != test.code || !strings.Contains(err.Error(), test.want) {
			t.Errorf("waggle backup %v: %v, exit code %d; want %q and %d", test.args, err, exitCode(err), test.want, test.code)
		}
	}
}

func TestCopyHasFilesWhereTheyLieToEachOther(t *testing.T) {
	for _, test := range []struct{ store, link, want string }{
		{"sqlite:waggle-data/waggle.db", "waggle-data/link", "link"},
		{"sqlite:///var/lib/waggle/peers.db", "/var/lib/waggle/by/links", "by/links"},
		{"sqlite:///var/lib/waggle/peers.db", "/etc/waggle/links", "link"},
		{"sqlite:///var/lib/waggle/peers.db", "/var/lib/waggle", "."},
		{"sqlite:waggle.db", "links", "links"},
	} {
		c := config.Default()
		c.Store, c.Link.Directory = config.StoreURL(test.store), config.Path(test.link)
		parts := keptFiles(&c)
		if got := slices.IndexFunc(parts, func(p moving.Part) bool { return p.Path == test.link && p.As == test.want }); got < 0 {
			t.Errorf("%s with %s: %+v; want it as %s", test.store, test.link, parts, test.want)
		}
	}
}
