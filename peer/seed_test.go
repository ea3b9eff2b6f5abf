package peer

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waggle/torrent"
)

func TestSeedingRefusesDataThatAreNotTheTorrents(t *testing.T) {
	source := aFolder(t)
	b := create(t, source)
	for name, spoil := range map[string]func() error{
		"a file is gone":      func() error { return os.Remove(filepath.Join(source, "small")) },
		"a file is longer":    func() error { return os.WriteFile(filepath.Join(source, "small"), noise(101, "x"), 0o644) },
		"a byte is different": func() error { return os.WriteFile(filepath.Join(source, "small"), noise(100, "x"), 0o644) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		d, err := OpenWhole(t.Context(), b, source)
		if err == nil {
			got := add(t, client(t, Options{}), d, nil)
			err = got.Wait(t.Context())
			_ = got.client.Close()
		}
		if err == nil || !strings.Contains(err.Error(), source) {
			t.Errorf("%s: error %v, want one that names %s", name, err, source)
		}
	}
}

func TestSeedingTrustsTheTableUntilAFileChanges(t *testing.T) {
	source := aFolder(t)
	b := create(t, source)
	vouched := func() (Stats, *said) {
		s := &said{}
		d, err := OpenWhole(t.Context(), b, source)
		got := add(t, client(t, Options{Say: s.say}), d, err)
		wait(t, got)
		if err := got.client.Close(); err != nil {
			t.Fatal(err)
		}
		return got.Stats(), s
	}
	if s, _ := vouched(); s.Vouched != 0 {
		t.Errorf("%d bytes were vouched for by no table", s.Vouched)
	}
	if s, _ := vouched(); s.Vouched != s.Size {
		t.Errorf("%d of %d bytes were vouched for the second time", s.Vouched, s.Size)
	}
	// The same bytes again, at another time.
	path := filepath.Join(source, "z", "whole")
	if err := os.WriteFile(path, noise(2*pieceLength, "whole"), 0o644); err != nil {
		t.Fatal(err)
	}
	s, heard := vouched()
	if s.Vouched == s.Size || s.Vouched == 0 || s.Have != s.Size {
		t.Errorf("%d of %d bytes were vouched for after a file was written to", s.Vouched, s.Size)
	}
	if !heard.about(t, path+" has changed") {
		t.Errorf("the user was told only %q", heard.lines)
	}
}

func TestPrivateTorrentIsRefusedWithDHTOrPEX(t *testing.T) {
	source := aFile(t, pieceLength)
	b, err := torrent.Create(t.Context(), torrent.CreateOptions{Path: source, Private: true})
	if err != nil {
		t.Fatal(err)
	}
	d, err := OpenHashed(t.Context(), b, source)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client(t, Options{PEX: true}).Add(t.Context(), d); !errors.Is(err, ErrPrivate) {
		t.Errorf("error %v, want %v", err, ErrPrivate)
	}
}

func TestRateLimitSlowsADownloadDown(t *testing.T) {
	tr := startTracker(t)
	source := aFile(t, 1<<20)
	b := create(t, source, tr.udp)
	seed(t, b, source, Options{})
	begun := time.Now()
	fetch(t, b, t.TempDir(), Options{Down: 512 << 10})
	// A mebibyte at half of one a second takes two seconds, less what comes at once.
	if took := time.Since(begun); took < time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestMagnetLinkGivesTheTorrentOfItsPeers(t *testing.T) {
	for _, version := range []torrent.Version{torrent.V1, torrent.Hybrid} {
		t.Run(version.String(), func(t *testing.T) {
			tr := startTracker(t)
			source := aFile(t, pieceLength)
			b := createVersion(t, version, source, tr.udp)
			m := seed(t, b, source, Options{}).Metainfo()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			got, err := Magnet(ctx, m.Magnet(), loopbackOnly(Options{}))
			if err != nil {
				t.Fatal(err)
			}
			parsed, err := torrent.Parse(got)
			if err != nil || !bytes.Equal(parsed.Info(), m.Info()) || parsed.Trackers()[0][0] != tr.udp {
				t.Errorf("%v; %d bytes of info, trackers %q", err, len(parsed.Info()), parsed.Trackers())
			}
			fetched := t.TempDir()
			fetch(t, got, fetched, Options{})
			wantSame(t, filepath.Join(fetched, "image.bin"), source)
			eventually(t, "who asked for the info dictionary has left", func() bool {
				peers, _ := tr.peers(m)
				return len(peers) == 2
			})
		})
	}
}

func TestMagnetLinkThatLeadsNowhereIsRefused(t *testing.T) {
	for _, link := range []string{"magnet:?dn=x", "magnet:?xt=urn:btih:00", "http://x", "magnet:?xt=urn:btih:0123456789012345678901234567890123456789"} {
		if _, err := Magnet(t.Context(), link, loopbackOnly(Options{})); !errors.Is(err, ErrMagnet) {
			t.Errorf("%s: error %v, want %v", link, err, ErrMagnet)
		}
	}
}
