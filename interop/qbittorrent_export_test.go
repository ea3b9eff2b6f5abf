package interop

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// libtorrentShows is a peer that has no data, only the info dictionaries of the
// public torrents below the folder sys.argv[1]: nobody shows those of private
// ones (BEP 27). It prints a magnet for each, which names the peer itself, then
// an empty line, and serves until SIGTERM.
const libtorrentShows = `
import os, signal, sys
import libtorrent as lt

session = lt.session({
    "listen_interfaces": "127.0.0.1:0", "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
    "allow_multiple_connections_per_ip": True,
}, lt.session_flags_t.add_default_plugins)
for folder, _, names in os.walk(sys.argv[1]):
    for name in names:
        info = lt.torrent_info(os.path.join(folder, name))
        if info.priv(): continue
        print(f"{lt.make_magnet_uri(info)}&x.pe=127.0.0.1:{session.listen_port()}")
        session.add_torrent({"ti": info, "save_path": sys.argv[1], "trackers": [], "flags": lt.torrent_flags.override_trackers})
print(flush=True)
signal.pause()
`

// qBittorrentMakesMany has qBittorrent write torrents of each version, in a folder
// below dir. Of what it was given as a .torrent there are added of each, with
// tiers of trackers that it was told of. Of those that it knows by magnet, and had
// from a peer, there are magnets of each, without those that are private: four in
// five.
//
// These are its exports. A maker of torrents, and orders for it, are in
// qbittorrent-nox from version 5.0; those before have it in their windows only.
// An export is put together anew, in the same way: around the info dictionary is
// what qBittorrent knows of the torrent.
func qBittorrentMakesMany(t *testing.T, dir string, added, magnets int) {
	t.Helper()
	q := launchQBittorrent(t, loopback4)
	q.quit = syscall.SIGKILL // of SIGTERM it once did not end for 20 s; nothing that it would save is wanted
	given := filepath.Join(t.TempDir(), "added")
	run(t, python, "-c", libtorrentMakesMany, given, fmt.Sprint(added))
	fields := map[string]string{"savepath": t.TempDir(), "skip_checking": "true", "paused": "true", "stopped": "true"} // stopped: since 5.0
	q.add(t, fields, torrentsBelow(t, given)...)
	for i, hash := range q.hashes(t, 3*added) {
		trackers := fmt.Sprintf("udp://127.0.0.1:1/%d\n\nhttp://127.0.0.1:1/%[1]d\nhttp://[::1]:1/announce", i)
		if _, err := q.post("/torrents/addTrackers", url.Values{"hash": {hash}, "urls": {trackers}}); err != nil {
			t.Fatal(err)
		}
	}

	// Without the data it knows no hashes of a file's pieces, and exports of
	// version 2 only files that have no more than one.
	shown := filepath.Join(t.TempDir(), "shown")
	run(t, python, "-c", libtorrentMakesMany, shown, fmt.Sprint(magnets))
	urls := magnetsOf(t, shown)
	q.add(t, map[string]string{"savepath": t.TempDir(), "stopCondition": "MetadataReceived", "urls": strings.Join(urls, "\n")})

	to := filepath.Join(dir, "qBittorrent")
	if err := os.Mkdir(to, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, hash := range q.hashes(t, 3*added+len(urls)) {
		if err := os.WriteFile(filepath.Join(to, hash+".torrent"), q.export(t, hash), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// magnetsOf starts the peer that shows the torrents below folder, and returns
// their magnets.
func magnetsOf(t *testing.T, folder string) []string {
	t.Helper()
	p := start(t, loopback4, "libtorrent", python, "-c", libtorrentShows, folder)
	var lines []string
	eventually(t, patience, "libtorrent shows torrents", func() error {
		if err := p.alive(); err != nil {
			return err
		}
		if lines = p.stdout.lines(); len(lines) == 0 || lines[len(lines)-1] != "" {
			return fmt.Errorf("it has said %d lines", len(lines))
		}
		return nil
	})
	return lines[:len(lines)-1]
}

// torrentsBelow returns the paths of all .torrent files below a folder.
func torrentsBelow(t *testing.T, folder string) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		if filepath.Ext(path) == ".torrent" {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// hashes waits until qBittorrent has so many torrents, and returns what it knows
// them by.
func (q *qBittorrent) hashes(t *testing.T, count int) (hashes []string) {
	t.Helper()
	eventually(t, patience, fmt.Sprintf("qBittorrent has %d torrents", count), func() error {
		body, err := q.get("/torrents/info")
		if err != nil {
			return err
		}
		var torrents []struct{ Hash string }
		if err := json.Unmarshal(body, &torrents); err != nil {
			return err
		}
		if len(torrents) != count {
			return fmt.Errorf("it has %d", len(torrents))
		}
		for _, torrent := range torrents {
			hashes = append(hashes, torrent.Hash)
		}
		return nil
	})
	return hashes
}

// export returns the .torrent that qBittorrent writes for one that it has. Of a
// magnet there is none before a peer has shown the info dictionary.
func (q *qBittorrent) export(t *testing.T, hash string) (torrent []byte) {
	t.Helper()
	eventually(t, patience, "qBittorrent exports "+hash, func() (err error) {
		torrent, err = q.get("/torrents/export?hash=" + hash)
		return err
	})
	return torrent
}
