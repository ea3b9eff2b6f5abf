package link_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"waggle/bittorrent"
	"waggle/catalog"
	"waggle/link"
	"waggle/link/carrier"
	"waggle/torrent"
)

// release makes a .torrent, of about as many bytes.
func release(t *testing.T, name string, size int) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte("content of "+name), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := torrent.Create(context.Background(), torrent.CreateOptions{Path: path, Comment: string(bytes.Repeat([]byte("x"), size))})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func add(t *testing.T, c *catalog.Catalog, name string, size int) bittorrent.InfoHash {
	t.Helper()
	tr, err := c.Add(context.Background(), name+".torrent", release(t, name, size))
	if err != nil {
		t.Fatal(err)
	}
	return tr.InfoHash
}

func sharing(c *catalog.Catalog, s link.Share, removals bool) func(*link.Options) {
	return func(o *link.Options) { o.Catalog, o.Share, o.ShareRemovals = c, s, removals }
}

var sharesAll = carrier.Rights{Receive: true, Send: true, Share: carrier.ShareBoth}

func TestReleaseOnOneTrackerIsOnAll(t *testing.T) {
	here, there, third := newCatalog(t), newCatalog(t), newCatalog(t)
	hub := newSite(t, "hub1").hub().with(sharing(here, link.ShareBoth, true)).start()
	leaf := newSite(t, "leaf1").with(sharing(there, link.ShareBoth, true)).start()
	other := newSite(t, "leaf2").with(sharing(third, link.ShareReceive, false)).start()
	early := add(t, there, "early", 10)
	leaf.join(hub, sharesAll)
	other.join(hub, sharesAll)
	large := add(t, there, "large", 500_000)
	for n := range 10 {
		add(t, here, fmt.Sprint("more", n), 10)
	}
	for name, c := range map[string]*catalog.Catalog{"the hub": here, "the leaf": there, "the third": third} {
		eventually(t, name+" has all", func() bool { return c.LenActive() == 12 })
	}
	b, err := third.Torrent(context.Background(), large)
	want, err2 := there.Torrent(context.Background(), large)
	if err != nil || err2 != nil || !bytes.Equal(b, want) {
		t.Errorf("%d bytes instead of %d, %v", len(b), len(want), err)
	}
	if tr, err := third.Get(large); err != nil || tr.Source != catalog.Upload || tr.File != "large.torrent" {
		t.Errorf("%+v, %v", tr, err)
	}
	if !other.log.has("a torrent came over a link") {
		t.Error("the log does not say so")
	}
	if _, err := there.Deactivate(context.Background(), early); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is removed at the hub", func() bool { return here.Inactive(&early) })
	mine := add(t, third, "mine", 10) // which receives only
	eventually(t, "the hub has told of the removal", func() bool { return !there.Active(&early) })
	if third.Inactive(&early) || here.Active(&mine) {
		t.Error("a tracker that takes no removals took one, or one that does not send sent")
	}
}

func TestNothingIsSharedWithoutTheRight(t *testing.T) {
	here, there := newCatalog(t), newCatalog(t)
	hub := newSite(t, "hub1").hub().with(sharing(here, link.ShareBoth, true)).start()
	leaf := newSite(t, "leaf1").with(sharing(there, link.ShareBoth, true)).start()
	leaf.join(hub, carrier.Rights{Receive: true, Send: true, Share: carrier.ShareReceive})
	mine := add(t, there, "mine", 10)
	yours := add(t, here, "yours", 10)
	eventually(t, "it is received", func() bool { return there.Active(&yours) })
	if here.Active(&mine) {
		t.Error("the hub took a file of a leaf that may not send")
	}
}

func TestFileThatIsTooLargeIsRefusedInTheLog(t *testing.T) {
	here, there := newCatalog(t), newCatalog(t)
	hub := newSite(t, "hub1").hub().with(sharing(here, link.ShareBoth, false)).with(func(o *link.Options) { o.MaxFile = 10_000 }).start()
	leaf := newSite(t, "leaf1").with(sharing(there, link.ShareBoth, false)).start()
	leaf.join(hub, sharesAll)
	large := add(t, there, "large", 500_000)
	small := add(t, there, "small", 10)
	eventually(t, "the small one comes", func() bool { return here.Active(&small) })
	eventually(t, "the log says why", func() bool { return hub.log.has("torrents.max_upload") })
	if here.Active(&large) {
		t.Error("it is there")
	}
}

// TestRemovalsWhileTheLinkWasDownAreMadeUpFor has torrents go at the hub while a leaf is
// away, that both had.
func TestRemovalsWhileTheLinkWasDownAreMadeUpFor(t *testing.T) {
	ctx := context.Background()
	here, there := newCatalog(t), newCatalog(t)
	hub := newSite(t, "hub1").hub().with(sharing(here, link.ShareBoth, true)).start()
	leaf := newSite(t, "leaf1").with(sharing(there, link.ShareBoth, true)).start()
	before := add(t, there, "before", 10)
	if _, err := here.Add(ctx, "before.torrent", mustTorrent(t, there, before)); err != nil {
		t.Fatal(err)
	}
	if _, err := here.Deactivate(ctx, before); err != nil { // before they ever met
		t.Fatal(err)
	}
	deactivated, deleted, both := add(t, here, "deactivated", 10), add(t, here, "deleted", 10), add(t, here, "both", 10)
	var many []bittorrent.InfoHash
	for n := range 100 {
		many = append(many, add(t, here, fmt.Sprint("many", n), 10))
	}
	leaf.join(hub, sharesAll)
	eventually(t, "the leaf has all", func() bool { return there.LenActive() == 104 })
	meet := func(name string) { // and settle what there is to settle
		t.Helper()
		h := add(t, here, name, 10)
		eventually(t, name+" comes", func() bool { return there.Active(&h) })
	}
	meet("first")
	leaf.stop()
	for _, h := range append(many, deactivated, both) {
		if _, err := here.Deactivate(ctx, h); err != nil {
			t.Fatal(err)
		}
	}
	if err := here.Delete(ctx, deleted); err != nil {
		t.Fatal(err)
	}
	if _, err := there.Deactivate(ctx, both); err != nil {
		t.Fatal(err)
	}
	leaf.start()
	eventually(t, "they are removed at the leaf", func() bool { return there.LenActive() == 2 })
	if !there.Active(&before) {
		t.Error("what was removed before they met is removed")
	}
	if _, err := here.Get(deleted); err == nil {
		t.Error("what was deleted has come back")
	}
	for _, h := range []bittorrent.InfoHash{deactivated, both} {
		if _, err := there.Activate(ctx, h); err != nil {
			t.Fatal(err)
		}
	}
	meet("second")
	leaf.stop()
	leaf.start()
	meet("third")
	if !there.Active(&deactivated) || !there.Active(&both) {
		t.Error("what was activated again is removed again")
	}
}

// TestTorrentThatHasJustComeIsRemovedToo has it go before the leaf has looked at its own
// catalogue again.
func TestTorrentThatHasJustComeIsRemovedToo(t *testing.T) {
	here, there := newCatalog(t), newCatalog(t)
	hub := newSite(t, "hub1").hub().with(sharing(here, link.ShareBoth, true)).start()
	leaf := newSite(t, "leaf1").with(sharing(there, link.ShareBoth, true)).start()
	h := add(t, here, "short", 10)
	leaf.join(hub, sharesAll)
	eventually(t, "the leaf has it", func() bool { return there.Active(&h) })
	if _, err := here.Deactivate(context.Background(), h); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is removed at the leaf", func() bool { return there.Inactive(&h) })
}

func mustTorrent(t *testing.T, c *catalog.Catalog, h bittorrent.InfoHash) []byte {
	t.Helper()
	b, err := c.Torrent(context.Background(), h)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTorrentThatIsServedAgainHasItsPeersAtOnce(t *testing.T) {
	ctx := context.Background()
	here := newCatalog(t)
	h := add(t, here, "paused", 10)
	if _, err := here.Deactivate(ctx, h); err != nil {
		t.Fatal(err)
	}
	hub := newSite(t, "hub1").hub().with(func(o *link.Options) { o.Catalog = here })
	hub.gate = here
	hub.start()
	leaf := newSite(t, "leaf1").start()
	leaf.join(hub, everything)
	leaf.announceTo(h, 1, bittorrent.EventCompleted, 0)
	eventually(t, "the hub is told", func() bool { return hub.links.Show().Relayed == 1 })
	if c, _ := hub.store.Counts(h); c.Complete != 0 {
		t.Fatalf("%+v", c)
	}
	if _, err := here.Activate(ctx, h); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it has its peer", func() bool { c, _ := hub.store.Counts(h); return c.Complete == 1 && c.Downloaded == 1 })
}

func TestListedTrackerTakesOnlyWhatItHolds(t *testing.T) {
	here := newCatalog(t)
	held := add(t, here, "held", 10)
	hub := newSite(t, "hub1").hub().start()
	leaf := newSite(t, "leaf1").with(func(o *link.Options) { o.Catalog, o.Listed = here, true }).start()
	leaf.join(hub, everything)
	hub.announce(1, 1, bittorrent.EventStarted, 10)
	hub.announceTo(held, 2, bittorrent.EventStarted, 10)
	eventually(t, "it has what it holds", func() bool { c, _ := leaf.store.Counts(held); return c.Incomplete == 1 })
	if len(leaf.peers(1)) != 0 {
		t.Error("it has what it does not hold")
	}
	later := add(t, here, "later", 10)
	hub.announceTo(later, 3, bittorrent.EventStarted, 10)
	eventually(t, "it has what it holds later", func() bool { c, _ := leaf.store.Counts(later); return c.Incomplete == 1 })
}
