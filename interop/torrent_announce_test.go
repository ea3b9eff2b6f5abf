package interop

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// libtorrentMakesMany makes sys.argv[2] torrents of each version in the folder
// sys.argv[1], with all that may stand in an info dictionary and around it. It is
// what qBittorrent and Deluge make torrents with.
const libtorrentMakesMany = `
import os, sys
import libtorrent as lt

folder, count = sys.argv[1], int(sys.argv[2])
flags = {"v1": lt.create_torrent.v1_only, "v2": lt.create_torrent.v2_only, "hybrid": 0}
for version, flag in flags.items():
    below = os.path.join(folder, version)
    os.makedirs(below)
    for i in range(count):
        data = os.path.join(folder, "data")
        with open(data, "wb") as f:
            f.write(f"{os.path.basename(folder)} {version} {i} ".encode() * (i * 30 + 1))
        files = lt.file_storage()
        lt.add_files(files, data)
        t = lt.create_torrent(files, 16384, flag)
        for j in range(i % 4):
            t.add_tracker(f"http://127.0.0.1:1/{j}/announce", j // 2)
        if i % 2: t.set_comment(f"comment ü {i}")
        if i % 3: t.set_creator(f"creator {i}")
        if i % 5 == 0: t.set_priv(True)
        if i % 6 == 0: t.add_url_seed("http://127.0.0.1:1/")
        if i % 7 == 0: t.add_node("127.0.0.1", 1)
        lt.set_piece_hashes(t, folder)
        made = t.generate()
        if i % 4 == 0: made[b"info"][b"source"] = b"a source"
        with open(os.path.join(below, f"{i}.torrent"), "wb") as f:
            f.write(lt.bencode(made))
os.remove(data)
`

// libtorrentReadsMany prints, of each torrent below sys.argv[1], its hashes, those
// of its info dictionary's bytes and of all that stands beside it but trackers,
// and its trackers.
const libtorrentReadsMany = `
import hashlib, json, os, sys
import libtorrent as lt

found = {}
for folder, _, names in os.walk(sys.argv[1]):
    for name in names:
        path = os.path.join(folder, name)
        raw = open(path, "rb").read()
        info = lt.torrent_info(path)
        hashes, section = info.info_hashes(), info.info_section()
        assert section in raw
        beside = lt.bdecode(raw)
        for key in b"info", b"announce", b"announce-list":
            beside.pop(key, None)
        found[os.path.relpath(path, sys.argv[1])] = {
            "V1": str(hashes.v1) if hashes.has_v1() else "", "V2": str(hashes.v2) if hashes.has_v2() else "",
            "Info": hashlib.sha256(section).hexdigest(),
            "Beside": hashlib.sha256(lt.bencode(beside)).hexdigest(),
            "Trackers": sorted(f"{t.tier} {t.url}" for t in info.trackers()),
        }
print(json.dumps(found))
`

// announced is what libtorrentReadsMany prints of a torrent.
type announced struct {
	V1, V2       string
	Info, Beside string
	Trackers     []string
}

func libtorrentReads(t *testing.T, folder string) (found map[string]announced) {
	t.Helper()
	if err := json.Unmarshal([]byte(run(t, python, "-c", libtorrentReadsMany, folder)), &found); err != nil {
		t.Fatal(err)
	}
	return found
}

// mktorrentMakesMany makes torrents of version 1 in a folder below dir.
func mktorrentMakesMany(t *testing.T, dir string, count int) {
	t.Helper()
	below := filepath.Join(dir, "mktorrent")
	if err := os.Mkdir(below, 0o755); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	for i := range count {
		if err := os.WriteFile(data, []byte(strings.Repeat(fmt.Sprint("mktorrent ", i), i*50+1)), 0o644); err != nil {
			t.Fatal(err)
		}
		command := []string{program(t, "mktorrent", makeTest), "-l", "15", "-o", filepath.Join(below, fmt.Sprint(i, ".torrent"))}
		for tier := range i % 4 {
			command = append(command, "-a", fmt.Sprintf("http://%d.example/announce,udp://%[1]d.example:1", tier))
		}
		if i%2 == 0 {
			command = append(command, "-c", "a comment", "-p")
		}
		if i%3 == 0 {
			command = append(command, "-w", "http://seed.example/")
		}
		run(t, append(command, data)...)
	}
	if err := os.Remove(data); err != nil {
		t.Fatal(err)
	}
}

func TestAThousandTorrentsOfSeveralMakersKeepTheirInfoHash(t *testing.T) {
	t.Parallel()
	libtorrentScript(t) // says so if there is no libtorrent
	dir := t.TempDir()
	mktorrentMakesMany(t, dir, 250)
	run(t, python, "-c", libtorrentMakesMany, filepath.Join(dir, "libtorrent"), "130")
	qBittorrentMakesMany(t, dir, 100, 25)
	before := libtorrentReads(t, dir)
	if len(before) != 250+3*130+3*100+3*20 {
		t.Fatalf("there are %d torrents", len(before))
	}

	out := run(t, waggle(t), "torrent", "announce", dir, "--recursive", "-a", "http://a.example/announce,udp://b.example:1", "-a", "udp://c.example:1")
	if want := "1,000 files: 1,000 changed, 0 unchanged, 0 failed\n"; !strings.HasSuffix(out, want) {
		t.Errorf("it ends with %q, want %q", out[max(0, len(out)-200):], want)
	}
	after := libtorrentReads(t, dir)
	for path, want := range before {
		want.Trackers = []string{"0 http://a.example/announce", "0 udp://b.example:1", "1 udp://c.example:1"}
		if !reflect.DeepEqual(after[path], want) {
			t.Errorf("%s\nhave %+v\nwant %+v", path, after[path], want)
		}
	}
	if len(after) != len(before) {
		t.Errorf("there are %d files, and were %d", len(after), len(before))
	}
}
