package peer

import (
	"strings"
	"testing"

	"waggle/torrent"
)

func TestTorrentThatASystemCannotHoldIsRefusedThereAlone(t *testing.T) {
	m := &torrent.Metainfo{Name: "m", Files: []torrent.File{{Path: "src/aux.c"}}}
	if err := fits("linux", m); err != nil {
		t.Error(err)
	}
	if err := fits("windows", m); err == nil || !strings.Contains(err.Error(), "another system") {
		t.Errorf("on Windows: %v", err)
	}
}
