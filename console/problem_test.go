package console_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"waggle/account"
	"waggle/bittorrent"
	"waggle/catalog"
	"waggle/console"
	"waggle/console/client"
	"waggle/document/documenttest"
	"waggle/swarm"
)

// openCatalog opens a catalogue that is closed when the test ends.
func openCatalog(t *testing.T, o catalog.Options) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// unwilling is a store of a catalogue that takes no change.
type unwilling struct {
	catalog.Store
	why error
}

func (u *unwilling) Apply(context.Context, []catalog.Change) error { return u.why }

func TestStoreThatTakesNoChangeNowIsToBeAskedAgain(t *testing.T) {
	for _, why := range []error{catalog.ErrConflict, swarm.ErrBusy} {
		w := newWorld(t, func(o *console.Options) {
			o.Catalog = openCatalog(t, catalog.Options{Store: &unwilling{catalog.NewMemory(0), why}})
		})
		got := w.do(t, upload("image.iso.torrent", metainfo("image.iso")))
		if got.status != http.StatusServiceUnavailable || got.problem(t).Detail == "" {
			t.Errorf("%v: status %d, %s", why, got.status, got.body)
		}
	}
}

func TestTorrentOfADirectoryThatAnotherTrackerWatchesIsToBeHadAndDeletedThere(t *testing.T) {
	m, dir := documenttest.NewMemory(), t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "image.iso.torrent"), metainfo("image.iso"), 0o600); err != nil {
		t.Fatal(err)
	}
	options := func(directory string) catalog.Options {
		store, err := catalog.OpenDocuments(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		return catalog.Options{Store: store, Directory: directory}
	}
	openCatalog(t, options(dir))
	here := openCatalog(t, options(""))
	w := newWorld(t, func(o *console.Options) { o.Catalog = here })
	all, _, err := here.List("", 1, nil)
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		got := w.do(t, request{method: method, path: "/api/v1/torrents/" + all[0].InfoHash.String()})
		if got.status != http.StatusConflict || got.problem(t).Detail == "" {
			t.Errorf("%s: status %d, %s", method, got.status, got.body)
		}
	}
}

// unseen is a store on a network that cannot be asked for peers.
type unseen struct{ console.Swarms }

func (unseen) Scrape(context.Context, []bittorrent.InfoHash, []bittorrent.ScrapeCounts) error {
	return swarm.ErrBusy
}

func TestChangeStandsThoughThePeersCannotBeLookedAt(t *testing.T) {
	accounts, err := account.Open(t.Context(), account.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(o *console.Options) { o.Swarms, o.Accounts = unseen{o.Swarms}, accounts })
	up := decode[client.Uploaded](t, w.do(t, upload("image.iso.torrent", metainfo("image.iso"))))
	at := "/api/v1/transfers/" + up.InfoHash.String()
	for _, what := range []string{"deactivate", "activate"} {
		got := decode[client.Transfer](t, w.do(t, request{method: http.MethodPost, path: at + "/" + what}))
		if got.Name != "image.iso" || got.Active != (what == "activate") {
			t.Errorf("%s: %+v", what, got)
		}
	}
	if got := w.do(t, get(at)); got.status != http.StatusServiceUnavailable {
		t.Errorf("what only looks: status %d, %s", got.status, got.body)
	}
	entries, _, err := accounts.Audit(t.Context(), 0, 10)
	if err != nil || len(entries) != 3 {
		t.Fatalf("%+v, %v", entries, err)
	}
	for _, e := range entries {
		if e.Outcome != account.Done {
			t.Errorf("%+v", e)
		}
	}
}
