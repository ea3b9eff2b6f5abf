package interop

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// libtorrentChecks loads torrents, has libtorrent read the data of each twice,
// once because it is new and once because it is told to, and prints what it found.
const libtorrentChecks = `
import json, sys, time
import libtorrent as lt

session = lt.session({
    "listen_interfaces": "127.0.0.1:0", "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
    "active_checking": 100,
    "alert_mask": lt.alert.category_t.status_notification | lt.alert.category_t.error_notification,
}, 0)

def wait_until_checked(count):
    deadline = time.monotonic() + 60
    while count > 0:
        if time.monotonic() > deadline:
            sys.exit("libtorrent does not end checking")
        session.wait_for_alert(200)
        for alert in session.pop_alerts():
            if isinstance(alert, lt.torrent_checked_alert):
                count -= 1
            if isinstance(alert, (lt.torrent_error_alert, lt.file_error_alert)):
                sys.exit(alert.message())

handles = []
for torrent, folder in zip(sys.argv[1::2], sys.argv[2::2]):
    handles.append(session.add_torrent({"ti": lt.torrent_info(torrent), "save_path": folder}))
    handles[-1].replace_trackers([])
wait_until_checked(len(handles))
for handle in handles:
    handle.force_recheck()
wait_until_checked(len(handles))

found = []
for handle in handles:
    info = handle.torrent_file()
    hashes, files = info.info_hashes(), info.files()
    found.append({
        "V1": str(hashes.v1) if hashes.has_v1() else "", "V2": str(hashes.v2) if hashes.has_v2() else "",
        "Files": {files.file_path(i): files.file_size(i) for i in range(files.num_files())
            if not files.file_flags(i) & lt.file_flags_t.flag_pad_file},
        "Seeding": handle.status().is_seeding,
    })
print(json.dumps(found))
`

// checked is what libtorrentChecks prints of a torrent.
type checked struct {
	V1, V2  string
	Files   map[string]int64
	Seeding bool
}

func TestLibtorrentSeedsWhatWasMadeInEveryVersion(t *testing.T) {
	t.Parallel()
	libtorrentScript(t) // says so if there is no libtorrent
	dir := t.TempDir()
	files := map[string]int64{"release/a.bin": 300_000, "release/b/c.bin": 1, "release/b/d.bin": 65_536, "release/b.txt": 40_000, "release/empty": 0}
	writeFiles(t, dir, files)
	arguments := []string{python, "-c", libtorrentChecks}
	var want []checked
	for _, version := range []string{"1", "2", "hybrid"} {
		for _, path := range []string{"release", "release/a.bin"} {
			out := filepath.Join(dir, version+filepath.Base(path)+".torrent")
			source := filepath.Join(dir, path)
			run(t, waggle(t), "torrent", "create", source, "-a", "http://127.0.0.1:1/announce", "-o", out, "--version", version, "--piece-size", "32KiB")
			arguments = append(arguments, out, filepath.Dir(source))
			shown := showTorrent(t, out)
			shown.Files, shown.Seeding = files, true
			if path != "release" {
				shown.Files = map[string]int64{"a.bin": files[path]}
			}
			want = append(want, shown)
		}
	}
	var have []checked
	if err := json.Unmarshal([]byte(run(t, arguments...)), &have); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(have, want) {
		t.Errorf("\nhave %+v\nwant %+v", have, want)
	}

	damage(t, filepath.Join(dir, "release", "a.bin"))
	if err := json.Unmarshal([]byte(run(t, arguments...)), &have); err != nil {
		t.Fatal(err)
	}
	for i := range have {
		if have[i].Seeding {
			t.Errorf("libtorrent seeds damaged data as if it were that of %+v", have[i])
		}
	}
}

// writeFiles writes files of pseudo-random bytes, by path and length.
func writeFiles(t *testing.T, dir string, files map[string]int64) {
	t.Helper()
	random := rand.NewChaCha8([32]byte{})
	for path, length := range files {
		path = filepath.Join(dir, path)
		b := make([]byte, length)
		_, _ = random.Read(b)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// damage changes one byte in the middle of a file.
func damage(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// showTorrent returns the info hashes that "waggle torrent show" tells.
func showTorrent(t *testing.T, path string) (hashes checked) {
	t.Helper()
	var shown struct {
		InfoHash   string `json:"info_hash"`
		InfoHashV2 string `json:"info_hash_v2"`
	}
	if err := json.Unmarshal([]byte(run(t, waggle(t), "torrent", "show", "--json", path)), &shown); err != nil {
		t.Fatal(err)
	}
	hashes = checked{V1: shown.InfoHash, V2: shown.InfoHashV2}
	if shown.InfoHashV2 != "" && strings.HasPrefix(shown.InfoHashV2, shown.InfoHash) {
		hashes.V1 = "" // trackers know version 2 by the beginning of its hash
	}
	return hashes
}

func TestLibtorrentTransfersVersion2AndHybrid(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"2", "hybrid"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			tr := startTracker(t, loopback, "--store", "memory:")
			transfer{
				tracker:  tr,
				announce: tr.url(t, "http", ipv4Loopback),
				create: func(t *testing.T, payload, announce, torrent string) {
					t.Helper()
					run(t, waggle(t), "torrent", "create", payload, "-a", announce, "-o", torrent, "--version", version)
				},
				seeder:   placed{startLibtorrent, loopback4},
				fetchers: []placed{{startLibtorrent, loopback4}},
			}.run(t)
		})
	}
}
