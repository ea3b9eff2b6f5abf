package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"waggle/torrent"
)

// withTorrents changes to a new folder with .torrent files at paths, of which
// each is another torrent and names the tracker udp://old.example:1.
func withTorrents(t *testing.T, paths ...string) string {
	t.Helper()
	root := inFolder(t, map[string]string{"contents": "contents"})
	for _, path := range paths {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		name := strings.ReplaceAll(path, "/", "-")
		if _, _, err := runTorrent(t.Context(), "create", "contents", "-a", "udp://old.example:1", "-o", path, "--name", name); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove("contents"); err != nil {
		t.Fatal(err)
	}
	return root
}

func wantTracker(t *testing.T, path, want string) {
	t.Helper()
	var tiers [][]string
	if want != "" {
		tiers = [][]string{{want}}
	}
	if have := mustRead(t, path).Trackers(); !reflect.DeepEqual(have, tiers) {
		t.Errorf("%s names %q, want %q", path, have, tiers)
	}
}

const (
	oldTracker = "udp://old.example:1"
	newTracker = "http://new.example/announce"
)

func TestTorrentAnnounceChangesTrackersAndKeepsTheInfoHash(t *testing.T) {
	root := withTorrents(t, "a.torrent")
	before := mustRead(t, "a.torrent")
	stdout, stderr, err := runTorrent(t.Context(), "announce", "a.torrent", "-a", "udp://a.example:1,http://b.example/announce", "-a", "wss://c.example")
	if want := "a.torrent: changed\n1 file: 1 changed, 0 unchanged, 0 failed\n"; err != nil || stdout != want || stderr != "" {
		t.Errorf("%v\nhave %q, %q\nwant %q", err, stdout, stderr, want)
	}
	after := mustRead(t, "a.torrent")
	if want := [][]string{{"udp://a.example:1", "http://b.example/announce"}, {"wss://c.example"}}; !reflect.DeepEqual(after.Trackers(), want) {
		t.Errorf("trackers %q, want %q", after.Trackers(), want)
	}
	if !bytes.Equal(after.Info(), before.Info()) || !after.CreationDate.Equal(before.CreationDate) || after.CreatedBy != before.CreatedBy {
		t.Errorf("\nhave %+v\nwant %+v", after, before)
	}
	wantNames(t, root, "a.torrent")
}

func TestTorrentAnnounceLooksBelowAFolderOnlyIfTold(t *testing.T) {
	withTorrents(t, "all/a.torrent", "all/B.TORRENT", "all/sub/c.torrent", "all/sub.torrent/d.torrent", "all/e.txt")
	stdout, _, err := runTorrent(t.Context(), "announce", "all", "-a", newTracker)
	if want := "all/B.TORRENT: changed\nall/a.torrent: changed\n2 files: 2 changed, 0 unchanged, 0 failed\n"; err != nil || stdout != want {
		t.Errorf("%v\nhave %q\nwant %q", err, stdout, want)
	}
	wantTracker(t, "all/sub/c.torrent", oldTracker)
	stdout, _, err = runTorrent(t.Context(), "announce", "all", "--recursive", "-a", newTracker)
	if err != nil || !strings.HasSuffix(stdout, "4 files: 2 changed, 2 unchanged, 0 failed\n") || !strings.Contains(stdout, "all/a.torrent: has these trackers already\n") {
		t.Errorf("%v\n%s", err, stdout)
	}
	for _, path := range []string{"all/a.torrent", "all/B.TORRENT", "all/sub/c.torrent", "all/sub.torrent/d.torrent"} {
		wantTracker(t, path, newTracker)
	}
	wantTracker(t, "all/e.txt", oldTracker)
}

func TestTorrentAnnounceGoesOnAfterABrokenFileAndNamesIt(t *testing.T) {
	withTorrents(t, "all/a.torrent", "all/c.torrent")
	if err := errors.Join(os.WriteFile("all/b.torrent", []byte("hello"), 0o600), os.Mkdir("none", 0o700), os.Symlink("nowhere", "all/d.torrent")); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, err := runTorrent(t.Context(), "announce", "absent.torrent", "none", "all", "-a", newTracker)
	var usage usageError
	if err == nil || err.Error() != "4 files of 6 could not be changed" || errors.As(err, &usage) {
		t.Errorf("error %v", err)
	}
	if want := "all/a.torrent: changed\nall/c.torrent: changed\n6 files: 2 changed, 0 unchanged, 4 failed\n"; stdout != want {
		t.Errorf("have %q\nwant %q", stdout, want)
	}
	lines := strings.Split(stderr, "\n")
	for i, want := range []string{
		"absent.torrent: no such file", "none: there is no .torrent file in the folder; --recursive looks",
		"all/b.torrent: broken .torrent file: ", "all/d.torrent: no such file", "",
	} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
			t.Errorf("line %d of\n%s\nwant %q", i, stderr, want)
		}
	}
}

func TestTorrentAnnounceDryRunPrintsWhatWouldChangeAndChangesNothing(t *testing.T) {
	root := withTorrents(t, "a.torrent")
	before, err := os.ReadFile("a.torrent")
	if err != nil {
		t.Fatal(err)
	}
	stdout, _, err := runTorrent(t.Context(), "announce", root, "--dry-run", "--backup", "-a", "udp://a.example:1,udp://b.example:1", "-a", newTracker)
	want := filepath.Join(root, "a.torrent") + `: would be changed
  - udp://old.example:1
  + udp://a.example:1,udp://b.example:1
  + http://new.example/announce
1 file: 1 would be changed, 0 unchanged, 0 failed
`
	if err != nil || stdout != want {
		t.Errorf("%v\nhave %s\nwant %s", err, stdout, want)
	}
	if after, err := os.ReadFile("a.torrent"); err != nil || !bytes.Equal(before, after) {
		t.Errorf("%v: the file is another", err)
	}
	wantNames(t, root, "a.torrent")
}

func TestTorrentAnnounceBackupsNeverOverwriteEachOther(t *testing.T) {
	root := withTorrents(t, "a.torrent")
	if err := os.Chmod("a.torrent", 0o640); err != nil {
		t.Fatal(err)
	}
	for _, tracker := range []string{"udp://1.example:1", "udp://2.example:1", "udp://2.example:1", "udp://3.example:1"} {
		if _, _, err := runTorrent(t.Context(), "announce", "a.torrent", "--backup", "-a", tracker); err != nil {
			t.Fatal(err)
		}
	}
	wantNames(t, root, "a.torrent", "a.torrent.bak", "a.torrent.bak1", "a.torrent.bak2")
	for path, tracker := range map[string]string{
		"a.torrent": "udp://3.example:1", "a.torrent.bak": oldTracker, "a.torrent.bak1": "udp://1.example:1", "a.torrent.bak2": "udp://2.example:1",
	} {
		wantTracker(t, path, tracker)
		if stat, err := os.Stat(path); err != nil || stat.Mode() != 0o640 {
			t.Errorf("%s: %v, %v", path, stat.Mode(), err)
		}
	}
}

func TestTorrentAnnounceRemovesAllTrackers(t *testing.T) {
	withTorrents(t, "a.torrent")
	if _, _, err := runTorrent(t.Context(), "announce", "a.torrent", "--remove"); err != nil {
		t.Fatal(err)
	}
	wantTracker(t, "a.torrent", "")
}

func TestTorrentAnnounceKeepsLinksAndChangesWhereTheyLead(t *testing.T) {
	withTorrents(t, "real/a.torrent", "folder/b.torrent")
	if err := errors.Join(os.Mkdir("links", 0o700), os.Symlink("../real/a.torrent", "links/a.torrent"), os.Symlink("../folder", "links/x.torrent")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("links", "link"); err != nil {
		t.Fatal(err)
	}
	stdout, _, err := runTorrent(t.Context(), "announce", "link", "--recursive", "--backup", "-a", newTracker)
	if err != nil || !strings.Contains(stdout, "1 file: 1 changed") {
		t.Errorf("%v\n%s", err, stdout)
	}
	if stat, err := os.Lstat("links/a.torrent"); err != nil || stat.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("%v, %v: the link is gone", stat, err)
	}
	wantTracker(t, "real/a.torrent", newTracker)
	wantTracker(t, "real/a.torrent.bak", oldTracker)
	wantTracker(t, "folder/b.torrent", oldTracker)
}

func TestTorrentAnnouncePrintsJSONWithStableNames(t *testing.T) {
	withTorrents(t, "a.torrent", "b.torrent")
	if err := os.WriteFile("c.torrent", []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := runTorrent(t.Context(), "announce", "b.torrent", "-a", newTracker); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, err := runTorrent(t.Context(), "announce", ".", "--json", "--backup", "-a", newTracker)
	if err == nil || stderr != "" {
		t.Errorf("error %v, stderr %q", err, stderr)
	}
	var have map[string]any
	if err := json.Unmarshal([]byte(stdout), &have); err != nil {
		t.Fatalf("%v in %s", err, stdout)
	}
	hash := func(path string) string { return mustRead(t, path).InfoHash().String() }
	tiers := func(tracker string) any { return []any{[]any{tracker}} }
	_, broken := torrent.Read("c.torrent")
	want := map[string]any{
		"files": []any{
			map[string]any{
				"path": "a.torrent", "info_hash": hash("a.torrent"), "before": tiers(oldTracker), "after": tiers(newTracker),
				"changed": true, "backup": "a.torrent.bak",
			},
			map[string]any{"path": "b.torrent", "info_hash": hash("b.torrent"), "before": tiers(newTracker), "after": tiers(newTracker), "changed": false},
			map[string]any{"path": "c.torrent", "changed": false, "error": broken.Error()},
		},
		"changed": 1.0, "unchanged": 1.0, "failed": 1.0, "dry_run": false,
	}
	if !reflect.DeepEqual(have, want) {
		t.Errorf("\nhave %v\nwant %v", have, want)
	}
}

func TestTorrentAnnounceThatIsStoppedSaysWhatIsDone(t *testing.T) {
	withTorrents(t, "all/a.torrent")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, path := range []string{"all", "all/a.torrent"} {
		stdout, _, err := runTorrent(ctx, "announce", path, "-a", newTracker)
		if !errors.Is(err, context.Canceled) || !strings.Contains(stdout, "0 changed") {
			t.Errorf("error %v, stdout %q", err, stdout)
		}
	}
	wantTracker(t, "all/a.torrent", oldTracker)
}

func TestTorrentAnnounceLetsNoNameReachTheTerminalsControls(t *testing.T) {
	inFolder(t, map[string]string{"\x1b[2J.torrent": "hello"})
	stdout, stderr, err := runTorrent(t.Context(), "announce", ".", "-a", newTracker)
	if err == nil || strings.Contains(stdout+stderr, "\x1b") || !strings.Contains(stderr, `\x1b[2J.torrent: broken`) {
		t.Errorf("%v: %q %q", err, stdout, stderr)
	}
}
