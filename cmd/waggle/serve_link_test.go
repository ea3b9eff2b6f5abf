//go:build !function

package main

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/config"
	"waggle/console"
	"waggle/console/client"
	"waggle/internal/freeport"
	"waggle/link"
	"waggle/link/carrier"
	"waggle/store/memory"
	"waggle/tracker"
)

// linkedPair returns a hub and a leaf that runs, with what the leaf joined before, and the
// flags that it runs with.
func linkedPair(t *testing.T, hubStore, leafStore string) (hub, leaf *serving, leafFlags []string) {
	t.Helper()
	hubDir, leafDir := filepath.Join(t.TempDir(), "hub"), filepath.Join(t.TempDir(), "leaf")
	port := freeport.Address(t)
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
	hub = startServe(t, "--store", hubStore, "--link-name", "hub1", "--link-listen", port, "--link-directory", hubDir)
	leafFlags = []string{"--store", leafStore, "--link-name", "other", "--link-directory", leafDir}
	return hub, startServe(t, leafFlags...), leafFlags
}

func TestServeLinksTwoTrackers(t *testing.T) {
	hub, leaf, _ := linkedPair(t, "memory:", "memory:")
	hub.announce(t, "")
	scrape := strings.Replace(leaf.url(t, "http"), "/announce", "/scrape", 1) + "?" + string(bittorrent.AppendHTTPScrape(nil, []bittorrent.InfoHash{{1}}))
	eventually(t, "the leaf counts the hub's peer", func() bool { return bytes.Contains(get(t, scrape), []byte("10:incompletei1e")) })
	if err := leaf.stop(); err != nil {
		t.Error(err)
	}
	if err := hub.stop(); err != nil {
		t.Error(err)
	}
	for _, s := range []*serving{hub, leaf} {
		if !strings.Contains(s.log.String(), "a link is up") || strings.Contains(s.log.String(), "waggle-link-1") {
			t.Error(s.log)
		}
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(patience); !is(); <-ticker.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s: it did not come to that", what)
		}
	}
}

func TestLinksNeedAStoreOfTheirOwn(t *testing.T) {
	c := config.Default().Link
	if err := refuseLinks(&c); err != nil {
		t.Error(err)
	}
	c.Listen = ":6971"
	if err := refuseLinks(&c); err == nil || !strings.Contains(err.Error(), "link.listen: links need the memory or SQLite store") {
		t.Error(err)
	}
	c.Listen, c.NATS = "", "tls://nats.example:4222"
	if err := refuseLinks(&c); err == nil || !strings.Contains(err.Error(), "link.nats") {
		t.Error(err)
	}
}

func TestNameOfTheMachineIsMadeFitForLinks(t *testing.T) {
	if name := linkName("ams-1"); name != "ams-1" {
		t.Error(name)
	}
	if name := linkName(""); carrier.CheckName(name) != nil {
		t.Error(name)
	}
}

func TestURLsForOtherTrackersAreByNamedHosts(t *testing.T) {
	addrs := []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:6969"), netip.MustParseAddrPort("[::]:6969")}
	got := urlsAt("udp", []config.Address{"tracker.example:6971", "[2001:db8::1]:6971"}, addrs)
	if strings.Join(got, " ") != "udp://tracker.example:6969/announce udp://[2001:db8::1]:6969/announce" {
		t.Error(got)
	}
}

// TestConsoleUsesLinks has the console's words for what links do.
func TestConsoleUsesLinks(t *testing.T) {
	ctx := context.Background()
	open := func(name, listen string) console.Links {
		intake := link.NewIntake(time.Hour)
		store := memory.New(memory.Options{Changed: intake.Changed})
		s := &service{store: store, tracker: tracker.New(store, tracker.Settings{Interval: time.Hour, PeerLifetime: time.Hour}, tracker.Options{})}
		var err error
		s.links, err = link.Open(ctx, link.Options{
			Intake: intake, Store: s.linkedStore(), Tracker: s.tracker, Name: name, Listen: listen, Directory: t.TempDir(),
			Software: "waggle x", URLs: []string{"udp://" + name + ".example:1/announce"},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.closeLinks(); _ = store.Close() })
		return s.shownLinks()
	}
	hub, leaf := open("hub1", "127.0.0.1:0"), open("leaf1", "")
	everything := client.Rights{Receive: true, Send: true}
	in, err := hub.Invite(ctx, client.NewInvitation{Name: "leaf1", Rights: everything})
	if err != nil || in.Name != "leaf1" {
		t.Fatal(in, err)
	}
	if v := hub.Show(); len(v.Invited) != 1 || !v.Invited[0].Rights.Send || len(v.Listening) != 1 {
		t.Errorf("%+v", v)
	}
	if l, err := leaf.Join(ctx, in.Line); err != nil || l.Role != client.RoleHub {
		t.Fatal(l, err)
	}
	eventually(t, "the hub shows the leaf", func() bool {
		v := hub.Show()
		return len(v.Links) == 1 && v.Links[0].State == client.LinkActive && v.Links[0].LastHeal != nil && v.Links[0].Software == "waggle x"
	})
	eventually(t, "the hub lists the leaf", func() bool {
		lists, err := hub.AnnounceLists(ctx)
		return err == nil && len(lists) == 1 && len(lists[0]) == 2
	})
	for what, c := range map[string]struct{ err, want error }{
		"invited twice": {second(hub.Invite(ctx, client.NewInvitation{Name: "leaf1", Rights: everything})), console.ErrLinkConflict},
		"joined twice":  {second(leaf.Join(ctx, in.Line)), console.ErrLinkConflict},
		"no rights":     {hub.SetRights(ctx, "leaf1", client.Rights{}), console.ErrLinkInvalid},
		"nobody":        {hub.Reset(ctx, "nobody"), console.ErrLinkUnknown},
		"no hub":        {hub.Leave(ctx), console.ErrLinkUnknown},
		"of the hub":    {leaf.SetRights(ctx, "hub", everything), console.ErrLinkConflict},
	} {
		if !errors.Is(c.err, c.want) || strings.Contains(c.err.Error(), in.Line) || strings.Contains(c.err.Error(), c.want.Error()) {
			t.Errorf("%s: %v", what, c.err)
		}
	}
	for what, err := range map[string]error{
		"rights": hub.SetRights(ctx, "leaf1", client.Rights{Receive: true}), "reset": leaf.Reset(ctx, "hub"), "leave": leaf.Leave(ctx), "drop": hub.Drop(ctx, "leaf1"),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }
