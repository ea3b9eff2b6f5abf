//go:build !function

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"waggle/bittorrent"
)

// TestCompletedDownloadsSurviveARestart has those of before the cluster counted once.
func TestCompletedDownloadsSurviveARestart(t *testing.T) {
	folder := t.TempDir()
	store := []string{"--store", "sqlite:" + filepath.Join(folder, "waggle.db")}
	flags, _ := clusterFlags(t)
	alone := startServe(t, store...)
	alone.announce(t, "")
	downloads := func(s *serving) string {
		scrape := strings.Replace(s.url(t, "http"), "/announce", "/scrape", 1) + "?" + string(bittorrent.AppendHTTPScrape(nil, []bittorrent.InfoHash{{1}}))
		_, after, _ := bytes.Cut(get(t, scrape), []byte("10:downloadedi"))
		n, _, _ := bytes.Cut(after, []byte("e"))
		return string(n)
	}
	complete := func(s *serving, id byte) {
		t.Helper()
		for _, left := range []int64{1, 0} {
			a := bittorrent.AnnounceRequest{InfoHash: bittorrent.InfoHash{1}, PeerID: bittorrent.PeerID{id}, Port: uint16(id), Left: left, NumWant: -1}
			if left == 0 {
				a.Event = bittorrent.EventCompleted
			}
			var r bittorrent.AnnounceResponse
			if err := bittorrent.ParseHTTPAnnounceResponse(get(t, s.url(t, "http")+"?"+string(bittorrent.AppendHTTPAnnounce(nil, &a))), &r); err != nil {
				t.Fatal(err)
			}
		}
	}
	complete(alone, 9)
	if err := alone.stop(); err != nil {
		t.Fatal(err)
	}
	for n, want := range []string{"2", "3"} {
		s := startServe(t, slices.Concat(store, flags)...)
		eventually(t, "it serves", func() bool {
			return string(get(t, strings.TrimSuffix(s.url(t, "http"), "announce")+"health")) == "ok\n"
		})
		complete(s, byte(10+n))
		if got := downloads(s); got != want {
			t.Errorf("%s downloads were completed, want %s", got, want)
		}
		if err := s.stop(); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(filepath.Join(folder, "cluster.json"))
	if err != nil || strings.Count(string(b), "info_hash") != 3 {
		t.Errorf("%s, %v; want a count of before, and of each start", b, err)
	}
	if err := os.WriteFile(filepath.Join(folder, "cluster.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	root := newRootCommand()
	root.SetArgs(slices.Concat([]string{"serve"}, store, flags))
	if err := root.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), "write [] into it") {
		t.Errorf("%v", err)
	}
}

func TestTrackerWithAnotherSecretIsToldOfOnceWithinSeconds(t *testing.T) {
	flags, _ := clusterFlags(t)
	one := startServe(t, slices.Concat([]string{"--store", "memory:"}, flags)...)
	other := startServe(t, slices.Concat([]string{"--store", "memory:"}, flags, []string{"--cluster-secret-file", secretFile(t, "another-secret-of-others")})...)
	told := func(s *serving) int { return strings.Count(s.log.String(), "another secret") }
	eventually(t, "both tell", func() bool { return told(one) == 1 && told(other) == 1 })
	eventually(t, "each is master of its own", func() bool {
		return strings.Contains(one.log.String(), "is master") && strings.Contains(other.log.String(), "is master")
	})
	for _, s := range []*serving{one, other} {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
		if told(s) != 1 {
			t.Errorf("it is told again:\n%s", s.log)
		}
	}
}

func TestTrackerOfAClusterHasNoLinks(t *testing.T) {
	flags, _ := clusterFlags(t)
	s := startServe(t, slices.Concat([]string{"--store", "memory:"}, flags)...)
	if _, _, err := output(t.Context(), newLinksCommand(), "--console", s.console(t)); err == nil || !strings.Contains(err.Error(), "no cluster") {
		t.Errorf("%v", err)
	}
}

func TestTrackerWithoutAClusterSaysSo(t *testing.T) {
	s := startServe(t, "--store", "memory:")
	for _, line := range s.lines {
		if url, ok := strings.CutPrefix(line, "console (this machine only): "); ok {
			_, _, err := output(t.Context(), newClusterCommand(), "--console", url)
			if err == nil || !strings.Contains(err.Error(), "set cluster.group") {
				t.Errorf("%v", err)
			}
		}
	}
}

func TestClusterThatCannotBeIsRefusedInWords(t *testing.T) {
	flags, peers := clusterFlags(t)
	open, short := secretFile(t, "0123456789abcdef"), secretFile(t, "0123456789abcde")
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--cluster-secret-file", filepath.Join(t.TempDir(), "none")}, "copy it from another tracker of the cluster"},
		{[]string{"--cluster-secret-file", open}, "chmod o-rwx"},
		{[]string{"--cluster-secret-file", short}, "at least 16 characters"},
		{[]string{"--cluster-interface", "nosuch0"}, "cluster.interface: this machine has none that is called nosuch0; it has lo"},
	} {
		root := newRootCommand()
		root.SetArgs(slices.Concat([]string{"serve", "--store", "memory:", "--listen-udp", "127.0.0.1:0", "--listen-http", "127.0.0.1:0", "--listen-console", "off"}, flags, c.args))
		if err := root.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %s", c.args, err, c.want)
		}
	}
	s := startServe(t, slices.Concat([]string{"--store", "memory:", "--cluster-unauthenticated=true"}, flags[:6])...)
	if !strings.Contains(s.log.String(), "everybody on the network is believed") || !strings.Contains(strings.Join(s.lines, "\n"), "udp://"+peers+"/announce") {
		t.Errorf("%q\n%s", s.lines, s.log)
	}
}
