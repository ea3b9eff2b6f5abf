package torrent

import (
	"bytes"
	"cmp"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"waggle/bittorrent"
)

// dict and list are bencoded by encode, with sorted keys.
type (
	dict map[string]any
	list []any
)

func encode(dst []byte, value any) []byte {
	switch value := value.(type) {
	case string:
		return bittorrent.AppendString(dst, value)
	case int:
		return bittorrent.AppendInt(dst, int64(value))
	case list:
		dst = append(dst, 'l')
		for _, item := range value {
			dst = encode(dst, item)
		}
		return append(dst, 'e')
	}
	d := value.(dict)
	dst = append(dst, 'd')
	for _, key := range slices.Sorted(maps.Keys(d)) {
		dst = encode(bittorrent.AppendString(dst, key), d[key])
	}
	return append(dst, 'e')
}

// with returns d with other values under some keys; a nil value takes the key away.
func (d dict) with(changes dict) dict {
	d = maps.Clone(d)
	for key, value := range changes {
		d[key] = value
		if value == nil {
			delete(d, key)
		}
	}
	return d
}

func hashes(n int) string { return strings.Repeat("01234567890123456789", n) }

func v1File(path list, length int) dict { return dict{"length": length, "path": path} }

func v2File(length int) dict {
	return dict{"": dict{"length": length, "pieces root": strings.Repeat("r", 32)}}
}

var (
	single = dict{"length": 40000, "name": "image.iso", "piece length": 16384, "pieces": hashes(3)}
	folder = dict{"name": "photos", "piece length": 16384, "pieces": hashes(2), "files": list{
		v1File(list{"a", "b.jpg"}, 20000), v1File(list{"c.jpg"}, 0), v1File(list{"d.jpg"}, 5),
	}}
	version2 = dict{"name": "photos", "piece length": 16384, "meta version": 2, "file tree": dict{
		"a": dict{"b.jpg": v2File(20000)}, "d.jpg": v2File(5),
	}}
	hybrid = version2.with(dict{"pieces": hashes(3), "files": list{
		v1File(list{"a", "b.jpg"}, 20000),
		dict{"attr": "p", "length": 12768, "path": list{".pad", "12768"}},
		v1File(list{"d.jpg"}, 5),
	}})
)

func around(info dict) dict { return dict{"info": info} }

func mustParse(t *testing.T, torrent dict) *Metainfo {
	t.Helper()
	m, err := Parse(encode(nil, torrent))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestTorrentOfOneFileIsRead(t *testing.T) {
	m := mustParse(t, dict{
		"announce":      "udp://a:1",
		"announce-list": list{list{"udp://a:1", "udp://b:1"}, list{}, list{"http://c/announce", ""}},
		"comment":       "hello",
		"created by":    "a test",
		"creation date": 1700000000,
		"url-list":      list{"http://seed/"},
		"info":          single.with(dict{"private": 1, "source": "X"}),
	})
	info := encode(nil, single.with(dict{"private": 1, "source": "X"}))
	want := &Metainfo{
		Version: V1, InfoHashV1: sha1.Sum(info),
		Name: "image.iso", Files: []File{{"image.iso", 40000}}, Length: 40000,
		PieceLength: 16384, PieceCount: 3, Private: true, Source: "X",
		Announce:     "udp://a:1",
		AnnounceList: [][]string{{"udp://a:1", "udp://b:1"}, {"http://c/announce"}},
		WebSeeds:     []string{"http://seed/"}, Comment: "hello", CreatedBy: "a test",
		CreationDate: time.Date(2023, 11, 14, 22, 13, 20, 0, time.UTC),
		info:         info,
	}
	if !reflect.DeepEqual(m, want) {
		t.Errorf("\nhave %+v\nwant %+v", m, want)
	}
	if !bytes.Equal(m.Info(), info) || m.InfoHash() != want.InfoHashV1 {
		t.Error("Info or InfoHash is another")
	}
}

func TestTorrentOfAFolderIsRead(t *testing.T) {
	m := mustParse(t, around(folder))
	want := []File{{"a/b.jpg", 20000}, {"c.jpg", 0}, {"d.jpg", 5}}
	if !m.Folder || m.Name != "photos" || !slices.Equal(m.Files, want) || m.Length != 20005 || m.PieceCount != 2 {
		t.Errorf("%+v", m)
	}
}

func TestTorrentOfVersion2IsRead(t *testing.T) {
	m := mustParse(t, around(version2))
	want := []File{{"a/b.jpg", 20000}, {"d.jpg", 5}}
	sum := sha256.Sum256(encode(nil, version2))
	if m.Version != V2 || m.InfoHashV2 != sum || m.InfoHashV1 != (bittorrent.InfoHash{}) {
		t.Errorf("version %v, hashes %v %v", m.Version, m.InfoHashV1, m.InfoHashV2)
	}
	if hash := m.InfoHash(); !bytes.Equal(hash[:], sum[:20]) || len(m.InfoHashes()) != 1 {
		t.Errorf("trackers are told of %v", m.InfoHashes())
	}
	if !m.Folder || !slices.Equal(m.Files, want) || m.Length != 20005 || m.PieceCount != 3 {
		t.Errorf("%+v", m)
	}
}

func TestTorrentOfVersion2WithOneFileOfItsNameIsThatFile(t *testing.T) {
	m := mustParse(t, around(version2.with(dict{"file tree": dict{"photos": v2File(7)}})))
	if m.Folder || !slices.Equal(m.Files, []File{{"photos", 7}}) {
		t.Errorf("%+v", m)
	}
}

func TestHybridTorrentHasTwoSwarmsAndNoPadding(t *testing.T) {
	m := mustParse(t, around(hybrid))
	info := encode(nil, hybrid)
	v1, v2 := bittorrent.InfoHash(sha1.Sum(info)), bittorrent.InfoHashV2(sha256.Sum256(info))
	if m.Version != Hybrid || !slices.Equal(m.InfoHashes(), []bittorrent.InfoHash{v1, v2.Truncated()}) {
		t.Errorf("version %v, hashes %v", m.Version, m.InfoHashes())
	}
	if want := []File{{"a/b.jpg", 20000}, {"d.jpg", 5}}; !slices.Equal(m.Files, want) || m.Length != 20005 {
		t.Errorf("files %v, length %d", m.Files, m.Length)
	}
}

func TestInfoHashIsOfTheBytesAsTheyStand(t *testing.T) {
	sorted := encode(nil, single)
	unsorted := append([]byte("d4:name9:image.iso"), bytes.Replace(sorted[1:], []byte("4:name9:image.iso"), nil, 1)...)
	m, err := Parse(slices.Concat([]byte("d4:info"), unsorted, []byte("e")))
	if err != nil {
		t.Fatal(err)
	}
	if m.InfoHash() != sha1.Sum(unsorted) || !bytes.Equal(m.Info(), unsorted) {
		t.Error("the info dictionary was sorted before it was hashed")
	}
}

func TestMalformedTorrentIsRefusedWithTheRule(t *testing.T) {
	path := func(parts ...any) dict { return folder.with(dict{"files": list{v1File(parts, 20005)}}) }
	tree := func(d dict) dict { return version2.with(dict{"file tree": d}) }
	for _, tt := range []struct {
		name string
		info dict
		want string
	}{
		{"no name", single.with(dict{"name": nil}), "name: want a string, have nothing"},
		{"name of the folder above", single.with(dict{"name": ".."}), "another folder"},
		{"absolute name", single.with(dict{"name": "/etc/passwd"}), "separator"},
		{"empty name", single.with(dict{"name": ""}), "name: is empty"},
		{"name of 5000 bytes", single.with(dict{"name": strings.Repeat("n", 5000)}), "longer than 4096 bytes"},
		{"no length", single.with(dict{"length": nil}), "length: want an integer, have nothing"},
		{"length and files", folder.with(dict{"length": 3}), "only one of them"},
		{"negative length", single.with(dict{"length": -1}), "negative"},
		{"nothing", single.with(dict{"length": 0, "pieces": ""}), "nothing in it"},
		{"no files", folder.with(dict{"files": list{}, "pieces": ""}), "nothing in it"},
		{"files is a string", folder.with(dict{"files": "x"}), "files: want a list, have string"},
		{"file is a string", folder.with(dict{"files": list{"x"}}), "path: want a list, have nothing"},
		{"no pieces", single.with(dict{"pieces": nil}), "pieces: want a string"},
		{"half a hash", single.with(dict{"pieces": hashes(3)[1:]}), "whole number of hashes"},
		{"a hash too few", single.with(dict{"pieces": hashes(2)}), "need 3"},
		{"a hash too many", single.with(dict{"pieces": hashes(4)}), "need 3"},
		{"piece length 0", single.with(dict{"piece length": 0}), "not above 0"},
		{"piece length below 0", single.with(dict{"piece length": -16384}), "not above 0"},
		{"empty path", path(), "empty list"},
		{"empty part", path("a", ""), "is empty"},
		{"part that climbs", path("a", "..", "..", "b"), "another folder"},
		{"part that stays", path(".", "b"), "another folder"},
		{"absolute part", path("/etc", "passwd"), "separator"},
		{"part with a backslash", path(`..\b`), "separator"},
		{"part with a zero byte", path("a\x00b"), "zero byte"},
		{"part that is a number", path("a", 1), "list of strings"},
		{"long path", path(list{strings.Repeat("a", 3000), strings.Repeat("b", 3000)}...), "longer than 4096 bytes"},
		{"file without length", folder.with(dict{"files": list{dict{"path": list{"a"}}}}), `file "a": length: want an integer`},
		{"same path twice", folder.with(dict{"files": list{v1File(list{"a"}, 1), v1File(list{"b"}, 1), v1File(list{"a"}, 1)}}), "there twice"},
		{
			"file that is a folder",
			folder.with(dict{"files": list{v1File(list{"a", "x"}, 1), v1File(list{"a.b"}, 1), v1File(list{"a"}, 1)}}),
			`"a" is a file and a folder`,
		},
		{
			"lengths that overflow",
			folder.with(dict{"files": list{v1File(list{"a"}, math.MaxInt64), v1File(list{"b"}, 1)}}),
			"do not fit 64 bits",
		},
		{
			"padding that overflows",
			folder.with(dict{"files": list{v1File(list{"a"}, 1), dict{"attr": "p", "path": list{"b"}, "length": math.MaxInt64}}}),
			"fits 64 bits",
		},
		{"unknown version", version2.with(dict{"meta version": 3}), "meta version"},
		{"version that is a string", version2.with(dict{"meta version": "2"}), "meta version"},
		{"odd piece length of version 2", version2.with(dict{"piece length": 20000}), "power of two"},
		{"small piece length of version 2", version2.with(dict{"piece length": 8192}), "power of two"},
		{"no file tree", version2.with(dict{"file tree": nil}), "file tree: want a dictionary"},
		{"tree of nothing", tree(dict{}), "nothing in it"},
		{"tree that is a file", tree(v2File(1)), "is empty"},
		{"tree that climbs", tree(dict{"..": dict{"a": v2File(1)}}), "another folder"},
		{"tree with a separator", tree(dict{"a/b": v2File(1)}), "separator"},
		{"tree with a string", tree(dict{"a": "b"}), `"a": want a dictionary, have string`},
		{"tree with a file that is a folder", tree(dict{"a": v2File(1).with(dict{"b": v2File(1)})}), `"a" is a file and a folder`},
		{"tree with a file without length", tree(dict{"a": dict{"": dict{}}}), `file "a": length`},
		{"tree with a short root", tree(dict{"a": dict{"": dict{"length": 1, "pieces root": "x"}}}), "pieces root: want 32 bytes, have 1"},
		{"hybrid with two lists", hybrid.with(dict{"files": list{v1File(list{"a", "b.jpg"}, 20000), v1File(list{"e.jpg"}, 20000)}}), "differ"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := Parse(encode(nil, around(tt.info)))
			if !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("have %v, %v; want an error with %q", m, err, tt.want)
			}
		})
	}
}

func TestWhatIsNoTorrentIsRefused(t *testing.T) {
	for _, input := range []string{"", "hello", "<html>", "i1e", "le", "de", "d4:infoi1ee", "d4:infodee", "d4:info"} {
		if _, err := Parse([]byte(input)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v", input, err)
		}
	}
}

func TestOddKeysAroundTheInfoDictionaryAreLeftOut(t *testing.T) {
	m := mustParse(t, dict{
		"announce": 1, "announce-list": list{"udp://flat:1", list{7}}, "comment": list{}, "created by": dict{},
		"creation date": math.MaxInt64, "url-list": 3, "info": single,
	})
	if m.Trackers() != nil || m.Comment != "" || m.CreatedBy != "" || !m.CreationDate.IsZero() || m.WebSeeds != nil {
		t.Errorf("%+v", m)
	}
	m = mustParse(t, dict{"announce": "udp://a:1", "url-list": "http://seed/", "info": single})
	if !reflect.DeepEqual(m.Trackers(), [][]string{{"udp://a:1"}}) || !slices.Equal(m.WebSeeds, []string{"http://seed/"}) {
		t.Errorf("trackers %v, web seeds %v", m.Trackers(), m.WebSeeds)
	}
}

func TestPathsAreComparedByTheirParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		path := rapid.StringMatching(`[a!0]{1,2}(/[a!0]{1,2}){0,3}`)
		a, b := path.Draw(t, "a"), path.Draw(t, "b")
		want := slices.Compare(strings.Split(a, "/"), strings.Split(b, "/"))
		if got := cmp.Compare(comparePaths(a, b), 0); got != want {
			t.Fatalf("%q and %q: %d, want %d", a, b, got, want)
		}
	})
}

func TestManyFilesInDeepFoldersAreRefusedBeforeTheyFillMemory(t *testing.T) {
	deep := dict{}
	for i := range 20000 {
		deep[string(rune('a'+i%26))+string(rune(0x4e00+i))] = v2File(1)
	}
	for range 40 {
		deep = dict{strings.Repeat("d", 100): deep}
	}
	_, err := Parse(encode(nil, around(version2.with(dict{"file tree": deep}))))
	if err == nil || !strings.Contains(err.Error(), "too long to be kept in memory") {
		t.Errorf("error %v", err)
	}
}

func TestReadSaysWhyAPathIsNoTorrent(t *testing.T) {
	folder := t.TempDir()
	large := filepath.Join(folder, "large.torrent")
	f, err := os.Create(large)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(MaxFileSize+1), f.Close()); err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(folder, "text.torrent")
	if err := os.WriteFile(text, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		folder:                          "is a folder",
		filepath.Join(folder, "absent"): "no such file",
		large:                           "larger than 64 MiB",
		text:                            "broken .torrent file",
		os.DevNull:                      "not a regular file",
	} {
		_, err := Read(path)
		if err == nil || !strings.HasPrefix(err.Error(), path+": ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %q, want one with %q", path, err, want)
		}
	}
}

func TestMagnetLinkNamesHashesTrackersAndSeeds(t *testing.T) {
	m := mustParse(t, dict{
		"announce-list": list{list{"udp://a:1"}, list{"http://b/announce?x=1"}}, "url-list": "http://seed/",
		"info": single.with(dict{"name": "a b&c.iso"}),
	})
	want := "magnet:?xt=urn:btih:" + m.InfoHashV1.String() +
		"&dn=a%20b%26c.iso&xl=40000&tr=udp%3A%2F%2Fa%3A1&tr=http%3A%2F%2Fb%2Fannounce%3Fx%3D1&ws=http%3A%2F%2Fseed%2F"
	if got := m.Magnet(); got != want {
		t.Errorf("\nhave %s\nwant %s", got, want)
	}
	m = mustParse(t, around(hybrid))
	if got := m.Magnet(); !strings.Contains(got, m.InfoHashV1.String()+"&xt=urn:btmh:1220"+m.InfoHashV2.String()+"&") {
		t.Errorf("hybrid: %s", got)
	}
}

func FuzzTorrent(f *testing.F) {
	for _, info := range []dict{single, folder, version2, hybrid} {
		f.Add(encode(nil, dict{"announce": "udp://a:1", "announce-list": list{list{"udp://a:1"}}, "info": info}))
	}
	f.Add([]byte("d4:infod5:filesld6:lengthi1e4:pathl2:..1:aeee4:name1:a12:piece lengthi1e6:pieces20:01234567890123456789ee"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("error %v is not ErrMalformed", err)
			}
			return
		}
		if !bytes.Contains(b, m.Info()) {
			t.Fatal("the info dictionary is not in the file")
		}
		checkInvariants(t, m)
		again, err := Parse(slices.Concat([]byte("d4:info"), m.Info(), []byte("e")))
		if err != nil || !slices.Equal(again.InfoHashes(), m.InfoHashes()) || !slices.Equal(again.Files, m.Files) {
			t.Fatalf("the info dictionary alone is another torrent: %v", err)
		}
	})
}

// checkInvariants checks what holds for any torrent that was accepted.
func checkInvariants(t *testing.T, m *Metainfo) {
	t.Helper()
	var total int64
	for _, file := range m.Files {
		total += file.Length
		if file.Length < 0 || total < 0 || !filepath.IsLocal(filepath.FromSlash(file.Path)) {
			t.Fatalf("accepted the file %+v", file)
		}
		if filepath.Clean(file.Path) != file.Path {
			t.Fatalf("%q is another path when it is cleaned", file.Path)
		}
	}
	if total != m.Length || total < 1 || m.PieceCount < 1 || m.PieceLength < 1 {
		t.Fatalf("%d bytes in %d pieces of %d; the files have %d", m.Length, m.PieceCount, m.PieceLength, total)
	}
	if !filepath.IsLocal(m.Name) || strings.ContainsAny(m.Name, `/\`) {
		t.Fatalf("accepted the name %q", m.Name)
	}
	if !strings.HasPrefix(m.Magnet(), "magnet:?xt=urn:bt") {
		t.Fatalf("magnet link %s", m.Magnet())
	}
}
