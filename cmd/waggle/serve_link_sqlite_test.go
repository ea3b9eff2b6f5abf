package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/link/carrier"
)

func TestTrackersWithFilesAreLinkedAndAreAgainAfterARestart(t *testing.T) {
	dir := t.TempDir()
	hubDir, leafDir := filepath.Join(dir, "hub"), filepath.Join(dir, "leaf")
	port := freePort(t)
	book, err := carrier.OpenBook(hubDir)
	if err != nil {
		t.Fatal(err)
	}
	in, err := book.Invite("leaf1", carrier.Rights{Receive: true, Send: true}, []string{port}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := carrier.Join(leafDir, in.Line()); err != nil {
		t.Fatal(err)
	}
	hub := startServe(t, "--store", "sqlite://"+filepath.Join(dir, "h", "hub.db"), "--link-name", "hub1", "--link-listen", port, "--link-directory", hubDir)
	leaf := startServe(t, "--store", "sqlite://"+filepath.Join(dir, "l", "leaf.db"), "--link-name", "other", "--link-directory", leafDir)
	scrape := func() []byte {
		return get(t, strings.Replace(leaf.url(t, "http"), "/announce", "/scrape", 1)+"?"+string(bittorrent.AppendHTTPScrape(nil, []bittorrent.InfoHash{{1}})))
	}
	hub.announce(t, "&event=completed")
	eventually(t, "the leaf counts the hub's peer", func() bool { return bytes.Contains(scrape(), []byte("10:incompletei1e")) })
	if err := leaf.stop(); err != nil {
		t.Fatal(err)
	}
	leaf = startServe(t, "--store", "sqlite://"+filepath.Join(dir, "l", "leaf.db"), "--link-name", "other", "--link-directory", leafDir)
	eventually(t, "and again", func() bool {
		return bytes.Contains(scrape(), []byte("10:incompletei1e")) && strings.Contains(leaf.log.String(), "a link is up")
	})
}
