package torrent

import (
	"bytes"
	"context"
	"crypto/sha1"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noise returns n bytes that are the same in every run.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	return b
}

// writeTree writes files into a new folder "shared" and returns its path.
func writeTree(t *testing.T, files map[string][]byte) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "shared")
	for path, contents := range files {
		path = filepath.Join(root, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, contents, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func mustCreate(t *testing.T, o CreateOptions) *Metainfo {
	t.Helper()
	b, err := Create(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// piecesOf returns the hashes that a torrent holds.
func piecesOf(t *testing.T, m *Metainfo) []byte {
	t.Helper()
	i := bytes.Index(m.Info(), []byte("6:pieces"))
	_, pieces, ok := bytes.Cut(m.Info()[i+len("6:pieces"):], []byte(":"))
	if i < 0 || !ok {
		t.Fatal("no pieces")
	}
	return pieces[:m.PieceCount*sha1.Size]
}

func hashesOf(b []byte, pieceLength int) (sums []byte) {
	for piece := range slices.Chunk(b, pieceLength) {
		sum := sha1.Sum(piece)
		sums = append(sums, sum[:]...)
	}
	return sums
}

func TestCreatedTorrentOfAFileSaysWhatWasAsked(t *testing.T) {
	contents := noise(100_000)
	root := writeTree(t, map[string][]byte{"image.iso": contents})
	o := CreateOptions{
		Path:        filepath.Join(root, "image.iso"),
		PieceLength: 32 << 10,
		Announce:    [][]string{{"udp://a.example:1", "http://b.example/announce"}, {"wss://c.example"}},
		WebSeeds:    []string{"https://d.example/image.iso"},
		Private:     true, Source: "SRC", Comment: "cömment", CreatedBy: "a test",
		CreationDate: time.Date(2026, 1, 2, 3, 4, 5, 678, time.FixedZone("", 3600)),
	}
	m := mustCreate(t, o)
	want := &Metainfo{
		Version: V1, InfoHashV1: sha1.Sum(m.Info()), Name: "image.iso", Files: []File{{"image.iso", 100_000}}, Length: 100_000,
		PieceLength: 32 << 10, PieceCount: 4, Private: true, Source: "SRC", Announce: "udp://a.example:1",
		AnnounceList: o.Announce, WebSeeds: o.WebSeeds, Comment: "cömment", CreatedBy: "a test",
		CreationDate: time.Date(2026, 1, 2, 2, 4, 5, 0, time.UTC), info: m.info,
	}
	if !reflect.DeepEqual(m, want) {
		t.Errorf("\nhave %+v\nwant %+v", m, want)
	}
	if !bytes.Equal(piecesOf(t, m), hashesOf(contents, 32<<10)) {
		t.Error("other piece hashes")
	}
}

func TestCreatedTorrentOfAFolderIsSortedByParts(t *testing.T) {
	big := noise(700_000)
	root := writeTree(t, map[string][]byte{
		"b": big, "a/z": []byte("az"), "a.txt": []byte("atxt"), "a/.hidden": []byte("h"), "c/empty": nil, "B": []byte("B"),
	})
	m := mustCreate(t, CreateOptions{Path: root, PieceLength: 64 << 10})
	want := []File{{"B", 1}, {"a/.hidden", 1}, {"a/z", 2}, {"a.txt", 4}, {"b", 700_000}, {"c/empty", 0}}
	if !m.Folder || m.Name != "shared" || !slices.Equal(m.Files, want) {
		t.Errorf("%+v", m)
	}
	if all := append([]byte("Bhazatxt"), big...); !bytes.Equal(piecesOf(t, m), hashesOf(all, 64<<10)) {
		t.Error("other piece hashes")
	}
}

func TestPieceHashesDoNotDependOnHowFilesAndWorkersShareThem(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		root := t.TempDir()
		all := noise(rapid.IntRange(1, 200_000).Draw(r, "bytes"))
		for rest, i := all, 0; len(rest) > 0; i++ {
			n := rapid.IntRange(0, len(rest)).Draw(r, "file")
			if i == 20 {
				n = len(rest)
			}
			name := string(rune('a'+i)) + ".bin"
			if err := os.WriteFile(filepath.Join(root, name), rest[:n], 0o600); err != nil {
				r.Fatal(err)
			}
			rest = rest[n:]
		}
		b, err := Create(t.Context(), CreateOptions{Path: root, PieceLength: 16 << 10, Workers: rapid.IntRange(1, 5).Draw(r, "workers")})
		if err != nil {
			r.Fatal(err)
		}
		m, err := Parse(b)
		if err != nil {
			r.Fatal(err)
		}
		if !bytes.Equal(piecesOf(t, m), hashesOf(all, 16<<10)) {
			r.Fatal("other piece hashes")
		}
	})
}

func TestSameFilesAndOptionsGiveTheSameBytes(t *testing.T) {
	files := map[string][]byte{"a": noise(50_000), "b/c": []byte("c"), "b/d": []byte("d")}
	var made [][]byte
	for range 2 {
		b, err := Create(t.Context(), CreateOptions{Path: writeTree(t, files), Announce: [][]string{{"udp://a.example:1"}}})
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, b)
	}
	if !bytes.Equal(made[0], made[1]) {
		t.Error("two torrents of the same files differ")
	}
}

func TestCreateWritesNoKeyThatHasNothingToSay(t *testing.T) {
	root := writeTree(t, map[string][]byte{"a": []byte("a")})
	b, err := Create(t.Context(), CreateOptions{Path: filepath.Join(root, "a")})
	want := "d4:infod6:lengthi1e4:name1:a12:piece lengthi16384e6:pieces20:" + string(hashesOf([]byte("a"), 1)) + "ee"
	if err != nil || string(b) != want {
		t.Errorf("%v\nhave %q\nwant %q", err, b, want)
	}
}

func TestPieceLengthMakesAThousandToTwoThousandPieces(t *testing.T) {
	for _, tt := range []struct{ total, want int64 }{
		{1, 16 << 10},
		{32 << 20, 16 << 10},
		{32<<20 + 1, 32 << 10},
		{1 << 30, 512 << 10},
		{16 << 30, 8 << 20},
		{16<<30 + 1, 16 << 20},
		{1 << 50, 16 << 20},
	} {
		if got := PieceLengthFor(tt.total); got != tt.want {
			t.Errorf("%d bytes: pieces of %d, want %d", tt.total, got, tt.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.Int64Range(16<<20, 32<<30).Draw(t, "total")
		if n := pieceCount(total, PieceLengthFor(total)); n < 1024 || n > 2048 {
			t.Fatalf("%d bytes: %d pieces", total, n)
		}
	})
}

func TestProgressGoesFromNothingToAll(t *testing.T) {
	root := writeTree(t, map[string][]byte{"a": noise(1_000_000), "b": noise(1)})
	var told []int64
	mustCreate(t, CreateOptions{Path: root, Workers: 4, Progress: func(hashed, total int64) {
		if total != 1_000_001 {
			t.Errorf("total %d", total)
		}
		told = append(told, hashed)
	}})
	if told[0] != 0 || told[len(told)-1] != 1_000_001 || !slices.IsSorted(told) {
		t.Errorf("told %v", told)
	}
}

func TestCancelledCreateStopsAndLeavesNothingBehind(t *testing.T) {
	root := writeTree(t, map[string][]byte{"a": noise(5_000_000)})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last int64
	_, err := Create(ctx, CreateOptions{Path: root, Workers: 3, Progress: func(hashed, _ int64) {
		if hashed > 0 {
			cancel()
		}
		last = hashed
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if last > 4*readSize {
		t.Errorf("went on to byte %d", last)
	}
	if _, err := Create(ctx, CreateOptions{Path: root}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: error %v", err)
	}
	goleak.VerifyNone(t)
}

func TestFileThatChangesWhileItIsReadIsNamed(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"grows":    func(path string) error { return appendTo(path, "more") },
		"shrinks":  func(path string) error { return os.Truncate(path, 10) },
		"vanishes": os.Remove,
		"is written in place": func(path string) error {
			return errors.Join(os.WriteFile(path, noise(300_000), 0o600), os.Chtimes(path, time.Time{}, time.Unix(1, 0)))
		},
		"is replaced by one with its size and time": func(path string) error {
			stat, err := os.Stat(path)
			other := path + ".other"
			return errors.Join(err, os.WriteFile(other, noise(300_000), 0o600),
				os.Chtimes(other, time.Time{}, stat.ModTime()), os.Rename(other, path))
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, below := range []string{"", "b.bin"} {
				root := writeTree(t, map[string][]byte{"a.bin": noise(10), "b.bin": noise(300_000), "c.bin": noise(10)})
				changed := filepath.Join(root, "b.bin")
				_, err := Create(t.Context(), CreateOptions{Path: filepath.Join(root, below), Progress: func(hashed, _ int64) {
					if hashed == 0 {
						if err := change(changed); err != nil {
							t.Error(err)
						}
					}
				}})
				if err == nil || !strings.HasPrefix(err.Error(), changed+": ") {
					t.Errorf("error %v, want one that names %s", err, changed)
				}
			}
		})
	}
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

func TestFileThatChangesAfterItWasReadIsNamed(t *testing.T) {
	root := writeTree(t, map[string][]byte{"a.bin": noise(16 << 10), "b.bin": noise(1)})
	_, err := Create(t.Context(), CreateOptions{Path: root, Progress: func(hashed, total int64) {
		if hashed == total {
			if err := appendTo(filepath.Join(root, "a.bin"), "more"); err != nil {
				t.Error(err)
			}
		}
	}})
	if err == nil || !strings.Contains(err.Error(), "a.bin: has changed") {
		t.Errorf("error %v", err)
	}
}

func TestWhatCannotBeSharedIsNamedWithTheReason(t *testing.T) {
	link := func(target, name string) func(*testing.T, string) {
		return func(t *testing.T, root string) {
			if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, tt := range []struct {
		name    string
		arrange func(t *testing.T, root string)
		path    string // below root
		want    string
	}{
		{"absent", nil, "absent", "there is no such file or folder"},
		{"empty file", nil, "empty", "the file is empty"},
		{"folder without files", nil, "folder/none", "no file in the folder"},
		{"folder of empty files", nil, "folder", "all files in the folder are empty"},
		{"dangling link", link("nowhere", "folder/x"), "folder", "x: is a symbolic link that leads nowhere"},
		{"link in a circle", link("x", "folder/x"), "folder", "x: is a symbolic link that leads nowhere, in a circle"},
		{"link out", link("../empty", "folder/x"), "folder", "x: is a symbolic link that leads nowhere, in a circle or out of the folder"},
		{"absolute link", link("/etc/passwd", "folder/x"), "folder", "out of the folder"},
		{"link to a folder", link("none", "folder/x"), "folder", "x: is a symbolic link to a folder"},
		{"path that is a dangling link", link("nowhere", "x"), "x", "there is no such file or folder"},
		{"named pipe", func(t *testing.T, root string) {
			if err := syscall.Mkfifo(filepath.Join(root, "folder", "x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "folder", "x: is a named pipe"},
		{"socket", func(t *testing.T, root string) {
			l, err := net.Listen("unix", filepath.Join(root, "s"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = l.Close() })
		}, "s", "s: is a socket"},
		{"device", nil, "../../../../../../../../dev/null", "is a device"},
		{"name that is not UTF-8", func(t *testing.T, root string) {
			if err := os.WriteFile(filepath.Join(root, "folder", "\xff"), []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "folder", "is not UTF-8; rename it"},
		{"name with a backslash", func(t *testing.T, root string) {
			if err := os.WriteFile(filepath.Join(root, "folder", `a\b`), []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "folder", "separator of folders in it; rename it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := writeTree(t, map[string][]byte{"empty": nil, "folder/empty": nil})
			if err := os.Mkdir(filepath.Join(root, "folder", "none"), 0o700); err != nil {
				t.Fatal(err)
			}
			if tt.arrange != nil {
				tt.arrange(t, root)
			}
			_, err := Create(t.Context(), CreateOptions{Path: filepath.Join(root, tt.path)})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestLinksToFilesWithinTheFolderAreShared(t *testing.T) {
	root := writeTree(t, map[string][]byte{"sub/a": []byte("aa"), "b": []byte("b")})
	if err := os.Symlink(filepath.Join("sub", "a"), filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(t.TempDir(), "other name")
	if err := os.Symlink(root, outside); err != nil {
		t.Fatal(err)
	}
	m := mustCreate(t, CreateOptions{Path: outside})
	if want := []File{{"b", 1}, {"link", 2}, {"sub/a", 2}}; m.Name != "other name" || !slices.Equal(m.Files, want) {
		t.Errorf("%s: %v", m.Name, m.Files)
	}
}

func TestFolderOfTheWorkingDirectoryHasItsName(t *testing.T) {
	root := writeTree(t, map[string][]byte{"a": []byte("a")})
	t.Chdir(root)
	if m := mustCreate(t, CreateOptions{Path: "."}); m.Name != "shared" {
		t.Errorf("name %q", m.Name)
	}
}

func TestWrongCreateOptionsAreRefused(t *testing.T) {
	announce := func(u string) CreateOptions { return CreateOptions{Path: "x", Announce: [][]string{{u}}} }
	for _, tt := range []struct {
		options CreateOptions
		want    string
	}{
		{CreateOptions{}, "no path"},
		{CreateOptions{Path: "x", Name: "a/b"}, "separator"},
		{CreateOptions{Path: "x", Name: "\xff"}, "not UTF-8"},
		{CreateOptions{Path: "x", PieceLength: 8192}, "not a power of two from 16 KiB"},
		{CreateOptions{Path: "x", PieceLength: 1_000_000}, "not a power of two"},
		{CreateOptions{Path: "x", PieceLength: 256 << 20}, "to 128 MiB"},
		{CreateOptions{Path: "x", PieceLength: -16384}, "not a power of two"},
		{CreateOptions{Path: "x", Announce: [][]string{{}}}, "names no tracker"},
		{CreateOptions{Path: "x", Comment: "\xff"}, "not UTF-8"},
		{CreateOptions{Path: "x", WebSeeds: []string{"udp://x:1"}}, "web seed: "},
		{announce(""), "want a URL that begins with one of udp://, http://"},
		{announce("tracker.example:6969"), "begins with one of"},
		{announce("gopher://tracker.example"), "begins with one of"},
		{announce("http:///announce"), "names no host"},
		{announce("http://:80/announce"), "names no host"},
		{announce("udp://tracker.example"), "needs a port, such as udp://tracker.example:6969"},
		{announce("udp://tracker.example:0"), "port 0"},
		{announce("udp://tracker.example:65536"), "port 65536"},
		{announce("http://tracker.example/a b"), "space"},
		{announce("http://tracker.example/\n"), "not a URL"},
		{announce("http://[::1/announce"), "not a URL"},
	} {
		if err := tt.options.Check(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: error %v, want one with %q", tt.options, err, tt.want)
		}
		if _, err := Create(t.Context(), tt.options); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: Create has error %v, want one with %q", tt.options, err, tt.want)
		}
	}
	for _, u := range []string{"udp://[::1]:6969", "udp://[ff02::69%eth0]:6969", "udp://[ff02::69%25eth0]:6969", "http://t.example/announce?k=1", "https://t.example", "ws://t.example:80/", "wss://t.example"} {
		if err := CheckTrackerURL(u); err != nil {
			t.Error(err)
		}
	}
}

func TestTooManyPiecesAskForALargerSizeBeforeHashing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sparse")
	for _, tt := range []struct {
		version Version
		pieces  int64
		want    string
	}{
		{V1, maxPieces + 1, "2097152 is the limit; give a larger piece size"},
		{V2, maxPieces + 1, "2097152 is the limit; give a larger piece size"},
		{Hybrid, MaxFileSize/52 + 1, "larger than 64 MiB; give a larger piece size"},
	} {
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(f.Truncate(tt.pieces*minPieceLength), f.Close()); err != nil {
			t.Fatal(err)
		}
		_, err = Create(t.Context(), CreateOptions{
			Path: path, PieceLength: minPieceLength, Version: tt.version,
			Progress: func(int64, int64) { t.Fatal("hashing has begun") },
		})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("version %v: error %v, want one with %q", tt.version, err, tt.want)
		}
	}
}
