package peer

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"waggle/sqlitefile"
	"waggle/swarm"
	"waggle/torrent"
)

func TestDownloadEndsUnderItsFinalNameAndOnlyTheTableStaysBesideIt(t *testing.T) {
	for _, version := range []torrent.Version{torrent.V1, torrent.V2, torrent.Hybrid} {
		for kind, make := range map[string]func(*testing.T) string{
			"folder": aFolder,
			"file":   func(t *testing.T) string { return aFile(t, 10*pieceLength+5) },
		} {
			t.Run(fmt.Sprintf("%s of version %s", kind, version), func(t *testing.T) {
				t.Parallel()
				tr := startTracker(t)
				source := make(t)
				b := createVersion(t, version, source, tr.udp)
				seed(t, b, source, Options{})
				to := t.TempDir()
				got := fetch(t, b, to, Options{})
				name := filepath.Base(source)
				wantSame(t, filepath.Join(to, name), source)
				if err := got.client.Close(); err != nil {
					t.Error(err)
				}
				if have, want := names(t, to), []string{"." + name + ".waggle", name}; !slices.Equal(have, want) {
					t.Errorf("the folder has %q, want %q", have, want)
				}
				if s := got.Stats(); s.Resumed != 0 || s.Downloaded != s.Size {
					t.Errorf("fetched %d of %d bytes, and resumed %d", s.Downloaded, s.Size, s.Resumed)
				}
			})
		}
	}
}

func TestPeersPassPiecesOnToEachOther(t *testing.T) {
	tr := startTracker(t)
	source := aFile(t, 60*pieceLength)
	b := create(t, source, tr.http)
	// The seed gives little more than one copy away in the time that this may take.
	seeding := seed(t, b, source, Options{Up: 1 << 20})
	var all []*Torrent
	for range 3 {
		d, err := OpenPart(t.Context(), b, t.TempDir())
		all = append(all, add(t, client(t, Options{}), d, err))
	}
	var given int64
	for _, got := range all {
		wait(t, got)
		wantSame(t, filepath.Join(got.files.dir.Name(), "image.bin"), source)
		given += got.Stats().Uploaded
	}
	if size := seeding.Stats().Size; given == 0 {
		t.Errorf("downloaders gave nothing to each other; the seed gave %d of %d bytes", seeding.Stats().Uploaded, 3*size)
	}
}

func TestTrackerIsToldOfStartCompletionAndStop(t *testing.T) {
	for _, protocol := range []string{"udp", "http"} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			tr := startTracker(t)
			source := aFile(t, 4*pieceLength)
			b := create(t, source, map[string]string{"udp": tr.udp, "http": tr.http}[protocol])
			from := seed(t, b, source, Options{})
			m := from.Metainfo()
			eventually(t, "the seed is known", func() bool {
				peers, _ := tr.peers(m)
				return len(peers) == 1 && peers[0].Kind == swarm.Seeder
			})
			got := fetch(t, b, t.TempDir(), Options{})
			eventually(t, "the download is counted", func() bool {
				peers, downloaded := tr.peers(m)
				return downloaded == 1 && len(peers) == 2 && peers[0].Kind == swarm.Seeder && peers[1].Kind == swarm.Seeder
			})
			if err := errors.Join(got.client.Close(), from.client.Close()); err != nil {
				t.Error(err)
			}
			if peers, downloaded := tr.peers(m); len(peers) != 0 || downloaded != 1 {
				t.Errorf("after both have left, the tracker knows %d peers and %d downloads", len(peers), downloaded)
			}
		})
	}
}

func TestGettingWhatIsThereFetchesAndHashesNothing(t *testing.T) {
	tr := startTracker(t)
	source := aFolder(t)
	b := create(t, source, tr.udp)
	seed(t, b, source, Options{})
	to := t.TempDir()
	first := fetch(t, b, to, Options{})
	if err := first.client.Close(); err != nil {
		t.Fatal(err)
	}
	again := fetch(t, b, to, Options{})
	hashed := again.lib.Stats().BytesHashed
	if s := again.Stats(); s.Downloaded != 0 || s.Vouched != s.Size || hashed.Int64() != 0 {
		t.Errorf("%+v, %d bytes hashed", s, hashed.Int64())
	}
}

func TestSomethingElseUnderTheFinalNameIsLeftAlone(t *testing.T) {
	source := aFile(t, 3*pieceLength)
	b := create(t, source)
	to := t.TempDir()
	mine := filepath.Join(to, "image.bin")
	for name, content := range map[string][]byte{"another size": []byte("mine"), "another content": noise(3*pieceLength, "mine")} {
		if err := os.WriteFile(mine, content, 0o644); err != nil {
			t.Fatal(err)
		}
		d, err := OpenPart(t.Context(), b, to)
		if err == nil {
			got := add(t, client(t, Options{}), d, nil)
			err = got.Wait(t.Context())
			_ = got.client.Close()
		}
		if err == nil || !strings.Contains(err.Error(), mine) {
			t.Errorf("%s: error %v, want one that names %s", name, err, mine)
		}
		if have, err := os.ReadFile(mine); err != nil || !bytes.Equal(have, content) {
			t.Errorf("%s: the file was changed: %v", name, err)
		}
	}
}

func TestNameThatAppearsMeanwhileIsNotOverwritten(t *testing.T) {
	tr := startTracker(t)
	source := aFile(t, 3*pieceLength)
	b := create(t, source, tr.udp)
	to := t.TempDir()
	d, err := OpenPart(t.Context(), b, to)
	got := add(t, client(t, Options{}), d, err)
	mine := filepath.Join(to, "image.bin")
	if err := os.WriteFile(mine, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	seed(t, b, source, Options{})
	err = got.Wait(t.Context())
	if !errors.Is(err, fs.ErrExist) {
		t.Errorf("error %v, want that it exists", err)
	}
	if have, _ := os.ReadFile(mine); string(have) != "mine" {
		t.Errorf("the file was overwritten with %d bytes", len(have))
	}
	wantSame(t, mine+".part", source)
}

func TestOnlyOneFetchesToAPlace(t *testing.T) {
	b := create(t, aFile(t, pieceLength))
	to := t.TempDir()
	d, err := OpenPart(t.Context(), b, to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenPart(t.Context(), b, to); !errors.Is(err, sqlitefile.ErrInUse) {
		t.Errorf("error %v, want %v", err, sqlitefile.ErrInUse)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if d, err = OpenPart(t.Context(), b, to); err != nil {
		t.Fatal(err)
	}
	_ = d.Close()
}

func TestBeginningOfAnotherTorrentOfTheSameNameIsLeftAlone(t *testing.T) {
	to := t.TempDir()
	d, err := OpenPart(t.Context(), create(t, aFile(t, 2*pieceLength)), to)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	part := filepath.Join(to, "image.bin.part")
	before := contents(t, part)
	_, err = OpenPart(t.Context(), create(t, aFile(t, 3*pieceLength)), to)
	if err == nil || !strings.Contains(err.Error(), part) || !strings.Contains(err.Error(), d.Metainfo().InfoHash().String()) {
		t.Errorf("error %v, want one that names %s and its torrent", err, part)
	}
	if after := contents(t, part); !bytes.Equal(after["."], before["."]) {
		t.Error("it was changed")
	}
}
