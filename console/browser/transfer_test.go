package browser

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"waggle/bittorrent"
	"waggle/console/client"
)

// fetch is a torrent that real peers transfer.
type fetch struct {
	hash    bittorrent.InfoHash
	torrent string // path
	from    string // folder of the data
	to      string // folder to download to
}

// payloadSize takes some ten seconds at the rate of the seeder: pages look every two.
const payloadSize = 10 << 20

// payload makes a torrent with data, and registers it.
func payload(t *testing.T, tr *tracker, name string, size int) fetch {
	t.Helper()
	dir := t.TempDir()
	f := fetch{torrent: filepath.Join(dir, name+".torrent"), from: filepath.Join(dir, "seeder"), to: filepath.Join(dir, "fetcher")}
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b) // never fails
	if err := os.Mkdir(f.from, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(f.from, name), b, 0o600); err != nil {
		t.Fatal(err)
	}
	made := start(t, dir, "torrent", "create", filepath.Join(f.from, name), "-a", tr.announce, "-o", f.torrent, "--private", "--piece-size", "64KiB")
	<-made.exited
	if made.err != nil {
		t.Fatalf("%v: %s", made.err, made.stderr.String())
	}
	metainfo, err := os.ReadFile(f.torrent)
	if err != nil {
		t.Fatal(err)
	}
	uploaded, err := tr.api.Upload(t.Context(), name+".torrent", metainfo)
	if err != nil {
		t.Fatal(err)
	}
	f.hash = uploaded.InfoHash
	forget(t, tr, f.hash)
	return f
}

// A page that is loaded once shows how a seeder comes, another one begins to download,
// and all is there.
func TestRealTransferReachesTheEndWithoutAReload(t *testing.T) {
	t.Parallel()
	world := shared(t)
	f := payload(t, world.tracker, "payload.bin", payloadSize)
	w := open(t, world.tracker)
	w.visit("/transfers/" + f.hash.String())
	w.wantText("#now", "no peers")
	w.until(`document.getElementById("live-state").textContent.includes("Live")`)
	evaluate[bool](w, `globalThis.loadedOnce = true`)
	const progress = `Number(document.querySelector("#now progress").value)`

	start(t, f.from, "seed", f.torrent, "--data", f.from, "--listen", "127.0.0.1", "--up", "1MiB")
	w.until(progress + ` === 1 && document.querySelector("#peers tbody tr")`)
	w.wantText("#peers tbody tr", "seeder")
	start(t, f.from, "get", f.torrent, "-o", f.to, "--listen", "127.0.0.1", "--seed-time", "1h")
	w.until(progress + ` < 1`)
	w.until(progress + ` === 1`)
	w.until(`/Seeders\s*2/.test(document.getElementById("now").innerText)`)
	w.wantText("#now", "100.0 %")
	w.until(`/Completed downloads\s*1/.test(document.getElementById("now").innerText)`)
	if line := w.text("#line"); regexp.MustCompile(`Last completed\s*not yet`).MatchString(line) {
		t.Errorf("the time line does not have the end: %s", line)
	}
	if !evaluate[bool](w, `globalThis.loadedOnce === true`) {
		t.Error("the page was loaded again")
	}
	world.until(t, f.hash, "the tracker says the same", func(f client.Transfer) bool { return f.Seeders == 2 && f.Progress == 1 })
	if info, err := os.Stat(filepath.Join(f.to, "payload.bin")); err != nil || info.Size() != payloadSize {
		t.Errorf("what was fetched: %v, %v", info, err)
	}
}

func TestTransferIsDeactivatedAndActivatedAgain(t *testing.T) {
	t.Parallel()
	world := shared(t)
	h := mustAdd(t, world.tracker, "switched.iso", 1<<30)
	w := open(t, world.tracker)
	other := open(t, world.tracker) // sees it live
	other.visit("/transfers/" + h.String())
	w.logIn(operator, "/transfers/"+h.String())
	w.follow("#actions button")
	w.wantText("[role=status]", "switched.iso is not active any more")
	w.wantText("#now", "inactive")
	w.wantText("#line", "Deactivated")
	other.until(`document.querySelector("#now .badge").textContent === "inactive"`)
	world.until(t, h, "it is not active", func(f client.Transfer) bool { return !f.Active })

	w.visit("/history")
	w.wantText("main", "switched.iso")
	w.visit("/torrents?query=switched.iso&state=inactive")
	w.follow("#t-" + h.String() + " button")
	if got := w.path(); got != "/torrents?query=switched.iso&state=inactive" {
		t.Errorf("the list leads to %s", got)
	}
	w.wantText("[role=status]", "switched.iso is active")
	other.until(`document.querySelector("#now .badge").textContent === "active"`)
	world.until(t, h, "it is active", func(f client.Transfer) bool { return f.Active })
}

func TestProfileOfATransferIsChosen(t *testing.T) {
	t.Parallel()
	world := shared(t)
	h := mustAdd(t, world.tracker, "profiled.iso", 1<<30)
	w := open(t, world.tracker)
	w.logIn(operator, "/transfers/"+h.String())
	evaluate[string](w, `document.querySelector("select[name=profile]").value = "parity"`)
	w.follow(`#actions button[formaction$="/profile"]`)
	w.wantText("[role=status]", "profiled.iso has the profile parity")
	w.wantText("#now", "parity")
	world.until(t, h, "it has the profile", func(f client.Transfer) bool { return f.Profile == "parity" })
}

func TestListIsSearchedSortedAndPaged(t *testing.T) {
	t.Parallel()
	world := shared(t)
	w := open(t, world.tracker)
	w.visit("/torrents")
	w.fill("input[name=query]", "build-0")
	w.follow("form[role=search] button")
	w.wantText("#list", "55 torrents found")
	w.follow(`thead a[href*="sort=size"]`)
	if got := evaluate[string](w, `document.querySelector("th[aria-sort=descending]").innerText`); got != "Size" {
		t.Errorf("it is sorted by %s", got)
	}
	w.wantText("tbody tr", "build-054.tar.zst")
	w.follow("nav.pages a[rel=next]")
	if rows := evaluate[int](w, `document.querySelectorAll("#list tbody tr").length`); rows != 5 {
		t.Errorf("the second page has %d rows", rows)
	}
	w.wantText("tbody tr:last-child", "build-000.tar.zst")
	w.follow("nav.pages a")
	w.wantText("tbody tr", "build-054.tar.zst")
	w.visit(fmt.Sprintf("/torrents?query=%s", world.unlisted.String()[:12]))
	w.wantText("#list", "unlisted")
}
