package torrent

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"waggle/bittorrent"
)

// slowRoot is the root of a hash tree, built leaf by leaf and as wide as told.
func slowRoot(b []byte, width int) (root node) {
	if width == 1 {
		if len(b) > 0 {
			root = sha256.Sum256(b)
		}
		return root
	}
	half := min(len(b), width/2*blockSize)
	left, right := slowRoot(b[:half], width/2), slowRoot(b[half:], width/2)
	return sha256.Sum256(slices.Concat(left[:], right[:]))
}

// slowTree returns what BEP 52 has a torrent say of a file: the root of its tree,
// and the layer of it at which a node is a piece, if the file has several.
func slowTree(b []byte, pieceLength int) (root node, layer []byte) {
	width := 1
	for width*blockSize < len(b) {
		width *= 2
	}
	if len(b) > pieceLength {
		for piece := range slices.Chunk(b, pieceLength) {
			root := slowRoot(piece, pieceLength/blockSize)
			layer = append(layer, root[:]...)
		}
	}
	return slowRoot(b, width), layer
}

// saysOf returns what a torrent of version 2 says of the file at a path.
func saysOf(t rapid.TB, torrent []byte, path string) (root, layer []byte) {
	t.Helper()
	value, err := bittorrent.ParseBencode(torrent)
	if err != nil {
		t.Fatal(err)
	}
	layers := child(value, "piece layers")
	if layers.Kind() != bittorrent.KindDict {
		t.Fatal("there is no dictionary of piece layers")
	}
	value = child(child(value, "info"), "file tree")
	for _, part := range strings.Split(path, "/") {
		value = child(value, part)
	}
	root, _ = child(child(value, ""), "pieces root").Bytes()
	layer, _ = child(layers, string(root)).Bytes()
	return root, layer
}

// drawnFiles returns files of lengths at which blocks and pieces begin or end.
func drawnFiles(t *rapid.T, pieceLength int) map[string][]byte {
	files := map[string][]byte{}
	lengths := rapid.OneOf(
		rapid.IntRange(0, 3),
		rapid.Map(rapid.IntRange(0, 9*pieceLength/blockSize), func(n int) int { return n * blockSize }),
		rapid.IntRange(0, 5*pieceLength),
	)
	for _, path := range []string{"a", "b/a", "b/c", "b.c", "d"} {
		if rapid.Bool().Draw(t, path) {
			files[path] = noise(lengths.Draw(t, "length"))
		}
	}
	files["last"] = noise(rapid.IntRange(1, 2*pieceLength).Draw(t, "last"))
	return files
}

func TestHashTreesAreThoseOfBEP52(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		pieceLength := blockSize << rapid.IntRange(0, 3).Draw(r, "piece length")
		files := drawnFiles(r, pieceLength)
		root := t.TempDir()
		for path, contents := range files {
			path = filepath.Join(root, path)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, contents, 0o600)); err != nil {
				r.Fatal(err)
			}
		}
		version := rapid.SampledFrom([]Version{V2, Hybrid}).Draw(r, "version")
		workers := rapid.IntRange(1, 4).Draw(r, "workers")
		b, err := Create(t.Context(), CreateOptions{Path: root, Version: version, PieceLength: int64(pieceLength), Workers: workers})
		if err != nil {
			r.Fatal(err)
		}
		m, err := Parse(b)
		if err != nil {
			r.Fatal(err)
		}
		if m.Version != version || !m.Folder || len(m.Files) != len(files) {
			r.Fatalf("%+v", m)
		}
		var padded []byte
		for _, file := range m.Files {
			contents := files[file.Path]
			wantTree(r, b, file.Path, contents, pieceLength)
			padded = append(padded, contents...)
			if version == Hybrid && len(files) > 1 {
				padded = append(padded, make([]byte, -len(padded)&(pieceLength-1))...)
			}
		}
		if version == Hybrid && !bytes.Contains(m.Info(), hashesOf(padded, pieceLength)) {
			r.Fatal("other piece hashes of version 1")
		}
	})
}

func wantTree(t *rapid.T, torrent []byte, path string, contents []byte, pieceLength int) {
	t.Helper()
	var want []byte
	wantRoot, wantLayer := slowTree(contents, pieceLength)
	if len(contents) > 0 {
		want = wantRoot[:]
	}
	if root, layer := saysOf(t, torrent, path); !bytes.Equal(root, want) || !bytes.Equal(layer, wantLayer) {
		t.Fatalf("%s, %d bytes: root %x, layer %x; want %x, %x", path, len(contents), root, layer, want, wantLayer)
	}
}

func TestTorrentOfOneFileIsMadeInEveryVersion(t *testing.T) {
	contents := noise(100_000)
	path := filepath.Join(writeTree(t, map[string][]byte{"image.iso": contents}), "image.iso")
	for _, version := range []Version{V1, V2, Hybrid} {
		o := CreateOptions{Path: path, Version: version, PieceLength: 32 << 10, Private: true, Source: "SRC", Comment: "hello"}
		m := mustCreate(t, o)
		want := &Metainfo{
			Version: version, Name: "image.iso", Files: []File{{"image.iso", 100_000}}, Length: 100_000,
			PieceLength: 32 << 10, PieceCount: 4, Private: true, Source: "SRC", Comment: "hello", info: m.info,
		}
		if version != V2 {
			want.InfoHashV1 = sha1.Sum(m.Info())
			if !bytes.Equal(piecesOf(t, m), hashesOf(contents, 32<<10)) {
				t.Errorf("version %v: other piece hashes", version)
			}
		}
		if version != V1 {
			want.InfoHashV2 = sha256.Sum256(m.Info())
		}
		if !reflect.DeepEqual(m, want) {
			t.Errorf("\nhave %+v\nwant %+v", m, want)
		}
	}
}

func TestFilesWithTheSameContentsShareALayer(t *testing.T) {
	twice := noise(50_000)
	root := writeTree(t, map[string][]byte{"a": twice, "b": twice, "c": noise(40_000)})
	b, err := Create(t.Context(), CreateOptions{Path: root, Version: V2, PieceLength: 16 << 10})
	if err != nil {
		t.Fatal(err)
	}
	value, err := bittorrent.ParseBencode(b)
	if err != nil {
		t.Fatal(err)
	}
	var keys [][]byte
	for key := range child(value, "piece layers").Dict() {
		keys = append(keys, key)
	}
	if len(keys) != 2 || bytes.Compare(keys[0], keys[1]) >= 0 {
		t.Errorf("layers under %x", keys)
	}
}

func TestEveryVersionGivesTheSameBytesAgain(t *testing.T) {
	files := map[string][]byte{"a": noise(50_000), "b/c": []byte("c"), "b/d": []byte("d")}
	for _, version := range []Version{V1, V2, Hybrid} {
		var made [][]byte
		for workers := range 3 {
			b, err := Create(t.Context(), CreateOptions{Path: writeTree(t, files), Version: version, Workers: workers + 1})
			if err != nil {
				t.Fatal(err)
			}
			made = append(made, b)
		}
		if !bytes.Equal(made[0], made[1]) || !bytes.Equal(made[0], made[2]) {
			t.Errorf("version %v: torrents of the same files differ", version)
		}
	}
}

func TestHybridIsReadOnce(t *testing.T) {
	root := writeTree(t, map[string][]byte{"a": noise(100_000), "b": noise(1)})
	var told []int64
	mustCreate(t, CreateOptions{Path: root, Version: Hybrid, Progress: func(hashed, _ int64) { told = append(told, hashed) }})
	if told[0] != 0 || told[len(told)-1] != 100_001 || !slices.IsSorted(told) {
		t.Errorf("told %v", told)
	}
}

func TestCancelledHybridStopsWithinPadding(t *testing.T) {
	root := writeTree(t, map[string][]byte{"a": noise(1), "b": noise(1)})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := Create(ctx, CreateOptions{Path: root, Version: Hybrid, PieceLength: 1 << 20, Workers: 1, Progress: func(hashed, _ int64) {
		if hashed == 2 { // all bytes are hashed, and the zeros behind them are not
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	goleak.VerifyNone(t)
}

func TestPathsThatNobodyCouldReadAreRefusedBeforeHashing(t *testing.T) {
	deep := func(folders int) string { return strings.Repeat("f/", folders) + "file" }
	for _, tt := range []struct {
		name    string
		version Version
		path    string
		want    string // "": it is made
	}{
		{"59 folders", V2, deep(59), ""},
		{"60 folders", V2, deep(60), "in more than 59 folders within each other"},
		{"60 folders of a hybrid", Hybrid, deep(60), "in more than 59 folders"},
		{"60 folders of version 1", V1, deep(60), ""},
		{"nothing but a file of the torrent's name", V2, "shared", "is read as the file alone"},
		{"the same of a hybrid", Hybrid, "shared", "is read as the file alone"},
		{"the same of version 1", V1, "shared", ""},
		{"a file of the torrent's name in a folder", V2, "x/shared", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			hashed := false
			b, err := Create(t.Context(), CreateOptions{
				Path: writeTree(t, map[string][]byte{tt.path: []byte("x")}), Version: tt.version,
				Progress: func(int64, int64) { hashed = true },
			})
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) || hashed {
					t.Errorf("error %v, want one with %q; hashed: %v", err, tt.want, hashed)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			m, err := Parse(b)
			if err != nil || !m.Folder || m.Files[0].Path != tt.path {
				t.Errorf("%v: %+v", err, m)
			}
		})
	}
}

func TestUnknownVersionIsRefused(t *testing.T) {
	o := CreateOptions{Path: "x", Version: Hybrid + 1}
	if err := o.Check(); err == nil || !strings.Contains(err.Error(), "none of 1, 2 and hybrid") {
		t.Errorf("error %v", err)
	}
}

func TestManySmallFilesCountAsPiecesEach(t *testing.T) {
	files := map[string][]byte{}
	for i := range 300 {
		files[fmt.Sprintf("%d/%d", i%7, i)] = []byte{byte(i)}
	}
	root := writeTree(t, files)
	for version, want := range map[Version]int64{V1: 1, V2: 300, Hybrid: 300} {
		if m := mustCreate(t, CreateOptions{Path: root, Version: version}); m.PieceCount != want || len(m.Files) != 300 {
			t.Errorf("version %v: %d pieces of %d files, want %d", version, m.PieceCount, len(m.Files), want)
		}
	}
}
