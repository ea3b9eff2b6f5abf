package catalog

import (
	"path/filepath"
	"syscall"
	"testing"
)

func TestPipeInTheDirectoryHoldsUpNothing(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.torrent"), 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "z.torrent", single("z", 1))
	wantActive(t, mustOpen(t, byHand(dir)), single("z", 1), true)
}
