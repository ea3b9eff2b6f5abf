package torrent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"waggle/bittorrent"
)

// run runs a program that "make test" installs and returns its output.
func run(t *testing.T, program string, arguments ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, arguments...).CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		t.Fatalf("%s not found: run make test, which installs it", filepath.Base(program))
	}
	if bytes.Contains(out, []byte("No module named 'libtorrent'")) {
		t.Fatal("python3-libtorrent not found: run make test, which installs it")
	}
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", program, arguments, err, out)
	}
	return out
}

func TestMktorrentMakesTheSameInfoHash(t *testing.T) {
	root := writeTree(t, map[string][]byte{
		"one.bin": noise(1_234_567), "sub/two.bin": noise(345_678), "sub/three.bin": noise(1), "zero.bin": nil,
	})
	for _, tt := range []struct {
		name string
		o    CreateOptions
		args []string
	}{
		{"file", CreateOptions{Path: filepath.Join(root, "one.bin"), PieceLength: 1 << 15}, []string{"-l", "15"}},
		{"folder", CreateOptions{Path: root, PieceLength: 1 << 18}, []string{"-l", "18"}},
		{"private", CreateOptions{Path: root, PieceLength: 1 << 18, Private: true}, []string{"-l", "18", "-p"}},
		{"named", CreateOptions{Path: root, PieceLength: 1 << 20, Name: "other"}, []string{"-l", "20", "-n", "other"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "theirs.torrent")
			args := slices.Concat(tt.args, []string{
				"-a", "udp://a.example:1,http://b.example/announce", "-a", "udp://c.example:1", "-c", "hello",
				"-w", "http://d.example/", "-o", out, tt.o.Path,
			})
			run(t, "mktorrent", args...)
			theirs, err := Read(out)
			if err != nil {
				t.Fatal(err)
			}
			tt.o.Announce = [][]string{{"udp://a.example:1", "http://b.example/announce"}, {"udp://c.example:1"}}
			tt.o.Comment, tt.o.WebSeeds = "hello", []string{"http://d.example/"}
			tt.o.CreatedBy, tt.o.CreationDate = theirs.CreatedBy, theirs.CreationDate
			if ours := mustCreate(t, tt.o); !reflect.DeepEqual(ours, theirs) {
				t.Errorf("\nours   %+v\ntheirs %+v", ours, theirs)
			}
		})
	}
}

func TestLibtorrentMakesTheSameInfoHash(t *testing.T) {
	root := writeTree(t, map[string][]byte{
		"one.bin": noise(1_234_567), "sub/two.bin": noise(345_678), "sub/twin.bin": noise(345_678), "sub/zero.bin": nil,
		"sub.bin": noise(1 << 16), "zwei ü.bin": noise(3), "sub/sub/block.bin": noise(16<<10 + 1), "last": noise(70_000),
	})
	alone := writeTree(t, map[string][]byte{"sub/alone.bin": noise(100_001)})
	for _, version := range []Version{V1, V2, Hybrid} {
		for _, path := range []string{root, filepath.Join(root, "one.bin"), alone} {
			if version == V1 && path == root {
				continue // libtorrent's order of files in version 1 is another
			}
			out := filepath.Join(t.TempDir(), "theirs.torrent")
			run(t, "/usr/bin/python3", "-c", libtorrentMakes, path, out, version.String())
			theirs, err := Read(out)
			if err != nil {
				t.Fatal(err)
			}
			ours := mustCreate(t, CreateOptions{Path: path, Version: version, PieceLength: 1 << 16})
			if !slices.Equal(ours.InfoHashes(), theirs.InfoHashes()) {
				t.Errorf("version %v, %s\nours   %q\ntheirs %q", version, path, ours.Info(), theirs.Info())
			}
		}
	}
}

// libtorrentSays loads a torrent as a real client does and prints what it found.
const libtorrentSays = `
import json, sys
import libtorrent
t = libtorrent.torrent_info(sys.argv[1])
h = t.info_hashes()
print(json.dumps({
    "Name": t.name(), "Length": t.total_size(), "Pieces": t.num_pieces(), "PieceLength": t.piece_length(),
    "V1": str(h.v1) if h.has_v1() else "", "V2": str(h.v2) if h.has_v2() else "", "Private": t.priv(),
    "Trackers": sorted([a.tier, a.url] for a in t.trackers()), # it shuffles each tier, as BEP 12 says
    "Files": [[t.files().file_path(i), t.files().file_size(i)]
        for i in range(t.num_files()) if not t.files().file_flags(i) & libtorrent.file_flags_t.flag_pad_file],
}))
`

// libtorrentMakes makes a torrent of sys.argv[1] at sys.argv[2], of the version
// that sys.argv[3] names.
const libtorrentMakes = `
import os, sys
import libtorrent
path, out, version = sys.argv[1:]
flags = {"1": libtorrent.create_torrent.v1_only, "2": libtorrent.create_torrent.v2_only, "hybrid": 0}[version]
files = libtorrent.file_storage()
libtorrent.add_files(files, path)
t = libtorrent.create_torrent(files, 1 << 16, flags)
t.add_tracker("udp://a.example:1", 0)
libtorrent.set_piece_hashes(t, os.path.dirname(path))
open(out, "wb").write(libtorrent.bencode(t.generate()))
`

// found is what libtorrentSays prints.
type found struct {
	Name        string
	Length      int64
	Pieces      int64
	PieceLength int64
	V1, V2      string
	Private     bool
	Trackers    [][2]any
	Files       [][2]any
}

func libtorrentReads(t *testing.T, path string) (f found) {
	t.Helper()
	if err := json.Unmarshal(run(t, "/usr/bin/python3", "-c", libtorrentSays, path), &f); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestLibtorrentReadsWhatWasMade(t *testing.T) {
	root := writeTree(t, map[string][]byte{"one.bin": noise(1_234_567), "sub/zwei ü.bin": noise(345_678), "zero.bin": nil})
	b, err := Create(t.Context(), CreateOptions{
		Path: root, Private: true, Source: "X", Announce: [][]string{{"udp://a.example:1", "http://b.example/announce"}, {"wss://c.example"}},
		CreationDate: time.Now(), CreatedBy: "a test", Comment: "hello", WebSeeds: []string{"http://d.example/"},
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ours.torrent")
	if err := WriteNew(path, b); err != nil {
		t.Fatal(err)
	}
	ours, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	want := found{
		Name: "shared", Length: 1_234_567 + 345_678, Pieces: ours.PieceCount, PieceLength: 16 << 10, V1: ours.InfoHash().String(), Private: true,
		Trackers: [][2]any{{0.0, "http://b.example/announce"}, {0.0, "udp://a.example:1"}, {1.0, "wss://c.example"}},
		Files:    [][2]any{{"shared/one.bin", 1_234_567.0}, {"shared/sub/zwei ü.bin", 345_678.0}, {"shared/zero.bin", 0.0}},
	}
	if have := libtorrentReads(t, path); !reflect.DeepEqual(have, want) {
		t.Errorf("\nhave %+v\nwant %+v", have, want)
	}
}

func TestWhatLibtorrentMakesIsReadAlike(t *testing.T) {
	root := writeTree(t, map[string][]byte{"one.bin": noise(1_234_567), "sub/two.bin": noise(345_678), "sub/zero.bin": nil, "three.bin": noise(3)})
	for _, version := range []Version{V1, V2, Hybrid} {
		for _, path := range []string{root, filepath.Join(root, "one.bin")} {
			t.Run(strconv.Itoa(int(version))+filepath.Base(path), func(t *testing.T) {
				out := filepath.Join(t.TempDir(), "theirs.torrent")
				run(t, "/usr/bin/python3", "-c", libtorrentMakes, path, out, version.String())
				m, err := Read(out)
				if err != nil {
					t.Fatal(err)
				}
				wantAsLibtorrent(t, m, libtorrentReads(t, out))
				if m.Version != version || m.Folder != (path == root) || !reflect.DeepEqual(m.Trackers(), [][]string{{"udp://a.example:1"}}) {
					t.Errorf("%+v", m)
				}
			})
		}
	}
}

func wantAsLibtorrent(t *testing.T, m *Metainfo, theirs found) {
	t.Helper()
	var length int64
	ours := map[string]int64{}
	for _, file := range m.Files {
		path := file.Path
		if m.Folder {
			path = m.Name + "/" + path
		}
		ours[path] = file.Length
		length += file.Length
	}
	files := map[string]int64{}
	for _, file := range theirs.Files {
		files[file[0].(string)] = int64(file[1].(float64))
	}
	if !reflect.DeepEqual(ours, files) || m.Length != length || m.Name != theirs.Name {
		t.Errorf("%s: files %v, theirs %v of %s", m.Name, ours, files, theirs.Name)
	}
	var v1, v2 string
	if m.InfoHashV1 != (bittorrent.InfoHash{}) {
		v1 = m.InfoHashV1.String()
	}
	if m.InfoHashV2 != (bittorrent.InfoHashV2{}) {
		v2 = m.InfoHashV2.String()
	}
	if v1 != theirs.V1 || v2 != theirs.V2 || m.PieceCount != theirs.Pieces || m.PieceLength != theirs.PieceLength {
		t.Errorf("%+v\ntheirs %+v", m, theirs)
	}
}
