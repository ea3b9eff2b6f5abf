package peer_test

import (
	"os"
	"testing"

	"waggle/peer"
	"waggle/torrent"
)

func TestFileIsSeededByItsBareName(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("build.img", []byte("bytes"), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := torrent.Create(t.Context(), torrent.CreateOptions{Path: "build.img", Announce: [][]string{{"udp://127.0.0.1:1"}}})
	if err != nil {
		t.Fatal(err)
	}
	d, err := peer.OpenHashed(t.Context(), b, "build.img")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}
