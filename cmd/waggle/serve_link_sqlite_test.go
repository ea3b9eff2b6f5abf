//go:build !function

package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"waggle/bittorrent"
)

func TestTrackersWithFilesAreLinkedAndAreAgainAfterARestart(t *testing.T) {
	dir := t.TempDir()
	hub, leaf, leafFlags := linkedPair(t, "sqlite://"+filepath.Join(dir, "h", "hub.db"), "sqlite://"+filepath.Join(dir, "l", "leaf.db"))
	scrape := func() []byte {
		return get(t, strings.Replace(leaf.url(t, "http"), "/announce", "/scrape", 1)+"?"+string(bittorrent.AppendHTTPScrape(nil, []bittorrent.InfoHash{{1}})))
	}
	hub.announce(t, "&event=completed")
	eventually(t, "the leaf counts the hub's peer", func() bool { return bytes.Contains(scrape(), []byte("10:incompletei1e")) })
	if err := leaf.stop(); err != nil {
		t.Fatal(err)
	}
	leaf = startServe(t, leafFlags...)
	eventually(t, "and again", func() bool {
		return bytes.Contains(scrape(), []byte("10:incompletei1e")) && strings.Contains(leaf.log.String(), "a link is up")
	})
}
