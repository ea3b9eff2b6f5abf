package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"waggle/torrent"
)

// runTorrent runs "waggle torrent" with arguments.
func runTorrent(ctx context.Context, arguments ...string) (stdout, stderr string, err error) {
	return runCommand(ctx, append([]string{"torrent"}, arguments...)...)
}

// runCommand runs a command line to its end.
func runCommand(ctx context.Context, arguments ...string) (stdout, stderr string, err error) {
	var out, complaints bytes.Buffer
	root := newRootCommand()
	root.SetOut(&out)
	root.SetErr(&complaints)
	root.SetArgs(arguments)
	err = root.ExecuteContext(ctx)
	return out.String(), complaints.String(), err
}

// inFolder changes to a new folder that holds files, and returns its path.
func inFolder(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for path, contents := range files {
		path = filepath.Join(root, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(contents), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(root)
	return root
}

func mustRead(t *testing.T, path string) *torrent.Metainfo {
	t.Helper()
	m, err := torrent.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestTorrentCreateWritesFileAndPrintsItsInfoHash(t *testing.T) {
	inFolder(t, map[string]string{"image.iso": "contents"})
	stdout, stderr, err := runTorrent(t.Context(), "create", "image.iso", "-a", "udp://a.example:1")
	if err != nil {
		t.Fatal(err)
	}
	m := mustRead(t, "image.iso.torrent")
	if want := "image.iso.torrent: info hash " + m.InfoHash().String() + "\n"; stdout != want || stderr != "" {
		t.Errorf("stdout %q, want %q; stderr %q, want none", stdout, want, stderr)
	}
	if m.CreatedBy != "waggle "+version || time.Since(m.CreationDate) > time.Minute {
		t.Errorf("created by %q at %v", m.CreatedBy, m.CreationDate)
	}
}

func TestTorrentCreateObeysItsFlags(t *testing.T) {
	inFolder(t, map[string]string{"photos/a.jpg": "aa", "photos/b/c.jpg": "c"})
	_, _, err := runTorrent(
		t.Context(), "create", "photos", "-a", "udp://a.example:1,http://b.example/announce", "--announce", "wss://c.example",
		"-o", "out.torrent", "--piece-size", "1MiB", "--private", "--comment", "hello, world", "--source", "SRC",
		"--web-seed", "http://d.example/x,y/", "--web-seed", "http://e.example/", "--name", "renamed", "--no-date",
	)
	if err != nil {
		t.Fatal(err)
	}
	m := mustRead(t, "out.torrent")
	if want := [][]string{{"udp://a.example:1", "http://b.example/announce"}, {"wss://c.example"}}; !reflect.DeepEqual(m.Trackers(), want) {
		t.Errorf("trackers %q, want %q", m.Trackers(), want)
	}
	if want := []string{"http://d.example/x,y/", "http://e.example/"}; !reflect.DeepEqual(m.WebSeeds, want) {
		t.Errorf("web seeds %q, want %q", m.WebSeeds, want)
	}
	if m.PieceLength != 1<<20 || !m.Private || m.Comment != "hello, world" || m.Source != "SRC" || m.Name != "renamed" || !m.CreationDate.IsZero() {
		t.Errorf("%+v", m)
	}
}

func TestTorrentCreateMakesTheVersionAskedForAndShowPrintsBothHashes(t *testing.T) {
	inFolder(t, map[string]string{"image.iso": "contents"})
	for _, format := range []torrent.Version{torrent.V1, torrent.V2, torrent.Hybrid} {
		name := format.String() + ".torrent"
		created, _, err := runTorrent(t.Context(), "create", "image.iso", "-a", "udp://a.example:1", "-o", name, "--version", format.String())
		if err != nil {
			t.Fatal(err)
		}
		shown, _, err := runTorrent(t.Context(), "show", name)
		if err != nil {
			t.Fatal(err)
		}
		m := mustRead(t, name)
		v1, v2 := m.InfoHashV1.String(), m.InfoHashV2.String()
		for _, text := range []string{created, shown} {
			if m.Version != format || strings.Contains(text, v1) != (format != torrent.V2) || strings.Contains(text, v2) != (format != torrent.V1) {
				t.Errorf("version %v is told as\n%s", m.Version, text)
			}
		}
		if !strings.Contains(created, m.InfoHash().String()) {
			t.Errorf("the hash that trackers know is not in %q", created)
		}
	}
}

func TestTorrentCommandLineThatIsWrongIsAUsageError(t *testing.T) {
	inFolder(t, map[string]string{"a": "a"})
	for _, tt := range []struct {
		arguments string
		want      string
	}{
		{"make", `torrent has no command "make"`},
		{"create", "wants one argument, the file or folder to share, and has 0"},
		{"create a b -a udp://a.example:1", "and has 2"},
		{"create a", "no tracker; name one with -a"},
		{"create a -a a.example", "begins with one of"},
		{"create a -a udp://a.example:1,", "begins with one of"},
		{"create a -a udp://a.example", "needs a port"},
		{"create a -a udp://a.example:1 --piece-size many", `"many" is not a size`},
		{"create a -a udp://a.example:1 --piece-size 0", "is not a size"},
		{"create a -a udp://a.example:1 --piece-size 1MB", "1000000 bytes is not a power of two"},
		{"create a -a udp://a.example:1 --name ..", "another folder"},
		{"create a -a udp://a.example:1 --web-seed x", "web seed"},
		{"create a --no-such-flag", "unknown flag"},
		{"create a -a udp://a.example:1 --version 3", `"3" is none of 1, 2 and hybrid`},
		{"announce", "no file; name .torrent files"},
		{"announce a.torrent", "no tracker; name one with -a"},
		{"announce a.torrent -a a.example", "begins with one of"},
		{"announce a.torrent -a udp://a.example:1, ", "begins with one of"},
		{"announce a.torrent --remove -a udp://a.example:1", "give one of the two"},
		{"show", "wants one argument, a .torrent file, and has 0"},
		{"show --no-such-flag", "unknown flag"},
	} {
		stdout, _, err := runTorrent(t.Context(), strings.Fields(tt.arguments)...)
		var usage usageError
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), tt.want) || stdout != "" {
			t.Errorf("%s: error %v (%T), want a usage error with %q; stdout %q", tt.arguments, err, err, tt.want, stdout)
		}
	}
	wantNames(t, ".", "a")
}

func TestTorrentWithoutACommandPrintsHelp(t *testing.T) {
	stdout, _, err := runTorrent(t.Context())
	if err != nil || !strings.Contains(stdout, "waggle torrent create image.iso") {
		t.Errorf("%v, %q", err, stdout)
	}
}

func TestTorrentCreateRefusesAPlaceThatWouldNotDo(t *testing.T) {
	root := inFolder(t, map[string]string{"a": "contents", "folder/b": "b", "taken.torrent": "taken"})
	if err := os.Symlink("folder", "link"); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path, output string
		flags        []string
		want         string
	}{
		{"a", "taken.torrent", nil, "is there already; choose another name with -o, or replace it with --force"},
		{"a", "folder", nil, "is a folder"},
		{"a", "absent/x.torrent", nil, "there is no folder absent; make it first"},
		{"a", "a", []string{"--force"}, "would lie in what it describes"},
		{"folder", "folder/x.torrent", nil, "would lie in what it describes"},
		{"folder", "link/x.torrent", nil, "would lie in what it describes"},
		{".", "x.torrent", nil, "would lie in what it describes"},
	} {
		arguments := append([]string{"create", tt.path, "-o", tt.output, "-a", "udp://a.example:1"}, tt.flags...)
		_, _, err := runTorrent(t.Context(), arguments...)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: error %v, want one with %q", arguments, err, tt.want)
		}
	}
	wantNames(t, root, "a", "folder", "link", "taken.torrent")
	if b, err := os.ReadFile("a"); err != nil || string(b) != "contents" {
		t.Errorf("the file itself is now %q, %v", b, err)
	}
}

func TestTorrentCreateReplacesOnlyWhenForced(t *testing.T) {
	root := inFolder(t, map[string]string{"a": "contents", "a.torrent": "old"})
	if _, _, err := runTorrent(t.Context(), "create", "a", "-a", "udp://a.example:1"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("error %v", err)
	}
	if _, _, err := runTorrent(t.Context(), "create", "a", "-a", "udp://a.example:1", "--force"); err != nil {
		t.Fatal(err)
	}
	if m := mustRead(t, "a.torrent"); m.Name != "a" {
		t.Errorf("%+v", m)
	}
	wantNames(t, root, "a", "a.torrent")
}

func TestTorrentCreateThatIsInterruptedLeavesNoFile(t *testing.T) {
	root := inFolder(t, map[string]string{"a": "contents"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	stdout, _, err := runTorrent(ctx, "create", "a", "-a", "udp://a.example:1")
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "no .torrent was written") || stdout != "" {
		t.Errorf("error %v, stdout %q", err, stdout)
	}
	wantNames(t, root, "a")
}

func TestHashingWritesALineEveryFiveSecondsAndNoneBefore(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	progress := hashLines(&out, func() time.Time { return now })
	for second := range int64(12) {
		now = time.Unix(second, 0)
		progress(second<<20, 100<<20)
	}
	want := "hashed 5.0 MiB of 100 MiB (5%), 1.0 MiB/s\nhashed 10 MiB of 100 MiB (10%), 1.0 MiB/s\n"
	if out.String() != want {
		t.Errorf("have %q, want %q", out.String(), want)
	}
}

func TestHashingDrawsABarOnATerminalAndWipesIt(t *testing.T) {
	master, slave := openTerminal(t)
	progress, done := newHashProgress(slave)
	progress(0, 2<<20)
	progress(1<<20, 2<<20)
	progress(2<<20, 2<<20)
	done()
	if err := slave.Close(); err != nil {
		t.Fatal(err)
	}
	drawn, _ := io.ReadAll(master) // ends in EIO when nobody has the other side
	if !bytes.Contains(drawn, []byte("hashing")) || !bytes.Contains(drawn, []byte("/2.0 MiB")) {
		t.Errorf("drawn %q", drawn)
	}
	if last := drawn[bytes.LastIndexByte(bytes.TrimRight(drawn, "\r"), '\r')+1:]; len(bytes.TrimSpace(last)) > 0 {
		t.Errorf("left on the line: %q", last)
	}
}

// openTerminal returns the two sides of a pseudo terminal.
func openTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = master.Close() })
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return master, slave
}

func TestTorrentShowPrintsForPeople(t *testing.T) {
	inFolder(t, map[string]string{"photos/a.jpg": "aa", "photos/b/c.jpg": "c"})
	_, _, err := runTorrent(t.Context(), "create", "photos", "-a", "udp://a.example:1,udp://b.example:1", "-a", "udp://c.example:1", "--no-date", "--comment", "hello")
	if err != nil {
		t.Fatal(err)
	}
	stdout, _, err := runTorrent(t.Context(), "show", "photos.torrent")
	if err != nil {
		t.Fatal(err)
	}
	m := mustRead(t, "photos.torrent")
	want := `Name          photos
Info hash     ` + m.InfoHash().String() + `
Version       1
Size          3 B (3 bytes) in 2 files
Pieces        1 of 16 KiB
Private       no
Comment       hello
Created by    waggle ` + version + `
Tracker 1     udp://a.example:1
Tracker 1     udp://b.example:1
Tracker 2     udp://c.example:1
Magnet        ` + m.Magnet() + `
Files
         2 B  a.jpg
         1 B  b/c.jpg
`
	if stdout != want {
		t.Errorf("have\n%s\nwant\n%s", stdout, want)
	}
}

func TestTorrentShowPrintsJSONWithStableNames(t *testing.T) {
	inFolder(t, map[string]string{"a": "contents"})
	if _, _, err := runTorrent(t.Context(), "create", "a", "-a", "udp://a.example:1", "--private", "--web-seed", "http://s.example/?a&b"); err != nil {
		t.Fatal(err)
	}
	stdout, _, err := runTorrent(t.Context(), "show", "--json", "a.torrent")
	if err != nil {
		t.Fatal(err)
	}
	var have map[string]any
	if err := json.Unmarshal([]byte(stdout), &have); err != nil {
		t.Fatal(err)
	}
	m := mustRead(t, "a.torrent")
	want := map[string]any{
		"name": "a", "info_hash": m.InfoHash().String(), "version": "1", "length": 8.0, "piece_length": 16384.0, "pieces": 1.0,
		"private": true, "created_by": "waggle " + version, "creation_date": m.CreationDate.Format(time.RFC3339),
		"announce_list": []any{[]any{"udp://a.example:1"}}, "web_seeds": []any{"http://s.example/?a&b"}, "magnet": m.Magnet(),
		"files": []any{map[string]any{"path": "a", "length": 8.0}},
	}
	if !reflect.DeepEqual(have, want) {
		t.Errorf("\nhave %v\nwant %v", have, want)
	}
	if !strings.Contains(stdout, "?a&b") {
		t.Error("an ampersand is escaped as if for HTML")
	}
}

func TestTorrentShowPrintsTwentyFilesUnlessAskedForAll(t *testing.T) {
	files := map[string]string{}
	for i := range 23 {
		files[fmt.Sprintf("many/%02d", i)] = "x"
	}
	inFolder(t, files)
	if _, _, err := runTorrent(t.Context(), "create", "many", "-a", "udp://a.example:1"); err != nil {
		t.Fatal(err)
	}
	stdout, _, err := runTorrent(t.Context(), "show", "many.torrent")
	if err != nil || !strings.HasSuffix(stdout, "  19\n  and 3 files more; --files prints all\n") {
		t.Errorf("%v\n%s", err, stdout)
	}
	stdout, _, err = runTorrent(t.Context(), "show", "--files", "many.torrent")
	if err != nil || !strings.HasSuffix(stdout, "  22\n") {
		t.Errorf("%v\n%s", err, stdout)
	}
}

func TestTorrentShowLetsNoTextReachTheTerminalsControls(t *testing.T) {
	inFolder(t, map[string]string{"evil.torrent": "d7:comment8:\x1b[2J\xff\u202e4:infod6:lengthi1e4:name4:\x1b[3J12:piece lengthi1e6:pieces20:01234567890123456789ee"})
	stdout, _, err := runTorrent(t.Context(), "show", "evil.torrent")
	if err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(stdout, "\x1b\u202e") || !strings.Contains(stdout, `Name          "\x1b[3J"`) {
		t.Errorf("printed %q", stdout)
	}
}

func TestTorrentShowSaysWhatIsWrongWithAFile(t *testing.T) {
	inFolder(t, map[string]string{"text.torrent": "hello"})
	for path, want := range map[string]string{
		"text.torrent": "text.torrent: broken .torrent file: bencode: ",
		"absent":       "absent: no such file",
		".":            ".: is a folder",
	} {
		stdout, _, err := runTorrent(t.Context(), "show", path)
		var usage usageError
		if err == nil || !strings.HasPrefix(err.Error(), want) || errors.As(err, &usage) || stdout != "" {
			t.Errorf("%s: error %v, want %q; stdout %q", path, err, want, stdout)
		}
	}
}

// wantNames checks the names in a folder, which are sorted.
func wantNames(t *testing.T, folder string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, entry := range entries {
		have = append(have, entry.Name())
	}
	if !reflect.DeepEqual(have, want) {
		t.Errorf("in the folder are %q, want %q", have, want)
	}
}
